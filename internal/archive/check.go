package archive

import (
	"hash/maphash"
	"strconv"
	"strings"

	"github.com/countermand/countermand/events"
)

// check finds gaps in the sequences and in the versions of each payment. It keeps
// sixteen bytes for each payment: a hash, since a journal may hold millions.
type check struct {
	seed  maphash.Seed
	last  uint64
	known map[uint64]uint32 // the newest version of each payment
	found func(Finding) error
}

func newCheck() *check { return &check{seed: maphash.MakeSeed(), known: map[uint64]uint32{}} }

// take looks at the next entry.
func (c *check) take(e Entry) error {
	if c == nil {
		return nil
	}
	if err := c.end(e.Sequence - 1); err != nil {
		return err
	}
	c.last = e.Sequence
	payment, version, ok := versionOf(e.Message.Subject)
	if !ok {
		return nil
	}
	key := maphash.String(c.seed, payment)
	known := uint64(c.known[key])
	c.known[key] = uint32(max(version, known))
	if version == known+1 {
		return nil
	}
	return c.found(Finding{Kind: VersionGap, Sequence: e.Sequence, Subject: e.Message.Subject, Known: known, Found: version})
}

// end says that nothing more was found up to a sequence.
func (c *check) end(sequence uint64) error {
	if c == nil || sequence <= c.last {
		return nil
	}
	f := Finding{Kind: Unreadable, Sequence: c.last + 1}
	if sequence > c.last+1 {
		f.To = sequence
	}
	c.last = sequence
	return c.found(f)
}

// split marks what of a finding a person has accepted. The versions that a gap lacks
// may lie in any accepted hole before it.
func (f Finding) split(accepted []Range) []Finding {
	if f.Kind != Unreadable {
		f.Accepted = len(accepted) > 0 && accepted[0].From < f.Sequence
		return []Finding{f}
	}
	var all []Finding
	add := func(from, to uint64, accepted bool) {
		if from > to {
			return
		}
		part := Finding{Kind: f.Kind, Sequence: from, Accepted: accepted}
		if to > from {
			part.To = to
		}
		all = append(all, part)
	}
	from, to := f.Sequence, max(f.Sequence, f.To)
	for _, hole := range accepted {
		if hole.To < from || hole.From > to {
			continue
		}
		if hole.From > from {
			add(from, hole.From-1, false)
			from = hole.From
		}
		add(from, min(hole.To, to), true)
		from = min(hole.To, to) + 1
	}
	add(from, to, false)
	return all
}

// versionOf splits the subject of a payment's event into what names the payment
// and the version; ok is false for other subjects.
func versionOf(subject string) (payment string, version uint64, ok bool) {
	id, err := events.PaymentOf(subject)
	if err != nil {
		return "", 0, false
	}
	version, err = strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 10, 32)
	return id.Provider + "." + events.Token(id.Native), version, err == nil
}
