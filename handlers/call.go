package handlers

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// call sends one attempt, after its started event was accepted at a sequence of
// the journal. If the answer cannot be understood, or the adapter panics, the
// outcome is indeterminate.
func (w *work) call(ctx context.Context, sequence uint64, started *payment.Event) payment.Outcome {
	w.d.Hold(started.CallUntil)
	r := w.request(started.State)
	r.SendBefore = started.CallUntil
	if out, ok := w.unsent(ctx, sequence, started, r); !ok {
		return out
	}
	out := w.ask(ctx, func(ctx context.Context) payment.Outcome {
		return w.instance.Provider.Call(ctx, r)
	})
	w.access.report(true, out)
	return out
}

// query asks the provider what became of the operation.
func (w *work) query(ctx context.Context, s step) payment.Outcome {
	w.d.Hold(w.h.now().Add(w.instance.Policy.CallTimeout))
	r := w.request(s.journal.state())
	out := w.ask(ctx, func(ctx context.Context) payment.Outcome {
		return w.advisory(w.instance.Provider.QueryStatus(ctx, r))
	})
	w.questioned(out)
	return out
}

// questioned tells the isolation how a question ended. A question that the provider
// does not document says nothing of the instance: a call must not wait because of
// it, and no breaker may close on it.
func (w *work) questioned(out payment.Outcome) {
	if w.base.Traits.Asks != payment.AsksDocumented {
		w.access.unused()
		return
	}
	w.access.report(false, out)
}

// advisory is the answer to a question without what it says of the instance, where
// the provider does not document the question.
func (w *work) advisory(out payment.Outcome) payment.Outcome {
	if w.base.Traits.Asks != payment.AsksDocumented {
		out.Unhealthy = false
	}
	return out
}

// readPayment makes the preparing read.
func (w *work) readPayment(ctx context.Context, s step) (reading payment.Reading) {
	w.d.Hold(w.h.now().Add(w.instance.Policy.CallTimeout))
	r := w.request(s.journal.state())
	out := w.ask(ctx, func(ctx context.Context) payment.Outcome {
		reading = w.instance.Provider.Read(ctx, r)
		return w.advisory(payment.Outcome{
			Code: reading.Code, Unhealthy: reading.Unhealthy, Message: reading.Message, RetryAfter: reading.RetryAfter,
		})
	})
	w.questioned(out)
	reading.At = w.h.now()
	return reading
}

// ask uses the adapter within the instance's call timeout. It contains the
// adapter's panics.
func (w *work) ask(ctx context.Context, do func(context.Context) payment.Outcome) (out payment.Outcome) {
	ctx, cancel := context.WithTimeout(ctx, w.instance.Policy.CallTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			w.log().Error("provider adapter panicked; the outcome is indeterminate", "error", panicText(r))
			out = payment.Outcome{Code: payment.CodeInternalError, Message: "the adapter failed while reading the answer"}
		}
		if out.Unhealthy {
			w.log().Error("provider instance is unhealthy", "code", string(out.Code), "error", out.Message)
		}
	}()
	return do(ctx)
}

// request is the operation as the adapter sees it. For an open operation it is
// what the state has frozen, for an ended one its last call, and for a new one
// what the command says.
func (w *work) request(s payment.State) providers.Request {
	c := w.base.Command
	i := s.Find(c.Op, c.Key)
	switch {
	case i >= 0 && s.Operations[i].Open != nil:
		return requestOf(c, s.Operations[i])
	case i >= 0 && w.lastCall != nil:
		return *w.lastCall
	default:
		r := providers.Request{
			Op: c.Op, Payment: c.Payment, Amount: c.Amount, Full: c.Full, Key: c.Key, Reason: c.Reason,
		}
		if w.base.Loss != nil {
			in := w.base
			in.State, in.Now = s, w.h.now()
			r.Reference, r.Snapshot = in.Unknown()
			r.InDoubt = true
		}
		return r
	}
}

// requestOf is what an open operation's state has frozen of its request.
func requestOf(c payment.Command, op payment.Operation) providers.Request {
	return providers.Request{
		Op: c.Op, Key: c.Key, Payment: op.Open.Payment, Amount: op.Amount, Full: op.Full, Reason: op.Open.Reason,
		Reference: op.Open.Reference, Attempt: op.Attempt, InDoubt: len(op.Open.Doubt) > 0, Snapshot: op.Open.Snapshot,
	}
}

// panicText names the kind of a panic. It leaves out the value, which may hold
// bytes of a message, unless that is the runtime's own.
func panicText(r any) string {
	if err, ok := r.(interface{ RuntimeError() }); ok {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("panic of type %T", r)
}
