package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countermand/countermand/internal/bom"
)

// oddEnds adds a fault for a secret with characters around it that nobody sees: the other
// side would take it for wrong credentials. The content of a .creds file is a document,
// and what surrounds the credentials in it does no harm.
func (d *decoder) oddEnds(line int, path, value string) {
	if strings.HasSuffix(path, ".credentials") {
		return
	}
	if what := oddAround(value); what != "" {
		d.add(line, path, "names a secret that %s; only one line break at the end is trimmed", what)
	}
}

// oddAround says what is odd about the ends of a text, and nothing else of it; empty:
// nothing.
func oddAround(text string) string {
	if bom.Name([]byte(text)) == bom.UTF16 {
		return "is written in UTF-16: save it as UTF-8 without a byte order mark"
	}
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	begins, ends := unseen(first), unseen(last)
	switch {
	case strings.TrimFunc(text, func(r rune) bool { return unseen(r) != "" }) == "":
		return "holds nothing that can be seen"
	case begins != "" && ends != "":
		return "begins with " + begins + " and ends with " + ends + ": remove both"
	case begins != "":
		return "begins with " + begins + ": remove it"
	case ends != "":
		return "ends with " + ends + ": remove it"
	default:
		return ""
	}
}

// unseen names a character that nobody sees; empty: it is seen, or no character at all.
func unseen(r rune) string {
	var kind string
	switch {
	case r == '\ufeff':
		kind = "a byte order mark"
	case r == '\n':
		kind = "a line break"
	case r == '\r':
		kind = "a carriage return"
	case r == '\t':
		kind = "a tab"
	case r == ' ':
		kind = "a space"
	case r == '\u00a0', r == '\u202f':
		kind = "a no-break space"
	case r >= '\u200b' && r <= '\u200d', r == '\u2060':
		kind = "a zero-width character"
	case unicode.IsSpace(r):
		kind = "white space"
	case unicode.IsControl(r):
		kind = "a control character"
	case unicode.Is(unicode.Cf, r):
		kind = "a character that cannot be seen"
	default:
		return ""
	}
	return fmt.Sprintf("%s (U+%04X)", kind, r)
}
