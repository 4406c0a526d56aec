package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
)

// The longest identifier and provider name the wire allows, in characters
// (which are bytes: both are ASCII).
const (
	maxIdentifier = 64
	maxProvider   = 32
)

// ErrInvalidID is wrapped by the errors of EventSubject and Filter: the payment
// is not named by a valid provider name and a printable identifier, so that any
// subject built from it would be wrong.
var ErrInvalidID = errors.New("invalid payment id")

// Filter returns the subject filter payment.*.*.<provider>.<token>.* that covers
// every event of one payment.
//
// THIS IS THE ONLY FUNCTION THAT BUILDS THE FILTER, and the promise that no
// money moves twice hangs on it. Every append carries its result as
// Nats-Expected-Last-Subject-Sequence-Subject, because:
//
//   - a replicated stream compares the filter of an append in flight with those
//     of its rivals byte by byte, not by what they match. Writers that used
//     different filters over the same payment were both accepted 395 times of
//     400; with one identical string never;
//   - the server takes any string. A malformed filter, or one that matches
//     another payment, is accepted silently and guards nothing, so a doubtful
//     identity is an error here and never a best effort.
//
// So: never build a filter by hand, never narrow or widen it, and never change
// what this returns for an identity that is already in a journal. Golden vectors
// freeze it, since two versions of the program run side by side in a rollout.
func Filter(id payment.ID) (string, error) {
	if err := checkID(id); err != nil {
		return "", fmt.Errorf("build filter: %w", err)
	}
	return "payment.*.*." + id.Provider + "." + Token(id.Native) + ".*", nil
}

// EventSubject returns the subject of a payment's event: its type, then provider,
// payment token and version, for example payment.refund.succeeded.opay-eg.1001000.2.
// It is also the event's id. Unknown operations and event types, version 0 and
// identities that Filter refuses are errors.
func EventSubject(op payment.Op, t payment.EventType, id payment.ID, version uint64) (string, error) {
	typ, err := eventType(op, t)
	if err != nil {
		return "", fmt.Errorf("build event subject: %w", err)
	}
	if err := checkID(id); err != nil {
		return "", fmt.Errorf("build event subject: %w", err)
	}
	if version == 0 {
		return "", errors.New("build event subject: version 0: versions count from 1")
	}
	return typ + "." + id.Provider + "." + Token(id.Native) + "." + strconv.FormatUint(version, 10), nil
}

// PaymentOf returns the payment that the subject of a payment's event or of its
// timer names, the inverse of EventSubject and ScheduleSubject; anything else,
// and a timer whose payment is "=", is an error.
func PaymentOf(subject string) (payment.ID, error) {
	at, ok := levels(subject)
	if !ok {
		return payment.ID{}, errors.New("read subject: it is no payment's event")
	}
	native, err := ParseToken(at[4])
	if err != nil {
		return payment.ID{}, fmt.Errorf("read subject: %w", err)
	}
	id := payment.ID{Provider: at[3], Native: native}
	if err := checkID(id); err != nil {
		return payment.ID{}, fmt.Errorf("read subject: %w", err)
	}
	return id, nil
}

// ProviderOf returns the provider that the subject of a payment's event or of its
// timer names, also where PaymentOf finds no payment there; "" for other subjects.
func ProviderOf(subject string) string {
	at, _ := levels(subject)
	return at[3]
}

// levels splits the subject of a payment's event or of its timer. Both have six
// levels, the provider in the fourth and the payment's token in the fifth.
func levels(subject string) (at [6]string, ok bool) {
	if !strings.HasPrefix(subject, "payment.") || strings.Count(subject, ".") != len(at)-1 {
		return at, false
	}
	for i := range at {
		at[i], subject, _ = strings.Cut(subject, ".")
	}
	return at, true
}

// ScheduleSubject returns where the timer of a command lies:
// payment.schedule.<op>.<provider>.<payment>.<32 hex of SHA-256(key, 0x00, content hash)>.
// One operation has one subject, so that a newer timer replaces an older one,
// and the same key with other content has another. The payment is "=" where id
// names none (the provider is not configured here, or the identifier is missing).
func ScheduleSubject(c payment.Command, id payment.ID) string {
	provider := id.Provider
	if provider == "" {
		provider = c.Provider
	}
	h := sha256.New()
	h.Write([]byte(c.Key))
	h.Write([]byte{0})
	h.Write([]byte(c.Fingerprint()))
	// The provider goes through Token as well: it leaves every valid name as it
	// is, and keeps an invalid one from adding levels to the subject.
	return schedulePrefix + Token(string(c.Op)) + "." + Token(provider) + "." + Token(id.Native) +
		"." + hex.EncodeToString(h.Sum(nil))[:32]
}

// DueSubject returns where timers of an operation are delivered.
func DueSubject(op payment.Op) string { return duePrefix + string(op) }

// TypeOf returns the type of a payment's event, which is also how its subject begins.
func TypeOf(op payment.Op, t payment.EventType) string {
	return "payment." + string(op) + "." + string(t)
}

// CommandSubject returns where order services publish commands of an operation.
// With a provider it is the form that lets a platform grant a shop one provider.
func CommandSubject(op payment.Op, provider string) string {
	if provider == "" {
		return commandType(op)
	}
	return commandType(op) + "." + provider
}

// RejectedSubject returns the subject of the answer to a message that is no
// valid command. The token is one of RejectionToken.
func RejectedSubject(token string) string { return rejectedType + "." + token }

// QuarantineSubject returns where the bytes of a rejected message are kept.
func QuarantineSubject(token string) string { return quarantinePrefix + token }

// ProbeSubject returns a subject that a service that may publish a payment's
// events may publish to, and that no event has: its version is 0.
func ProbeSubject(op payment.Op, t payment.EventType, provider, native string) string {
	return TypeOf(op, t) + "." + provider + "." + Token(native) + ".0"
}

// RejectionToken names a rejected message: its sequence in the stream it came
// from and the first 12 hex digits of the SHA-256 of its data, so that a repeat
// of the answer meets itself.
func RejectionToken(originSeq uint64, data []byte) string {
	sum := sha256.Sum256(data)
	return RejectionTokenOf(originSeq, hex.EncodeToString(sum[:]))
}

// RejectionTokenOf is RejectionToken where the SHA-256 (hex) of the data is known
// and the data is not at hand.
func RejectionTokenOf(originSeq uint64, sum string) string {
	return strconv.FormatUint(originSeq, 10) + "-" + sum[:min(12, len(sum))]
}

// OperatorSubject returns the subject of the audit event of one operator's
// action, for example payment.operator.resolved.<ulid>.
func OperatorSubject(action, ulid string) string {
	return operatorType + "." + Token(action) + "." + Token(ulid)
}

// VersionOf is the version of a payment that the subject of its event ends with.
func VersionOf(subject string) (uint64, error) {
	version, err := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the version in %s: %w", subject, err)
	}
	return version, nil
}

// OperatorNameFilter matches the audit event of a ULID, whatever its action is.
func OperatorNameFilter(ulid string) string { return operatorType + ".*." + Token(ulid) }

const (
	rejectedType = "payment.command.rejected"
	// operatorType stands before the action in an audit event's type; alone it
	// names the one schema all of them have.
	operatorType = "payment.operator"

	duePrefix        = "payment.due."
	schedulePrefix   = "payment.schedule."
	quarantinePrefix = "payment.quarantine."

	requested = ".requested"
)

// commandType is the type of a command's event.
func commandType(op payment.Op) string { return "payment." + Token(string(op)) + requested }

// opOfCommandType is the inverse of commandType; false for other types.
func opOfCommandType(typ string) (payment.Op, bool) {
	op, provider, ok := readCommandSubject(typ)
	return op, ok && provider == ""
}

// readCommandSubject is the inverse of CommandSubject.
func readCommandSubject(subject string) (op payment.Op, provider string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "payment.")
	word, rest, dotted := strings.Cut(rest, ".")
	op = payment.Op(word)
	if !ok || !dotted || !op.Known() {
		return "", "", false
	}
	kind, provider, dotted := strings.Cut(rest, ".")
	if kind != requested[1:] || dotted && (provider == "" || strings.Contains(provider, ".")) {
		return "", "", false
	}
	return op, provider, true
}

// eventType is TypeOf for operations and events there are.
func eventType(op payment.Op, t payment.EventType) (string, error) {
	if !op.Known() {
		return "", fmt.Errorf("unknown operation %q", op)
	}
	if !knownEventType(t) {
		return "", fmt.Errorf("unknown event type %q", t)
	}
	return TypeOf(op, t), nil
}

func knownEventType(t payment.EventType) bool {
	switch t {
	case payment.EventStarted, payment.EventDeferred, payment.EventPending, payment.EventIndeterminate,
		payment.EventSucceeded, payment.EventFailed, payment.EventRejected,
		payment.EventReturned, payment.EventExecutedLate:
		return true
	default:
		return false
	}
}

// checkID refuses whatever could make a subject or a filter that means
// something else. Its errors name no identifier.
func checkID(id payment.ID) error {
	if !validProvider(id.Provider) {
		return fmt.Errorf("provider name must match ^[a-z0-9][a-z0-9-]{0,31}$: %w", ErrInvalidID)
	}
	if !validIdentifier(id.Native) {
		return fmt.Errorf("identifier must be 1 to %d printable ASCII characters without space: %w", maxIdentifier, ErrInvalidID)
	}
	return nil
}

// validProvider reports whether a name matches ^[a-z0-9][a-z0-9-]{0,31}$.
func validProvider(name string) bool {
	if name == "" || len(name) > maxProvider || name[0] == '-' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// validIdentifier reports whether s can name a payment.
func validIdentifier(s string) bool {
	return s != "" && len(s) <= maxIdentifier && graphic(s)
}

// graphic reports whether s is all printable ASCII without space.
func graphic(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
