package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"slices"
	"strings"
)

// minSecret is the shortest text that is masked as a secret; shorter ones
// would mask half of every answer.
const minSecret = 4

// Redact replaces each secret in text by a mask.
func Redact(text string, secrets ...Secret) string {
	if text == "" {
		return "" // the usual text of an answer
	}
	return string(redactBytes([]byte(text), secrets))
}

// redactBytes masks secrets as they are and as a URL, a form or JSON encodes them.
func redactBytes(b []byte, secrets []Secret) []byte {
	b = redactEscaped(b, secrets)
	for _, s := range secrets {
		value := s.Reveal()
		b = redactForm(b, value)
		for _, form := range [...]string{url.QueryEscape(value), url.PathEscape(value)} {
			if form != value {
				b = redactForm(b, form)
			}
		}
	}
	return b
}

func redactForm(b []byte, form string) []byte {
	// Most answers hold none, and a replacement always copies.
	if wanted := []byte(form); len(form) >= minSecret && bytes.Contains(b, wanted) {
		return bytes.ReplaceAll(b, wanted, []byte(mask))
	}
	return b
}

// redactEscaped masks whole JSON strings that hold a secret behind escapes:
// encoders may write any letter as one, and some write each slash so. Found only
// after decoding, such a secret would be past every other mask.
func redactEscaped(b []byte, secrets []Secret) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	var out []byte
	done := 0
	for from, to := range quoted(b) {
		var text string
		if bytes.IndexByte(b[from:to], '\\') < 0 || json.Unmarshal(b[from:to], &text) != nil || !holds(text, secrets) {
			continue
		}
		out = append(append(out, b[done:from]...), `"`+mask+`"`...)
		done = to
	}
	if done == 0 {
		return b
	}
	return append(out, b[done:]...)
}

// quoted yields where the JSON strings of b begin and end.
func quoted(b []byte) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		from := -1
		for i := 0; i < len(b); i++ {
			switch {
			case b[i] == '\\' && from >= 0:
				i++
			case b[i] == '"' && from < 0:
				from = i
			case b[i] == '"':
				if !yield(from, i+1) {
					return
				}
				from = -1
			}
		}
	}
}

// holds reports whether a text has a secret in it.
func holds(text string, secrets []Secret) bool {
	return slices.ContainsFunc(secrets, func(s Secret) bool {
		value := s.Reveal()
		return len(value) >= minSecret && strings.Contains(text, value)
	})
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

func redactError(call Call, cause error, kind Cause) error {
	return &callError{
		text: Redact(call.Method+" "+safeURL(call.URL)+": "+describe(cause, kind), call.Secrets...),
		is:   func(target error) bool { return errors.Is(cause, target) },
	}
}

// describe says what went wrong in words that cannot come from the other side:
// net/http quotes what it cannot parse, a certificate names hosts, and both may be
// anything.
func describe(cause error, kind Cause) string {
	if errors.Is(cause, errInvalidCall) {
		return cause.Error() // it is ours
	}
	return kind.Words()
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
