package handlers

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/countermand/countermand/payment"
)

// access is one delivery's access to its provider instance: its place there,
// its permit to send one question or call, and the instance's standing that
// decisions are made on. The zero value knows no isolation and lets everything
// pass. One goroutine uses it. A panic of the isolation is contained here: it
// must cost neither a message nor an outcome.
type access struct {
	isolation Isolation // nil: none
	instance  string
	patience  time.Duration
	log       func() *slog.Logger

	// standing is the instance's, as the last decision saw it.
	standing Standing
	place    Place // nil: not entered
	// permitted: one question or call may be sent, and is not reported on.
	permitted bool
	// barred: the last request for a permit was barred.
	barred bool
}

// refreshIsolation updates the standing for the decision that follows. While a
// permit is in hand the breaker has let this message pass, and its state is not
// taken over.
func (a *access) refreshIsolation() {
	if a.isolation == nil {
		return
	}
	now := a.current()
	a.standing.Paused = now.Paused
	switch {
	case a.permitted:
	case a.barred:
		a.standing.Breaker = payment.BreakerOpen
	default:
		a.standing.Breaker = now.Breaker
	}
}

// current is the instance's standing now. If the isolation panics, nothing passes.
func (a *access) current() (s Standing) {
	defer a.contain(func() { s = Standing{Paused: a.standing.Paused, Breaker: payment.BreakerOpen} })
	return a.isolation.State(a.instance)
}

// paused reports whether the instance is paused now.
func (a *access) paused() bool { return a.isolation != nil && a.current().Paused }

// pauseChanged reports whether a pause has begun or ended since the decision.
func (a *access) pauseChanged() bool {
	return a.isolation != nil && a.current().Paused != a.standing.Paused
}

// permit gets what a question or call needs: a place, once for the whole
// delivery, and a permit to send one thing. It is called before started is
// appended: an attempt must not wait after that.
func (a *access) permit(ctx context.Context) (p Permit) {
	if a.isolation == nil || a.permitted {
		return Granted
	}
	defer a.contain(func() { p = Refused })
	if a.place == nil {
		place, ok := a.isolation.Enter(ctx, a.instance, a.patience)
		if !ok {
			return Refused
		}
		a.place = place
	}
	p = a.place.Permit(ctx, a.patience)
	a.permitted = p == Granted
	a.barred = p == Barred
	return p
}

// report tells the isolation what an outcome says of the instance. call is true
// for what can move money. The permit is used up.
func (a *access) report(call bool, out payment.Outcome) {
	a.permitted = false
	if a.place == nil {
		return
	}
	unclear := out.Result == payment.Indeterminate || out.Result == payment.NotExecuted
	r := Report{
		Call: call, Unhealthy: out.Unhealthy, RetryAfter: out.RetryAfter,
		Failed: unclear && out.Code == payment.CodeProviderUnavailable,
		Unused: unclear && out.Code == payment.CodeInternalError,
	}
	defer a.contain(nil)
	a.place.Report(r)
}

// unused gives the permit back: what was sent says nothing of the instance.
func (a *access) unused() {
	a.permitted = false
	if a.place == nil {
		return
	}
	defer a.contain(nil)
	a.place.Report(Report{Unused: true})
}

// leave gives the place back, with a permit that was not used.
func (a *access) leave() {
	if a.place == nil {
		return
	}
	place := a.place
	a.place, a.permitted = nil, false
	defer a.contain(nil)
	place.Leave()
}

// contain is deferred around each use of the isolation. It ends a panic and
// then calls what is to happen instead, if anything.
func (a *access) contain(instead func()) {
	r := recover()
	if r == nil {
		return
	}
	a.log().Error("isolation of the provider instance panicked", "error", panicText(r), "stack", string(debug.Stack()))
	if instead != nil {
		instead()
	}
}
