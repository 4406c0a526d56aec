package handlers_test

import (
	"errors"
	"testing"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

func TestAskingForAnOperatorMovesNothingAndAppendsNothing(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("openpay (status full) refund partial") // only a person can settle it
	if err := b.seed(s).Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	before, err := b.journal.Last(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.handler.Ask(t.Context(), s.id, s.op, key)
	if err != nil || a.Outcome.Result == payment.Succeeded || a.Reading == nil || !a.Reading.OK {
		t.Errorf("the provider says %+v, %v", a, err)
	}
	after, err := b.journal.Last(t.Context(), s.id)
	if err != nil || after.Sequence != before.Sequence {
		t.Errorf("the journal has moved from %d to %d, %v", before.Sequence, after.Sequence, err)
	}
	var no *handlers.RefusedError
	if _, err := b.handler.Ask(t.Context(), s.id, s.op, "other"); !errors.As(err, &no) || no.Code != payment.CodePaymentNotFound {
		t.Errorf("another key: %v", err)
	}
	elsewhere := []providers.Instance{}
	for _, in := range b.instances {
		in.Account += "-another"
		elsewhere = append(elsewhere, in)
	}
	if a, err := b.newHandler(b.journal, elsewhere).Ask(t.Context(), s.id, s.op, key); !errors.As(err, &no) || no.Code != payment.CodeWaitingForReview {
		t.Errorf("at another account: %+v, %v", a, err)
	}
}
