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
	if sequence <= c.last {
		return nil
	}
	f := Finding{Kind: Unreadable, Sequence: c.last + 1}
	if sequence > c.last+1 {
		f.To = sequence
	}
	c.last = sequence
	return c.found(f)
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
