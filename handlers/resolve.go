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
// returns without an error. Implementations are safe for concurrent use.
type Scheduler interface {
	Schedule(ctx context.Context, t Timer) error
}

// Ruling is what an operator decides about one open operation, on the view of
// its payment that was shown.
type Ruling struct {
	ID  payment.ID
	Op  payment.Op
	Key payment.Key
	// Version of the payment that was shown. The ruling is carried out on this
	// version or not at all.
	Version    uint64
	Resolution payment.Resolution
}

// RefusedError says that a ruling was not carried out, and what is there now.
type RefusedError struct {
	Code payment.Code
	// Stale is true where the payment has moved since it was shown.
	Stale bool
	// Until is when it may be asked again, where that is known: a call may be
	// under way. Zero otherwise.
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
// ruling's own event is appended under the version that was shown: a rival's
// append in between refuses it (*RefusedError with Stale). Other errors leave
// its fate open (journal.ErrUnknown) or say that nothing was appended; the
// operator looks again.
//
// A retry is a call like any other, after its own started. Its timer, for the
// time until which the call may be under way, is stored before that: whatever
// dies or is lost from then on, the operation is looked at again. A timer that
// finds no call goes back to the time of the state.
func (h *Handler) Resolve(ctx context.Context, r Ruling, s Scheduler) (journal.Record, error) {
	rec, err := h.journal.Last(ctx, r.ID)
	if err != nil {
		return rec, fmt.Errorf("read payment: %w", err)
	}
	w, err := h.ruled(r, rec)
	if err != nil {
		return rec, err
	}
	release, ok := h.turns.take(ctx, w.turn(), h.patience)
	if !ok {
		return rec, &RefusedError{Code: payment.CodeWaitingForOperation, Last: rec}
	}
	defer release()
	defer w.leave()
	dec, err := w.rule(ctx, s)
	if err != nil || dec.Action != payment.Call {
		return w.rec, err
	}
	w.input.Resolution = nil
	w.heard = &payment.Heard{Attempt: dec.Event.Attempt, Outcome: w.call(ctx, dec.Event)}
	w.afterRetry(ctx, s)
	return w.rec, nil
}

// ruled prepares the work of a ruling, or refuses it at sight.
func (h *Handler) ruled(r Ruling, rec journal.Record) (*work, error) {
	if rec.State.Version != r.Version {
		return nil, &RefusedError{Code: payment.CodeOther, Stale: true, Last: rec}
	}
	i := rec.State.Find(r.Op, r.Key)
	if i < 0 {
		return nil, &RefusedError{Code: payment.CodePaymentNotFound, Last: rec}
	}
	op := rec.State.Operations[i]
	if op.Status.Terminal() {
		return nil, &RefusedError{Code: payment.CodeOther, Last: rec}
	}
	c, err := op.Command(r.ID)
	if err != nil {
		return nil, fmt.Errorf("rebuild command: %w", err)
	}
	d := Delivery{Timer: true, OriginSequence: rec.Sequence, OriginTime: c.RequestedAt, Deliveries: 1, Hold: func(time.Time) {}}
	w := &work{h: h, d: d, input: payment.Input{Command: c, ID: r.ID, Timer: true, Limits: h.limits, Resolution: &r.Resolution}}
	in, configured := h.providers.Get(r.ID.Provider)
	if !configured {
		return nil, &RefusedError{Code: payment.CodeUnknownProvider, Last: rec}
	}
	w.instance = in
	w.input.Traits = in.Provider.Traits()
	w.input.Instance = payment.Instance{Configured: true, Account: in.Account, Currencies: in.Currencies, Policy: in.Policy}
	w.set(rec)
	return w, nil
}

// rule decides and appends the ruling's event, behind the timer of its call.
func (w *work) rule(ctx context.Context, s Scheduler) (payment.Decision, error) {
	for range 2 { // at most one preparing read
		dec := w.decide()
		if w.needsProvider(dec) && w.permit(ctx) != Granted {
			return dec, &RefusedError{Code: payment.CodeProviderUnavailable, Last: w.rec}
		}
		switch dec.Action {
		case payment.RefuseOperator:
			return dec, &RefusedError{Code: dec.Code, Until: dec.At, Last: w.rec}
		case payment.ReadPayment:
			reading := w.readPayment(ctx)
			w.input.Reading = &reading
			continue
		case payment.ComeBack, payment.Finish, payment.RejectCommand, payment.Call, payment.Query:
		}
		if dec.Event == nil {
			return dec, &RefusedError{Code: payment.CodeOther, Last: w.rec}
		}
		if dec.Action == payment.Call {
			if err := s.Schedule(ctx, w.later(dec.Event.CallUntil, 0).Timer); err != nil {
				return dec, fmt.Errorf("store the call's timer: %w", err)
			}
		}
		return dec, w.appendRuling(ctx, dec)
	}
	return payment.Decision{}, &RefusedError{Code: payment.CodeProviderUnavailable, Last: w.rec}
}

func (w *work) appendRuling(ctx context.Context, dec payment.Decision) error {
	seq, err := w.append(ctx, *dec.Event)
	var conflict *journal.ConflictError
	if errors.As(err, &conflict) {
		w.set(conflict.Last)
		return &RefusedError{Code: payment.CodeOther, Stale: true, Last: conflict.Last}
	}
	if err != nil {
		return fmt.Errorf("append ruling: %w", err)
	}
	w.set(journal.Record{Sequence: seq, Type: dec.Event.Type, Op: dec.Event.Op, State: dec.Event.State})
	w.logEvent(dec.Event)
	return nil
}

// afterRetry appends what became of the call, and leaves a timer where the
// operation is still open. The ruling itself stands whatever happens here.
func (w *work) afterRetry(ctx context.Context, s Scheduler) {
	out := w.run(ctx)
	if out.Kind != Later {
		return // ended, or its timer of callUntil brings it back
	}
	if err := s.Schedule(ctx, out.Timer); err != nil {
		w.log().Warn("timer could not be stored; the one of the call brings the operation back", "error", err.Error())
	}
}
