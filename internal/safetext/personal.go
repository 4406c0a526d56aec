package safetext

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CardLike reports whether digits in a text could be a card number: as long and
// beginning as one of the schemes' numbers do, with the right check digit, whatever signs
// stand between them. A provider's own references are runs of digits too (OPay's have
// 18), so the mere length, by which free texts are masked, would refuse them.
func CardLike(s string) bool {
	return cardBetween(s, func(r rune) bool { return r == ' ' || r == '-' }) || cardBetween(s, Separator) ||
		slices.ContainsFunc(strings.Fields(s), func(word string) bool { return cardBetween(word, Separator) })
}

// cardBetween reports whether the digits of a text, without the signs to skip, have a card
// number between two other characters.
func cardBetween(s string, skip func(rune) bool) bool {
	digits := strings.Map(func(r rune) rune {
		switch n, ok := Digit(r); {
		case ok:
			return '0' + rune(n)
		case skip(r):
			return -1
		default:
			return '/'
		}
	}, s)
	return slices.ContainsFunc(strings.Split(digits, "/"), Card)
}

// Card reports whether ASCII digits are a card number: of a length and beginning that a
// scheme issues, with the right check digit.
func Card(digits string) bool { return issued(digits) && luhn(digits) }

// Separator reports whether a character can stand between the digits of one number: any
// space, mark, punctuation or symbol but the star, which stands for a masked digit.
func Separator(r rune) bool {
	return r != '*' && (unicode.IsSpace(r) || unicode.In(r, unicode.Z, unicode.M, unicode.P, unicode.S))
}

// Digit returns the value of a decimal digit of any script; false if it is none.
func Digit(r rune) (value int, ok bool) {
	switch {
	case r >= '0' && r <= '9':
		return int(r - '0'), true
	case r < utf8.RuneSelf || !unicode.IsDigit(r):
		return 0, false
	}
	// Unicode encodes the digits of a script in one row from 0 to 9.
	for _, row := range unicode.Nd.R16 {
		if r <= rune(row.Hi) {
			return int(r-rune(row.Lo)) % 10, true
		}
	}
	for _, row := range unicode.Nd.R32 {
		if r <= rune(row.Hi) {
			return int(r-rune(row.Lo)) % 10, true
		}
	}
	return 0, false
}

// scheme is a range of the numbers that a card scheme issues.
type scheme struct {
	from, to string
	lengths  []int
}

// issued reports whether a card scheme issues numbers of this beginning and
// length (ISO/IEC 7812 ranges as the schemes publish them).
func issued(n string) bool {
	return slices.ContainsFunc([]scheme{
		{"2221", "2720", []int{16}},
		{"34", "34", []int{15}},
		{"37", "37", []int{15}},
		{"30", "30", []int{14, 16, 19}},
		{"35", "36", []int{14, 16, 17, 18, 19}},
		{"38", "39", []int{14, 16, 19}},
		{"4", "4", []int{13, 16, 19}},
		{"50", "50", []int{13, 14, 15, 16, 17, 18, 19}},
		{"51", "55", []int{16}},
		{"56", "69", []int{13, 14, 15, 16, 17, 18, 19}},
	}, func(s scheme) bool {
		return slices.Contains(s.lengths, len(n)) && n[:len(s.from)] >= s.from && n[:len(s.to)] <= s.to
	})
}

// luhn reports whether the last digit is the check digit of the others (ISO/IEC 7812-1).
func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// identifierSigns are what an identifier may have besides letters and digits.
const identifierSigns = "-_.:/=~"

// The bounds of identifiers and codes.
const (
	maxIdentifier     = 128
	maxCodeLetters    = 3
	maxCodeDigits     = 5 // of a code without letters
	maxLetteredDigits = 4 // of one with letters
	minIBAN           = 15
	maxIBAN           = 34
)

// Identifier reports whether a text can be a computer's name of something, and not a
// person's name, address, telephone, account or card number. It has at most 128 letters,
// digits and the signs -_.:/=~ of ASCII, a digit among them if there are more than three,
// and is no card number and no IBAN. Digits alone are an identifier: nothing tells a
// telephone number without its plus sign from one.
func Identifier(s string) bool {
	short, digit := len(s) <= 3, strings.ContainsFunc(s, isDigit)
	return s != "" && len(s) <= maxIdentifier && plain(s, identifierSigns) && (short || digit) && !wholeCard(s) && !iban(s)
}

// Code reports whether a text can be a code that a provider answers with: one to five
// digits, or one to three capital letters of ASCII, a hyphen or underscore if need be, and
// one to four digits. So the codes look that the four kinds document (00000, 6007, PG0005,
// 32). It is much narrower than Identifier, because a code names one of few things, and
// keeps out names with a year of birth, telephone numbers and those of passports.
func Code(s string) bool {
	rest := strings.TrimLeft(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	letters, most := len(s)-len(rest), maxCodeDigits
	if letters > 0 {
		most = maxLetteredDigits
		if rest != "" && (rest[0] == '-' || rest[0] == '_') {
			rest = rest[1:]
		}
	}
	return letters <= maxCodeLetters && rest != "" && len(rest) <= most && !strings.ContainsFunc(rest, isNoDigit)
}

func isNoDigit(r rune) bool { return !isDigit(r) }

// plain reports whether a text is of ASCII letters, digits and the given signs alone.
func plain(s, signs string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !isDigit(r) && (r|0x20 < 'a' || r|0x20 > 'z') && !strings.ContainsRune(signs, r)
	})
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// wholeCard reports whether a text is a card number, and nothing else. A UUID may
// hold digits that look like one.
func wholeCard(s string) bool {
	return plain(s, identifierSigns) && !strings.ContainsFunc(s, isLetter) && CardLike(s)
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// iban reports whether a text is an international bank account number with the right
// check digits (ISO 13616).
func iban(s string) bool {
	s = strings.ToUpper(strings.ReplaceAll(s, "-", ""))
	if len(s) < minIBAN || len(s) > maxIBAN || !plain(s, "") || !isLetter(rune(s[0])) || !isLetter(rune(s[1])) ||
		!isDigit(rune(s[2])) || !isDigit(rune(s[3])) {
		return false
	}
	rest := 0
	for _, r := range s[4:] + s[:4] {
		if isDigit(r) {
			rest = (rest*10 + int(r-'0')) % 97
			continue
		}
		rest = (rest*100 + int(r-'A') + 10) % 97
	}
	return rest == 1
}
