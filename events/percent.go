package events

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// errHeaderEncoding is returned for a header value that is no percent-encoded UTF-8.
var errHeaderEncoding = errors.New("header value is not percent-encoded UTF-8")

// encodeHeader encodes an attribute's value for a binary-mode header as the
// CloudEvents NATS binding (1.0.3 draft, section 3.1.3.2) says: space, double
// quote, percent and everything outside U+0021..U+007E become %XX of their UTF-8.
func encodeHeader(s string) string {
	escapes := 0
	for i := range len(s) {
		if mustEscape(s[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2*escapes)
	for i := range len(s) {
		c := s[i]
		if !mustEscape(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&0xf])
	}
	return b.String()
}

func mustEscape(c byte) bool {
	return c <= 0x20 || c >= 0x7f || c == '"' || c == '%'
}

// decodeHeader undoes encodeHeader: quoted strings are unescaped first, then
// percent sequences are decoded, once (what decodes to "%41" stays "%41").
// Lower-case hex is taken. A cut or malformed sequence, an open quote and what
// is no UTF-8 afterwards (overlong forms included) are errors.
func decodeHeader(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		var err error
		if s, err = unquote(s); err != nil {
			return "", err
		}
	}
	// Of a path's rules only those of the percent sign touch a text.
	s, err := url.PathUnescape(s)
	if err != nil {
		return "", errHeaderEncoding
	}
	if !utf8.ValidString(s) {
		return "", errHeaderEncoding
	}
	return s, nil
}

// unquote undoes an RFC 7230 quoted-string, which older senders used.
func unquote(s string) (string, error) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", errHeaderEncoding
	}
	s = s[1 : len(s)-1]
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return "", errHeaderEncoding
		case '\\':
			i++
			if i == len(s) {
				return "", errHeaderEncoding
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), nil
}
