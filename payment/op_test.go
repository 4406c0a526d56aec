package payment_test

import (
	"slices"
	"testing"

	"github.com/countermand/countermand/payment"
)

// What an operation that no version has may do: nothing.
func TestAnOperationThatNobodyKnowsIsRefusedByThisService(t *testing.T) {
	t.Parallel()
	const unheardOf payment.Op = "unheard-of"
	if unheardOf.Known() || unheardOf.TakesAmount() || unheardOf.GivesBack() || unheardOf.EndsPayment() || unheardOf.Effects() != nil {
		t.Error("something is known of an operation that nobody knows")
	}
	s := tell(t, opay())
	s.command(command(unheardOf, "a"))
	d := s.last
	if d.Action == payment.Call || d.Event == nil || d.Event.Type != payment.EventRejected || d.Code != payment.CodeUnsupportedOperation {
		t.Errorf("it is decided %+v", d)
	}
}

func TestTheTableOfOperations(t *testing.T) {
	t.Parallel()
	type row struct{ amount, back, ends bool }
	for op, want := range map[payment.Op]row{
		payment.Cancel: {ends: true},
		payment.Refund: {amount: true, back: true},
	} {
		if got := (row{op.TakesAmount(), op.GivesBack(), op.EndsPayment()}); got != want {
			t.Errorf("%s is %+v, want %+v", op, got, want)
		}
		if len(op.Effects()) == 0 || !op.Known() {
			t.Errorf("%s has no effect, or is not listed", op)
		}
		if op.GivesBack() != slices.Equal(op.Effects(), []payment.Effect{payment.EffectRefunded}) {
			t.Errorf("%s may do %v", op, op.Effects())
		}
	}
}
