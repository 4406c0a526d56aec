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
	return &payment.Loss{AcceptedAt: at, CallsEnd: at.Add(h.longestCall), Newer: d.OriginTime.After(at.Add(newerBy))}
}

// epoch tells the journal's histories apart: when the newest loss was accepted.
func (h *Handler) epoch() time.Time {
	if h.losses == nil {
		return time.Time{}
	}
	at, _ := h.losses.Accepted()
	return at
}

// errOtherEpoch: a loss was accepted since the payment was read. Its sequences may
// have been given out again since, so a fitting one no longer shows that the
// history is the one that was read.
var errOtherEpoch = errors.New("a loss of the journal was accepted since the payment was read")

// outlived reports whether what the step knows of the journal is of an earlier epoch.
func (w *work) outlived(s step) bool {
	now := w.h.epoch()
	return !now.Equal(w.epoch) && !now.Equal(s.epoch)
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
