package integrity

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// Identity tells one journal from another: the message at sequence 1. The
// creation time of a stream does not, since a copied store keeps it and a
// restored one has another on each replica. The zero value is an empty journal.
type Identity struct {
	Subject string `json:"subject,omitempty"`
	// SHA256 is the hash of the message's data, in hex.
	SHA256 string `json:"sha256,omitempty"`
}

// IdentityOf is the identity of a journal whose message at sequence 1 has a subject
// and data.
func IdentityOf(subject string, data []byte) Identity {
	sum := sha256.Sum256(data)
	return Identity{Subject: subject, SHA256: hex.EncodeToString(sum[:])}
}

// Position is a message of the journal: where it lies, and the random token of
// the append that put it there. The zero value lies before the first message.
type Position struct {
	Sequence uint64 `json:"seq"`
	Token    string `json:"token,omitempty"`
}

// Range is a closed range of sequences.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Mark is how far the streams are known to have come. Marks are values; those
// of one epoch only ever grow.
type Mark struct {
	// Epoch counts the losses that people have accepted; the mark of a later
	// epoch replaces that of an earlier one, although it may lie lower.
	Epoch uint64 `json:"epoch"`
	// Journal is the newest message known to lie in the journal.
	Identity Identity `json:"identity"`
	Journal  Position `json:"journal"`
	// Holes are the sequences whose loss was accepted, in order.
	Holes []Range `json:"holes,omitempty"`
	// Streams holds the last sequence of each other stream, by its name.
	Streams map[string]uint64 `json:"streams,omitempty"`
	// Stamps holds the time of the message at that sequence, by the stream, where it
	// is known: a stream that was set back and filled again reaches the sequence with
	// another message.
	Stamps map[string]time.Time `json:"stamps,omitempty"`
	// Kept holds what is known of those streams whose messages go by their age alone.
	Kept map[string]Kept `json:"kept,omitempty"`
	// At is when Journal was reached, by this service's clock.
	At time.Time `json:"at"`
}

// Zero reports whether the mark says nothing at all.
func (m Mark) Zero() bool {
	return m.Epoch == 0 && m.Journal.Sequence == 0 && m.Identity == Identity{} && len(m.Streams) == 0
}

// Merge returns what two marks know together. The later epoch wins whole;
// within one epoch each part is the higher one. A mark never falls by merging.
func (m Mark) Merge(o Mark) Mark {
	switch {
	case o.Epoch > m.Epoch:
		return o.clone()
	case o.Epoch < m.Epoch:
		return m.clone()
	}
	out := m.clone()
	if out.Identity == (Identity{}) {
		out.Identity = o.Identity
	}
	if o.Journal.Sequence > out.Journal.Sequence {
		out.Journal, out.At = o.Journal, o.At
	}
	if len(o.Holes) > len(out.Holes) {
		out.Holes = slices.Clone(o.Holes)
	}
	for name, last := range o.Streams {
		if last >= out.Streams[name] {
			out.stamp(name, last, o.Stamps[name])
		}
	}
	for name, theirs := range o.Kept {
		out.keep(name, theirs)
	}
	return out
}

// keep takes in what is known of a stream whose messages go by their age alone.
func (m *Mark) keep(name string, k Kept) {
	if ours, there := m.Kept[name]; there {
		k = ours.merge(k)
	}
	if m.Kept == nil {
		m.Kept = map[string]Kept{}
	}
	m.Kept[name] = k
}

// Reaching is the mark with a stream that reaches a sequence, whose message is of a
// time.
func (m Mark) Reaching(stream string, sequence uint64, at time.Time) Mark {
	out := m.clone()
	out.stamp(stream, sequence, at)
	return out
}

// stamp sets how far a stream has come and when its last message was stored. Of
// one sequence the earlier time counts: the first who has seen it.
func (m *Mark) stamp(name string, last uint64, at time.Time) {
	before, same := m.Stamps[name], last == m.Streams[name]
	m.Streams[name] = last
	switch {
	case same && (at.IsZero() || !before.IsZero() && before.Before(at)):
		return
	case at.IsZero():
		delete(m.Stamps, name) // it was the time of another sequence
	default:
		if m.Stamps == nil {
			m.Stamps = map[string]time.Time{}
		}
		m.Stamps[name] = at
	}
}

// Covers reports whether storing o where m is stored would add nothing.
func (m Mark) Covers(o Mark) bool {
	if !m.Reaches(o) {
		return false
	}
	if o.Epoch < m.Epoch {
		return true
	}
	for name, last := range o.Streams {
		theirs, ours := o.Stamps[name], m.Stamps[name]
		if last == m.Streams[name] && !theirs.IsZero() && (ours.IsZero() || theirs.Before(ours)) {
			return false
		}
	}
	for name, theirs := range o.Kept {
		if ours, there := m.Kept[name]; !there || !ours.merge(theirs).equal(ours) {
			return false
		}
	}
	return true
}

// Reaches reports whether no position in o lies beyond m. What else a mark knows does
// not count: a version that does not know of it stores the mark without it, and has
// set nothing back.
func (m Mark) Reaches(o Mark) bool {
	switch {
	case o.Epoch != m.Epoch:
		return o.Epoch < m.Epoch
	case o.Journal.Sequence > m.Journal.Sequence, m.Identity == (Identity{}) && o.Identity != (Identity{}):
		return false
	}
	for name, last := range o.Streams {
		if last > m.Streams[name] {
			return false
		}
	}
	return true
}

func (m Mark) clone() Mark {
	m.Holes = slices.Clone(m.Holes)
	m.Streams, m.Stamps, m.Kept = maps.Clone(m.Streams), maps.Clone(m.Stamps), maps.Clone(m.Kept)
	if m.Streams == nil {
		m.Streams = map[string]uint64{}
	}
	return m
}

// accepted reports whether the loss of a whole range was accepted.
func (m Mark) accepted(r Range) bool {
	for _, hole := range m.Holes {
		if hole.From <= r.From && r.To <= hole.To {
			return true
		}
	}
	return false
}
