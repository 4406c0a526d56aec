package handlers

import (
	"errors"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// newerBy is how much later than an acceptance a command must have been
// published to count as newer: the clocks of the broker and of the service may
// differ by two seconds.
const newerBy = 5 * time.Second

// Losses tells of a loss of the journal that was accepted and is not made good.
// Implementations are safe for concurrent use and do not block.
type Losses interface {
	// Accepted returns when the newest loss was accepted, the zero time where none
	// ever was; doubted is false while the journal is taken for complete.
	Accepted() (at time.Time, doubted bool)
	// Epoch counts the losses that were accepted.
	Epoch() uint64
	// Contradicted takes in that a timer contradicts the journal: it has lost
	// something. Nothing more may be sent until that is clear.
	Contradicted(c Contradiction)
}

// lossFor is what an accepted loss means for the message; nil: there is none.
func (h *Handler) lossFor(d Delivery) *payment.Loss {
	if h.losses == nil {
		return nil
	}
	at, doubted := h.losses.Accepted()
	if !doubted {
		return nil
	}
	return &payment.Loss{
		AcceptedAt: at, CallsEnd: at.Add(h.longestCall),
		Newer: d.OriginTime.After(at.Add(newerBy)), Recorded: d.Recorded.Operation > 0,
	}
}

// Presume decides about a command that the journal does not know and that may have
// been carried out before a loss that was accepted at a time. The command must be
// complete; state is the payment's newest. Nothing is called because of the
// decision. It has no event where nothing can be presumed: the provider is not
// among the set's, or the payment has no room.
func Presume(set *providers.Set, c payment.Command, state payment.State, acceptedAt, now time.Time) payment.Decision {
	in, configured := set.Get(c.Provider)
	if !configured {
		return payment.Decision{}
	}
	traits := in.Provider.Traits()
	return payment.Decide(payment.Input{
		State: state, ID: traits.ID(c.Provider, c.Payment), Command: c, Traits: traits, Instance: instanceOf(in),
		Loss: &payment.Loss{AcceptedAt: acceptedAt, CallsEnd: acceptedAt.Add(longestCall(set))}, Now: now,
	})
}

// instanceOf is an instance as decisions see it, neither paused nor broken.
func instanceOf(in providers.Instance) payment.Instance {
	return payment.Instance{Configured: true, Account: in.Account, Currencies: in.Currencies, Policy: in.Policy}
}

// lossIn is what an accepted loss means for the message on a state. A timer from
// before a loss brings it back once more where the journal is trusted again: the
// operation that it knew has neither been met since, nor may it be called.
func (w *work) lossIn(s payment.State) *payment.Loss {
	loss := w.h.lossFor(w.d)
	if loss != nil || w.h.losses == nil || w.verdict(s, w.h.epoch()) != payment.TimerPresumed {
		return loss
	}
	at, _ := w.h.losses.Accepted()
	return &payment.Loss{AcceptedAt: at, CallsEnd: at.Add(w.h.longestCall), Recorded: true}
}

// epoch tells the journal's histories apart: it counts the losses that were accepted.
func (h *Handler) epoch() uint64 {
	if h.losses == nil {
		return 0
	}
	return h.losses.Epoch()
}

// errOtherEpoch: a loss was accepted since the payment was read. Its sequences may
// have been given out again since, so a fitting one no longer shows that the
// history is the one that was read.
var errOtherEpoch = errors.New("a loss of the journal was accepted since the payment was read")

// outlived reports whether what the step knows of the journal is of an earlier epoch.
func (w *work) outlived(s step) bool {
	now := w.h.epoch()
	return now != w.epoch && now != s.epoch
}

// renewed has a step that an accepted loss has outlived read the journal again.
// What is in hand stays in hand.
func (w *work) renewed(s step) step {
	if w.outlived(s) {
		s.epoch, s.journal, s.reading = w.h.epoch(), journalView{basis: wanted}, nil
	}
	return s
}

// longestCall is the longest time from a started event to the end of its call,
// over all instances.
func longestCall(set *providers.Set) time.Duration {
	var longest time.Duration
	for _, name := range set.Names() {
		if in, ok := set.Get(name); ok {
			longest = max(longest, in.Policy.CallTimeout+in.Policy.CallMargin)
		}
	}
	return longest
}
