package providers

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
)

// minSecret is the shortest text that is masked as a secret; shorter ones
// would mask half of every answer.
const minSecret = 4

// Redact replaces each secret in text by a mask.
func Redact(text string, secrets ...Secret) string {
	return string(redactBytes([]byte(text), secrets))
}

// redactBytes masks secrets as they are and as a URL or a form encodes them.
func redactBytes(b []byte, secrets []Secret) []byte {
	for _, s := range secrets {
		value := s.Reveal()
		for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
			if len(form) >= minSecret {
				b = bytes.ReplaceAll(b, []byte(form), []byte(mask))
			}
		}
	}
	return b
}

// callError is a cause whose text was redacted. It answers errors.Is for its
// cause but does not unwrap to it: the cause's own text is not redacted.
type callError struct {
	text string
	is   func(error) bool
}

// Error returns the redacted text.
func (e *callError) Error() string { return e.text }

// Is reports whether the cause is target.
func (e *callError) Is(target error) bool { return e.is(target) }

func redactError(call Call, cause error) error {
	return &callError{
		text: Redact(call.Method+" "+safeURL(call.URL)+": "+describe(cause), call.Secrets...),
		is:   func(target error) bool { return errors.Is(cause, target) },
	}
}

// describe says what went wrong in words that cannot come from the other side:
// net/http quotes what it cannot parse, and that may be anything.
func describe(cause error) string {
	known := []error{
		ErrTooLate, ErrBodyTooLarge, errRepeat, context.DeadlineExceeded, context.Canceled,
		io.ErrUnexpectedEOF, io.EOF,
	}
	for _, sentinel := range known {
		if errors.Is(cause, sentinel) {
			return sentinel.Error()
		}
	}
	if errors.Is(cause, errInvalidCall) {
		return cause.Error()
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](cause); ok {
		return certificate.Error()
	}
	if network, ok := errors.AsType[net.Error](cause); ok {
		return network.Error()
	}
	return "the connection broke, or what came was no HTTP answer"
}

// safeURL names a URL by scheme and host; a path may hold identifiers and a
// query may hold anything.
func safeURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Scheme + "://" + u.Host
}
