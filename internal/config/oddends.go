package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countermand/countermand/internal/bom"
	"github.com/countermand/countermand/internal/safetext"
)

// oddEnds adds a fault for a secret with characters around it that nobody sees, or with a
// line break inside: the other side would take it for wrong credentials. Quotes around it
// are noted only, because they may be part of it. The content of a .creds file is a
// document, and what surrounds the credentials in it does no harm.
func (d *decoder) oddEnds(line int, path, value string) {
	if strings.HasSuffix(path, ".credentials") {
		return
	}
	switch what := oddAround(value); {
	case what != "":
		d.add(line, path, "names a secret that %s; only one line break at the end is trimmed", what)
	case quoted(value):
		d.quoted = append(d.quoted, path)
	}
}

// oddAround says what is odd about the ends of a text or its lines, and nothing else of
// it; empty: nothing.
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
	}
	if at := strings.IndexFunc(text, breaks); at >= 0 {
		r, _ := utf8.DecodeRuneInString(text[at:])
		return "has " + unseen(r) + " inside: write it on one line"
	}
	return ""
}

// breaks reports a character that ends a line or controls something else. No header and no
// form of a provider takes one.
func breaks(r rune) bool {
	return r != '\t' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

// quoted reports whether a text stands in quotes of one kind. A shell takes them away, and
// a file or an env file keeps them.
func quoted(text string) bool {
	first, size := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	closing, opens := map[rune]string{
		'"': `"`, '\'': "'", '`': "`´", '“': "”", '”': "”", '„': "“”", '‘': "’", '’': "’", '‚': "‘’", '«': "»", '»': "«", '‹': "›", '›': "‹",
	}[first]
	return opens && len(text) > size && strings.ContainsRune(closing, last)
}

// unseen names a character that nobody sees; empty: it is seen, or no character at all.
func unseen(r rune) string {
	var kind string
	switch {
	case r == '\ufeff':
		kind = "a byte order mark"
	case r == '\n', r == '\u0085', r == '\u2028', r == '\u2029':
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
	case safetext.Unseen(r):
		kind = "a character that cannot be seen"
	default:
		return ""
	}
	return fmt.Sprintf("%s (U+%04X)", kind, r)
}
