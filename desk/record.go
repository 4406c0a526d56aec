package desk

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Ruled reports whether this very ruling is on record: equal in what is ruled, effect,
// what moved, the provider's reference, reason and evidence. One that ends the operation
// is there once and for all, whatever view it is made on. A retry may be ruled again
// later, so it is on record only after the version that it was made on; without one it is
// made on the version there is now.
func (s *Story) Ruled(r Ruling) bool {
	r = r.said()
	r.Version = cmp.Or(r.Version, s.Version)
	for i := range s.Events {
		if e := &s.Events[i]; e.rules(r) && e.says(r) && (e.ends() || e.Version > r.Version) {
			return true
		}
	}
	return false
}

// Waits reports whether somebody's proposal of this very ruling waits for another person.
func (s *Story) Waits(r Ruling, operator string) bool {
	op := s.Find(r.Operation, r.Key)
	return op != nil && slices.ContainsFunc(op.Proposals, func(p Proposal) bool {
		return p.same(r.said()) && sameName(p.Operator, events.Mask(operator))
	})
}

// contradicts reports whether a person's ruling has ended the operation, and this
// is another one.
func (s *Story) contradicts(r Ruling) bool {
	e := s.ending(r)
	return e != nil && !e.says(r)
}

// onRecord tells the ruling that has ended the operation.
func (s *Story) onRecord(r Ruling) string {
	e := s.ending(r)
	if e == nil {
		return ""
	}
	text := fmt.Sprintf("%s, ruled as %s", e.Resolved.Operator, e.Data.Status)
	if e.Data.Effect != "" && effects(r.Operation) != nil {
		text += ", effect " + string(e.Data.Effect)
	}
	if e.Data.Moved != nil {
		text += fmt.Sprintf(", %s moved, the provider's reference %s", e.Data.Moved.Text(), e.Data.ProviderReference)
	}
	return text + fmt.Sprintf(", reason %q, evidence %q, version %d", e.Resolved.Reason, e.Resolved.Evidence, e.Version)
}

// ending is the event by which a person has ended the operation, or nil.
func (s *Story) ending(r Ruling) *Event {
	for i := range s.Events {
		if e := &s.Events[i]; e.rules(r) && e.ends() {
			return e
		}
	}
	return nil
}

// ends reports whether the event ends its operation.
func (e *Event) ends() bool { return payment.Status(e.Data.Status).Terminal() }

// rules reports whether the event carries a person's ruling on the operation.
func (e *Event) rules(r Ruling) bool {
	return e.Resolved != nil && e.Data.Operation == r.Operation && e.Data.IdempotencyKey == r.Key
}

// says reports whether the event carries this very ruling. Its texts are masked.
func (e *Event) says(r Ruling) bool {
	status := map[As]payment.Status{
		AsSucceeded: payment.StatusSucceeded, AsFailed: payment.StatusFailed, AsRetry: payment.StatusStarted,
	}[r.As]
	switch {
	case payment.Status(e.Data.Status) != status:
		return false
	case e.Resolved.Reason != events.Text(r.Reason) || e.Resolved.Evidence != events.Text(r.Evidence):
		return false
	case r.As != AsSucceeded:
		return true
	case effects(r.Operation) != nil && e.Data.Effect != r.Effect && e.Data.Code != payment.CodeAlreadyCancelled:
		return false // a second cancel has done nothing, whatever was said of it
	default:
		return equal(e.Data.Moved, r.Moved) && e.Data.ProviderReference == r.ProviderReference
	}
}

// equal compares two amounts; nil is none.
func equal(a, b *payment.Money) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
