package safetext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/countermand/countermand/internal/safetext"
)

func TestWhatIsNotSeenIsWrittenOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "",
		"plain, ünï, 漢字, €, 👍\tand\n":     "plain, ünï, 漢字, €, 👍\tand\n",
		"\x1b[2Jgone":                     `\u001b[2Jgone`,
		"a\rb\x00c\x7fd\u0085e":           `a\u000db\u0000c\u007fd\u0085e`,
		"order\u202e001":                  `order\u202e001`,
		"\u2066x\u2069\u200e\u200f\u061c": `\u2066x\u2069\u200e\u200f\u061c`,
		"a\u200bb\u200dc\u2060d\ufeffe":   `a\u200bb\u200dc\u2060d\ufeffe`,
		"a\u2028b\u2029c":                 `a\u2028b\u2029c`,
		"a\u3000b\u2003c":                 `a\u3000b\u2003c`,
		"a\u00adb":                        `a\u00adb`,
		"\U000e0041":                      `\udb40\udc41`,
		"bad \xff\xfe utf-8":              `bad \ufffd\ufffd utf-8`,
		"\u00a0":                          "\u00a0",
	} {
		if got := string(safetext.Escape([]byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestAWriterEscapesTheSameHoweverItsTextIsCut(t *testing.T) {
	t.Parallel()
	text := []byte("é€👍\u202e\U000e0041\x1b\xffend\n")
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
