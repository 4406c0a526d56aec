package events_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/countermand/countermand/events"
)

func TestCardNumbersAreMaskedAndOtherNumbersStay(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                               "",
		"declined":                       "declined",
		"order 123456789012":             "order 123456789012",
		"card 4111111111111111 declined": "card **************** declined",
		"1234567890123":                  "*************",
		"1234567890123456789":            "*******************",
		"12345678901234567890":           "12345678901234567890",
		"4111 1111 1111 1111":            "**** **** **** ****",
		"4111-1111-1111-1111.":           "****-****-****-****.",
		"4111 - 1111 - 1111 - 1111":      "**** - **** - **** - ****",
		"4111\u00a01111\u20131111 1111":  "****\u00a0****\u2013**** ****",
		"3782 822463 10005":              "**** ****** *****",
		"order 1234567 4111111111111111": "order 1234567 ****************",
		"4111111111111111 1226 123":      "**************** 1226 123",
		"4 1 1 1 1 1 1 1 1 1 1 1 1":      "* * * * * * * * * * * * *",
		"4111,1111,1111,1111":            "4111,1111,1111,1111",
		"٤١١١١١١١١١١١١١١١":               "****************",
		"a\r\nb\x00c":                    "a  b c",
		"bad \xff byte":                  "bad \uFFFD byte",
		strings.Repeat("é", 201):         strings.Repeat("é", 200),
		strings.Repeat("x", 190) + " " + strings.Repeat("4", 16): strings.Repeat("x", 190) + " " + strings.Repeat("*", 9),
		strings.Repeat("x", 185) + strings.Repeat("4", 30):       strings.Repeat("x", 185) + strings.Repeat("*", 15),
	} {
		if got := events.Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAFreeTextHoldsNothingThatIsNotSeenAndNoAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                              "",
		"item returned":                                 "item returned",
		"a\u200bb\u202ec\ufeffd\u2066e":                 "abcde",
		"a\u2028b\u2029c\r\nd":                          "a b c  d",
		"\u0600 \u3164\u115f❤\ufe0f":                    "\u0600 ❤",
		"4111\u200b1111\u20601111\u200d1111":            "****************",
		"ask anna.b+c@shop.example, then":               "ask ***, then",
		"<anna@shop.example>.":                          "<***>.",
		"a@b.example.":                                  "***.",
		"ähn@bücher.example b@c.example":                "*** ***",
		"a@\u200bb.example":                             "***",
		"2 pieces @ 4.50, @home, a@b, @.":               "2 pieces @ 4.50, @home, a@b, @.",
		strings.Repeat("x", 195) + " anna@shop.example": strings.Repeat("x", 195) + " ***",
	} {
		got := events.Text(in)
		if got != want || events.Text(got) != got {
			t.Errorf("Text(%q) = %q, want %q; again %q", in, got, want, events.Text(got))
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("card 4111 1111 1111 1111 of order 1234567")
	f.Add(strings.Repeat("x", 185) + strings.Repeat("4", 30))
	f.Add("\xff\x00" + strings.Repeat("4", 30))
	f.Fuzz(func(t *testing.T, s string) {
		got := events.Mask(s)
		if again := events.Mask(got); again != got {
			t.Fatalf("not the same twice: %q -> %q -> %q", s, got, again)
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 200 {
			t.Fatalf("%q -> %q", s, got)
		}
		if strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		}) {
			t.Fatalf("%q -> %q", s, got)
		}
		run := 0
		for _, r := range got + "\n" {
			if unicode.IsDigit(r) {
				run++
				continue
			}
			if run >= 13 && run <= 19 {
				t.Fatalf("%d digits left: %q -> %q", run, s, got)
			}
			run = 0
		}
	})
}
