package memory

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// entry is one thing appended. The zero entry is none: its token is nobody's.
type entry struct {
	sequence  uint64
	token     uint64
	filter    string
	subject   string
	rejection bool // or an operator's action: belongs to no payment
	action    bool
	data      []byte // JSON, never changed once it is here
}

// store is the stream: entries in order, the newest of each filter, and the
// subjects written.
type store struct {
	mu       sync.Mutex
	entries  []entry
	end      uint64 // the last sequence given out
	head     headSum
	newest   map[string]int
	subjects map[string]struct{}
	tokens   counter
}

func newStore() *store {
	return &store{newest: map[string]int{}, subjects: map[string]struct{}{}}
}

// nextToken names one append; 0 is never given out.
func (s *store) nextToken() uint64 { return uint64(s.tokens.next()) }

// last returns the newest entry under a filter, or the zero entry.
func (s *store) last(filter string) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastLocked(filter)
}

func (s *store) lastLocked(filter string) entry {
	if i, ok := s.newest[filter]; ok {
		return s.entries[i]
	}
	return entry{}
}

// append stores the entry if the newest under its filter has the sequence
// expected and its subject was never written. Otherwise it returns the newest.
func (s *store) append(e entry, expected uint64) (entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newest := s.lastLocked(e.filter)
	_, written := s.subjects[e.subject]
	if newest.sequence != expected || written {
		return newest, false
	}
	s.end++
	e.sequence = s.end
	s.newest[e.filter] = len(s.entries)
	s.subjects[e.subject] = struct{}{}
	s.entries = append(s.entries, e)
	return e, true
}

// snapshot returns all entries in the order they were appended.
func (s *store) snapshot() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries)
}

// Events returns everything appended for payments, in order. It is the
// caller's own copy.
func (j *Journal) Events() ([]payment.Event, error) {
	return decodeAll[payment.Event](j.store.snapshot(), func(e entry) bool { return !e.rejection })
}

// Rejections returns the rejections appended, in order. It is the caller's own copy.
func (j *Journal) Rejections() ([]payment.Rejection, error) {
	return decodeAll[payment.Rejection](j.store.snapshot(), func(e entry) bool { return e.rejection && !e.action })
}

func decodeAll[T any](entries []entry, wanted func(entry) bool) ([]T, error) {
	var all []T
	for _, e := range entries {
		if !wanted(e) {
			continue
		}
		var one T
		if err := json.Unmarshal(e.data, &one); err != nil {
			return nil, fmt.Errorf("decode %s: %w", e.subject, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// decodeRecord reads an entry as the journal hands it out.
func decodeRecord(e entry) (journal.Record, error) {
	if e.sequence == 0 {
		return journal.Record{}, nil
	}
	var event payment.Event
	if err := json.Unmarshal(e.data, &event); err != nil {
		return journal.Record{}, fmt.Errorf("decode %s: %w", e.subject, err)
	}
	if event.State.Format > payment.StateFormat {
		return journal.Record{}, fmt.Errorf("decode %s: %w", e.subject, journal.ErrNewerFormat)
	}
	return journal.Record{Sequence: e.sequence, Type: event.Type, Op: event.Op, State: event.State}, nil
}

// counter counts from 1; safe for concurrent use.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}
