package events

import (
	"errors"
	"fmt"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// emptyToken stands for the empty identifier: an escape with nothing behind it,
// which no other identifier encodes to.
const emptyToken = "="

// errNotCanonical is returned for text that Token never writes.
var errNotCanonical = errors.New("not a canonical token")

// Token encodes an identifier as one subject token: A-Z a-z 0-9 _ and - as they
// are, every other byte as = and two upper-case hex digits, so that no dot,
// star, angle bracket or blank of an identifier can reach a subject. The empty
// identifier is "=". Every string has exactly one token (ParseToken is the
// inverse). Frozen by golden tests: versions side by side must agree.
func Token(native string) string {
	if native == "" {
		return emptyToken
	}
	escapes := 0
	for i := range len(native) {
		if !plain(native[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return native
	}
	var b strings.Builder
	b.Grow(len(native) + 2*escapes)
	for i := range len(native) {
		c := native[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('=')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&0xf])
	}
	return b.String()
}

// ParseToken is the strict inverse of Token: only what Token writes is parsed,
// so that two different tokens never name the same identifier. Lower-case hex,
// an escaped byte that needs no escape, a cut escape and the empty string are
// errors.
func ParseToken(token string) (string, error) {
	if token == emptyToken {
		return "", nil
	}
	if token == "" {
		return "", fmt.Errorf("parse token: empty: %w", errNotCanonical)
	}
	var b strings.Builder
	b.Grow(len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		if c != '=' || i+2 >= len(token) {
			return "", fmt.Errorf("parse token: byte %d: %w", i, errNotCanonical)
		}
		hi, lo := strings.IndexByte(upperHex, token[i+1]), strings.IndexByte(upperHex, token[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
			return "", fmt.Errorf("parse token: escape at byte %d: %w", i, errNotCanonical)
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

// plain reports whether a byte stands for itself in a token.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
