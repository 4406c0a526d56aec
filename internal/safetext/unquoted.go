package safetext

import (
	"bytes"
	"io"
)

// Unquoted is a writer to out that leaves out what a line quotes, from the first
// quotation mark on. Libraries quote what they could not read in the process's own log:
// net/http does so with what a provider sends between two answers, and that can name a
// customer. Each write is a line, as package log has it. It is as safe for concurrent use
// as out is.
func Unquoted(out io.Writer) io.Writer { return unquoted{out} }

type unquoted struct{ out io.Writer }

// Write implements io.Writer.
func (u unquoted) Write(line []byte) (int, error) {
	said, quoted, found := bytes.Cut(line, []byte(`"`))
	if found {
		ending := "(left out)"
		if bytes.HasSuffix(quoted, []byte("\n")) {
			ending += "\n"
		}
		said = append(bytes.Clone(said), ending...)
	}
	if _, err := u.out.Write(said); err != nil {
		return 0, err
	}
	return len(line), nil
}
