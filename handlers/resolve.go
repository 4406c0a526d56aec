package handlers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Scheduler stores timers (broker.Timers). A timer is stored when Schedule
// returns no error. Implementations are safe for concurrent use.
type Scheduler interface {
	Schedule(ctx context.Context, t Timer) error
}

// Ruling is an operator's decision about one open operation. It is made on the
// view of the payment that the operator was shown.
type Ruling struct {
	ID  payment.ID
	Op  payment.Op
	Key payment.Key
	// Version of the payment that was shown. The ruling is carried out on this
	// version or not at all.
	Version    uint64
	Resolution payment.Resolution
}

// RefusedError says why a ruling was not carried out, and what is there now.
type RefusedError struct {
	Code payment.Code
	// Stale is true if the payment has moved since it was shown.
	Stale bool
	// Until is when a call that may be under way is over. Only then can the ruling
	// be repeated. Zero if it is not known.
	Until time.Time
	// Last is the payment's newest record.
	Last journal.Record
}

// Error implements error.
func (e *RefusedError) Error() string {
	if e.Stale {
		return fmt.Sprintf("the payment has moved: it is at version %d now", e.Last.State.Version)
	}
	return "refused: " + string(e.Code)
}

// Resolve carries a ruling out and returns the payment's newest record. The
// ruling's event is appended on the version that was shown. If a rival appends
// first, the ruling is refused (*RefusedError with Stale). After
// journal.ErrUnknown it is not known whether the ruling was appended, and the
// operator reads the payment again. After any other error nothing was appended.
//
// A retry is a call like any other and follows its own started event. Before
// that event, Resolve stores a timer for the end of the call. Whatever dies or is
// lost from then on, the timer brings the operation back. A timer that finds no
// call goes back to the state's own time.
func (h *Handler) Resolve(ctx context.Context, r Ruling, timers Scheduler) (journal.Record, error) {
	epoch := h.epoch()
	last, err := h.journal.Last(ctx, r.ID)
	if err != nil {
		return last, fmt.Errorf("read payment: %w", err)
	}
	w, err := h.operatorWork(r, last)
	if err != nil {
		return last, err
	}
	w.epoch = epoch
	release, ok := h.locks.take(ctx, w.lockKey(), h.patience)
	if !ok {
		return last, &RefusedError{Code: payment.CodeWaitingForOperation, Last: last}
	}
	defer release()
	defer w.access.leave()
	ruled, err := w.rule(ctx, step{journal: seenAs(last), resolution: &r.Resolution}, timers)
	s := ruled.step
	if err != nil || ruled.decision.Action != payment.Call {
		return s.journal.last, err
	}
	started := ruled.decision.Event
	s.resolution = nil
	s.outcome = &payment.Heard{Attempt: started.Attempt, Outcome: w.call(ctx, s.journal.last.Sequence, started)}
	s = w.run(ctx, s)
	w.afterRetry(ctx, *s.end, timers)
	return s.journal.last, nil
}

// operatorWork prepares the work on an open operation for an operator, or refuses it.
func (h *Handler) operatorWork(r Ruling, last journal.Record) (*work, error) {
	if last.State.Version != r.Version {
		return nil, &RefusedError{Code: payment.CodeOther, Stale: true, Last: last}
	}
	i := last.State.Find(r.Op, r.Key)
	if i < 0 {
		return nil, &RefusedError{Code: payment.CodePaymentNotFound, Last: last}
	}
	op := last.State.Operations[i]
	if op.Status.Terminal() {
		return nil, &RefusedError{Code: payment.CodeOther, Last: last}
	}
	c, err := op.Command(r.ID)
	if err != nil {
		return nil, fmt.Errorf("rebuild command: %w", err)
	}
	in, configured := h.providers.Get(r.ID.Provider)
	if !configured {
		return nil, &RefusedError{Code: payment.CodeUnknownProvider, Last: last}
	}
	w := h.newWork(ownDelivery(last, c), in, c)
	w.base.ID = r.ID
	return w, nil
}

// ownDelivery stands for the message of work that no message has asked for. It
// is a timer of the operation, as its timers are made from the state. The state does
// not keep where the command lies, so that it names the journal's position: should a
// timer of it meet a journal that has lost the operation, the stream of commands has
// another time there, and the operation is presumed.
func ownDelivery(last journal.Record, c payment.Command) Delivery {
	return Delivery{
		Timer: true, OriginSequence: last.Sequence, OriginTime: c.RequestedAt, Deliveries: 1, Hold: func(time.Time) {},
	}
}

// ruled is what was decided for a ruling, and the step after it.
type ruled struct {
	decision payment.Decision
	step     step
}

// rule decides and appends the ruling's event. For a call it stores the timer first.
func (w *work) rule(ctx context.Context, s step, timers Scheduler) (ruled, error) {
	for range 2 { // at most one preparing read
		dec := w.decide(s)
		if needsProvider(dec) && w.access.permit(ctx) != Granted {
			return ruled{dec, s}, &RefusedError{Code: payment.CodeProviderUnavailable, Last: s.journal.last}
		}
		switch dec.Action {
		case payment.RefuseOperator:
			return ruled{dec, s}, &RefusedError{Code: dec.Code, Until: dec.At, Last: s.journal.last}
		case payment.ReadPayment:
			reading := w.readPayment(ctx, s)
			s.reading = &reading
			continue
		case payment.ComeBack, payment.Finish, payment.RejectCommand, payment.Call, payment.Query:
		}
		if dec.Event == nil {
			return ruled{dec, s}, &RefusedError{Code: payment.CodeOther, Last: s.journal.last}
		}
		if dec.Action == payment.Call {
			if err := timers.Schedule(ctx, w.later(s.journal, dec.Event.CallUntil, 0).Timer); err != nil {
				return ruled{dec, s}, fmt.Errorf("store the call's timer: %w", err)
			}
		}
		s, err := w.appendRuling(ctx, s, dec.Event)
		return ruled{dec, s}, err
	}
	return ruled{step: s}, &RefusedError{Code: payment.CodeProviderUnavailable, Last: s.journal.last}
}

// appendRuling appends the ruling's event on the version that was shown.
func (w *work) appendRuling(ctx context.Context, s step, e *payment.Event) (step, error) {
	sequence, err := w.append(ctx, s, *e)
	if conflict, ok := errors.AsType[*journal.ConflictError](err); ok {
		s.journal = seenAs(conflict.Last)
		return s, &RefusedError{Code: payment.CodeOther, Stale: true, Last: conflict.Last}
	}
	if err != nil {
		return s, fmt.Errorf("append ruling: %w", err)
	}
	return w.appended(s, sequence, e), nil
}

// afterRetry stores a timer if the operation is still open after the retry. The
// ruling stands, whatever happens here.
func (w *work) afterRetry(ctx context.Context, d Disposition, timers Scheduler) {
	if d.Kind != Later {
		return // It has ended, or its timer of callUntil brings it back.
	}
	if err := timers.Schedule(ctx, d.Timer); err != nil {
		w.log().Warn("timer could not be stored; the one of the call brings the operation back", "error", err.Error())
	}
}
