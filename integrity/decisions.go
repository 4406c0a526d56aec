package integrity

import (
	"maps"
	"slices"
	"time"
)

// Decision is where the newest message of a key lies in the bucket of pauses: what
// was last decided about one provider. It is never evicted, since the bucket keeps the
// newest message of each key, whatever else is written there.
type Decision struct {
	Sequence uint64    `json:"seq"`
	At       time.Time `json:"at"`
}

// supersedes reports whether d is o or was decided after it. Either figure suffices:
// a bucket that was made anew gives lower sequences, and the clocks of two leaders may
// differ.
func (d Decision) supersedes(o Decision) bool {
	return d.Sequence > o.Sequence || d.At.After(o.At) || d.Sequence == o.Sequence && d.At.Equal(o.At)
}

// Decisions are the newest ones by the name of the provider. They belong to no epoch:
// an accepted loss ends no pause. As values, they are never changed in place.
type Decisions map[string]Decision

// Merge returns the later decision about each provider.
func (d Decisions) Merge(o Decisions) Decisions {
	if d.Covers(o) {
		return d
	}
	out := maps.Clone(d)
	if out == nil {
		out = Decisions{}
	}
	for name, other := range o {
		if known, there := out[name]; !there || later(other, known) {
			out[name] = other
		}
	}
	return out
}

// Covers reports whether no decision in o is later than that in d.
func (d Decisions) Covers(o Decisions) bool {
	for name, other := range o {
		if known, there := d[name]; !there || later(other, known) {
			return false
		}
	}
	return true
}

// later orders the decisions that two places know of one provider.
func later(a, b Decision) bool {
	return a.At.After(b.At) || a.At.Equal(b.At) && a.Sequence > b.Sequence
}

// Lost returns the providers, sorted, whose known decision the bucket no longer shows,
// and no later one either.
func (d Decisions) Lost(shown Decisions) []string {
	var all []string
	for name, known := range d {
		if is, there := shown[name]; !there || !is.supersedes(known) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
