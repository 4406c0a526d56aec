// Package safetext makes text safe to show: on a terminal, on a page, in a
// spreadsheet, in a log.
//
// Some of what is shown comes from providers, order services and operators. A
// character that is not seen can change what is seen around it: an escape sequence
// moves the cursor and overwrites a line, U+202E turns the order of the letters after
// it, U+2028 ends a line in some programs and not in others, U+200B makes two
// identifiers look the same, and marks piled on one letter cover the lines around it.
//
// What is seen follows from Unicode's properties, in the tables of package unicode, and
// from no list of characters that an attack has used. Two characters that look alike,
// such as a Latin and a Cyrillic letter, are both seen: this package does not tell them
// apart.
package safetext

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// mostMarks is how many marks one character may carry. No orthography needs more than
// three; a cantillated Hebrew letter has four.
const mostMarks = 4

// Escape returns the text with each character that is not seen written as \u and four
// hexadecimal digits, two of them above U+FFFF, as in JSON: in a JSON text it is the same
// text afterwards. The fifth mark on a character and those after it are written like that
// too. Line feeds and tabs stay. A byte that is not UTF-8 becomes \ufffd.
func Escape(text []byte) []byte {
	var e escaper
	return e.escape(text)
}

// escaper escapes a text that comes in parts.
type escaper struct {
	marks  int  // in a row, at the end of what has come
	before rune // the last character that has come
}

// escape returns the next part escaped; the part itself where nothing is to be escaped.
func (e *escaper) escape(text []byte) []byte {
	var out []byte
	kept := 0 // up to where the text is in out
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if !e.seen(r, size, text[at+size:]) {
			out = escape(append(out, text[kept:at]...), r)
			kept = at + size
		}
		at += size
	}
	if kept == 0 {
		return text
	}
	return append(out, text[kept:]...)
}

// seen reports whether the next character may be shown as it is; after is the text behind
// it.
func (e *escaper) seen(r rune, size int, after []byte) bool {
	before := e.before
	e.before = r
	if script := joined(r); script != nil && !joins(script, before, after) {
		return false
	}
	if !unicode.Is(unicode.M, r) {
		e.marks = 0
		return visible(r, size)
	}
	if !visible(r, size) {
		return false
	}
	e.marks++
	return e.marks <= mostMarks
}

// visible reports whether a character shows. Of the spaces only those do that look like
// one. Unassigned and private characters, format characters, and the separators of lines
// and paragraphs are not printable. The rest that does not show are the letters and marks
// with the property Default_Ignorable_Code_Point, which Unicode derives from the two
// properties here and the format characters (DerivedCoreProperties.txt).
func visible(r rune, size int) bool {
	switch {
	case r == '\n', r == '\t', r == '\u00a0':
		return true
	case r == utf8.RuneError && size == 1, blank(r):
		return false
	default:
		return unicode.IsPrint(r) && !Ignorable(r)
	}
}

// Unseen reports whether a character that stands alone is not seen, as Escape has it.
// Line feeds, tabs, spaces and no-break spaces count as seen.
func Unseen(r rune) bool {
	var alone escaper
	return !alone.seen(r, utf8.RuneLen(r), nil)
}

// Ignorable reports a letter or a mark that has no shape of its own, by the two properties
// above.
func Ignorable(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// blank reports whether a character is a symbol or a mark by its properties and has
// nothing to show by its name in UnicodeData.txt, which no property says.
func blank(r rune) bool {
	switch r {
	case '\u2800', // BRAILLE PATTERN BLANK
		'\U00013441', // EGYPTIAN HIEROGLYPH FULL BLANK
		'\U00013442', // EGYPTIAN HIEROGLYPH HALF BLANK
		'\U00016fe4', // KHITAN SMALL SCRIPT FILLER
		'\U0001d159': // MUSICAL SYMBOL NULL NOTEHEAD
		return true
	default:
		return false
	}
}

// joins reports whether a joiner stands between two characters that it joins: a letter or
// a number of its script comes next, and before it is one, or a mark on one. Another
// joiner is no such mark.
func joins(script *unicode.RangeTable, before rune, after []byte) bool {
	next, _ := utf8.DecodeRune(after)
	return unicode.Is(script, before) && unicode.In(before, unicode.L, unicode.N, unicode.M) && joined(before) == nil &&
		unicode.Is(script, next) && unicode.In(next, unicode.L, unicode.N)
}

// joined is the script whose characters a joiner joins: it has no form of its own, and
// shows only in how they stand. Nil: the character is none (IndicSyllabicCategory.txt,
// Invisible_Stacker and Number_Joiner, and U+2D7F).
func joined(r rune) *unicode.RangeTable {
	switch r {
	case '\u1039':
		return unicode.Myanmar
	case '\u17d2':
		return unicode.Khmer
	case '\u1a60':
		return unicode.Tai_Tham
	case '\u1bab':
		return unicode.Sundanese
	case '\u2d7f':
		return unicode.Tifinagh
	case '\uaaf6':
		return unicode.Meetei_Mayek
	case '\U00010a3f':
		return unicode.Kharoshthi
	case '\U0001107f':
		return unicode.Brahmi
	case '\U00011133':
		return unicode.Chakma
	case '\U0001193e':
		return unicode.Dives_Akuru
	case '\U00011a47':
		return unicode.Zanabazar_Square
	case '\U00011a99':
		return unicode.Soyombo
	case '\U00011d45':
		return unicode.Masaram_Gondi
	case '\U00011d97':
		return unicode.Gunjala_Gondi
	case '\U00011f42':
		return unicode.Kawi
	default:
		return nil
	}
}

func escape(out []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return fmt.Appendf(out, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}

// Writer escapes all that is written through it. It is for one goroutine.
type Writer struct {
	out  io.Writer
	text escaper
	part []byte // what waits: a joiner, and the beginning of a character
}

// NewWriter returns a writer to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Unwrap returns what is written to, for what draws on a terminal itself.
func (w *Writer) Unwrap() io.Writer { return w.out }

// Write implements io.Writer. The beginning of a character waits for its end, and a joiner
// for the character that it joins.
func (w *Writer) Write(p []byte) (int, error) {
	text := p
	if len(w.part) > 0 {
		text = append(bytes.Clone(w.part), p...)
	}
	whole := len(text) - beginning(text)
	if r, size := utf8.DecodeLastRune(text[:whole]); joined(r) != nil {
		whole -= size
	}
	w.part = bytes.Clone(text[whole:])
	if _, err := w.out.Write(w.text.escape(text[:whole])); err != nil {
		return 0, err
	}
	return len(p), nil
}

// beginning is how many bytes at the end of a text begin a character that is not whole.
func beginning(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if b := text[len(text)-n]; utf8.RuneStart(b) {
			if !utf8.FullRune(text[len(text)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
