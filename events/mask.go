package events

import (
	"slices"
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
	// one number, as in "4111 - 1111", whose digits need not be a card number.
	maxSeparators = 3
	// minCardGroup is the length from which digits between unlike separators may be
	// groups of a card number. Those of amounts, dates and times are shorter.
	minCardGroup = 4
)

// Mask makes a text from outside fit to be published: digit runs of 13 to 19,
// also when grouped by spaces or dashes, and card numbers whatever separates their
// digits, become stars (separators stay), then the text is cut to 200 characters. Control characters become spaces and
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

// maskAddresses replaces what looks like an e-mail address: a name, which may be in quotes
// or have a comment in brackets, an at sign, and a domain with a full stop in it or an
// address in brackets.
func maskAddresses(s string) string {
	for from := 0; ; {
		at := strings.IndexAny(s[from:], atSigns)
		if at < 0 {
			return s
		}
		at += from
		_, size := utf8.DecodeRuneInString(s[at:])
		begin, end := addressName(s[:at]), at+size+domain(s[at+size:])
		if begin == at || end == at+size {
			from = at + size
			continue
		}
		s = s[:begin] + "***" + s[end:]
		from = begin
	}
}

// atSigns are the at sign and its two forms of compatibility.
const atSigns = "@\uff20\ufe6b"

// outside reports what is no part of a name or a domain but in quotes or brackets.
func outside(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(atSigns+"<>()[],;:\"'“”„‘’‚«»", r)
}

// addressName returns where the name begins that a text ends with; the text's length if it
// ends with none.
func addressName(s string) int {
	begin := len(s)
	for begin > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:begin])
		before, _ := utf8.DecodeLastRuneInString(s[:begin-size])
		apostrophe := r == '\'' && begin < len(s) && begin > size && !outside(before)
		if !outside(r) || apostrophe {
			begin -= size
			continue
		}
		opened := opening(s[:begin-size], r)
		if opened < 0 {
			break
		}
		begin = opened
	}
	return begin
}

// maxQuoted is how far back the beginning of a quotation is looked for, in bytes. A name
// has at most 64 (RFC 5321, section 4.5.3.1.1).
const maxQuoted = 256

// opening returns where in a text the quotation or bracket begins that r closes behind it;
// -1 if r closes none.
func opening(s string, r rune) int {
	var opens string
	switch r {
	case '"', '\'':
		opens = string(r)
	case ')':
		opens = "("
	case '”':
		opens = "“”„"
	case '“':
		opens = "„"
	case '’':
		opens = "‘’‚"
	case '‘':
		opens = "‚"
	case '»':
		opens = "«"
	case '«':
		opens = "»"
	}
	from := max(0, len(s)-maxQuoted)
	at := strings.LastIndexAny(s[from:], opens)
	if at < 0 {
		return -1
	}
	return from + at
}

// domain returns the length of the domain that a text begins with; 0 if it begins with
// none.
func domain(s string) int {
	if strings.HasPrefix(s, "[") {
		return strings.IndexByte(s, ']') + 1
	}
	if end := strings.IndexFunc(s, outside); end >= 0 {
		s = s[:end]
	}
	s = strings.TrimRight(s, fullStops+"!?")
	if !strings.ContainsAny(s, fullStops) {
		return 0
	}
	return len(s)
}

// fullStops are those that divide a domain (RFC 3490, section 3.1).
const fullStops = ".\u3002\uff0e\uff61"

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

// group is one unbroken run of digits, text[from:to].
type group struct {
	from, to int
	digits   string // in ASCII
	// What lies between it and the group before.
	gap gap
	// alike: it is the same as between the two groups before.
	alike bool
}

// gap is what lies between two groups of digits.
type gap int

const (
	apart   gap = iota // other text
	divided            // separators of any kind and number
	near               // a few spaces and dashes
)

// maskNumbers replaces by stars the digits of every group that belongs to a row
// of neighbouring groups with 13 to 19 digits together: of each such row where a few
// spaces and dashes divide it, and otherwise of a row that is a card number. Looking at
// each row and not only at the longest one keeps a card number from hiding behind an
// order number in front of it ("1234567 4111 1111 1111 1111").
func maskNumbers(text []rune) {
	groups := digitGroups(text)
	for first := range groups {
		digits, tight, alike, long := 0, true, true, true
		for last, g := range groups[first:] {
			if last > 0 {
				if g.gap == apart {
					break
				}
				tight = tight && g.gap == near
				alike = alike && (last == 1 || g.alike)
				long = long && len(groups[first+last-1].digits) >= minCardGroup
			}
			digits += len(g.digits)
			if digits > maxCardDigits {
				break
			}
			row := groups[first : first+last+1]
			if digits >= minCardDigits && (tight || (alike || long) && card(row)) {
				// Overwriting is safe while groups are still looked at: their
				// borders and digits were found before.
				star(text, row)
			}
		}
	}
}

func digitGroups(text []rune) []group {
	var groups []group
	for i := 0; i < len(text); i++ {
		if !unicode.IsDigit(text[i]) {
			continue
		}
		g := group{from: i}
		var digits strings.Builder
		for ; i < len(text) && unicode.IsDigit(text[i]); i++ {
			n, _ := safetext.Digit(text[i])
			digits.WriteByte(byte('0' + n))
		}
		g.to, g.digits = i, digits.String()
		if n := len(groups); n > 0 {
			before := groups[n-1]
			g.gap = between(text[before.to:g.from])
			g.alike = n > 1 && slices.Equal(text[before.to:g.from], text[groups[n-2].to:before.from])
		}
		groups = append(groups, g)
	}
	return groups
}

func between(text []rune) gap {
	found := near
	if len(text) > maxSeparators {
		found = divided
	}
	for _, r := range text {
		switch {
		case r == '-', unicode.In(r, unicode.Zs, unicode.Pd):
		case safetext.Separator(r):
			found = divided
		default:
			return apart
		}
	}
	return found
}

// card reports whether a row of groups is a card number.
func card(row []group) bool {
	var digits strings.Builder
	for _, g := range row {
		digits.WriteString(g.digits)
	}
	return safetext.Card(digits.String())
}

func star(text []rune, row []group) {
	for _, g := range row {
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
