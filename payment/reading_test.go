package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

func allRead(t payment.Traits) payment.Traits {
	for _, o := range []*payment.OperationTraits{&t.Cancel, &t.FullRefund, &t.PartialRefund} {
		o.Prepare = payment.PrepareAlways
	}
	return t
}

// TestAPreparingReadSettlesWhatNeedsNoCall walks every status of a payment
// against every kind of command.
func TestAPreparingReadSettlesWhatNeedsNoCall(t *testing.T) {
	t.Parallel()
	const call = payment.Code("call")
	none := map[payment.PaymentStatus]bool{payment.PaymentCancelled: true, payment.PaymentFailed: true, payment.PaymentExpired: true}
	cases := []struct {
		status                payment.PaymentStatus
		cancel, full, partial payment.Code
	}{
		{payment.PaymentUnknown, call, call, call},
		{"something new", call, call, call},
		{payment.PaymentUnpaid, call, payment.CodePaymentPending, payment.CodePaymentPending},
		{payment.PaymentPending, payment.CodePaymentPending, payment.CodePaymentPending, payment.CodePaymentPending},
		{payment.PaymentAuthorized, call, payment.CodePaymentNotRefundable, payment.CodePaymentNotRefundable},
		{payment.PaymentPaid, payment.CodePaymentAlreadyPaid, call, call},
		{payment.PaymentPartiallyRefunded, payment.CodePaymentAlreadyPaid, payment.CodePartiallyRefunded, call},
		{payment.PaymentRefunded, payment.CodePaymentAlreadyPaid, payment.CodeAlreadyRefunded, payment.CodeAlreadyRefunded},
		{payment.PaymentNotRefundable, payment.CodePaymentAlreadyPaid, payment.CodePaymentNotRefundable, payment.CodePaymentNotRefundable},
		{payment.PaymentCancelled, payment.CodeAlreadyCancelled, payment.CodePaymentCancelled, payment.CodePaymentCancelled},
		{payment.PaymentFailed, payment.CodePaymentFailed, payment.CodePaymentFailed, payment.CodePaymentFailed},
		{payment.PaymentExpired, payment.CodePaymentExpired, payment.CodePaymentExpired, payment.CodePaymentExpired},
		{payment.PaymentDisputed, payment.CodePaymentDisputed, payment.CodePaymentDisputed, payment.CodePaymentDisputed},
		{payment.PaymentAbsent, payment.CodePaymentNotFound, payment.CodePaymentNotFound, payment.CodePaymentNotFound},
	}
	for _, c := range cases {
		for command, want := range map[*payment.Command]payment.Code{
			ptr(cancel("a")): c.cancel, ptr(captured(fullRefund("a"), 500)): c.full, ptr(refund("a", 400)): c.partial,
		} {
			s := tell(t, allRead(opay())).with(func(in *payment.Input) {
				in.Reading = &payment.Reading{OK: true, Status: c.status, Captured: inEGP(500)}
			}).command(*command)
			switch {
			case want == call:
				wantCalled(t, s)
			case command.Op == payment.Cancel && none[c.status]:
				wantRefused(t, s, payment.StatusSucceeded, want)
				if e := s.last.Event; e.Effect != payment.EffectNone || e.Moved != nil || e.Basis != payment.BasisQuery {
					t.Errorf("a cancel of a %s payment: effect %q, moved %v, basis %q", c.status, e.Effect, e.Moved, e.Basis)
				}
			default:
				wantRefused(t, s, payment.StatusRejected, want)
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestAFullRefundAfterTheOneRefundInPartIsCalledPartiallyRefunded(t *testing.T) {
	t.Parallel()
	for command, want := range map[*payment.Command]payment.Code{
		ptr(captured(fullRefund("a"), 500)): payment.CodePartiallyRefunded, ptr(refund("a", 400)): payment.CodePaymentNotRefundable,
	} {
		s := tell(t, allRead(opay())).with(func(in *payment.Input) {
			in.Reading = &payment.Reading{OK: true, Status: payment.PaymentNotRefundable, Captured: inEGP(500), Refunded: inEGP(100)}
		}).command(*command)
		wantRefused(t, s, payment.StatusRejected, want)
	}
}

func TestAPartialRefundIsComparedWithWhatTheProviderSaysIsLeft(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		reading payment.Reading
		want    payment.Code
	}{
		{"nothing is known of the amounts", payment.Reading{OK: true}, ""},
		{"exactly this much is left", payment.Reading{OK: true, Captured: inEGP(500), Refunded: inEGP(100)}, ""},
		{"one piastre less is left", payment.Reading{OK: true, Captured: inEGP(500), Refunded: inEGP(101)}, payment.CodeAmountExceedsRefundable},
		{"nothing was refunded and too little captured", payment.Reading{OK: true, Captured: inEGP(399)}, payment.CodeAmountExceedsRefundable},
		{"the payment is in another currency", payment.Reading{OK: true, Captured: inUSD(500)}, payment.CodeCurrencyMismatch},
		{"the refunds are in another currency", payment.Reading{OK: true, Captured: inEGP(500), Refunded: inUSD(1)}, payment.CodeCurrencyMismatch},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, allRead(opay())).with(func(in *payment.Input) { in.Reading = &c.reading }).command(a())
			if c.want == "" {
				wantCalled(t, s)
				return
			}
			wantRefused(t, s, payment.StatusRejected, c.want)
		})
	}
}

func TestStartedFreezesAmountReferenceAndSnapshot(t *testing.T) {
	t.Parallel()
	first := paid(500, 0)
	s := tell(t, allRead(opay())).with(func(in *payment.Input) { in.Reading = first })
	s.command(fullRefund("a"))
	o := s.operation(fullRefund("a"))
	reference := payment.ProviderReference("opay", ourAccount, "1001", payment.Refund, "a")
	if s.last.Event.ClientReference != reference || o.Open.Reference != reference || o.Open.Account != ourAccount {
		t.Errorf("reference %q at account %q, want %q", o.Open.Reference, o.Open.Account, reference)
	}
	if o.Amount == nil || *o.Amount != *inEGP(500) || s.last.Event.Amount != nil {
		t.Errorf("resolved amount %v, on the event %v; want 500 and none", o.Amount, s.last.Event.Amount)
	}
	if diff := cmp.Diff(first, o.Open.Snapshot); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}

	// In doubt all of it stays, whatever is read meanwhile.
	s.pass(10*time.Second).answered(1, payment.Outcome{})
	s.with(func(in *payment.Input) { in.Reading = paid(700, 1) })
	s.pass(2 * time.Second).told(payment.Outcome{Result: payment.NotFound})
	s.pass(4 * time.Second).told(payment.Outcome{Result: payment.NotFound})
	wantCalled(t, s)
	again := s.operation(fullRefund("a"))
	if diff := cmp.Diff(o.Open.Snapshot, again.Open.Snapshot); diff != "" || *again.Amount != *o.Amount || again.Open.Reference != reference {
		t.Errorf("a repeat took amount %v and snapshot anew:\n%s", again.Amount, diff)
	}
}

func TestADeferredOperationTakesAmountAndSnapshotAnew(t *testing.T) {
	t.Parallel()
	s := tell(t, allRead(opay())).with(func(in *payment.Input) { in.Reading = paid(500, 0) })
	s.command(fullRefund("a")).answered(1, payment.Outcome{Result: payment.NotExecuted})
	second := paid(700, 0)
	s.with(func(in *payment.Input) { in.Reading = second }).pass(time.Second).timer()
	wantCalled(t, s)
	o := s.operation(fullRefund("a"))
	if diff := cmp.Diff(second, o.Open.Snapshot); diff != "" || *o.Amount != *inEGP(700) {
		t.Errorf("amount %v, snapshot (-want +got):\n%s", o.Amount, diff)
	}
}

// A reading that lags would make an earlier refund look like the movement of the
// one that follows.
func TestAReadingThatLagsBehindTheJournalIsNotTheSnapshot(t *testing.T) {
	t.Parallel()
	reading := func(status payment.PaymentStatus, refunded *payment.Money) func(*payment.Input) {
		return func(in *payment.Input) {
			in.Reading = &payment.Reading{OK: true, Status: status, Captured: inEGP(1000), Refunded: refunded}
		}
	}
	cases := []struct {
		name     string
		status   payment.PaymentStatus
		refunded *payment.Money
		waits    bool           // where the kind's readings show refunds
		frozen   *payment.Money // as refunded, where it is used
	}{
		{"says that nothing was refunded", payment.PaymentPaid, nil, true, inEGP(400)},
		{"says nothing of the status", payment.PaymentUnknown, nil, true, inEGP(400)},
		{"says less than is known", payment.PaymentPartiallyRefunded, inEGP(399), true, inEGP(400)},
		{"says what is known", payment.PaymentPartiallyRefunded, inEGP(400), false, inEGP(400)},
		{"says more than is known", payment.PaymentPartiallyRefunded, inEGP(500), false, inEGP(500)},
		{"does not say how much", payment.PaymentPartiallyRefunded, nil, false, inEGP(400)},
	}
	for _, c := range cases {
		for _, shows := range []bool{true, false} {
			traits := allRead(opay())
			traits.ShowsRefunds = shows
			s := tell(t, traits).with(reading(payment.PaymentPaid, nil)).command(refund("first", 400))
			s.answered(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: inEGP(400)})
			second := refund("second", 400)
			s.with(reading(c.status, c.refunded)).command(second)
			if shows && c.waits {
				if s.last.Action != payment.ComeBack || s.last.Code != payment.CodeProviderUnavailable {
					t.Errorf("a reading that %s: action %d, code %s", c.name, s.last.Action, s.last.Code)
				}
				continue
			}
			if s.last.Action != payment.Call {
				t.Errorf("a reading that %s (refunds shown: %t): action %d", c.name, shows, s.last.Action)
				continue
			}
			frozen := s.operation(second).Open.Snapshot
			if diff := cmp.Diff(c.frozen, frozen.Refunded); diff != "" || frozen.Status == payment.PaymentPaid {
				t.Errorf("a reading that %s is frozen as %s: %s", c.name, frozen.Status, diff)
			}
		}
	}
}
