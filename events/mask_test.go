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
		"4111,1111,1111,1111":            "****,****,****,****",
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

func TestACardNumberIsMaskedWhateverSeparatesItsDigits(t *testing.T) {
	t.Parallel()
	stars := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return '*'
			}
			return r
		}, s)
	}
	for _, by := range []string{
		".", "/", "_", "|", ",", "·", ":", ";", "+", "=", "~", "•", "—", "\u2011", "\u2212", "\u2009", "\u3000", "\u00a0\u00a0", "    ", " . ", " / ", "\u0301",
		"          ", ", ", "--", " | ", "\t\t\t\t", "\u2028",
	} {
		for _, number := range [][]string{
			{"4111", "1111", "1111", "1111"},
			{"3782", "822463", "10005"},
			{"55", "55", "55", "55", "55", "55", "44", "44"},
			strings.Split("6011111111111117", ""),
			{"４１１１", "１１１１", "١١١١", "११११"},
			{"𝟒𝟏𝟏𝟏", "𝟙𝟙𝟙𝟙", "𝟣𝟣𝟣𝟣", "𝟷𝟷𝟷𝟷"},
		} {
			text := "card " + strings.Join(number, by) + ", order 1001000"
			want := strings.Replace(stars(text), "order *******", "order 1001000", 1)
			for _, r := range []string{"\t", "\u2028"} {
				want = strings.ReplaceAll(want, r, " ")
			}
			if got := events.Text(text); got != want || events.Text(got) != got {
				t.Errorf("Text(%q) = %q, again %q", text, got, events.Text(got))
			}
		}
	}
	for in, want := range map[string]string{
		"4111.1111/1111_1111":                          "****.****/****_****",
		"order 1001000, 4111.1111.1111.1111 and 12.34": "order 1001000, ****.****.****.**** and 12.34",
		"1001000.4111.1111.1111.1111":                  "1001000.****.****.****.****",
	} {
		if got := events.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAmountsDatesAndIdentifiersStayReadable(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"12.34", "1,234.56", "EUR 1.234.567,89", "400.00, 12.50, 1,234.56, 99.99", "4,111.11; 11,111.11; 1,111.11", "refund 40000 of 120000", "1 234 567,00",
		"2026-11-30", "30.11.2026, 01.12.2026", "2026/11/30 12:34:56, 2026/12/01 01:02:03", "30.11.2026 12:34:56.789", "between 10:00 and 12:30",
		"order 1001000", "orders 1001000, 1001009, 1001010", "1001000/2", "ticket 4711-0815", "A-529.1438673740.0", "4111.1111.1111.1112", "10.0.0.1, 192.168.100.200",
		"4111 pieces, 1111 boxes, 1111 pallets, 1111 lorries", "+49 30 123456", "3 × 4.50 = 13.50",
	} {
		if got := events.Text(s); got != s {
			t.Errorf("Text(%q) = %q", s, got)
		}
	}
}

func TestAnAddressIsMaskedHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`ask "max mustermann"@example.org, then`:      "ask ***, then",
		`"max@home, @work"@example.org`:               "***",
		"ask max＠example.org.":                        "ask ***.",
		"max﹫example．org, max@example。org max@ex｡org": "***, *** ***",
		"max@[192.168.0.1]!":                          "***!",
		"max(mustermann)@example.org":                 "***",
		"(max@example.org)":                           "(***)",
		"'max m'@example.org “max m”@example.org":     "*** ***",
		"„max m“@example.org «max m»@example.org":     "*** ***",
		"sean.o'brien@example.org":                    "***",
		"'max@example.org' \"max@example.org\"":       "'***' \"***\"",
		`Max "M" Mustermann <max@example.org>`:        `Max "M" Mustermann <***>`,
		"a@b.example@c.example":                       "***",
		`2" @ 4.50, x" @home.`:                        `2" @ 4.50, x" @home.`,
		"rate @ 3.5, @example.org, )@example.org":     "rate @ 3.5, @example.org, )@example.org",
	} {
		if got := events.Text(in); got != want || events.Text(got) != got {
			t.Errorf("Text(%q) = %q, want %q; again %q", in, got, want, events.Text(got))
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

func FuzzText(f *testing.F) {
	f.Add(`"max mustermann"@example.org max＠example.org 4111.1111.1111.1111`)
	f.Add("a(b)@c.d'e\"@[f]*@g.h")
	f.Fuzz(func(t *testing.T, s string) {
		got := events.Text(s)
		if again := events.Text(got); again != got {
			t.Fatalf("not the same twice: %q -> %q -> %q", s, got, again)
		}
	})
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
