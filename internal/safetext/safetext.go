// Package safetext makes text safe to show: on a terminal, on a page, in a
// spreadsheet, in a log.
//
// Some of what is shown comes from providers, order services and operators. A
// character that is not seen can change what is seen around it: an escape sequence
// moves the cursor and overwrites a line, U+202E turns the order of the letters after
// it, U+2028 ends a line in some programs and not in others, U+200B makes two
// identifiers look the same.
package safetext

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Escape returns the text with each character that is not seen written as \u and four
// hexadecimal digits, two of them above U+FFFF, as in JSON: in a JSON text it is the same
// text afterwards. Line feeds and tabs stay. A byte that is not UTF-8 becomes \ufffd.
func Escape(text []byte) []byte {
	at := unseen(text)
	if at == len(text) {
		return text
	}
	out := append(make([]byte, 0, len(text)+32), text[:at]...)
	for rest := text[at:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if seen(r, size) {
			out = append(out, rest[:size]...)
		} else {
			out = escape(out, r)
		}
		rest = rest[size:]
	}
	return out
}

// unseen returns where the first character lies that is not seen; len(text): nowhere.
func unseen(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if !seen(r, size) {
			return at
		}
		at += size
	}
	return len(text)
}

// seen reports whether a character may be shown as it is. Of the spaces only those
// are that look like one.
func seen(r rune, size int) bool {
	switch {
	case r == '\n', r == '\t':
		return true
	case r == utf8.RuneError && size == 1:
		return false
	default:
		return unicode.IsPrint(r) || r == '\u00a0'
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
	part []byte // the beginning of a character, at most three bytes
}

// NewWriter returns a writer to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Unwrap returns what is written to, for what draws on a terminal itself.
func (w *Writer) Unwrap() io.Writer { return w.out }

// Write implements io.Writer. The beginning of a character waits for its end.
func (w *Writer) Write(p []byte) (int, error) {
	text := p
	if len(w.part) > 0 {
		text = append(bytes.Clone(w.part), p...)
	}
	whole := len(text) - beginning(text)
	w.part = bytes.Clone(text[whole:])
	if _, err := w.out.Write(Escape(text[:whole])); err != nil {
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
