package payment_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

func TestGuardsRefuseANewOperationWithTheirCode(t *testing.T) {
	t.Parallel()
	yes := payment.Outcome{Result: payment.Succeeded}
	done := func(c payment.Command) func(*story) {
		return func(s *story) { s.command(c).answered(1, yes) }
	}
	onlyUSD := func(s *story) {
		s.with(func(in *payment.Input) { in.Instance.Currencies = []payment.Currency{"USD", "UAH"} })
	}
	inDollars := refund("b", 1)
	inDollars.Amount = inUSD(1)
	dollarsCaptured := refund("b", 1)
	dollarsCaptured.Payment.CapturedAmount = inUSD(1)
	unsaid := refund("b", 1)
	unsaid.Payment.Currency, unsaid.Amount = "", inUSD(1)
	noPartial := func(s *story) { s.with(func(in *payment.Input) { in.Traits.PartialRefund.Supported = false }) }
	noRefund := func(s *story) {
		noPartial(s)
		s.with(func(in *payment.Input) { in.Traits.FullRefund.Supported = false })
	}
	noCancel := func(s *story) { s.with(func(in *payment.Input) { in.Traits.Cancel.Supported = false }) }
	refundingCancel := func(s *story) {
		s.command(cancel("b")).answered(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: inEGP(500)})
	}
	cases := []struct {
		name  string
		begin func(*story)
		ask   payment.Command
		want  payment.Code // empty: called
	}{
		{name: "a command past its expiry", ask: expiring(refund("b", 1), 0), want: payment.CodeExpired},
		{name: "a partial refund of a kind that only refunds fully", begin: noPartial, ask: refund("b", 1), want: payment.CodePartialRefundUnsupported},
		{name: "a partial refund of a kind that refunds nothing", begin: noRefund, ask: refund("b", 1), want: payment.CodeUnsupportedOperation},
		{name: "a full refund of a kind that refunds nothing", begin: noRefund, ask: fullRefund("b"), want: payment.CodeUnsupportedOperation},
		{name: "a cancel of a kind without cancels", begin: noCancel, ask: cancel("b"), want: payment.CodeUnsupportedOperation},
		{name: "an operation nobody knows", ask: command("capture", "b"), want: payment.CodeUnsupportedOperation},
		{name: "a currency the instance does not take", begin: onlyUSD, ask: refund("b", 1), want: payment.CodeUnsupportedCurrency},
		{name: "a cancel in a currency the instance does not take", begin: onlyUSD, ask: cancel("b"), want: payment.CodeUnsupportedCurrency},
		{name: "an amount in another currency than the payment", ask: inDollars, want: payment.CodeCurrencyMismatch},
		{name: "a captured amount in another currency than the refund", ask: dollarsCaptured, want: payment.CodeCurrencyMismatch},
		{name: "a currency other than that of an earlier refund", begin: done(refund("x", 1)), ask: unsaid, want: payment.CodeCurrencyMismatch},
		{name: "the amount's own currency where the payment names none", ask: unsaid},
		{name: "more than what was captured", ask: captured(refund("b", 501), 500), want: payment.CodeAmountExceedsCaptured},
		{name: "all of what was captured", ask: captured(refund("b", 500), 500)},
		{name: "more than what is left", begin: done(captured(refund("x", 400), 500)), ask: refund("b", 101), want: payment.CodeAmountExceedsRefundable},
		{name: "all of what is left", begin: done(captured(refund("x", 400), 500)), ask: refund("b", 100)},
		{name: "more than an open refund leaves", begin: func(s *story) { s.command(captured(refund("x", 400), 500)) }, ask: refund("b", 101), want: payment.CodeAmountExceedsRefundable},
		{name: "what an open refund leaves", begin: func(s *story) { s.command(captured(refund("x", 400), 500)) }, ask: refund("b", 100)},
		{name: "more than a refund in doubt leaves", begin: func(s *story) { s.command(captured(refund("x", 400), 500)).answered(1, payment.Outcome{}) }, ask: refund("b", 101), want: payment.CodeAmountExceedsRefundable},
		{name: "what a refund that failed did not take", begin: func(s *story) {
			s.command(captured(refund("x", 400), 500)).answered(1, payment.Outcome{Result: payment.Failed})
		}, ask: refund("b", 500)},
		{name: "what a refused refund did not take", begin: func(s *story) { s.command(captured(refund("x", 501), 500)) }, ask: captured(refund("b", 500), 500)},
		{name: "the captured amount of a refused refund does not bind", begin: func(s *story) { s.command(captured(refund("x", 501), 500)) }, ask: refund("b", 999)},
		{name: "more than the provider says is left", begin: func(s *story) {
			s.command(captured(refund("x", 400), 500)).answered(1, payment.Outcome{Result: payment.Succeeded, Moved: inEGP(450)})
		}, ask: refund("b", 51), want: payment.CodeAmountExceedsRefundable},
		{name: "the latest accepted captured amount binds upwards", begin: done(captured(refund("x", 400), 500)), ask: captured(refund("b", 200), 600)},
		{name: "the latest accepted captured amount binds downwards", begin: func(s *story) {
			s.command(captured(refund("x", 100), 500)).command(captured(refund("y", 100), 300))
		}, ask: refund("b", 101), want: payment.CodeAmountExceedsRefundable},
		{name: "a captured amount below what is refunded", begin: done(refund("x", 400)), ask: captured(refund("b", 1), 399), want: payment.CodeCapturedAmountConflict},
		{name: "a captured amount below what is open", begin: func(s *story) { s.command(refund("x", 400)) }, ask: captured(refund("b", 1), 399), want: payment.CodeCapturedAmountConflict},
		{name: "a captured amount below an open full refund", begin: func(s *story) { s.command(captured(fullRefund("x"), 400)) }, ask: captured(refund("b", 1), 399), want: payment.CodeCapturedAmountConflict},
		{name: "a cancel whose captured amount is below what is open", begin: func(s *story) { s.command(refund("x", 400)) }, ask: captured(cancel("b"), 399), want: payment.CodeCapturedAmountConflict},
		{name: "full after a partial refund", begin: done(captured(refund("x", 1), 500)), ask: fullRefund("b"), want: payment.CodePartiallyRefunded},
		{name: "full while a partial refund is open", begin: func(s *story) { s.command(captured(refund("x", 1), 500)) }, ask: fullRefund("b"), want: payment.CodePartiallyRefunded},
		{name: "full while a full refund is open", begin: func(s *story) { s.command(captured(fullRefund("x"), 500)) }, ask: fullRefund("b"), want: payment.CodeAmountExceedsRefundable},
		{name: "full after a partial refund that failed", begin: func(s *story) {
			s.command(captured(refund("x", 1), 500)).answered(1, payment.Outcome{Result: payment.Failed})
		}, ask: fullRefund("b")},
		{name: "partial after a full refund", begin: done(captured(fullRefund("x"), 500)), ask: refund("b", 1), want: payment.CodeAlreadyRefunded},
		{name: "full after a full refund", begin: done(captured(fullRefund("x"), 500)), ask: fullRefund("b"), want: payment.CodeAlreadyRefunded},
		{name: "a refund after a cancel", begin: done(cancel("x")), ask: refund("b", 1), want: payment.CodePaymentCancelled},
		{name: "a full refund after a cancel under the same key", begin: done(cancel("b")), ask: fullRefund("b"), want: payment.CodePaymentCancelled},
		{name: "a refund after a cancel that refunded, under the same key too", begin: refundingCancel, ask: refund("b", 1), want: payment.CodeAlreadyRefunded},
		{name: "a cancel after a refund", begin: done(refund("x", 1)), ask: cancel("b"), want: payment.CodePaymentAlreadyPaid},
		{name: "a cancel after a cancel is no refusal", begin: done(cancel("x")), ask: cancel("b")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			if c.begin != nil {
				c.begin(s)
			}
			s.command(c.ask)
			if c.want == "" {
				wantCalled(t, s)
				return
			}
			wantRefused(t, s, payment.StatusRejected, c.want)
		})
	}
}

func TestRefundsOfAParallelKindGoSideBySide(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	for _, key := range []payment.Key{"x", "y", "z"} {
		s.command(refund(key, 1))
		wantCalled(t, s)
	}
	s.command(cancel("c"))
	wantWait(t, s, payment.CodeWaitingForOperation)
	s = tell(t, tranzzo()).with(func(in *payment.Input) { in.Reading = paid(100, 0) })
	s.command(refund("x", 1))
	wantCalled(t, s)
	s.command(refund("y", 1))
	wantWait(t, s, payment.CodeWaitingForOperation)
}

func TestACancelWaitsForEverythingAndEverythingForIt(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).command(refund("x", 1))
	s.command(cancel("c"))
	wantWait(t, s, payment.CodeWaitingForOperation)
	s.about(refund("x", 1)).answered(1, payment.Outcome{Result: payment.Failed})
	s.command(cancel("c"))
	wantCalled(t, s)
	for _, c := range []payment.Command{refund("y", 1), fullRefund("z"), cancel("d")} {
		s.command(c)
		wantWait(t, s, payment.CodeWaitingForOperation)
	}
}

func TestASecondCancelEndsWithoutEffect(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	s.command(cancel("x")).answered(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectVoided})
	s.command(cancel("y")).answered(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectVoided})
	e := s.last.Event
	if e.Type != payment.EventSucceeded || e.Effect != payment.EffectNone || e.Code != payment.CodeAlreadyCancelled {
		t.Errorf("second cancel: %s, effect %q, code %q", e.Type, e.Effect, e.Code)
	}
}

func TestOfTwoThatWaitTheOneThatWasFirstGoesFirst(t *testing.T) {
	t.Parallel()
	s := tell(t, openpay()).with(broken).pass(time.Minute)
	s.command(refund("x", 1)).command(refund("y", 1)).with(closed).pass(time.Hour)
	s.about(refund("y", 1)).timer()
	wantWait(t, s, payment.CodeWaitingForOperation)
	s.about(refund("x", 1)).timer()
	wantCalled(t, s)
}

func TestAFullRefundThatWaitsIsNotRefusedForWhatWaitsBehindIt(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(broken).pass(time.Minute)
	s.command(captured(fullRefund("x"), 500)).with(closed)
	s.command(refund("y", 100))
	wantWait(t, s, payment.CodeWaitingForOperation)
	s.pass(time.Hour).about(fullRefund("x")).timer()
	wantCalled(t, s)
	s.answered(1, payment.Outcome{Result: payment.Failed})
	s.pass(time.Hour).about(refund("y", 100)).timer()
	wantCalled(t, s)
}

func TestTwoThatAreBothToBeCalledAgainDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	for _, c := range []payment.Command{refund("x", 1), refund("y", 1)} {
		s.command(c).answered(1, payment.Outcome{Result: payment.NotExecuted})
	}
	// A kind that lost its parallel trait meets what it had under way.
	s.with(func(in *payment.Input) { in.Traits.Parallel = false }).pass(time.Hour)
	s.about(refund("y", 1)).timer()
	wantWait(t, s, payment.CodeWaitingForOperation)
	s.about(refund("x", 1)).timer()
	wantCalled(t, s)
}

func TestALimitOfOperationsEndsWithACommandRejected(t *testing.T) {
	t.Parallel()
	limits := func(in *payment.Input) { in.Limits = payment.Limits{Operations: 2, Rejected: 2} }
	tooMany := func(s *story) {
		t.Helper()
		if s.last.Action != payment.RejectCommand || s.last.Code != payment.CodeTooManyOperations || s.last.Event != nil {
			t.Errorf("%s: %+v, want too_many_operations", s.in.Command.Key, s.last)
		}
	}
	s := tell(t, opay()).with(limits)
	s.command(captured(refund("a", 100), 500)).command(refund("b", 100)).command(refund("c", 100))
	tooMany(s)
	s = tell(t, opay()).with(limits)
	s.command(captured(refund("a", 100), 500))
	for _, key := range []payment.Key{"x", "y"} {
		s.command(refund(key, 999))
		wantRefused(t, s, payment.StatusRejected, payment.CodeAmountExceedsCaptured)
	}
	s.command(refund("z", 999))
	tooMany(s)
	s.command(refund("b", 100))
	wantCalled(t, s)
}

func TestWaitingOperationsThatAreRejectedDoNotMakeRoomForEver(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(func(in *payment.Input) {
		in.Limits = payment.Limits{Operations: 2, Rejected: 2}
	}).with(paused).pass(time.Minute)
	for _, key := range []payment.Key{"a", "b", "c", "d", "e", "f"} {
		c := refund(key, 1)
		c.Expiry = s.in.Now.Add(time.Second)
		s.command(c).pass(time.Minute).timer()
	}
	if n := len(s.in.State.Operations); n > 4 {
		t.Errorf("the state holds %d operations, more than both limits together", n)
	}
}

func TestARefusalSaysHowMuchIsLeft(t *testing.T) {
	t.Parallel()
	done := func(s *story) {
		s.command(captured(refund("x", 400), 500)).answered(1, payment.Outcome{Result: payment.Succeeded})
	}
	for _, c := range []struct {
		name  string
		begin func(*story)
		ask   payment.Command
		left  *payment.Money
	}{
		{"after a refund", done, refund("b", 101), inEGP(100)},
		{"beside an open refund", func(s *story) { s.command(captured(refund("x", 400), 500)) }, refund("b", 101), inEGP(100)},
		{"beside a refund that moved less", func(s *story) {
			s.command(captured(refund("x", 400), 500)).answered(1, payment.Outcome{Result: payment.Succeeded, Moved: inEGP(390)})
		}, refund("b", 111), inEGP(110)},
		{"when nothing is left", func(s *story) { s.command(captured(refund("x", 500), 500)).answered(1, payment.Outcome{}) }, refund("b", 1), inEGP(0)},
		{"beside an open full refund", func(s *story) { s.command(captured(fullRefund("x"), 500)) }, fullRefund("b"), inEGP(0)},
		{"of a payment that is refunded in part", done, fullRefund("b"), inEGP(100)},
		{"more than was captured is another refusal", nil, captured(refund("b", 501), 500), nil},
	} {
		s := tell(t, opay())
		if c.begin != nil {
			c.begin(s)
		}
		s.command(c.ask)
		e := s.last.Event
		if e == nil || e.Type != payment.EventRejected || !cmp.Equal(e.Refundable, c.left) {
			t.Errorf("%s: %+v, want %s left", c.name, e, payment.MoneyText(c.left))
			continue
		}
		if left := e.State.Left(); c.left != nil && !cmp.Equal(left, c.left) {
			t.Errorf("%s: the state leaves %s, want %s", c.name, payment.MoneyText(left), payment.MoneyText(c.left))
		}
	}
}

func TestAReadingThatRefusesSaysHowMuchIsLeft(t *testing.T) {
	t.Parallel()
	for ask, code := range map[*payment.Command]payment.Code{
		ptr(refund("b", 301)):    payment.CodeAmountExceedsRefundable,
		ptr(fullRefund("whole")): payment.CodePartiallyRefunded,
	} {
		s := tell(t, tranzzo()).with(func(in *payment.Input) {
			in.Reading = paid(1000, 700)
			in.Reading.Status = payment.PaymentPartiallyRefunded
		})
		s.command(*ask)
		wantRefused(t, s, payment.StatusRejected, code)
		if left := s.last.Event.Refundable; left == nil || left.Value != 300 {
			t.Errorf("%s: %s is left, want 300", code, payment.MoneyText(left))
		}
	}
}

func TestWhatIsLeftIsNotSaidWhereNobodyKnows(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	s.command(refund("x", 400))
	if left := s.last.Event.State.Left(); left != nil {
		t.Errorf("%s is left of a payment of which nobody said what was captured", left.Text())
	}
	for name, begin := range map[string]func(*story){
		"a full refund without an amount": func(s *story) {
			s.command(captured(fullRefund("x"), 500)).answered(1, payment.Outcome{Result: payment.Succeeded})
		},
		"a cancel": func(s *story) {
			s.command(captured(cancel("x"), 500)).answered(1, payment.Outcome{Result: payment.Succeeded})
		},
	} {
		s := tell(t, opay())
		begin(s)
		if left := s.last.Event.State.Left(); left == nil || left.Value != 0 {
			t.Errorf("after %s %s is left, want nothing", name, payment.MoneyText(left))
		}
	}
}

func TestARefusalSaysThatTheCurrencyWasWithdrawn(t *testing.T) {
	t.Parallel()
	lev, misspelt := refund("a", 1), refund("b", 1)
	lev.Amount, lev.Payment.Currency = &payment.Money{Value: 1, Currency: "BGN"}, "BGN"
	misspelt.Amount, misspelt.Payment.Currency = &payment.Money{Value: 1, Currency: "BGM"}, "BGM"
	for _, c := range []payment.Command{lev, misspelt} {
		s := tell(t, opay()).with(func(in *payment.Input) { in.Instance.Currencies = []payment.Currency{"EUR"} })
		s.command(c)
		wantRefused(t, s, payment.StatusRejected, payment.CodeUnsupportedCurrency)
		if said := strings.Contains(s.last.Event.Message, "withdrawn from ISO 4217 on 2026-01-01, replaced by EUR"); said != (c.Key == "a") {
			t.Errorf("%s: %q", c.Payment.Currency, s.last.Event.Message)
		}
	}
}
