package memory

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// Extent is what a leader says of the journal, as package integrity reads it.
type Extent struct {
	First, Last, Messages uint64
	// HeadSubject and HeadSHA256 are the message at sequence 1; empty where there
	// is none.
	HeadSubject, HeadSHA256 string
	// Newest is the token of the message at Last; empty where there is none.
	Newest string
}

// Extent returns how far the journal reaches.
func (j *Journal) Extent() Extent {
	s := j.store
	s.mu.Lock()
	defer s.mu.Unlock()
	x := Extent{First: s.end + 1, Last: s.end, Messages: uint64(len(s.entries))}
	if len(s.entries) == 0 {
		return x
	}
	x.First = s.entries[0].sequence
	if head := s.entries[0]; head.sequence == 1 {
		if s.head.token != head.token {
			sum := sha256.Sum256(head.data)
			s.head = headSum{head.token, hex.EncodeToString(sum[:])}
		}
		x.HeadSubject, x.HeadSHA256 = head.subject, s.head.sum
	}
	if last := s.entries[len(s.entries)-1]; last.sequence == s.end {
		x.Newest = tokenText(last.token)
	}
	return x
}

// headSum is the hash of the first message, known by the token of its append.
type headSum struct {
	token uint64
	sum   string
}

// Token returns the token of the append at a sequence; empty where there is none.
func (j *Journal) Token(sequence uint64) string {
	s := j.store
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := slices.BinarySearchFunc(s.entries, sequence, func(e entry, n uint64) int { return cmp.Compare(e.sequence, n) })
	if !found {
		return ""
	}
	return tokenText(s.entries[i].token)
}

// Holes lists the sequences up to the end that hold nothing.
func (j *Journal) Holes() []uint64 {
	if x := j.Extent(); x.Messages == x.Last {
		return nil
	}
	there := map[uint64]bool{}
	for _, e := range j.store.snapshot() {
		there[e.sequence] = true
	}
	var all []uint64
	for n := uint64(1); n <= j.Extent().Last; n++ {
		if !there[n] {
			all = append(all, n)
		}
	}
	return all
}

// Cut takes the journal back to an earlier end, as the restore of an older copy
// does; 0 leaves an empty one. The sequences behind it are given out again.
func (j *Journal) Cut(last uint64) {
	s := j.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = min(s.end, last)
	s.keep(func(e entry) bool { return e.sequence <= last })
}

// Lose loses the one message at a sequence. The end stays where it is.
func (j *Journal) Lose(sequence uint64) {
	s := j.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(func(e entry) bool { return e.sequence != sequence })
}

// keep drops all other entries. The lock is held.
func (s *store) keep(wanted func(entry) bool) {
	s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return !wanted(e) })
	clear(s.newest)
	clear(s.subjects)
	for i, e := range s.entries {
		s.newest[e.filter] = i
		s.subjects[e.subject] = struct{}{}
	}
}

func tokenText(token uint64) string { return strconv.FormatUint(token, 16) }
