package integrity

import (
	"cmp"
	"slices"
	"time"
)

// Kept is what a mark knows of a stream whose messages go by their age alone. All that
// it knows only ever becomes stricter within an epoch.
type Kept struct {
	// For is how long the stream was known to keep its messages.
	For time.Duration `json:"for,omitempty"`
	// Gaps is how many messages were missing between the first and the last, at the
	// least: what was there before there was a mark, or what a person has accepted.
	Gaps uint64 `json:"gaps,omitempty"`
	// Seen are messages that were known to lie there: the first of each day, the newest
	// days alone, in the order of sequences.
	Seen []Seen `json:"seen,omitempty"`
}

// Seen is a message that was known to lie in a stream, and when the stream took it.
type Seen struct {
	Sequence uint64    `json:"seq"`
	At       time.Time `json:"at"`
}

const (
	// mostSeen bounds the messages of one stream that a mark knows: a month of days.
	mostSeen = 32
	// seenEvery is how far they are apart.
	seenEvery = 24 * time.Hour
	// mostSlack is how much earlier than by its age a message may be gone at most, since
	// the servers' clocks differ.
	mostSlack = time.Hour
)

// keptOf is what a reading shows of a stream.
func keptOf(s StreamReading) Kept {
	k := Kept{For: s.Keeps, Gaps: s.gaps()}
	if s.Messages > 0 {
		k.Seen = thin(slices.DeleteFunc([]Seen{{s.First, s.FirstAt}, {s.Last, s.LastAt}}, func(one Seen) bool { return one.At.IsZero() }))
	}
	return k
}

// merge is what two marks of one epoch know of a stream together.
func (k Kept) merge(o Kept) Kept {
	return Kept{For: max(k.For, o.For), Gaps: min(k.Gaps, o.Gaps), Seen: thin(slices.Concat(k.Seen, o.Seen))}
}

func (k Kept) equal(o Kept) bool {
	return k.For == o.For && k.Gaps == o.Gaps && slices.EqualFunc(k.Seen, o.Seen, func(a, b Seen) bool {
		return a.Sequence == b.Sequence && a.At.Equal(b.At)
	})
}

// thin keeps the first message of each day, and the newest days alone.
func thin(all []Seen) []Seen {
	slices.SortFunc(all, func(a, b Seen) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Sequence, b.Sequence)) })
	all = slices.CompactFunc(all, func(a, b Seen) bool { return a.At.Truncate(seenEvery).Equal(b.At.Truncate(seenEvery)) })
	return all[max(0, len(all)-mostSeen):]
}

// gaps is how many messages are missing between the first and the last.
func (s StreamReading) gaps() uint64 {
	if s.Messages == 0 || s.Last-s.First+1 <= s.Messages {
		return 0
	}
	return s.Last - s.First + 1 - s.Messages
}

// Shortfall is what a stream lacks whose messages go by their age alone. The zero value
// lacks nothing.
type Shortfall struct {
	// From and To are the sequences at its beginning that are gone too early; 0: none. At
	// is when From was stored, Kept how long the stream was known to keep a message.
	From, To uint64
	At       time.Time
	Kept     time.Duration
	// Within is how many messages are missing between its first and its last.
	Within uint64
}

// Messages is how many messages it lacks.
func (s Shortfall) Messages() uint64 {
	if s.From == 0 {
		return s.Within
	}
	return s.To - s.From + 1 + s.Within
}

// ShortfallOf is what a stream lacks that a mark knows of. The rows:
//
//	its messages do not go by age, or it does not exist     nothing
//	a message that the mark knows lies before its first,
//	  and is younger than what the stream was known to keep everything from there on
//	it holds the mark's sequence, and nothing lies there,
//	  and that message is younger                           at least one, within
//	more are missing in the middle than the mark knows      those, within
//
// What is older than that went by its age, whoever took it.
func ShortfallOf(m Mark, name string, s StreamReading) Shortfall {
	if s.Keeps == 0 || s.Missing {
		return Shortfall{}
	}
	known, there := m.Kept[name]
	keeps := cmp.Or(known.For, s.Keeps)
	young := s.Now.Add(min(mostSlack, keeps/10) - keeps)
	newest := Seen{m.Streams[name], m.Stamps[name]}
	out := Shortfall{Kept: keeps}
	for _, one := range append(slices.Clone(known.Seen), newest) {
		if one.At.After(young) && one.Sequence < s.First && (out.From == 0 || one.Sequence < out.From) {
			out.From, out.To, out.At = one.Sequence, s.First-1, one.At
		}
	}
	if newest.At.After(young) && s.First <= newest.Sequence && newest.Sequence <= s.Last && s.AtMark.IsZero() {
		out.Within = 1
	}
	if gaps := s.gaps(); there && gaps > known.Gaps {
		out.Within = max(out.Within, gaps-known.Gaps)
	}
	if out.Messages() == 0 {
		return Shortfall{}
	}
	return out
}
