package handlers_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// refundCalls counts the calls of a simulator that may move money.
func refundCalls(base *simulator.Base) (n int) {
	for _, c := range base.Calls() {
		if c.Operation == string(payment.Refund) {
			n++
		}
	}
	return n
}

// Openpay documents one call. Whatever its undocumented one is like, a lost full
// refund is over after one repeat, and a lost partial one is a person's.
func TestALostRefundIsOverSoonWithWhatTheProviderDocuments(t *testing.T) {
	t.Parallel()
	for _, k := range simulators.Accounts() {
		if k.Asked == simulator.Always {
			continue
		}
		t.Run(k.Title(), func(t *testing.T) {
			t.Parallel()
			b, s := newSetup(t), named(k.Title()+" refund full")
			base := b.seed(s)
			if err := base.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
				t.Fatal(err)
			}
			began := b.clock.Now()
			b.deliver(b.command(s.op, s.data))
			b.drive(func() bool { return b.terminals(key) == 1 })
			op := b.operation(s.id, s.op, key)
			if op.Status != payment.StatusSucceeded || op.Basis != payment.BasisInferred || base.Ledger().Count("", "") != 1 {
				t.Errorf("ended %s, basis %s", op.Status, op.Basis)
			}
			if took := b.clock.Now().Sub(began); took > time.Minute || refundCalls(base) > 2 {
				t.Errorf("it took %s and %d calls", took, refundCalls(base))
			}
			if n := len(base.Calls()) - refundCalls(base); k.Asked == simulator.Never && n > 0 {
				t.Errorf("%d questions to an account that cannot be asked", n)
			}
		})
		t.Run(k.Title()+", a part", func(t *testing.T) {
			t.Parallel()
			b, s := newSetup(t), named(k.Title()+" refund partial")
			base := b.seed(s)
			if err := base.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutBefore, Times: 1}); err != nil {
				t.Fatal(err)
			}
			b.deliver(b.command(s.op, s.data))
			b.drive(func() bool { return b.operation(s.id, s.op, key).Open.Review != nil })
			why := b.operation(s.id, s.op, key).Open.Review
			want := map[simulator.Asked]string{simulator.Never: "nobody_can_be_asked", simulator.InVain: "not_found_and_repeat_unsafe"}[k.Asked]
			if refundCalls(base) != 1 || why.Reason != want || why.LastAsked.IsZero() != (k.Asked == simulator.Never) {
				t.Errorf("%d calls, review %+v", refundCalls(base), why)
			}
		})
	}
}

// What an undocumented question is answered says nothing of the instance.
func TestAnUndocumentedQuestionNeitherRefusesNorHoldsARefundBack(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusTooManyRequests, http.StatusInternalServerError} {
		b, s := newSetup(t), named("openpay (status parts) refund full")
		base := b.seed(s)
		if err := base.Fault(
			simulator.Fault{Operation: "query", Mode: simulator.StatusBefore, Status: status, RetryAfter: 3600},
			simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1},
		); err != nil {
			t.Fatal(err)
		}
		var calls, unused int
		b.behind(&gatekeeper{report: func(r handlers.Report) {
			switch {
			case r.Call:
				calls++
			case r == handlers.Report{Unused: true}:
				unused++
			default:
				t.Errorf("HTTP %d to a question is reported as %+v", status, r)
			}
		}})
		b.deliver(b.command(s.op, s.data))
		b.drive(func() bool { return b.terminals(key) == 1 })
		op := b.operation(s.id, s.op, key)
		if op.Status != payment.StatusSucceeded || op.Code != payment.CodeAlreadyRefunded || calls != 2 || unused == 0 {
			t.Errorf("HTTP %d to questions: %s %s after %d calls and %d questions", status, op.Status, op.Code, calls, unused)
		}
	}
}

func TestAnOperatorLearnsThatNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	b, s := newSetup(t), named("openpay refund partial")
	base := b.seed(s)
	if err := base.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	a, err := b.handler.Ask(t.Context(), s.id, s.op, key)
	if err != nil || a.Outcome.Code != payment.CodeUnsupportedOperation || a.Outcome.Message == "" || len(base.Calls()) != 1 {
		t.Errorf("the provider says %+v after %d calls, %v", a, len(base.Calls()), err)
	}
}
