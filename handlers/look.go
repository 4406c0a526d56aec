package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Stories reads back what was said of a payment (journal/stream.Journal).
// Implementations are safe for concurrent use.
type Stories interface {
	// History returns the events of one payment in order; complete is false
	// where there are more than it reads.
	History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error)
}

// Looked is what came of a look at one operation.
type Looked struct {
	Op  payment.Op
	Key payment.Key
	// Asked is false where the provider was not asked: there was nothing to ask,
	// or a call may be under way.
	Asked bool
	// Answer is what it said, where it was asked.
	Answer payment.Result
	// Event is the last one that this look appended; empty if it appended none,
	// whatever a rival has appended meanwhile.
	Event payment.EventType
	// Later: it has to be asked at another time, because the instance's limits or
	// breaker let nothing pass, or it did not answer. For an operation that has
	// ended nobody else will.
	Later bool
}

// Fact reports whether the look appended a fact: returned or executed_late.
func (l Looked) Fact() bool {
	return l.Event == payment.EventReturned || l.Event == payment.EventExecutedLate
}

// The results of a late look, as metrics show them.
const (
	LateAgreed     = "agreed"     // nothing new, or nothing to ask
	LateFact       = "fact"       // returned or executed_late was appended
	LateUnanswered = "unanswered" // given up without an answer
)

// LateResults lists the results of a late look.
func LateResults() []string { return []string{LateAgreed, LateFact, LateUnanswered} }

// ErrNoStory: the events of an operation that has ended do not say how to ask
// about it.
var ErrNoStory = errors.New("the payment's events do not tell how the operation was called")

// Look asks the provider about one operation now, whatever its own time is, and
// appends what that changes: a notification came in, or an operation that has
// ended is looked at again. An operation that has ended is only asked about; for
// an open one it is as if its time had come, with all that may follow from the
// answer. What it needs next stays in its timer, which s replaces.
//
// Errors leave everything as it was (the journal could not be read or written)
// or say that there is nothing to go by (ErrNoStory).
func (h *Handler) Look(ctx context.Context, id payment.ID, op payment.Op, key payment.Key, s Scheduler) (Looked, error) {
	out := Looked{Op: op, Key: key}
	rec, err := h.journal.Last(ctx, id)
	if err != nil {
		return out, fmt.Errorf("read payment: %w", err)
	}
	w, err := h.looking(ctx, id, rec, operationName{op, key})
	if err != nil || w == nil {
		return out, err
	}
	release, ok := h.turns.take(ctx, w.turn(), h.patience)
	if !ok {
		out.Later = true
		return out, nil
	}
	defer release()
	defer w.leave()
	if err := w.soon(ctx, s); err != nil {
		return out, err
	}
	disposition := w.run(ctx)
	out.Asked, out.Answer, out.Event = w.asked != nil, payment.Indeterminate, w.added
	if w.asked != nil {
		out.Answer = w.asked.Result
	}
	ended := w.ended()
	unheard := out.Asked && (out.Answer == payment.Indeterminate || out.Answer == payment.NotExecuted)
	switch {
	case disposition.Kind == Redeliver:
		return out, errors.New("look at operation: the journal could not be written")
	case ended:
		out.Later = disposition.Kind == Later || unheard
		return out, nil
	case disposition.Kind == Later && out.Asked:
		// Its own timer is there still; this one spaces the next look from now.
		if err := s.Schedule(ctx, disposition.Timer); err != nil {
			w.log().Warn("timer could not be stored; the one there was brings the operation back", "error", err.Error())
		}
	}
	return out, nil
}

// soon brings an open operation's timer forward before it is asked about: what
// follows from the answer may be a call, and if this process dies in it the
// operation must not lie there until its own timer, which may be hours away.
// Where the timer lies the state does not say: an answer that changed nothing
// moves it and adds no event. So it is left alone only where the state's own
// time is still to come and near enough. What is deferred is not asked about.
func (w *work) soon(ctx context.Context, s Scheduler) error {
	in := w.input
	i := in.State.Find(in.Command.Op, in.Command.Key)
	if i < 0 || in.State.Operations[i].Open == nil || in.State.Operations[i].Status == payment.StatusDeferred {
		return nil
	}
	now, due := w.h.now(), in.State.Operations[i].Open.Due
	at := now.Add(w.instance.Policy.CallTimeout + w.instance.Policy.CallMargin)
	if due.After(now) && !due.After(at) {
		return nil
	}
	if err := s.Schedule(ctx, w.later(at, 0).Timer); err != nil {
		return fmt.Errorf("look at operation: %w", err)
	}
	return nil
}

// operationName names one operation of a payment.
type operationName struct {
	op  payment.Op
	key payment.Key
}

// looking prepares the work of a look; nil where there is nothing to look at.
func (h *Handler) looking(ctx context.Context, id payment.ID, rec journal.Record, name operationName) (*work, error) {
	in, configured := h.providers.Get(id.Provider)
	i := rec.State.Find(name.op, name.key)
	if !configured || i < 0 {
		return nil, nil
	}
	op := rec.State.Operations[i]
	if op.Status == payment.StatusRejected {
		return nil, nil
	}
	w := &work{h: h, instance: h.observed(in), input: payment.Input{ID: id, Timer: true, Look: true, Limits: h.limits}}
	if op.Status.Terminal() {
		c, r, err := h.recall(ctx, id, in, name)
		if err != nil || r == nil {
			return nil, err
		}
		w.input.Command, w.again = c, r
	} else {
		c, err := op.Command(id)
		if err != nil {
			return nil, fmt.Errorf("rebuild command: %w: %w", ErrNoStory, err)
		}
		w.input.Command = c
	}
	if w.input.Command.Fingerprint() != op.Fingerprint {
		return nil, fmt.Errorf("look at operation: %w: %w", ErrNoStory, payment.ErrDamaged)
	}
	w.d = Delivery{
		Timer: true, OriginSequence: rec.Sequence, OriginTime: w.input.Command.RequestedAt, Deliveries: 1,
		Hold: func(time.Time) {},
	}
	w.input.Traits = in.Provider.Traits()
	w.input.Instance = payment.Instance{Configured: true, Account: in.Account, Currencies: in.Currencies, Policy: in.Policy}
	w.set(rec)
	return w, nil
}

// ended reports whether the operation has ended in the state that is known.
func (w *work) ended() bool {
	s := w.input.State
	i := s.Find(w.input.Command.Op, w.input.Command.Key)
	return i >= 0 && s.Operations[i].Status.Terminal()
}

// recall makes, from the payment's events, the command of an operation that has
// ended and the request it was last called with: its state keeps neither. nil
// where it was never called, or called at another account than the instance has
// now.
func (h *Handler) recall(
	ctx context.Context, id payment.ID, in providers.Instance, name operationName,
) (payment.Command, *providers.Request, error) {
	if h.stories == nil {
		return payment.Command{}, nil, ErrNoStory
	}
	history, _, err := h.stories.History(ctx, id)
	if err != nil {
		return payment.Command{}, nil, fmt.Errorf("read payment's events: %w", err)
	}
	var open *payment.Operation
	for _, e := range history {
		if e.Op != name.op || e.Data.IdempotencyKey != name.key {
			continue
		}
		if i := e.State.Find(name.op, name.key); i >= 0 && e.State.Operations[i].Open != nil {
			open = &e.State.Operations[i]
		}
	}
	if open == nil {
		return payment.Command{}, nil, ErrNoStory
	}
	c, err := open.Command(id)
	if err != nil {
		return payment.Command{}, nil, fmt.Errorf("rebuild command: %w: %w", ErrNoStory, err)
	}
	if open.Attempt == 0 || open.Open.Account != in.Account {
		return payment.Command{}, nil, nil
	}
	r := requestOf(c, *open)
	return c, &r, nil
}

// LookLate looks once more at the operation that a result of the journal is
// about. A message that is no payment's event is ErrNoStory.
func (h *Handler) LookLate(ctx context.Context, m events.Message, s Scheduler) (Looked, error) {
	e, err := events.DecodeEvent(m)
	if err != nil {
		return Looked{}, fmt.Errorf("%w: %w", ErrNoStory, err)
	}
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		return Looked{}, fmt.Errorf("%w: %w", ErrNoStory, err)
	}
	return h.Look(ctx, id, e.Op, e.Data.IdempotencyKey, s)
}

// maxNotified bounds how many operations one notification is about.
const maxNotified = 10

// Notified looks at the operations of a payment that a provider's notification
// may be about: those called under our reference, or, where the reference is
// empty or names the payment itself, the open ones and then the newest of those
// that have ended. It reports whether there was any; what it says is not
// believed, only asked about.
func (h *Handler) Notified(ctx context.Context, id payment.ID, reference string, s Scheduler) (found bool, err error) {
	rec, err := h.journal.Last(ctx, id)
	if err != nil {
		return false, fmt.Errorf("read payment: %w", err)
	}
	if rec.Sequence == 0 {
		return false, nil
	}
	names, err := h.meant(ctx, id, rec, reference)
	if err != nil {
		return false, err
	}
	var all error
	for _, n := range names {
		_, err := h.Look(ctx, id, n.op, n.key, s)
		all = errors.Join(all, err)
	}
	return len(names) > 0, all
}

// meant are the operations a reference may mean, the open ones first.
func (h *Handler) meant(ctx context.Context, id payment.ID, rec journal.Record, reference string) ([]operationName, error) {
	whole := reference == "" || reference == id.Native
	var open, ended []operationName
	for _, op := range rec.State.Operations {
		if op.Open != nil && (whole || op.Open.Reference == reference) {
			open = append(open, operationName{op.Op, op.Open.Key})
		}
	}
	if h.stories != nil && (whole || len(open) == 0) {
		history, _, err := h.stories.History(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read payment's events: %w", err)
		}
		for _, e := range slices.Backward(history) {
			n := operationName{e.Op, e.Data.IdempotencyKey}
			if e.Type.Terminal() && e.Data.Attempt > 0 && (whole || e.Data.ClientReference == reference) {
				ended = append(ended, n)
			}
		}
	}
	all := slices.Concat(open, ended)
	return all[:min(len(all), maxNotified)], nil
}
