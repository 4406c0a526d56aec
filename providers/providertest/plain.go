package providertest

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

func traitsAreConstant(t *testing.T, h Harness) {
	t.Helper()
	r := suite{Harness: h}.rig(t, rigOptions{})
	first := r.provider.Traits()
	if first.Kind == "" || first.MaxIdentifier <= 0 {
		t.Errorf("traits name no kind or no longest identifier: %+v", first)
	}
	if diff := cmp.Diff(first, r.provider.Traits()); diff != "" {
		t.Errorf("traits differ from one call to the next:\n%s", diff)
	}
	for _, c := range h.Cases() {
		if !first.For(c.Op, c.Full).Supported {
			t.Errorf("case %q is not supported by the traits", c.Name)
		}
	}
}

// unsupportedIsRefusedUnsent gives every operation the traits exclude, and one
// that no version knows, to the provider with a request that is good for another.
func unsupportedIsRefusedUnsent(t *testing.T, h Harness) {
	t.Helper()
	s := suite{Harness: h, c: h.Cases()[0]}
	r := s.rig(t, rigOptions{})
	q := r.request()
	for _, c := range variants() {
		if r.provider.Traits().For(c.Op, c.Full).Supported {
			continue
		}
		q.Op, q.Full, q.Amount = c.Op, c.Full, nil
		if !c.Full { // so that it could be sent as a refund
			q.Amount = &payment.Money{Value: 1, Currency: s.c.Amount.Currency}
		}
		o := r.call(context.Background(), q)
		r.want(o, payment.Failed)
		if o.Code != payment.CodeUnsupportedOperation && o.Code != payment.CodePartialRefundUnsupported {
			t.Errorf("%s full=%v is refused with code %q", c.Op, c.Full, o.Code)
		}
		if n := r.front.moves.Load(); n != 0 {
			t.Errorf("%s full=%v was sent", c.Op, c.Full)
		}
	}
	q.Op = unheardOf
	if o := r.query(q); o.Result != payment.Indeterminate {
		t.Errorf("a query for an operation that nobody knows ended in %s", o.Result)
	}
}

// unheardOf is an operation that no version of the program has.
const unheardOf payment.Op = "unheard-of"

// variants lists the operations as traits tell them apart, and one more.
func variants() []Case {
	all := []Case{{Op: unheardOf}, {Op: unheardOf, Full: true}}
	for _, op := range payment.Ops() {
		all = append(all, Case{Op: op})
		if op.TakesAmount() {
			all = append(all, Case{Op: op, Full: true})
		}
	}
	return all
}

func (s suite) carriedOutOnce(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	o := r.call(context.Background(), q)
	if o.Result == payment.Pending {
		r.settle()
		o = r.query(q)
	}
	r.want(o, payment.Succeeded)
	r.moved(o)
	if o.Effect == "" {
		t.Error("the success names no effect")
	}
	r.ledger(1)
	r.truth(q, true)
	r.ledger(1)
}

func (s suite) declineIsFailure(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	r.fault(simulator.Fault{Mode: simulator.Decline, Times: 1})
	o := r.call(context.Background(), q)
	r.want(o, payment.Failed)
	if o.Code == "" {
		t.Error("the failure has no code")
	}
	r.ledger(0)
}

// sideBySide runs several payments through one provider at once; the race
// detector is the second judge.
func (s suite) sideBySide(t *testing.T) {
	const payments = 8
	r := s.rig(t, rigOptions{})
	var requests []providers.Request
	for range payments {
		requests = append(requests, r.request())
	}
	outcomes := make([]payment.Outcome, payments)
	var all sync.WaitGroup
	for i, q := range requests {
		all.Go(func() {
			outcomes[i] = r.provider.Call(context.Background(), q)
		})
	}
	all.Wait()
	for _, o := range outcomes {
		r.want(o, payment.Succeeded, payment.Pending)
		r.moved(o)
	}
	if n := r.front.moves.Load(); n != payments {
		t.Errorf("%d calls sent %d requests that move money", payments, n)
	}
	r.ledger(payments)
}
