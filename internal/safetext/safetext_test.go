package safetext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/countermand/countermand/internal/safetext"
)

func TestWhatIsNotSeenIsWrittenOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                            "",
		"plain, ünï, 漢字, €, 👍\tand\n":                 "plain, ünï, 漢字, €, 👍\tand\n",
		"\x1b[2Jgone":                                 `\u001b[2Jgone`,
		"a\rb\x00c\x7fd\u0085e":                       `a\u000db\u0000c\u007fd\u0085e`,
		"order\u202e001":                              `order\u202e001`,
		"\u2066x\u2069\u200e\u200f\u061c":             `\u2066x\u2069\u200e\u200f\u061c`,
		"a\u200bb\u200dc\u2060d\ufeffe":               `a\u200bb\u200dc\u2060d\ufeffe`,
		"a\u2028b\u2029c":                             `a\u2028b\u2029c`,
		"a\u3000b\u2003c":                             `a\u3000b\u2003c`,
		"a\u00adb":                                    `a\u00adb`,
		"\U000e0041":                                  `\udb40\udc41`,
		"bad \xff\xfe utf-8":                          `bad \ufffd\ufffd utf-8`,
		"\u00a0":                                      "\u00a0",
		"a\u3164b\u115fc\u1160d\uffa0e":               `a\u3164b\u115fc\u1160d\uffa0e`,
		"a\u2800b\U0001d159c\U00016fe4":               `a\u2800b\ud834\udd59c\ud81b\udfe4`,
		"rf-\U00013441\U00013442":                     `rf-\ud80d\udc41\ud80d\udc42`,
		"k\u17d2 k\u1039 \u2d7f1":                     `k\u17d2 k\u1039 \u2d7f1`,
		"k\U00011f42":                                 `k\ud807\udf42`,
		"\u1780\u17d2":                                "\u1780" + `\u17d2`,
		"\u1000\u1039.":                               "\u1000" + `\u1039.`,
		"\u1000\u1039\u104a\u1039\u1000":              "\u1000" + `\u1039` + "\u104a" + `\u1039` + "\u1000",
		"\u1780\u17d2\u17d2\u1780":                    "\u1780" + `\u17d2\u17d2` + "\u1780",
		"\u1780\u17d2\u17b6":                          "\u1780" + `\u17d2` + "\u17b6",
		"\u1780\u17d2\u1000":                          "\u1780" + `\u17d2` + "\u1000",
		"k\U0001107f\U00010a3f\U00011133":             `k\ud804\udc7f\ud802\ude3f\ud804\udd33`,
		"\u1781\u17d2\u1798\u17c2\u179a":              "\u1781\u17d2\u1798\u17c2\u179a",             // the name of the Khmer, as they write it
		"\u1021\u1004\u103a\u1039\u1002\u101c\u102d":  "\u1021\u1004\u103a\u1039\u1002\u101c\u102d", // English, in Burmese
		"\U00011f04\U00011f42\U00011f05":              "\U00011f04\U00011f42\U00011f05",
		"\U00011064\U0001107f\U00011053":              "\U00011064\U0001107f\U00011053", // 100 and 2 make 200
		"e\u0301, a\u0302\u0323, \u0e01\u0e34\u0e48":  "e\u0301, a\u0302\u0323, \u0e01\u0e34\u0e48",
		"a" + strings.Repeat("\u0300", 6) + "b\u0300": "a" + strings.Repeat("\u0300", 4) + `\u0300\u0300` + "b\u0300",
	} {
		if got := string(safetext.Escape([]byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// TestNothingThatUnicodeCallsIgnorableIsShown holds the derived property against the
// blocks that Unicode lists for it (DerivedCoreProperties.txt, 17.0), and against the
// categories that have no shape.
func TestNothingThatUnicodeCallsIgnorableIsShown(t *testing.T) {
	t.Parallel()
	ranges := [][2]rune{
		{0x00ad, 0x00ad},
		{0x034f, 0x034f},
		{0x061c, 0x061c},
		{0x115f, 0x1160},
		{0x17b4, 0x17b5},
		{0x180b, 0x180f},
		{0x200b, 0x200f},
		{0x2028, 0x202e},
		{0x2060, 0x206f},
		{0x3164, 0x3164},
		{0xfe00, 0xfe0f},
		{0xfeff, 0xfeff},
		{0xffa0, 0xffa0},
		{0xfff0, 0xfffb},
		{0x1bca0, 0x1bca3},
		{0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff},
		{0xe000, 0xf8ff},
		{0xf0000, 0x10ffff}, // private use, and what is no character at the end
		{0xfdd0, 0xfdef},
		{0xfffe, 0xffff},
		{0x0378, 0x0379},
	}
	for _, of := range ranges {
		for r := of[0]; r <= of[1]; r++ {
			if got := string(safetext.Escape([]byte(string(r)))); strings.ContainsRune(got, r) {
				t.Errorf("%U is shown as it is", r)
			}
		}
	}
}

// TestAJoinerIsKnownByItsClass holds the joiners against the combining class that all
// stackers, viramas and killers have. A mark that a later version of Unicode adds to the
// class is a fault here until it is known to show, or to be a joiner.
func TestAJoinerIsKnownByItsClass(t *testing.T) {
	t.Parallel()
	const virama = 9
	// IndicSyllabicCategory.txt, Virama and then Pure_Killer: they show where they join nothing.
	shows := []rune("\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca\u1b44\ua806" +
		"\ua8c4\ua9c0\U00011046\U000110b9\U000111c0\U00011235\U0001134d\U00011442\U000114c2\U000115bf\U0001163f\U000116b6" +
		"\U00011839\U000119e0\U00011c3f" +
		"\u0d3b\u0d3c\u0e3a\u0eba\u0f84\u103a\u1714\u1715\u1734\u1baa\u1bf2\u1bf3" +
		"\ua82c\ua953\uabed\U00011070\U00011134\U000112ea\U0001172b\U0001193d\U00011a34\U00011d44\U00011f41")
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if norm.NFC.PropertiesString(string(r)).CCC() != virama || slices.Contains(shows, r) {
			continue
		}
		if got := string(safetext.Escape([]byte(string(r)))); strings.ContainsRune(got, r) {
			t.Errorf("%U is shown alone", r)
		}
	}
}

func TestAWriterEscapesTheSameHoweverItsTextIsCut(t *testing.T) {
	t.Parallel()
	text := []byte("é\u1780\u17d2\u1780\u17d2\u17d2\u1000\u1039€👍\u202e\U000e0041\x1b\xffe" + strings.Repeat("\u0301", 7) + "nd\n")
	want := safetext.Escape(text)
	for cut := range len(text) + 1 {
		var out bytes.Buffer
		w := safetext.NewWriter(&out)
		for _, part := range [][]byte{text[:cut], text[cut:]} {
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("cut at %d: %q, want %q", cut, out.Bytes(), want)
		}
	}
	if _, err := safetext.NewWriter(broken{}).Write([]byte("a")); err == nil {
		t.Error("an error is lost")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }

func FuzzEscape(f *testing.F) {
	f.Add("a\u202eb\x1b[0m")
	f.Add("\xff\U000e0041")
	f.Fuzz(func(t *testing.T, text string) {
		got := string(safetext.Escape([]byte(text)))
		if strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && r != '\u00a0' && !unicode.IsPrint(r) }) {
			t.Errorf("%q becomes %q", text, got)
		}
		encoded, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if err := errors.Join(json.Unmarshal(encoded, &before), json.Unmarshal(safetext.Escape(encoded), &after)); err != nil || before != after {
			t.Errorf("in JSON %q becomes %q: %v", before, after, err)
		}
	})
}
