package handlers

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/countermand/countermand/payment"
)

// spreadOver is into how many parts the return of crowded messages is spread.
const spreadOver = 4

// Isolation keeps the trouble of one provider instance away from the others:
// how many calls may be under way, how many a second, whether any may at all.
// It decides nothing about payments. Implementations are safe for concurrent
// use; a panic of theirs is contained, and counts as "not now".
type Isolation interface {
	// State is how the instance stands now. It is asked at every decision.
	State(instance string) Standing
	// Enter waits for a place among the calls under way, at most for patience,
	// and less where waiting is of no use. ok is false if there was none;
	// otherwise Leave must be called.
	Enter(ctx context.Context, instance string, patience time.Duration) (place Place, ok bool)
}

// Place is one delivery's place at an instance, used by one goroutine. It is
// held from the first question to the last: what was read at the provider is
// not thrown away for want of a place.
type Place interface {
	// Permit asks to send one question or call, and waits at most for patience
	// for the instance's rate. A permit lasts until it is reported on; asking
	// again before that gives the same one.
	Permit(ctx context.Context, patience time.Duration) Permit
	// Report says how what was permitted ended.
	Report(r Report)
	// Leave gives the place back, and a permit that was not used.
	Leave()
}

// Standing is how an instance stands.
type Standing struct {
	Paused  bool
	Breaker payment.Breaker
}

// Permit is an answer of Place.Permit. The zero value is the careful one.
type Permit int

// The answers.
const (
	Refused Permit = iota // not within patience: come back later
	Barred                // the breaker is open, or somebody else is its probe
	Granted               // send it, then report
)

// Report is what one question or call says of its instance. The zero value is
// an answer, whatever it was: a business no is a healthy provider's.
type Report struct {
	// Call is true for what can move money, false for questions.
	Call bool
	// Failed: no answer, or none of the provider's own (connection, timeout, 5xx, 429).
	Failed bool
	// Unhealthy: the answer speaks of the instance (credentials, settings, balance).
	Unhealthy bool
	// Unused: it says nothing, since the fault was ours.
	Unused bool
	// RetryAfter is how long the provider asked us to stay away; zero: it did not.
	RetryAfter time.Duration
}

// report tells the isolation what an outcome says of the instance.
func (w *work) report(call bool, out payment.Outcome) {
	w.permitted = false
	if w.place == nil {
		return
	}
	unclear := out.Result == payment.Indeterminate || out.Result == payment.NotExecuted
	r := Report{
		Call: call, Unhealthy: out.Unhealthy, RetryAfter: out.RetryAfter,
		Failed: unclear && out.Code == payment.CodeProviderUnavailable,
		Unused: unclear && out.Code == payment.CodeInternalError,
	}
	// The outcome must not be lost for it.
	defer w.contain(nil)
	w.place.Report(r)
}

// stand looks how the instance stands, for the decision that follows. While a
// permit is in hand the breaker has let this message pass.
func (w *work) stand() {
	in := &w.input.Instance
	if !in.Configured || w.h.isolation == nil {
		return
	}
	now := w.standing()
	in.Paused = now.Paused
	switch {
	case w.permitted:
	case w.barred:
		in.Breaker = payment.BreakerOpen
	default:
		in.Breaker = now.Breaker
	}
}

// standing is what the isolation says. One that panics lets nothing pass.
func (w *work) standing() (s Standing) {
	defer w.contain(func() { s = Standing{Paused: w.input.Instance.Paused, Breaker: payment.BreakerOpen} })
	return w.h.isolation.State(w.instance.Name)
}

// permit gets what a question or call needs before it is decided upon for
// good: a place, once for the whole delivery, and leave to send one thing. A
// started event must not wait for either behind its back.
func (w *work) permit(ctx context.Context) (p Permit) {
	if w.h.isolation == nil || w.permitted {
		return Granted
	}
	defer w.contain(func() { p = Refused })
	if w.place == nil {
		place, ok := w.h.isolation.Enter(ctx, w.instance.Name, w.h.patience)
		if !ok {
			return Refused
		}
		w.place = place
	}
	p = w.place.Permit(ctx, w.h.patience)
	w.permitted = p == Granted
	w.barred = p == Barred
	return p
}

// pausedMeanwhile reports whether the instance was paused or resumed since the
// decision was made.
func (w *work) pausedMeanwhile() bool {
	return w.h.isolation != nil && w.standing().Paused != w.input.Instance.Paused
}

// leave gives the place back.
func (w *work) leave() {
	if w.place == nil {
		return
	}
	place := w.place
	w.place, w.permitted = nil, false
	defer w.contain(nil)
	place.Leave()
}

// contain is deferred around the isolation: it is there to help, and must lose
// neither a message nor an outcome.
func (w *work) contain(then func()) {
	r := recover()
	if r == nil {
		return
	}
	w.log().Error("isolation of the provider instance panicked", "error", panicText(r), "stack", string(debug.Stack()))
	if then != nil {
		then()
	}
}

// crowded is what becomes of a message that found no place at its provider, or
// no room in its rate. It comes back ever more slowly, so that a backlog does
// not cost the other providers their throughput, and not all at once: those
// that were refused together would be refused together again.
func (w *work) crowded() Disposition {
	w.log().Debug("message comes back later", "waiting_for", "a place at the provider")
	delay := busyDelay
	for n := 1; n < w.d.Deliveries && delay < maxBusyDelay; n++ {
		delay *= 2
	}
	delay = min(delay, maxBusyDelay)
	spread := time.Duration(w.d.OriginSequence%spreadOver) * delay / spreadOver
	return w.later(w.h.now().Add(delay+spread), w.d.Panics)
}
