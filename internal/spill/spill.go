// Package spill sorts more than fits into memory: records are collected up to a
// limit, written to a temporary file in order, and merged while they are read. Its
// memory is the limit it was given and, while it merges, one small buffer for each
// part that was written. Nobody else sees the file, and it is gone with the process.
package spill

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
)

const (
	// DefaultMemory is how many bytes of records a Sorter keeps before it writes
	// them out.
	DefaultMemory = 4 << 20
	// overhead is what a record costs beside its bytes.
	overhead = 64
	// A part is read through a buffer of its share of the memory, within these bounds.
	leastBuffer, mostBuffer = 4 << 10, 64 << 10
	// longest bounds what a damaged file can make it allocate.
	longest = 64 << 20
)

// Record is a value under a key. Keys are compared as bytes.
type Record struct {
	Key   string
	Value []byte
}

// Sorter sorts records by key; those of one key keep the order they were added
// in. It is used by one goroutine: first Add, then Sorted, at last Close.
type Sorter struct {
	file   *os.File
	memory int
	kept   []Record
	size   int
	ends   []int64 // where each part that was written ends
}

// New returns a sorter that keeps about memory bytes of records (0: DefaultMemory)
// and has its file in dir (empty: the system's directory for them).
func New(dir string, memory int) (*Sorter, error) {
	file, err := os.CreateTemp(dir, "countermand-sort-")
	if err != nil {
		return nil, fmt.Errorf("create file for sorting: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil { // it lives as long as it is open
		return nil, errors.Join(fmt.Errorf("hide file for sorting: %w", err), file.Close())
	}
	if memory <= 0 {
		memory = DefaultMemory
	}
	return &Sorter{file: file, memory: memory}, nil
}

// Add takes a record; the value is the sorter's from then on.
func (s *Sorter) Add(key string, value []byte) error {
	s.kept = append(s.kept, Record{Key: key, Value: value})
	s.size += len(key) + len(value) + overhead
	if s.size < s.memory {
		return nil
	}
	return s.flush()
}

// Close frees the file.
func (s *Sorter) Close() error {
	s.kept, s.ends = nil, nil
	return s.file.Close()
}

// Sorted yields every record in order; it may be called again, and after it no more
// is added. A record and an error never come together; after an error there is nothing more.
func (s *Sorter) Sorted() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if len(s.ends) == 0 {
			s.order()
			for _, r := range s.kept {
				if !yield(r, nil) {
					return
				}
			}
			return
		}
		err := s.flush()
		if err == nil {
			err = s.merge(func(r Record) bool { return yield(r, nil) })
		}
		if err != nil {
			yield(Record{}, err)
		}
	}
}

func (s *Sorter) order() {
	slices.SortStableFunc(s.kept, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
}

// flush writes what is kept as one more part of the file.
func (s *Sorter) flush() error {
	if len(s.kept) == 0 {
		return nil
	}
	s.order()
	w := bufio.NewWriterSize(s.file, mostBuffer)
	var length [2 * binary.MaxVarintLen64]byte
	var end int64
	if len(s.ends) > 0 {
		end = s.ends[len(s.ends)-1]
	}
	for _, r := range s.kept {
		n := binary.PutUvarint(length[:], uint64(len(r.Key)))
		n += binary.PutUvarint(length[n:], uint64(len(r.Value)))
		_, _ = w.Write(length[:n]) // a buffered writer keeps its error for Flush
		_, _ = w.WriteString(r.Key)
		_, _ = w.Write(r.Value)
		end += int64(n + len(r.Key) + len(r.Value))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write sorted records: %w", err)
	}
	s.ends = append(s.ends, end)
	clear(s.kept)
	s.kept, s.size = s.kept[:0], 0
	return nil
}

// merge yields the records of all parts in order until yield wants no more.
func (s *Sorter) merge(yield func(Record) bool) error {
	buffer := min(max(s.memory/len(s.ends), leastBuffer), mostBuffer)
	parts := make([]*part, 0, len(s.ends))
	start := int64(0)
	for i, end := range s.ends {
		p := &part{r: bufio.NewReaderSize(io.NewSectionReader(s.file, start, end-start), buffer), order: i}
		if err := p.next(); err != nil {
			return fmt.Errorf("read sorted records: %w", noEnd(err)) // no part is empty
		}
		parts = append(parts, p)
		start = end
	}
	slices.SortFunc(parts, compare)
	for len(parts) > 0 {
		first := parts[0]
		if !yield(first.head) {
			return nil
		}
		err := first.next()
		switch {
		case errors.Is(err, io.EOF):
			parts = parts[1:]
			continue
		case err != nil:
			return fmt.Errorf("read sorted records: %w", err)
		}
		at, _ := slices.BinarySearchFunc(parts[1:], first, compare)
		copy(parts, parts[1:at+1])
		parts[at] = first
	}
	return nil
}

// part is one part of the file being read.
type part struct {
	r     *bufio.Reader
	order int
	head  Record
}

// compare orders parts by their next record; of equal keys the earlier part comes first.
func compare(a, b *part) int {
	if c := strings.Compare(a.head.Key, b.head.Key); c != 0 {
		return c
	}
	return a.order - b.order
}

// next reads the next record into head; io.EOF says that there is none.
func (p *part) next() error {
	key, err := binary.ReadUvarint(p.r)
	if err != nil {
		return err // io.EOF before the first byte, io.ErrUnexpectedEOF behind it
	}
	value, err := binary.ReadUvarint(p.r)
	if err != nil {
		return noEnd(err)
	}
	if key > longest || value > longest {
		return errors.New("the file is damaged")
	}
	b := make([]byte, key+value)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return noEnd(err)
	}
	p.head = Record{Key: string(b[:key]), Value: b[key:]}
	return nil
}

// noEnd is an error inside a record: no end of the file is a good one there.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
