package properties_test

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
	// reference is what the model provider knows it by; empty before its first call.
	reference string
}

// world runs the decision core against the model provider. Appends are
// accepted at once, so the state is the journal.
type world struct {
	t       *rapid.T
	in      payment.Input
	model   *model
	errands []*errand
	limit   bool // no operator has erred, so refunds stay within what was captured
}

func newWorld(t *rapid.T, repeat payment.Repeat, parallel bool, captured int64) *world {
	prepare := rapid.SampledFrom([]payment.Prepare{payment.PrepareNever, payment.PrepareAlways})
	traits := payment.Traits{
		Kind: "model", Parallel: parallel,
		Cancel:        payment.OperationTraits{Supported: true, Repeat: repeat, Prepare: prepare.Draw(t, "cancel prepare")},
		PartialRefund: payment.OperationTraits{Supported: true, Repeat: repeat, Prepare: prepare.Draw(t, "partial prepare")},
		FullRefund:    payment.OperationTraits{Supported: true, Repeat: repeat, Prepare: payment.PrepareAmount, NeedsAmount: true},
	}
	m := &model{traits: traits, records: map[string]*record{}, captured: captured}
	return &world{t: t, in: begin(traits), model: m, limit: true}
}

// begin is the first input of a world. What waits behind a review is given up
// after hours here, not days: it polls all the while.
func begin(traits payment.Traits) payment.Input {
	policy := payment.DefaultPolicy()
	policy.GiveUpAfter = 6 * time.Hour
	return payment.Input{
		ID: payment.ID{Provider: "shop", Native: "1001"}, Traits: traits, Now: morning(),
		Instance: payment.Instance{Configured: true, Account: ourAccount, Policy: policy},
	}
}

// arrive is a new command, or the repeat of one.
func (w *world) arrive(t *rapid.T) {
	if n := len(w.errands); n > 0 && (n >= 6 || rapid.Bool().Draw(t, "repeat")) {
		w.decide(t, w.errands[rapid.IntRange(0, n-1).Draw(t, "errand")], false)
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
	r := live[rapid.IntRange(0, len(live)-1).Draw(t, "request")]
	switch rapid.IntRange(0, 5).Draw(t, "fate") {
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
	case 3:
		w.model.refuse(r)
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

// lose is an answer that never comes: the request has left and is on its way
// still, while the timers ask about it for a while.
func (w *world) lose(t *rapid.T) {
	e := w.pick(t, func(e *errand) bool { return e.inHand != nil && !e.inHand.settled })
	if e == nil {
		return
	}
	r := e.inHand
	r.sent, e.inHand = true, nil
	w.conclude(e, payment.Heard{Attempt: r.attempt})
	for range rapid.IntRange(0, 5).Draw(t, "polls") {
		if e.inHand != nil || e.timer.IsZero() {
			return
		}
		if e.timer.After(w.in.Now) {
			w.in.Now = e.timer
		}
		w.decide(nil, e, true)
	}
}

// decide decides about the errand's command until it is not to be read any more.
func (w *world) decide(t *rapid.T, e *errand, timer bool) {
	in := w.in
	in.Command, in.Timer = e.command, timer
	// Now and then there is reason to ask early, or about what has ended.
	in.Requery = t != nil && rapid.IntRange(0, 3).Draw(t, "look") == 0
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
	if r := w.model.last(e.reference); r != nil {
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
	in.Resolution = &payment.Resolution{Verdict: payment.Verdict(rapid.IntRange(0, 3).Draw(t, "verdict")), Seen: in.Now}
	rec, alive := w.model.record(e.reference), w.model.alive(e.reference)
	knows := alive == 0 && !rec.pending && (rec.movements > 0) == (in.Resolution.Verdict == payment.VerdictSucceeded)
	d := payment.Decide(in)
	if d.Action == payment.ReadPayment {
		in.Reading = w.model.read()
		d = payment.Decide(in)
	}
	if d.Event != nil {
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
	return some[rapid.IntRange(0, len(some)-1).Draw(t, "errand")]
}

func (w *world) operation(e *errand) *payment.Operation {
	i := w.in.State.Find(e.command.Op, e.command.Key)
	if i < 0 {
		return nil
	}
	return &w.in.State.Operations[i]
}

func TestNoInterleavingMovesMoneyTwiceOrLosesAResult(t *testing.T) {
	t.Parallel()
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	for _, repeat := range []payment.Repeat{payment.RepeatUnsafe, payment.RepeatRefused, payment.RepeatHarmless} {
		for payments, amount := range map[string]int64{"a paid payment": 100, "an unpaid payment": 0} {
			for refunds, parallel := range map[string]bool{"side by side": true, "one by one": false} {
				t.Run(fmt.Sprintf("%s repeats of %s %s", repeat, payments, refunds), func(t *testing.T) {
					t.Parallel()
					for range rounds { // a hundred worlds each, unless -rapid.checks says otherwise
						rapid.Check(t, func(t *rapid.T) { live(newWorld(t, repeat, parallel, amount)) })
					}
				})
			}
		}
	}
}

func live(w *world) {
	w.t.Repeat(map[string]func(*rapid.T){
		"arrive": w.arrive, "due": w.due, "provider": w.provider, "answer": w.answer, "lose": w.lose,
		"due again": w.due, "provider again": w.provider, "operate": w.operate, "weather": w.weather, "panicked": w.panicked,
		"": w.check,
	})
	w.calm()
}
