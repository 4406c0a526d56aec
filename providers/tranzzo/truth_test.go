package tranzzo_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// bench is one provider in front of one simulated order.
type bench struct {
	*tranzzosim.Simulator
	t *testing.T
	p *tranzzo.Provider
}

func setup(t *testing.T, o tranzzosim.Options, p tranzzosim.Payment) bench {
	t.Helper()
	sim := tranzzosim.New(account(o))
	server := httptest.NewServer(sim)
	client := providers.NewClient(nil)
	t.Cleanup(func() {
		sim.Close()
		client.CloseIdle()
		server.Close()
	})
	p.OrderID, p.Amount, p.Currency = "order-1", fullAmount, "UAH"
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	provider, err := tranzzo.New(settings(server.URL), client)
	if err != nil {
		t.Fatal(err)
	}
	return bench{sim, t, provider}
}

// prepared is the request with the reading the core takes before a first call.
func (b bench) prepared(r providers.Request) providers.Request {
	b.t.Helper()
	reading := b.p.Read(context.Background(), r)
	if !reading.OK {
		b.t.Fatalf("preparing read: %s", reading.Message)
	}
	r.Snapshot = &reading
	return r
}

// lose makes one call whose answer is lost, and returns the request to ask with.
func (b bench) lose(r providers.Request, mode simulator.Mode) providers.Request {
	b.t.Helper()
	b.must(b.Fault(simulator.Fault{Mode: mode, Operation: string(r.Op), Times: 1}))
	if o := b.p.Call(context.Background(), r); o.Result != payment.Indeterminate {
		b.t.Fatalf("a lost answer is %s", o.Result)
	}
	r.InDoubt = true
	return r
}

func (b bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// want proves an outcome and how often the order's money was refunded.
func (b bench) want(o payment.Outcome, result payment.Result, basis payment.Basis, refunds int) {
	b.t.Helper()
	if o.Result != result || o.Basis != basis {
		b.t.Errorf("%s, basis %q (%s), want %s, %q", o.Result, o.Basis, o.Message, result, basis)
	}
	if n := b.Ledger().Count("refund", ""); n != refunds {
		b.t.Errorf("%d refunds, want %d", n, refunds)
	}
}

func (b bench) ask(r providers.Request) payment.Outcome {
	return b.p.QueryStatus(context.Background(), r)
}

func TestALostPartialRefundIsFoundIfItWasMadeAndOnlyThen(t *testing.T) {
	t.Parallel()
	for _, comments := range []bool{true, false} {
		basis := payment.BasisInferred
		if comments {
			basis = "" // the core says query
		}
		before := setup(t, tranzzosim.Options{ShowComments: comments}, tranzzosim.Payment{})
		r := before.lose(before.prepared(partialRefund(partialAmount)), simulator.CutBefore)
		before.want(before.ask(r), payment.NotFound, "", 0)

		after := setup(t, tranzzosim.Options{ShowComments: comments}, tranzzosim.Payment{})
		r = after.lose(after.prepared(partialRefund(partialAmount)), simulator.CutAfter)
		o := after.ask(r)
		after.want(o, payment.Succeeded, basis, 1)
		if o.Moved == nil || *o.Moved != *uah(partialAmount) || o.ProviderReference == "" {
			t.Errorf("found as %+v", o)
		}
	}
}

func TestASecondEqualRefundIsToldFromTheFirst(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	first := b.prepared(partialRefund(partialAmount))
	b.want(b.p.Call(context.Background(), first), payment.Succeeded, "", 1)
	second := partialRefund(partialAmount)
	second.Key = "return-2"
	second = b.lose(b.prepared(second), simulator.CutBefore)
	b.want(b.ask(second), payment.NotFound, "", 1)
	second = b.lose(b.prepared(second), simulator.CutAfter)
	b.want(b.ask(second), payment.Succeeded, payment.BasisInferred, 2)
}

func TestARefundMadeElsewhereIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	portal := func(o tranzzosim.Options, comment string) (bench, providers.Request) {
		b := setup(t, o, tranzzosim.Payment{})
		r := b.lose(b.prepared(partialRefund(partialAmount)), simulator.CutAfter)
		b.must(b.RefundElsewhere("order-1", partialAmount, comment))
		return b, r
	}
	hidden, r := portal(tranzzosim.Options{}, "")
	hidden.want(hidden.ask(r), payment.Ambiguous, "", 1)
	shown, r := portal(tranzzosim.Options{ShowComments: true}, "by phone")
	shown.want(shown.ask(r), payment.Succeeded, "", 1)
	unmarked, r := portal(tranzzosim.Options{ShowComments: true}, "")
	unmarked.want(unmarked.ask(r), payment.Succeeded, "", 1)

	b := setup(t, tranzzosim.Options{ShowComments: true}, tranzzosim.Payment{})
	r = b.lose(b.prepared(partialRefund(partialAmount)), simulator.CutBefore)
	b.must(b.RefundElsewhere("order-1", partialAmount, "by phone"))
	b.want(b.ask(r), payment.NotFound, "", 0)
}

func TestARepeatedPartialRefundMovesMoneyTwiceAndIsSeenTwice(t *testing.T) {
	t.Parallel()
	for _, comments := range []bool{true, false} {
		b := setup(t, tranzzosim.Options{ShowComments: comments}, tranzzosim.Payment{})
		r := b.lose(b.prepared(partialRefund(partialAmount)), simulator.CutAfter)
		r = b.lose(r, simulator.CutAfter) // which the core never does
		b.want(b.ask(r), payment.Ambiguous, "", 2)
	}
}

func TestARepeatedFullRefundIsRefusedAndTheFirstOneFound(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	r := b.lose(b.prepared(fullRefund()), simulator.CutAfter)
	r.Attempt++
	b.want(b.p.Call(context.Background(), r), payment.Duplicate, "", 1)
	b.want(b.ask(r), payment.Succeeded, payment.BasisInferred, 1)
}

func TestACancelThatMeetsAPaymentSaysSo(t *testing.T) {
	t.Parallel()
	paid := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Status: "init"})
	r := paid.prepared(cancelOf(""))
	paid.must(paid.Pay("order-1"))
	if o := paid.p.Call(context.Background(), r); o.Result != payment.Failed {
		t.Errorf("the payment was paid before the cancel: %s", o.Result)
	}
	if got := paid.prepared(r).Snapshot.Status; got != payment.PaymentPaid {
		t.Errorf("the next reading says %s", got)
	}

	lost := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Status: "init"})
	r = lost.lose(lost.prepared(cancelOf("")), simulator.CutBefore)
	lost.must(lost.Pay("order-1"))
	if o := lost.ask(r); o.Result != payment.Failed || o.Code != payment.CodePaymentAlreadyPaid {
		t.Errorf("the payment was paid instead: %s %s", o.Result, o.Code)
	}
	if o := lost.p.Call(context.Background(), r); o.Result != payment.Duplicate {
		t.Errorf("the repeat of a cancel in doubt is %s", o.Result)
	}
}

func TestARepeatedCancelStaysTheCallItWas(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Method: "auth", Status: "init"})
	r := b.lose(b.prepared(cancelOf("")), simulator.CutBefore)
	b.must(b.Pay("order-1")) // authorised now: a void would release the hold
	if o := b.p.Call(context.Background(), r); o.Result != payment.Duplicate {
		t.Errorf("the repeat is %s", o.Result)
	}
	if n := len(b.Ledger().Movements("")); n != 0 {
		t.Errorf("%d executions: the repeat became another call", n)
	}
	if o := b.ask(r); o.Result != payment.Failed || o.Code != payment.CodePaymentNotCancellable {
		t.Errorf("asked: %s %s", o.Result, o.Code)
	}
}

func TestACaptureBeforeTheVoidIsAPaidPayment(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Method: "auth"})
	r := b.lose(b.prepared(cancelOf("")), simulator.CutBefore)
	b.must(b.Capture("order-1"))
	if o := b.ask(r); o.Result != payment.Failed || o.Code != payment.CodePaymentAlreadyPaid {
		t.Errorf("asked: %s %s", o.Result, o.Code)
	}
	if n := len(b.Ledger().Movements("")); n != 0 {
		t.Errorf("%d executions", n)
	}
}

func TestARefusedRepeatOfACancelOrVoidIsSettledByTheListing(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]tranzzosim.Payment{"cancel": {Status: "init"}, "void": {Method: "auth"}} {
		b := setup(t, tranzzosim.Options{RefuseRepeats: true}, p)
		r := b.lose(b.prepared(cancelOf("")), simulator.CutAfter)
		if o := b.p.Call(context.Background(), r); o.Result != payment.Duplicate {
			t.Errorf("%s: the refused repeat is %s", name, o.Result)
		}
		if o := b.ask(r); o.Result != payment.Succeeded {
			t.Errorf("%s: asked: %s", name, o.Result)
		}
		if n := len(b.Ledger().Movements("")); n != 1 {
			t.Errorf("%s: %d executions", name, n)
		}
	}
}

func TestADeclinedRefundIsListedAndIsNotTakenForTheNextOne(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{ShowComments: true}, tranzzosim.Payment{})
	b.must(b.Fault(simulator.Fault{Mode: simulator.Decline, Operation: "refund", Times: 1}))
	r := b.prepared(partialRefund(partialAmount))
	b.want(b.p.Call(context.Background(), r), payment.Failed, "", 0)
	r.InDoubt = true
	b.want(b.ask(r), payment.Failed, "", 0)
	// The same key again: what failed before was there before.
	r = b.lose(b.prepared(partialRefund(partialAmount)), simulator.CutBefore)
	b.want(b.ask(r), payment.NotFound, "", 0)
}

func TestWrongKeysDelayAndDoNotFail(t *testing.T) {
	t.Parallel()
	sim := tranzzosim.New(tranzzosim.Options{})
	server := httptest.NewServer(sim)
	defer server.Close()
	defer sim.Close()
	p, err := tranzzo.New(settings(server.URL), providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	if o := p.Call(context.Background(), fullRefund()); o.Result != payment.NotExecuted || !o.Unhealthy {
		t.Errorf("refund: %+v", o)
	}
	if o := p.QueryStatus(context.Background(), fullRefund()); o.Result != payment.Indeterminate || !o.Unhealthy {
		t.Errorf("query: %+v", o)
	}
	if r := p.Read(context.Background(), fullRefund()); r.OK || !r.Unhealthy || r.Code != payment.CodeProviderAuthentication {
		t.Errorf("read: %+v", r)
	}
}
