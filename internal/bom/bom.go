// Package bom knows byte order marks. Editors and spreadsheet programs write one in
// front of a text, where nobody sees it. It is no part of what the text says: in a file
// that a person hands over the mark of UTF-8 is skipped. The mark of UTF-16 says that the
// file must be saved as UTF-8.
package bom

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrUTF16 says that a file is not UTF-8, and what to do.
var ErrUTF16 = errors.New("it is UTF-16, not UTF-8: save it as UTF-8")

// longest is the length of the longest mark.
const longest = 3

// The encodings that have a mark here, as Name names them.
const (
	UTF8  = "UTF-8"
	UTF16 = "UTF-16"
)

// Name names the encoding whose mark a text begins with, UTF8 or UTF16; "" if it begins
// with none.
func Name(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return UTF8
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return UTF16
	default:
		return ""
	}
}

// Inside says what to do about a mark within a file, where the text that begins with it
// begins; "" if it begins with none. Joining files leaves the mark of each where it was.
func Inside(text []byte) string {
	switch Name(text) {
	case UTF8:
		return "a byte order mark (U+FEFF) stands here, as where files were joined: remove it"
	case UTF16:
		return "the byte order mark of UTF-16 stands here, as where files were joined: save them as UTF-8 first"
	default:
		return ""
	}
}

// Trim returns a text without its mark. The error is ErrUTF16.
func Trim(text []byte) ([]byte, error) {
	switch Name(text) {
	case UTF8:
		return text[longest:], nil
	case UTF16:
		return nil, ErrUTF16
	default:
		return text, nil
	}
}

// Skip returns r without the mark that it may begin with. What is read from it fails with
// ErrUTF16 if that is the mark of UTF-16.
func Skip(r io.Reader) io.Reader { return &skipper{text: bufio.NewReader(r)} }

type skipper struct {
	text  *bufio.Reader
	begun bool
	err   error
}

// Read implements io.Reader.
func (s *skipper) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		head, _ := s.text.Peek(longest) // an error comes again with what is read
		rest, err := Trim(head)
		if s.err = err; err == nil {
			_, _ = s.text.Discard(len(head) - len(rest)) // they were just peeked at
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.text.Read(p)
}
