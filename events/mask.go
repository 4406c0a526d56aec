package events

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countermand/countermand/internal/safetext"
)

const (
	// maxFreeText is how much of a text from outside is kept, in characters.
	maxFreeText = 200
	// A run of this many digits could be a card number (ISO/IEC 7812: up to 19).
	minCardDigits = 13
	maxCardDigits = 19
	// maxSeparators is how many spaces and dashes may lie between two groups of
	// one number, as in "4111 - 1111".
	maxSeparators = 3
)

// Mask makes a text from outside fit to be published: digit runs of 13 to 19,
// also when grouped by spaces or dashes, become stars (separators stay), then
// the text is cut to 200 characters. Control characters become spaces and
// invalid UTF-8 becomes U+FFFD, so that no provider's answer can make an event
// unwritable. Masking what is already masked changes nothing.
func Mask(s string) string {
	if harmless(s) {
		return s
	}
	text := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	for i, r := range text {
		if unicode.IsControl(r) {
			text[i] = ' '
		}
	}
	maskNumbers(text)
	if len(text) > maxFreeText {
		text = text[:maxFreeText]
		// The cut may have made a card's length of a longer number.
		maskNumbers(text)
	}
	return string(text)
}

// Text makes a free text, such as a reason, fit to be published: characters that are not
// seen are removed, those that turn the order of what is around them among them, e-mail
// addresses become three stars, and the rest is as Mask has it. A name is no free text:
// what is not seen in it may be what is wrong with it.
func Text(s string) string {
	if harmless(s) && !strings.Contains(s, "@") {
		return s
	}
	return Mask(maskAddresses(strings.Map(seen, strings.ToValidUTF8(s, "\uFFFD"))))
}

// seen is what a character of a free text becomes: itself, a space, or nothing (-1). What
// is not seen follows from Unicode's properties, as in package safetext: format characters
// but for those that show, and what else may be ignored.
func seen(r rune) rune {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return ' '
	case unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r), safetext.Ignorable(r):
		return -1
	default:
		return r
	}
}

// maskAddresses replaces what looks like an e-mail address: a name, @, and a domain with
// a full stop in it.
func maskAddresses(s string) string {
	outside := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("@<>()[],;:\"'", r) }
	for from := 0; ; {
		at := strings.IndexByte(s[from:], '@')
		if at < 0 {
			return s
		}
		at += from
		begin := strings.LastIndexFunc(s[:at], outside)
		if begin >= 0 {
			_, size := utf8.DecodeRuneInString(s[begin:])
			begin += size
		}
		begin = max(begin, 0)
		domain := s[at+1:]
		if end := strings.IndexFunc(domain, outside); end >= 0 {
			domain = domain[:end]
		}
		domain = strings.TrimRight(domain, ".!?")
		if begin == at || !strings.Contains(domain, ".") {
			from = at + 1
			continue
		}
		s = s[:begin] + "***" + s[at+1+len(domain):]
		from = begin
	}
}

// harmless reports whether a text surely needs no change: the common case, in one pass.
func harmless(s string) bool {
	if len(s) > maxFreeText {
		return false
	}
	digits := 0
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f {
			return false
		}
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits < minCardDigits
}

// span is one unbroken run of digits, text[from:to].
type span struct{ from, to int }

// maskNumbers replaces by stars the digits of every group that belongs to a row
// of neighbouring groups with 13 to 19 digits together. Looking at each row and
// not only at the longest one keeps a card number from hiding behind an order
// number in front of it ("1234567 4111 1111 1111 1111").
func maskNumbers(text []rune) {
	groups := digitGroups(text)
	for first := range groups {
		digits := 0
		for last := first; last < len(groups); last++ {
			if last > first && !joined(text, groups[last-1], groups[last]) {
				break
			}
			digits += groups[last].to - groups[last].from
			if digits > maxCardDigits {
				break
			}
			if digits >= minCardDigits {
				// Overwriting is safe while groups are still looked at: their
				// borders were found before.
				star(text, groups[first:last+1])
			}
		}
	}
}

func digitGroups(text []rune) []span {
	var groups []span
	for i := 0; i < len(text); i++ {
		if !unicode.IsDigit(text[i]) {
			continue
		}
		from := i
		for i < len(text) && unicode.IsDigit(text[i]) {
			i++
		}
		groups = append(groups, span{from, i})
	}
	return groups
}

// joined reports whether only spaces and dashes lie between two groups.
func joined(text []rune, a, b span) bool {
	if b.from-a.to > maxSeparators {
		return false
	}
	for _, r := range text[a.to:b.from] {
		if r != '-' && !unicode.In(r, unicode.Zs, unicode.Pd) {
			return false
		}
	}
	return true
}

func star(text []rune, groups []span) {
	for _, g := range groups {
		for i := g.from; i < g.to; i++ {
			text[i] = '*'
		}
	}
}

// hasControl reports whether s contains a control character.
func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return true
		}
	}
	return false
}

// hasBreak reports whether s contains a control character or a line break of
// Unicode's own, or is no UTF-8.
func hasBreak(s string) bool {
	return !utf8.ValidString(s) || hasControl(s) || strings.ContainsAny(s, "\u2028\u2029")
}
