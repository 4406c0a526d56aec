package providertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// secondSend loses an answer and sends again, which the core does only where
// the traits allow it. Where they say "unsafe" the ledger must show two, if
// there is room for two: a simulator that forgives would hide the danger the
// trait is there for.
func (s suite) secondSend(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	repeat := r.provider.Traits().For(q.Op, q.Full).Repeat
	r.fault(simulator.Fault{Mode: simulator.CutAfter, Times: 1})
	r.want(r.call(context.Background(), q), payment.Indeterminate)
	o := r.call(context.Background(), again(q))
	switch repeat {
	case payment.RepeatHarmless:
		r.want(o, payment.Succeeded, payment.Pending)
		r.ledger(1)
	case payment.RepeatRefused:
		r.want(o, payment.Duplicate, payment.Succeeded, payment.Pending, payment.Indeterminate)
		r.ledger(1)
	case payment.RepeatUnsafe:
		if !q.Full {
			r.ledger(2)
		}
	}
}

// refusedRepeat: the refusal of a second send speaks of the first one.
func (s suite) refusedRepeat(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	if r.provider.Traits().For(q.Op, q.Full).Repeat == payment.RepeatUnsafe {
		t.Skip("never repeated: the repeat is unsafe")
	}
	for _, x := range troubles() {
		if !x.executed {
			continue
		}
		q := r.request()
		x.fault.Times = 1
		r.fault(x.fault)
		r.want(r.call(context.Background(), q), payment.Indeterminate)
		o := r.call(context.Background(), again(q))
		if o.Result == payment.Failed || o.Result == payment.NotExecuted {
			t.Errorf("after %s the repeat is %s (%s)", x.fault.Mode, o.Result, o.Message)
		}
		r.moved(o)
	}
}

// moneyAsSaid drives many payments through random misbehaviour, finding out as
// the core would, and then compares what was said with what moved.
func (s suite) moneyAsSaid(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s.said(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func (s suite) said(t *testing.T, dice *rand.Rand) {
	const payments = 24
	r := s.rig(t, rigOptions{})
	last := map[int]payment.Outcome{}
	sum := int64(0)
	for i := range payments {
		last[i] = r.live(r.request(), dice)
	}
	r.sim.Base.Release()
	r.settle()
	executions, unsaid := 0, 0
	for i, o := range last {
		switch o.Result {
		case payment.Succeeded, payment.Pending:
			executions++
			sum += s.c.Amount.Value
			r.moved(o)
		case payment.Failed, payment.NotExecuted:
		default:
			unsaid++
			t.Logf("payment %d is left %s", i, o.Result)
		}
	}
	got := len(r.sim.Base.Ledger().Movements(""))
	if got < executions || got > executions+unsaid {
		t.Errorf("the ledger shows %d executions; %d were said, %d left open", got, executions, unsaid)
	}
	if total := r.sim.Base.Ledger().Total("")[string(s.c.Amount.Currency)]; unsaid == 0 && total != sum {
		t.Errorf("the ledger shows %d moved, the outcomes say %d", total, sum)
	}
	r.atMostOnce(payments)
}

// atMostOnce proves that no payment was executed twice.
func (r *rig) atMostOnce(payments int) {
	r.t.Helper()
	count := map[string]int{}
	for _, m := range r.sim.Base.Ledger().Movements("") {
		count[m.Payment]++
		if count[m.Payment] > 1 {
			r.t.Errorf("payment %s was executed %d times", m.Payment, count[m.Payment])
		}
	}
	if len(count) > payments {
		r.t.Errorf("%d payments were touched, only %d were commanded", len(count), payments)
	}
}

// live takes one operation as far as the core may: call, find out, and repeat
// once where the traits allow it.
func (r *rig) live(q providers.Request, dice *rand.Rand) payment.Outcome {
	r.t.Helper()
	faults := append(troubles(), trouble{}, trouble{fault: simulator.Fault{Mode: simulator.Late}},
		trouble{fault: simulator.Fault{Mode: simulator.Decline}})
	x := faults[dice.IntN(len(faults))]
	if x.fault.Mode != "" {
		x.fault.Times = 1
		r.fault(x.fault)
	}
	o := r.call(context.Background(), q)
	if o.Result == payment.NotExecuted {
		return r.call(context.Background(), q) // certainly nothing was done: not in doubt
	}
	if o.Result != payment.Indeterminate {
		return o
	}
	if o = r.query(again(q)); !slices.Contains(r.unfound(), o.Result) {
		return o
	}
	if r.provider.Traits().For(q.Op, q.Full).Repeat == payment.RepeatUnsafe {
		return o // for a person to find out
	}
	if o = r.call(context.Background(), again(q)); o.Result == payment.Duplicate {
		return r.query(again(q))
	}
	return o
}

// deadAddress is a loopback URL on which nothing listens and nothing will: a port
// that was free a moment ago may be another test's by now.
const deadAddress = "http://127.0.0.1:1"
