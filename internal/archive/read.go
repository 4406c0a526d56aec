package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// longestLine bounds a line: the largest message of a server's default, escaped.
const longestLine = 16 << 20

// Read gives each entry of an archive to take, in order, with the offset of its
// line, and returns how many bytes hold whole lines. A last line without its end
// was cut off while it was written and is not given out. An error of take ends it.
func Read(r io.Reader, take func(e Entry, offset int64) error) (whole int64, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	number := 0
	for {
		raw, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, fmt.Errorf("read archive: %w", err)
		}
		number++
		e, err := decode(raw)
		if err != nil {
			return whole, fmt.Errorf("read archive: line %d: %w", number, err)
		}
		if err := take(e, whole); err != nil {
			return whole, err
		}
		whole += int64(len(raw))
	}
}

// readLine reads one line with its end. A line without one is io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if len(long) > longestLine {
				return nil, errors.New("a line is too long for an archive")
			}
			long = append(long, part...)
			continue
		case err != nil:
			return nil, err
		case long == nil:
			return part, nil
		}
		return append(long, part...), nil
	}
}

// At reads the entry whose line begins at an offset.
func At(r io.ReaderAt, offset int64) (Entry, error) {
	raw, err := readLine(bufio.NewReaderSize(io.NewSectionReader(r, offset, longestLine), 64<<10))
	if err != nil {
		return Entry{}, fmt.Errorf("read archive at byte %d: %w", offset, err)
	}
	return decode(bytes.TrimSpace(raw))
}
