package handlers

import (
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// InHand names a known outcome of a call that the journal has refused so far. It
// holds no amount and no key.
type InHand struct {
	Provider string
	// Payment is the payment's token, as in subjects.
	Payment string
	Op      payment.Op
	Attempt int
	Outcome payment.Result
	// Since is when the journal refused it first.
	Since time.Time
}

// hand is what is in hand. It is safe for concurrent use.
type hand struct {
	mu  sync.Mutex
	all map[*work]InHand
}

// InHand returns the known outcomes that wait to be appended, the oldest first.
func (h *Handler) InHand() []InHand {
	h.hand.mu.Lock()
	defer h.hand.mu.Unlock()
	all := make([]InHand, 0, len(h.hand.all))
	for _, one := range h.hand.all {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b InHand) int { return a.Since.Compare(b.Since) })
	return all
}

// holds notes an outcome that was refused; release forgets it.
func (w *work) holds(s step) (release func()) {
	h := &w.h.hand
	one := InHand{
		Provider: w.base.ID.Provider, Payment: events.Token(w.base.ID.Native), Op: w.base.Command.Op,
		Attempt: s.outcome.Attempt, Outcome: s.outcome.Outcome.Result, Since: w.h.now().UTC(),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[*work]InHand{}
	}
	if _, there := h.all[w]; !there {
		h.all[w] = one
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.all, w)
	}
}
