package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// History reads the events of payments (journal/stream.Journal).
// Implementations are safe for concurrent use.
type History interface {
	// History returns the events of one payment in order. complete is false if
	// there are more events than it reads.
	History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error)
}

// Requeried is the result of Requery for one operation.
type Requeried struct {
	Op  payment.Op
	Key payment.Key
	// Asked is false if the provider was not asked: there was nothing to ask, or a
	// call may be under way.
	Asked bool
	// Answer is the provider's answer, if it was asked.
	Answer payment.Result
	// Event is the type of the last event that Requery appended; empty if it appended
	// none. Events that rivals appended do not count.
	Event payment.EventType
	// Later is true if the provider must be asked at another time: the instance's
	// limits or breaker let nothing pass, or the provider did not answer. For an
	// operation that has ended, the caller must do that; nobody else will.
	Later bool
}

// Fact reports whether a fact was appended: returned or executed_late.
func (r Requeried) Fact() bool {
	return r.Event == payment.EventReturned || r.Event == payment.EventExecutedLate
}

// The results of a late requery, as metrics show them.
const (
	LateAgreed     = "agreed"     // nothing new, or nothing to ask
	LateFact       = "fact"       // returned or executed_late was appended
	LateUnanswered = "unanswered" // given up without an answer
)

// LateResults lists the results of a late requery.
func LateResults() []string { return []string{LateAgreed, LateFact, LateUnanswered} }

// ErrNoHistory: the payment's events do not say how an ended operation was called.
var ErrNoHistory = errors.New("the payment's events do not tell how the operation was called")

// errNothingToAsk: no provider can tell anything about the operation.
var errNothingToAsk = errors.New("nothing to ask the provider")

// operationName names one operation of a payment.
type operationName struct {
	op  payment.Op
	key payment.Key
}

// Requery asks the provider about one operation now, whatever the state's own time
// is, and appends what the answer changes. An open operation is processed as if
// its timer had fired, with all that may follow: its next timer goes to timers.
// About an operation that has ended the provider is only asked.
//
// An error leaves everything as it was: the journal could not be read or written,
// or the payment's events do not say what to ask (ErrNoHistory).
func (h *Handler) Requery(ctx context.Context, id payment.ID, op payment.Op, key payment.Key, timers Scheduler) (Requeried, error) {
	out := Requeried{Op: op, Key: key}
	epoch := h.epoch()
	last, err := h.journal.Last(ctx, id)
	if err != nil {
		return out, fmt.Errorf("read payment: %w", err)
	}
	w, err := h.requeryWork(ctx, id, last, operationName{op, key})
	if errors.Is(err, errNothingToAsk) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	w.epoch = epoch
	release, ok := h.locks.take(ctx, w.lockKey(), h.patience)
	if !ok {
		out.Later = true
		return out, nil
	}
	defer release()
	defer w.access.leave()
	if err := w.soon(ctx, last, timers); err != nil {
		return out, err
	}
	s := w.run(ctx, step{journal: seenAs(last)})
	out.Asked, out.Event = s.asked != nil, s.added
	if s.asked != nil {
		out.Answer = s.asked.Result
	}
	if s.end.Kind == Redeliver {
		return out, errors.New("requery operation: the journal could not be written")
	}
	later := s.end.Kind == Later
	if w.ended(s.journal.state()) {
		unanswered := out.Asked && (out.Answer == payment.Indeterminate || out.Answer == payment.NotExecuted)
		out.Later = later || unanswered
		return out, nil
	}
	if later && out.Asked {
		w.postpone(ctx, s.end.Timer, timers)
	}
	return out, nil
}

// postpone replaces the timer of an open operation that was asked about, so that
// the time to the next query counts from now. If that fails, the old timer remains.
func (w *work) postpone(ctx context.Context, t Timer, timers Scheduler) {
	if err := timers.Schedule(ctx, t); err != nil {
		w.log().Warn("timer could not be stored; the one there was brings the operation back", "error", err.Error())
	}
}

// soon brings an open operation's timer forward before the provider is asked. The
// answer may lead to a call. If this process dies in that call, the operation must
// not wait for its own timer, which may be hours away.
//
// The state does not say when that timer is: an answer that changes nothing moves
// the timer and adds no event. So the timer is left alone only if the state's own
// time is in the future and near. A deferred operation is not asked about.
func (w *work) soon(ctx context.Context, last journal.Record, timers Scheduler) error {
	state := last.State
	i := state.Find(w.base.Command.Op, w.base.Command.Key)
	if i < 0 || state.Operations[i].Open == nil || state.Operations[i].Status == payment.StatusDeferred {
		return nil
	}
	now, due := w.h.now(), state.Operations[i].Open.Due
	at := now.Add(w.instance.Policy.CallTimeout + w.instance.Policy.CallMargin)
	if due.After(now) && !due.After(at) {
		return nil
	}
	if err := timers.Schedule(ctx, w.later(seenAs(last), at, 0).Timer); err != nil {
		return fmt.Errorf("requery operation: %w", err)
	}
	return nil
}

// requeryWork prepares the work of Requery. It returns errNothingToAsk for an operation
// that does not exist, was rejected, or was called at another account, and for a
// provider that is not configured here.
func (h *Handler) requeryWork(ctx context.Context, id payment.ID, last journal.Record, name operationName) (*work, error) {
	in, configured := h.providers.Get(id.Provider)
	i := last.State.Find(name.op, name.key)
	if !configured || i < 0 {
		return nil, errNothingToAsk
	}
	op := last.State.Operations[i]
	if op.Status == payment.StatusRejected {
		return nil, errNothingToAsk
	}
	r, err := h.recall(ctx, id, op, name, in.Account)
	if err != nil {
		return nil, err
	}
	if r.command.Fingerprint() != op.Fingerprint {
		return nil, fmt.Errorf("requery operation: %w: %w", ErrNoHistory, payment.ErrDamaged)
	}
	w := h.newWork(ownDelivery(last, r.command), h.observed(in), r.command)
	w.base.ID, w.base.Requery, w.lastCall = id, true, r.lastCall
	return w, nil
}

// ended reports whether the operation has ended in that state.
func (w *work) ended(state payment.State) bool {
	i := state.Find(w.base.Command.Op, w.base.Command.Key)
	return i >= 0 && state.Operations[i].Status.Terminal()
}

// recalled is what the journal says about how to ask for an operation.
type recalled struct {
	command payment.Command
	// lastCall is the request that an ended operation was last called with; nil if
	// the operation is open.
	lastCall *providers.Request
}

// recall rebuilds an operation's command. The state of an ended operation keeps
// neither command nor request; they are read from the payment's events. The
// error is errNothingToAsk if an ended operation was never called, or was called
// at another account than the instance has now.
func (h *Handler) recall(
	ctx context.Context, id payment.ID, op payment.Operation, name operationName, account string,
) (recalled, error) {
	ended := op.Status.Terminal()
	if ended {
		before, err := h.lastOpen(ctx, id, name)
		if err != nil {
			return recalled{}, err
		}
		op = before
	}
	c, err := op.Command(id)
	if err != nil {
		return recalled{}, fmt.Errorf("rebuild command: %w: %w", ErrNoHistory, err)
	}
	if !ended {
		return recalled{command: c}, nil
	}
	if op.Attempt == 0 || op.Open.Account != account {
		return recalled{}, errNothingToAsk
	}
	r := requestOf(c, op)
	return recalled{command: c, lastCall: &r}, nil
}

// lastOpen is an ended operation as it was when it was last open.
func (h *Handler) lastOpen(ctx context.Context, id payment.ID, name operationName) (payment.Operation, error) {
	if h.history == nil {
		return payment.Operation{}, ErrNoHistory
	}
	history, _, err := h.history.History(ctx, id)
	if err != nil {
		return payment.Operation{}, fmt.Errorf("read payment's events: %w", err)
	}
	for _, e := range slices.Backward(history) {
		if e.Op != name.op || e.Data.IdempotencyKey != name.key {
			continue
		}
		if i := e.State.Find(name.op, name.key); i >= 0 && e.State.Operations[i].Open != nil {
			return e.State.Operations[i], nil
		}
	}
	return payment.Operation{}, ErrNoHistory
}

// RequeryLate asks again about the operation of a result in the journal. If the
// message is not an event of a payment, the error is ErrNoHistory.
func (h *Handler) RequeryLate(ctx context.Context, m events.Message, timers Scheduler) (Requeried, error) {
	e, err := events.DecodeEvent(m)
	if err != nil {
		return Requeried{}, fmt.Errorf("%w: %w", ErrNoHistory, err)
	}
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		return Requeried{}, fmt.Errorf("%w: %w", ErrNoHistory, err)
	}
	return h.Requery(ctx, id, e.Op, e.Data.IdempotencyKey, timers)
}
