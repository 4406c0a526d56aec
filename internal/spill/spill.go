// Package spill sorts more than fits into memory: records are collected up to a
// limit, written to temporary files in order, and merged while they are read. Its
// memory is the limit it was given and one small buffer for each file.
package spill

import (
	"bufio"
	"container/heap"
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
	// fanIn is how many files are merged at a time; more are merged in steps.
	fanIn = 32
	// buffer is each file's.
	buffer = 64 << 10
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
	dir    string
	memory int
	kept   []Record
	size   int
	runs   []string
	count  int
}

// New returns a sorter whose files are in a new directory below dir (empty: the
// system's), and that keeps about memory bytes of records (0: DefaultMemory).
func New(dir string, memory int) (*Sorter, error) {
	own, err := os.MkdirTemp(dir, "countermand-sort-")
	if err != nil {
		return nil, fmt.Errorf("create directory for sorting: %w", err)
	}
	if memory <= 0 {
		memory = DefaultMemory
	}
	return &Sorter{dir: own, memory: memory}, nil
}

// Add takes a record; the value is the sorter's from then on.
func (s *Sorter) Add(key string, value []byte) error {
	s.kept = append(s.kept, Record{Key: key, Value: value})
	s.size += len(key) + len(value) + overhead
	s.count++
	if s.size < s.memory {
		return nil
	}
	return s.flush()
}

// Len is how many records were added.
func (s *Sorter) Len() int { return s.count }

// Close removes the files. It may be called more than once.
func (s *Sorter) Close() error {
	s.kept, s.runs = nil, nil
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove sorted files: %w", err)
	}
	return nil
}

// Sorted yields every record in order; it may be called again, and after it no more
// is added. A record and an error never come together;
// after an error there is nothing more.
func (s *Sorter) Sorted() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := s.prepare(); err != nil {
			yield(Record{}, err)
			return
		}
		if len(s.runs) == 0 {
			for _, r := range s.kept {
				if !yield(r, nil) {
					return
				}
			}
			return
		}
		if err := merge(s.runs, func(r Record) bool { return yield(r, nil) }); err != nil {
			yield(Record{}, err)
		}
	}
}

// prepare leaves either everything in memory in order, or no more files than
// can be merged at a time.
func (s *Sorter) prepare() error {
	if len(s.runs) == 0 {
		s.order()
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	for len(s.runs) > fanIn {
		if err := s.shrink(); err != nil {
			return err
		}
	}
	return nil
}

// shrink merges each neighbouring fanIn files into one: neighbours, so that equal
// keys keep their order.
func (s *Sorter) shrink() error {
	var fewer []string
	for some := range slices.Chunk(s.runs, fanIn) {
		name, err := s.write(func(put func(Record) error) error {
			var failed error
			err := merge(some, func(r Record) bool {
				failed = put(r)
				return failed == nil
			})
			return errors.Join(err, failed)
		})
		if err != nil {
			return err
		}
		for _, old := range some {
			if err := os.Remove(old); err != nil {
				return fmt.Errorf("remove merged file: %w", err)
			}
		}
		fewer = append(fewer, name)
	}
	s.runs = fewer
	return nil
}

func (s *Sorter) order() {
	slices.SortStableFunc(s.kept, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
}

// flush writes what is kept as one more file.
func (s *Sorter) flush() error {
	if len(s.kept) == 0 {
		return nil
	}
	s.order()
	name, err := s.write(func(put func(Record) error) error {
		for _, r := range s.kept {
			if err := put(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.runs = append(s.runs, name)
	clear(s.kept)
	s.kept, s.size = s.kept[:0], 0
	return nil
}

// write creates a file from what fill puts into it.
func (s *Sorter) write(fill func(put func(Record) error) error) (name string, err error) {
	f, err := os.CreateTemp(s.dir, "run-")
	if err != nil {
		return "", fmt.Errorf("create sorted file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, buffer)
	var length [2 * binary.MaxVarintLen64]byte
	err = fill(func(r Record) error {
		n := binary.PutUvarint(length[:], uint64(len(r.Key)))
		n += binary.PutUvarint(length[n:], uint64(len(r.Value)))
		_, _ = w.Write(length[:n]) // a buffered writer keeps its error for the next call
		_, _ = w.WriteString(r.Key)
		_, err := w.Write(r.Value)
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return "", fmt.Errorf("write sorted file: %w", err)
	}
	return f.Name(), nil
}

// merge yields the records of all files in order until yield wants no more.
func merge(names []string, yield func(Record) bool) (err error) {
	files := make([]*os.File, 0, len(names))
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	var h heads
	for i, name := range names {
		f, openErr := os.Open(name)
		if openErr != nil {
			return fmt.Errorf("open sorted file: %w", openErr)
		}
		files = append(files, f)
		r := &run{r: bufio.NewReaderSize(f, buffer), order: i}
		there, readErr := r.next()
		if readErr != nil {
			return readErr
		}
		if there {
			h = append(h, r)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		if !yield(h[0].head) {
			return nil
		}
		there, readErr := h[0].next()
		switch {
		case readErr != nil:
			return readErr
		case there:
			heap.Fix(&h, 0)
		default:
			heap.Pop(&h)
		}
	}
	return nil
}

// run is one file being read.
type run struct {
	r     *bufio.Reader
	order int
	head  Record
}

// next reads the next record into head; false at the end.
func (r *run) next() (bool, error) {
	key, err := binary.ReadUvarint(r.r)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read sorted file: %w", err)
	}
	value, err := binary.ReadUvarint(r.r)
	if err != nil {
		return false, fmt.Errorf("read sorted file: %w", err)
	}
	if key > longest || value > longest {
		return false, errors.New("read sorted file: it is damaged")
	}
	b := make([]byte, key+value)
	if _, err := io.ReadFull(r.r, b); err != nil {
		return false, fmt.Errorf("read sorted file: %w", err)
	}
	r.head = Record{Key: string(b[:key]), Value: b[key:]}
	return true, nil
}

// heads is a heap of files by their next record; of equal keys the earlier
// file comes first.
type heads []*run

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h heads) Len() int { return len(h) }

// Less orders by key, then by file.
func (h heads) Less(i, j int) bool {
	if c := strings.Compare(h[i].head.Key, h[j].head.Key); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}

// Swap swaps.
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds a file.
func (h *heads) Push(x any) { *h = append(*h, x.(*run)) } //nolint:forcetypeassert // nothing else is ever pushed

// Pop removes the last file.
func (h *heads) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
