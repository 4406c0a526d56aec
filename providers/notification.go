package providers

import (
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// The two reasons a notification is refused. Errors that wrap them hold nothing
// of the body.
var (
	// ErrForgedNotification: nobody who has this account's secret has signed it,
	// or it is another merchant's.
	ErrForgedNotification = errors.New("the notification is not this account's provider's")
	// ErrMalformedNotification: it is none that can be read.
	ErrMalformedNotification = errors.New("the notification cannot be read")
)

// Notification is what an authentic notification is about. It says that
// something may have happened and whom to ask about, never what: some of what a
// provider sends is not signed, and what is signed may be old.
type Notification struct {
	// Native is the payment's identifier at the provider; empty where only
	// Reference names it.
	Native string
	// Reference is a provider-facing reference of an operation or the payment's
	// own identifier, whichever the provider put there; empty: none.
	Reference string
	// Time is the newest time that is signed; zero: there is none.
	Time time.Time
	// Uncertain is how far Time may be off either way, where it was written
	// without a zone.
	Uncertain time.Duration
	// Digest is of all that is signed: two notifications with equal digests are
	// one, sent twice.
	Digest [sha256.Size]byte
}

// NotificationVerifier is what adapters can do whose provider sends signed
// notifications. Implementations are safe for concurrent use, read the secret
// anew for each call, do no I/O beside that and change nothing.
type NotificationVerifier interface {
	// VerifyNotification checks the signature over the bytes that came, in
	// constant time, and reads what they are about. The media type is the
	// request's, lower case and without parameters. The error wraps
	// ErrForgedNotification or ErrMalformedNotification.
	VerifyNotification(mediaType string, body []byte) (Notification, error)
}

// anyZone is the furthest a clock on the wall is from UTC.
const anyZone = 14 * time.Hour

// ParseTime reads a provider's time: RFC 3339, or the same without a zone and
// then uncertain by the furthest zone there is. The empty text is the zero
// time. False: it is none of these.
func ParseTime(text string) (at time.Time, uncertain time.Duration, ok bool) {
	if text == "" {
		return time.Time{}, 0, true
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), 0, true
	}
	at, err := time.Parse("2006-01-02T15:04:05", strings.Replace(text, " ", "T", 1))
	return at, anyZone, err == nil
}
