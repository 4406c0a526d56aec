package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Contradiction is what a timer knew of the journal and the leader does not show.
type Contradiction struct {
	// Epoch is the one in which the two were compared. Once another loss is accepted,
	// it says nothing any more.
	Epoch uint64
	// Operation names what the timer is about: provider, payment token, operation and
	// the hash of its key.
	Operation string
	// Ahead: the payment's version is lower than the timer knew. Otherwise an event
	// of the operation is unknown.
	Ahead bool
	// Known is the version that the timer knew, of the payment if it is ahead, else
	// of the operation's newest event. Found is what the leader shows.
	Known, Found uint64
}

// contradictedDelay is when a timer that contradicts the journal is given to
// somebody again. Until then the journal was read again, or nothing is pulled.
const contradictedDelay = 5 * time.Second

// contradicted reports whether the timer in hand knows more than the journal's
// leader shows. The timer stays where it is: it may be the last thing that knows
// its operation. The outcome of a call is recorded all the same.
func (w *work) contradicted(s step) (end Disposition, yes bool) {
	if w.h.losses == nil || !w.d.Timer || s.journal.basis != seen || s.holdsCall() {
		return Disposition{}, false
	}
	state, epoch := s.journal.state(), w.h.epoch()
	verdict := w.verdict(state, epoch)
	if verdict == payment.TimerFits || verdict == payment.TimerPresumed {
		return Disposition{}, false
	}
	c := Contradiction{
		Epoch:     epoch,
		Operation: operationPath(w.base.ID, w.base.Command.Op, w.base.Command.Key),
		Ahead:     verdict == payment.TimerAhead, Known: w.d.Recorded.Version, Found: state.Version,
	}
	if !c.Ahead {
		now := state.Recorded(w.base.Command.Op, w.base.Command.Key, 0)
		c.Known, c.Found = w.d.Recorded.Operation, now.Operation
	}
	w.log().Error("a timer knows more than the journal shows; it stays", "known", c.Known, "found", c.Found)
	w.h.losses.Contradicted(c)
	return Disposition{Kind: Redeliver, Delay: contradictedDelay}, true
}

// verdict judges the timer in hand by a state, in an epoch. While its provider is not configured
// it is not certain which payment it names, so nothing is made of a difference; but
// what was recorded once is not refused.
func (w *work) verdict(s payment.State, epoch uint64) payment.TimerVerdict {
	switch {
	case !w.d.Timer:
		return payment.TimerFits
	case w.instance.Provider == nil && w.d.Recorded.Operation > 0:
		return payment.TimerPresumed
	case w.instance.Provider == nil:
		return payment.TimerFits
	}
	return w.d.Recorded.Judge(s, w.base.Command.Op, w.base.Command.Key, epoch)
}

// recorded is what a timer that is written now says of the journal. Which payment
// the command names is certain only while its provider is configured.
func (w *work) recorded(view journalView) payment.Recorded {
	if view.basis != seen || w.instance.Provider == nil {
		return w.d.Recorded
	}
	return view.state().Recorded(w.base.Command.Op, w.base.Command.Key, w.epoch)
}

// operationPath names an operation without revealing its key.
func operationPath(id payment.ID, op payment.Op, key payment.Key) string {
	return strings.Join([]string{id.Provider, events.Token(id.Native), string(op), key.Hash()}, "/")
}

// errNoPath: a text names no operation.
var errNoPath = errors.New("it does not name an operation")

// Contradicts asks the journal's leader whether it still does not show what a timer
// knew. A state in a newer format has moved on since, and contradicts nothing.
func Contradicts(ctx context.Context, j journal.Journal, c Contradiction) (bool, error) {
	parts := strings.Split(c.Operation, "/")
	if len(parts) != 4 {
		return false, fmt.Errorf("read operation %q: %w", c.Operation, errNoPath)
	}
	native, err := events.ParseToken(parts[1])
	if err != nil {
		return false, fmt.Errorf("read operation %q: %w", c.Operation, err)
	}
	last, err := j.Last(ctx, payment.ID{Provider: parts[0], Native: native})
	switch {
	case errors.Is(err, journal.ErrNewerFormat):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read payment: %w", err)
	case c.Ahead:
		return last.State.Version < c.Known, nil
	}
	for i := range last.State.Operations {
		if o := &last.State.Operations[i]; string(o.Op) == parts[2] && o.KeyHash == parts[3] {
			return o.Last < c.Known, nil
		}
	}
	return true, nil
}
