package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/countermand/countermand/payment"
)

// Operation is one cancel or refund as our journal tells of it, folded from its
// events.
type Operation struct {
	Payment payment.ID      `json:"payment"`
	Op      payment.Op      `json:"op"`
	Key     payment.Key     `json:"key"`
	Details payment.Details `json:"details"`
	// Amount is what was asked, nil where it was Full.
	Amount *payment.Money `json:"amount,omitempty"`
	Full   bool           `json:"full,omitempty"`

	// Last is the type of its newest event that is no fact; Fact is what came after the
	// end (returned, executed_late), or empty.
	Last   payment.EventType `json:"last"`
	Fact   payment.EventType `json:"fact,omitempty"`
	Review bool              `json:"review,omitempty"`
	Effect payment.Effect    `json:"effect,omitempty"`
	Code   payment.Code      `json:"code,omitempty"`
	// Moved is what the provider said moved.
	Moved             *payment.Money `json:"moved,omitempty"`
	Reference         string         `json:"reference,omitempty"`
	ProviderReference string         `json:"providerReference,omitempty"`
	Attempt           int            `json:"attempt,omitempty"`
	// Snapshot is the reading from before the last attempt; while there was doubt,
	// from before the first that may have left.
	Snapshot *payment.Reading `json:"snapshot,omitempty"`

	RequestedAt time.Time `json:"requestedAt,omitzero"`
	// Started is when it was first called, Changed when its newest event came.
	Started time.Time `json:"started,omitzero"`
	Changed time.Time `json:"changed"`
	// Version is the payment's, with the operation's newest event.
	Version uint64 `json:"version"`
}

// Step is one event of an operation, as far as books are concerned.
type Step struct {
	Operation

	Type payment.EventType `json:"type"`
	At   time.Time         `json:"at"`
}

// Fold returns the operations of one payment from its steps, in the order of
// their first ones. The steps may come in any order.
func Fold(steps []Step) []Operation {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.Version, b.Version) })
	type name struct {
		op  payment.Op
		key payment.Key
	}
	at := map[name]int{}
	var all []Operation
	for _, s := range steps {
		n := name{s.Op, s.Key}
		i, there := at[n]
		if !there {
			i = len(all)
			at[n] = i
			all = append(all, Operation{Payment: s.Payment, Op: s.Op, Key: s.Key})
		}
		all[i].take(s)
	}
	return all
}

// take folds one step. What an event leaves out stays as it was.
func (o *Operation) take(s Step) {
	o.Details, o.Full, o.Review = s.Details, s.Full, s.Review
	o.Changed, o.Version = s.At, s.Version
	o.Effect, o.Code = cmp.Or(s.Effect, o.Effect), s.Code
	o.Reference = cmp.Or(s.Reference, o.Reference)
	o.ProviderReference = cmp.Or(s.ProviderReference, o.ProviderReference)
	o.Attempt = max(o.Attempt, s.Attempt)
	o.Amount = cmp.Or(s.Amount, o.Amount)
	o.Moved = cmp.Or(s.Moved, o.Moved)
	o.Snapshot = cmp.Or(s.Snapshot, o.Snapshot) // frozen in doubt, else taken anew for each attempt
	if o.RequestedAt.IsZero() {
		o.RequestedAt = s.RequestedAt
	}
	switch s.Type {
	case payment.EventReturned, payment.EventExecutedLate:
		o.Fact = s.Type
		return
	case payment.EventStarted:
		if o.Started.IsZero() {
			o.Started = s.At
		}
	default:
	}
	o.Last = s.Type
}

// book is what our books say of an operation.
type book int

const (
	bookOpen        book = iota // not ended
	bookExecuted                // it moved money, or cancelled the payment
	bookNotExecuted             // failed, rejected, or nothing had to be done
	bookReturned                // it moved money that came back
)

// givesBack reports whether the operation gives money back: it is meant to, or
// did so all the same.
func (o Operation) givesBack() bool { return o.Op.GivesBack() || o.Effect == payment.EffectRefunded }

// unlike reports whether a row cannot be about the operation: a cancel without an amount is
// no refund.
func (o Operation) unlike(r Row) bool { return o.Op.GivesBack() && r.idle() }

func (o Operation) book() book {
	switch {
	case o.Fact == payment.EventReturned:
		return bookReturned
	case o.Fact == payment.EventExecutedLate:
		return bookExecuted
	case !o.Last.Terminal():
		return bookOpen
	case o.Last == payment.EventSucceeded && o.Effect != payment.EffectNone:
		return bookExecuted
	default:
		return bookNotExecuted
	}
}

// Called reports whether the provider may have been told to carry it out.
func (o Operation) Called() bool { return o.Attempt > 0 }

// Theirs is the provider's reference that the operation can be found under. Where that
// is the payment's, an operation that was called has it even if no answer came.
func (o Operation) Theirs(references payment.ReferenceScope) string {
	if o.ProviderReference == "" && references == payment.ReferenceOfPayment && o.Called() {
		return o.Details.TransactionID
	}
	return o.ProviderReference
}

// money is what it moved, as far as we know; nil: not known.
func (o Operation) money() *payment.Money {
	if o.Moved != nil {
		return o.Moved
	}
	return o.Amount
}

// window is from when to when the provider may have carried it out.
func (o Operation) window() (from, to time.Time) {
	from = o.Started
	if from.IsZero() {
		from = o.RequestedAt
	}
	if from.IsZero() || from.After(o.Changed) {
		from = o.Changed
	}
	return from, o.Changed
}

// Period is what is reconciled: From included, To not.
type Period struct {
	From, To time.Time
	// Slack is by how much the provider's times may differ from ours. An
	// operation that close to a border may be in the next statement.
	Slack time.Duration
	// Now and OldAfter say which open operations are too old.
	Now      time.Time
	OldAfter time.Duration
}

// Has reports whether a time lies in the period.
func (p Period) Has(t time.Time) bool { return !t.Before(p.From) && t.Before(p.To) }

// Touches reports whether an operation may have been carried out in the period.
// An open one is touched by every period since it was requested.
func (p Period) Touches(o Operation) bool {
	from, to := o.window()
	if o.book() == bookOpen {
		return from.Before(p.To)
	}
	return from.Before(p.To) && !to.Before(p.From)
}

// holds reports whether an operation was surely carried out in the period, if at all.
func (p Period) holds(o Operation) bool {
	from, to := o.window()
	return !from.Add(-p.Slack).Before(p.From) && to.Add(p.Slack).Before(p.To)
}

func (p Period) tooOld(o Operation) bool {
	since := o.RequestedAt
	if since.IsZero() {
		since = o.Changed
	}
	return o.book() == bookOpen && p.Now.Sub(since) > p.OldAfter
}
