package payment_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countermand/countermand/payment"
)

// errand is one command of the world: what the service still has to do for it.
type errand struct {
	command payment.Command
	timer   time.Time // zero: none is set
	inHand  *request  // the call that is under way for it
	over    bool      // finished or refused
	ends    int       // terminal events
	erring  bool      // an operator has decided without knowing
	retried bool      // an operator has had it called again
}

// world runs the decision core against the model provider. Appends are
// accepted at once, so the state is the journal.
type world struct {
	t        *rapid.T
	in       payment.Input
	model    *model
	errands  []*errand
	limit    bool // no operator has erred, so refunds stay within what was captured
	captured int64
}

func newWorld(t *rapid.T) *world {
	traits := drawTraits(t)
	m := &model{traits: traits, records: map[string]*record{}}
	if rapid.Bool().Draw(t, "paid") {
		m.captured = 100
	}
	s := tell(nil, traits)
	return &world{t: t, in: s.in, model: m, limit: true}
}

// arrive is a new command, or the repeat of one.
func (w *world) arrive(t *rapid.T) {
	if n := len(w.errands); n > 0 && (n >= 6 || rapid.Bool().Draw(t, "repeat")) {
		e := rapid.SampledFrom(w.errands).Draw(t, "errand")
		w.decide(t, e, false)
		return
	}
	key := payment.Key(fmt.Sprintf("key-%d", len(w.errands)))
	c := cancel(key)
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		c = fullRefund(key)
	case 1, 2:
		c = refund(key, rapid.Int64Range(1, 110).Draw(t, "amount"))
	}
	if c.Op == payment.Refund && rapid.Bool().Draw(t, "names captured") {
		c = captured(c, 100)
	}
	if rapid.IntRange(0, 3).Draw(t, "expires") == 0 {
		c.Expiry = w.in.Now.Add(time.Minute)
	}
	c.RequestedAt = w.in.Now
	e := &errand{command: c}
	w.errands = append(w.errands, e)
	w.decide(t, e, false)
}

// due fires a timer, also one before its time.
func (w *world) due(t *rapid.T) {
	if e := w.pick(t, func(e *errand) bool { return !e.timer.IsZero() }); e != nil {
		if rapid.IntRange(0, 4).Draw(t, "early") > 0 && e.timer.After(w.in.Now) {
			w.in.Now = e.timer
		}
		w.decide(t, e, true)
	}
}

// provider lets one request leave, execute, be declined or be lost.
func (w *world) provider(t *rapid.T) {
	var live []*request
	for _, r := range w.model.requests {
		if !r.settled {
			live = append(live, r)
		}
	}
	if len(live) == 0 {
		return
	}
	r := rapid.SampledFrom(live).Draw(t, "request")
	switch rapid.IntRange(0, 4).Draw(t, "fate") {
	case 0: // the sender gives up before anything has left, or it never arrives
		r.settled = true
		r.answer = payment.Outcome{Result: payment.NotExecuted}
		if r.sent {
			r.answer = payment.Outcome{}
		}
	case 1:
		w.model.execute(r, true, false)
	case 2:
		w.model.execute(r, false, true)
	default:
		w.model.execute(r, false, false)
	}
}

// answer concludes a call, truthfully, or as lost.
func (w *world) answer(t *rapid.T) {
	e := w.pick(t, func(e *errand) bool { return e.inHand != nil })
	if e == nil {
		return
	}
	r := e.inHand
	e.inHand = nil
	switch rapid.IntRange(0, 4).Draw(t, "end of the call") {
	case 0: // the process died: the message is delivered again
		w.decide(t, e, false)
	case 1, 2:
		if out := r.answer; r.settled {
			w.conclude(e, payment.Heard{Attempt: r.attempt, Outcome: out})
			return
		}
		fallthrough
	default:
		r.sent = true
		w.conclude(e, payment.Heard{Attempt: r.attempt})
	}
}

// decide decides about the errand's command until it is not to be read any more.
func (w *world) decide(t *rapid.T, e *errand, timer bool) {
	in := w.in
	in.Command, in.Timer = e.command, timer
	d := payment.Decide(in)
	if d.Action == payment.ReadPayment {
		in.Reading = &payment.Reading{}
		if t == nil || rapid.IntRange(0, 3).Draw(t, "readable") > 0 {
			in.Reading = w.model.read()
		}
		d = payment.Decide(in)
		if d.Action == payment.ReadPayment {
			w.t.Fatalf("the payment is read twice")
		}
	}
	w.apply(e, in, d, nil)
	if d.Action != payment.Query {
		return
	}
	out := payment.Outcome{}
	if r := w.model.last(w.reference(e)); r != nil {
		out = w.model.query(r)
	}
	if t != nil {
		switch rapid.IntRange(0, 5).Draw(t, "query") {
		case 0:
			out = payment.Outcome{}
		case 1: // it lags
			out = payment.Outcome{Result: payment.NotFound}
		case 2:
			if rapid.IntRange(0, 3).Draw(t, "ambiguous") == 0 {
				out = payment.Outcome{Result: payment.Ambiguous}
			}
		}
	}
	w.conclude(e, payment.Heard{Query: true, Outcome: out})
}

func (w *world) conclude(e *errand, h payment.Heard) {
	in := w.in
	in.Command = e.command
	w.apply(e, in, payment.Conclude(in, h), &h)
}

// operate lets an operator decide, sometimes without knowing.
func (w *world) operate(t *rapid.T) {
	e := w.pick(t, func(e *errand) bool { return w.operation(e) != nil && w.operation(e).Open != nil })
	if e == nil {
		return
	}
	in := w.in
	in.Command = e.command
	in.Resolution = &payment.Resolution{Verdict: payment.Verdict(rapid.IntRange(0, 3).Draw(t, "verdict"))}
	rec, alive := w.model.record(w.reference(e)), w.model.alive(w.reference(e))
	knows := alive == 0 && !rec.pending && (rec.movements > 0) == (in.Resolution.Verdict == payment.VerdictSucceeded)
	d := payment.Decide(in)
	if d.Action == payment.ReadPayment {
		in.Reading = w.model.read()
		d = payment.Decide(in)
	}
	if d.Event != nil {
		e.retried = e.retried || d.Action == payment.Call
		e.erring = e.erring || !knows
		w.limit = w.limit && !e.erring
	}
	w.apply(e, in, d, nil)
}

// weather changes the instance, and the clock.
func (w *world) weather(t *rapid.T) {
	i := &w.in.Instance
	switch rapid.IntRange(0, 5).Draw(t, "weather") {
	case 0:
		i.Paused = !i.Paused
	case 1:
		i.Breaker = payment.Breaker(rapid.IntRange(0, 2).Draw(t, "breaker"))
	case 2:
		i.Account = rapid.SampledFrom([]string{ourAccount, ourAccount, otherAccount}).Draw(t, "account")
	case 3:
		i.Configured = !i.Configured
	case 4:
		jump := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 80 * time.Hour, -2 * time.Second})
		w.in.Now = w.in.Now.Add(jump.Draw(t, "jump"))
	default:
		w.in.Now = w.in.Now.Add(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, 15 * time.Second}).Draw(t, "step"))
	}
}

func (w *world) panicked(t *rapid.T) {
	if e := w.pick(t, func(e *errand) bool { return !e.over }); e != nil {
		in := w.in
		in.Command = e.command
		w.apply(e, in, payment.DecidePanicked(in), nil)
	}
}

func (w *world) pick(t *rapid.T, wanted func(*errand) bool) *errand {
	var some []*errand
	for _, e := range w.errands {
		if wanted(e) {
			some = append(some, e)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return rapid.SampledFrom(some).Draw(t, "errand")
}

func (w *world) operation(e *errand) *payment.Operation {
	i := w.in.State.Find(e.command.Op, e.command.Key)
	if i < 0 {
		return nil
	}
	return &w.in.State.Operations[i]
}

// reference is what the model provider knows the errand by.
func (w *world) reference(e *errand) string {
	return payment.ProviderReference("model", ourAccount, "1001", e.command.Op, e.command.Key)
}

func TestNoInterleavingMovesMoneyTwiceOrLosesAResult(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"arrive": w.arrive, "due": w.due, "provider": w.provider, "answer": w.answer,
			"due again": w.due, "provider again": w.provider, "operate": w.operate, "weather": w.weather, "panicked": w.panicked,
			"": w.check,
		})
		w.calm()
	})
}
