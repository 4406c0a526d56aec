package properties_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/countermand/countermand/payment"
)

// apply carries a decision out and checks what must hold of every one. h is
// what was heard, nil for Decide.
func (w *world) apply(e *errand, in payment.Input, d payment.Decision, h *payment.Heard) {
	before := w.operation(e)
	if before != nil {
		same := *before
		before = &same
	}
	if d.Event != nil {
		w.append(e, before, d, h, in.Resolution != nil)
	}
	switch d.Action {
	case payment.ComeBack:
		if d.At.Before(in.Now) {
			w.t.Fatalf("come back at %v, before now (%v)", d.At, in.Now)
		}
		e.timer = d.At
	case payment.Call:
		w.call(e, before, d, in)
	case payment.Finish, payment.RejectCommand:
		if o := w.operation(e); o != nil && o.Open != nil {
			w.t.Fatalf("a command is finished while its operation is %s", o.Status)
		}
		e.over, e.timer = true, time.Time{}
	case payment.Query:
		if d.Event != nil || before == nil || before.Open == nil || !in.Instance.Configured || before.Open.Account != in.Instance.Account {
			w.t.Fatalf("a query without an operation that was called here: %+v", before)
		}
	case payment.ReadPayment, payment.RefuseOperator: // nothing has happened yet
	}
}

// append checks one event against the operation as it was.
func (w *world) append(e *errand, before *payment.Operation, d payment.Decision, h *payment.Heard, operated bool) {
	ev := d.Event
	if ev.Version() != w.in.State.Version+1 {
		w.t.Fatalf("version %d after %d", ev.Version(), w.in.State.Version)
	}
	w.in.State = ev.State
	fact := ev.Type == payment.EventReturned || ev.Type == payment.EventExecutedLate
	if e.ends > 0 && !fact {
		w.t.Fatalf("%s after the end", ev.Type)
	}
	if ev.Type.Terminal() {
		e.ends++
		w.checkTruth(e, ev, operated)
	}
	if before != nil && before.InDoubt() && h == nil && !operated && ev.Type != payment.EventIndeterminate {
		w.t.Fatalf("%s by time or wish, in doubt", ev.Type)
	}
	if ev.Type == payment.EventDeferred && !e.erring {
		w.checkWithoutEffect(e, ev)
	}
	if o := w.operation(e); o.Open != nil && o.Open.Due.IsZero() {
		w.t.Fatalf("%s without a time to come back", ev.Type)
	}
}

// checkTruth compares a terminal result with what the provider did.
func (w *world) checkTruth(e *errand, ev *payment.Event, operated bool) {
	rec := w.model.record(e.reference)
	switch {
	case e.erring:
	case ev.Type != payment.EventSucceeded:
		w.checkWithoutEffect(e, ev)
	case ev.Effect != payment.EffectNone && rec.movements == 0:
		w.t.Fatalf("succeeded although nothing moved")
	case ev.Effect == payment.EffectRefunded && !operated && (ev.Moved == nil || ev.Moved.Value != rec.moved):
		w.t.Fatalf("moved %v, and the provider says %d", ev.Moved, rec.moved)
	}
}

// checkWithoutEffect: what is called failed, rejected or deferred has moved
// nothing, and nothing that has left may still move.
func (w *world) checkWithoutEffect(e *errand, ev *payment.Event) {
	rec := w.model.record(e.reference)
	if rec.movements > 0 || rec.pending {
		w.t.Fatalf("%s (%s) although the provider has moved or accepted it", ev.Type, ev.Code)
	}
	repeat := w.in.Traits.For(e.command.Op, e.command.Full).Repeat
	if final := rec.declined && repeat != payment.RepeatUnsafe; w.model.alive(e.reference) > 0 && !final {
		w.t.Fatalf("%s (%s) although a call may still run", ev.Type, ev.Code)
	}
}

// call checks a call, and puts its request on the way.
func (w *world) call(e *errand, before *payment.Operation, d payment.Decision, in payment.Input) {
	ev := d.Event
	if ev == nil || ev.Type != payment.EventStarted {
		w.t.Fatalf("a call without its own started event")
	}
	p := in.Instance.Policy
	if !ev.CallUntil.Equal(in.Now.Add(p.CallTimeout + p.CallMargin)) {
		w.t.Fatalf("callUntil %v at %v", ev.CallUntil, in.Now)
	}
	attempt, operated := 1, in.Resolution != nil
	repeat := in.Traits.For(e.command.Op, e.command.Full).Repeat
	if before != nil {
		attempt = before.Attempt + 1
		if before.InDoubt() && repeat == payment.RepeatUnsafe && !operated {
			w.t.Fatalf("an unsafe operation in doubt is called again")
		}
	}
	if ev.Attempt != attempt || (in.Instance.Paused || in.Instance.Breaker == payment.BreakerOpen) && !operated {
		w.t.Fatalf("attempt %d, want %d; paused %t, breaker %d", ev.Attempt, attempt, in.Instance.Paused, in.Instance.Breaker)
	}
	if before != nil && before.Open.Account != "" && before.Open.Account != in.Instance.Account {
		w.t.Fatalf("called at another account")
	}
	w.checkAlone(e)
	if e.reference != "" && e.reference != ev.ClientReference {
		w.t.Fatalf("the reference has changed from %s to %s", e.reference, ev.ClientReference)
	}
	e.reference = ev.ClientReference
	r := &request{reference: e.reference, attempt: ev.Attempt, op: ev.Op, full: ev.Full, amount: w.amount(e)}
	w.model.requests = append(w.model.requests, r)
	e.inHand, e.timer = r, ev.CallUntil // a process that dies leaves the message to be delivered again
}

func (w *world) amount(e *errand) int64 {
	o := w.operation(e)
	if o.Amount == nil {
		if e.command.Op == payment.Refund {
			w.t.Fatalf("a refund is called without an amount")
		}
		return 0
	}
	return o.Amount.Value
}

// checkAlone: nothing else of the payment is under way, parallel refunds aside.
func (w *world) checkAlone(e *errand) {
	me := w.operation(e)
	for i := range w.in.State.Operations {
		o := &w.in.State.Operations[i]
		if o.Open == nil || o.Attempt == 0 || (o.Op == me.Op && o.KeyHash == me.KeyHash) {
			continue
		}
		sideBySide := w.in.Traits.Parallel && o.Op == payment.Refund && me.Op == payment.Refund && !o.Full && !me.Full
		if !sideBySide {
			w.t.Fatalf("%s is called beside a %s %s", me.Op, o.Status, o.Op)
		}
	}
}

// check is what holds between any two steps.
func (w *world) check(*rapid.T) {
	total := int64(0)
	for _, e := range w.errands {
		rec := w.model.record(e.reference)
		total += rec.moved
		if rec.movements > 1 && !e.erring {
			w.t.Fatalf("%s %s moved %d times", e.command.Op, e.command.Key, rec.movements)
		}
		o := w.operation(e)
		if e.ends > 1 || (o != nil && o.Status.Terminal() != (e.ends == 1)) {
			w.t.Fatalf("%d terminal results", e.ends)
		}
		if o != nil && o.Open != nil && e.timer.IsZero() && e.inHand == nil {
			w.t.Fatalf("an open operation (%s) has neither timer nor message", o.Status)
		}
	}
	if c := w.in.State.Captured; c != nil && w.limit && total > c.Value {
		w.t.Fatalf("refunded %d of %d", total, c.Value)
	}
}

// calm ends all faults and drives the timers: every operation must end, or be
// in review.
func (w *world) calm() {
	w.in.Instance = begin(w.in.Traits).Instance
	for _, r := range w.model.requests {
		if !r.settled {
			w.model.execute(r, false, false)
		}
	}
	for _, rec := range w.model.records {
		if rec.pending {
			rec.pending, rec.declined = false, true
		}
	}
	for step := 0; ; step++ {
		e := w.next()
		if e == nil {
			break
		}
		if step > 2000 {
			w.t.Fatalf("no end: %s %s is still %+v", e.command.Op, e.command.Key, w.operation(e))
		}
		w.step(e)
		w.check(nil)
	}
}

// next is the errand whose turn it is, or nil when all are over or in review.
func (w *world) next() (first *errand) {
	for _, e := range w.errands {
		o := w.operation(e)
		if e.over || (o != nil && o.Open != nil && o.Open.Review != nil) {
			continue
		}
		if first == nil || e.inHand != nil || e.timer.Before(first.timer) {
			first = e
		}
	}
	return first
}

// step concludes what is in hand with its true answer, or fires the timer.
func (w *world) step(e *errand) {
	if r := e.inHand; r != nil {
		e.inHand = nil
		if !r.settled {
			w.model.execute(r, false, false)
		}
		w.conclude(e, payment.Heard{Attempt: r.attempt, Outcome: r.answer})
		return
	}
	if e.timer.After(w.in.Now) {
		w.in.Now = e.timer
	}
	w.in.Instance.Account = ourAccount
	if o := w.operation(e); o != nil && o.Open != nil && o.Open.Account != "" {
		w.in.Instance.Account = o.Open.Account // the configuration is restored
	}
	w.decide(nil, e, true)
}
