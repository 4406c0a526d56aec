package bento

// White-box: the tables over a transaction are pure, and the tests walk their rows.

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// shown decodes a transaction as an answer shows it.
func shown(t *testing.T, x tx) transaction {
	t.Helper()
	got, ok := read(full(), []byte(x.body()))
	if !ok {
		t.Fatalf("unreadable: %s", x.body())
	}
	return got
}

func TestEveryRowOfTheStatesTable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		x    tx
		want payment.PaymentStatus
	}{
		"authorizing":                 {tx{state: stateAuthorizing, none: true}, payment.PaymentPending},
		"capturing":                   {tx{state: stateCapturing, none: true}, payment.PaymentPending},
		"authorised":                  {tx{state: stateAuthSucceeded, none: true}, payment.PaymentAuthorized},
		"authorisation failed":        {tx{state: stateAuthFailed, none: true}, payment.PaymentFailed},
		"capture failed":              {tx{state: stateCaptureFailed, none: true}, payment.PaymentFailed},
		"expired":                     {tx{state: stateAuthExpired, none: true}, payment.PaymentExpired},
		"voided":                      {tx{state: stateAuthVoided, none: true}, payment.PaymentCancelled},
		"captured":                    {tx{state: stateCaptureSucceeded}, payment.PaymentPaid},
		"captured, something is back": {tx{state: stateCaptureSucceeded, refunded: 1}, payment.PaymentNotRefundable},
		"refunding":                   {tx{state: stateRefunding}, payment.PaymentNotRefundable},
		"refunding all":               {tx{state: stateRefunding, refunded: 20000}, payment.PaymentNotRefundable},
		"refund failed":               {tx{state: stateRefundFailed}, payment.PaymentNotRefundable},
		"refunded in part":            {tx{state: stateRefunded, refunded: 19999}, payment.PaymentNotRefundable},
		"refunded, not by how much":   {tx{state: stateRefunded}, payment.PaymentNotRefundable},
		"refunded":                    {tx{state: stateRefunded, refunded: 20000}, payment.PaymentRefunded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := paymentStatus(shown(t, row.x)); got != row.want || !ok {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
	if _, ok := paymentStatus(transaction{State: "Settled"}); ok {
		t.Error("a state nobody documented is known")
	}
}

func TestAReadingKeepsAmountsAndTheVoidAndRefundEntries(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	got := reading(shown(t, tx{state: stateRefunded, refunded: 400, history: []string{auth, capture, poll, failure("Refund", outcomeRetryable), refund}}), at)
	want := payment.Reading{
		OK: true, Status: payment.PaymentNotRefundable, Captured: usd(20000), Refunded: usd(400), At: at,
		Movements: []payment.Movement{
			{Reference: "Refund Failure 2011-10-05T15:00:00Z", Amount: usd(20000)},
			{Reference: "Refund Success 2011-10-05T15:00:00Z", Amount: usd(19600)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAHistoryWithMoreRefundsThanCanBeIsNotRead(t *testing.T) {
	t.Parallel()
	for entries, want := range map[int]bool{maxMoves: true, maxMoves + 1: false} {
		x := tx{state: stateCaptureSucceeded, history: strings.Split(strings.Repeat(refund+"\n", entries), "\n")[:entries]}
		if _, ok := read(full(), []byte(x.body())); ok != want {
			t.Errorf("%d entries: read %v", entries, ok)
		}
	}
}

func TestEveryRowOfTheComparison(t *testing.T) {
	t.Parallel()
	with := func(r providers.Request, status payment.PaymentStatus, refunded *payment.Money) providers.Request {
		r.Snapshot = &payment.Reading{OK: true, Status: status, Captured: usd(20000), Refunded: refunded}
		return r
	}
	without := func(r providers.Request) providers.Request { r.Snapshot = nil; return r }
	unread := func(r providers.Request) providers.Request {
		r.Snapshot = &payment.Reading{Status: payment.PaymentPaid}
		return r
	}
	yes := func(e payment.Effect, moved *payment.Money) payment.Outcome {
		return payment.Outcome{Result: payment.Succeeded, Effect: e, Moved: moved, Basis: payment.BasisInferred}
	}
	none := func(c payment.Code) payment.Outcome {
		return payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectNone, Code: c}
	}
	notFound, ambiguous := payment.Outcome{Result: payment.NotFound}, payment.Outcome{Result: payment.Ambiguous}
	pending := payment.Outcome{Result: payment.Pending}
	failed := payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined}
	unsaid := payment.Outcome{Code: payment.CodeOther}
	authorised, captured := tx{state: stateAuthSucceeded, none: true, history: []string{auth}}, tx{state: stateCaptureSucceeded, history: []string{auth, capture}}
	rows := []struct {
		name    string
		request providers.Request
		now     tx
		want    payment.Outcome
	}{
		{"full: nothing happened", full(), captured, notFound},
		{"full: refunding", full(), tx{state: stateRefunding}, pending},
		{"full: refunding all", full(), tx{state: stateRefunding, refunded: 20000}, pending},
		{"full: refunding a part", full(), tx{state: stateRefunding, refunded: 400}, ambiguous},
		{"full: refunded", full(), tx{state: stateRefunded, refunded: 20000, history: []string{refund}}, yes(payment.EffectRefunded, usd(20000))},
		{"full: refunded, no entry yet", full(), tx{state: stateRefunded, refunded: 20000}, yes(payment.EffectRefunded, usd(20000))},
		{"full: refunded in part", full(), tx{state: stateRefunded, refunded: 19999}, ambiguous},
		{"full: refunded, not by how much", full(), tx{state: stateRefunded}, unsaid},
		{"full: refunded twice", full(), tx{state: stateRefunded, refunded: 20000, history: []string{refund, refund}}, ambiguous},
		{"full: refunded once after one that failed", full(), tx{state: stateRefunded, refunded: 20000, history: []string{failure("Refund", outcomeRetryable), refund}}, yes(payment.EffectRefunded, usd(20000))},
		{"full: failed", full(), tx{state: stateRefundFailed, history: []string{failure("Refund", outcomeFinal)}}, failed},
		{"full: a try failed, the state stays", full(), tx{state: stateCaptureSucceeded, history: []string{failure("Refund", outcomeFinal)}}, notFound},
		{"full: recorded before the state shows it", full(), tx{state: stateCaptureSucceeded, history: []string{refund}}, pending},
		{"full: counted before the state shows it", full(), tx{state: stateCaptureSucceeded, refunded: 20000}, pending},
		{"full: voided after all", full(), tx{state: stateAuthVoided, none: true}, yes(payment.EffectVoided, nil)},
		{"full: no money taken", full(), tx{state: stateCaptureFailed, none: true}, notFound},
		{"full: refunded before", with(full(), payment.PaymentRefunded, usd(20000)), tx{state: stateRefunded, refunded: 20000}, ambiguous},
		{"full: refunded, no snapshot", without(full()), tx{state: stateRefunded, refunded: 20000}, ambiguous},
		{"full: refunded, a snapshot that is not OK", unread(full()), tx{state: stateRefunded, refunded: 20000}, ambiguous},
		{"full: failed, and had before", with(full(), payment.PaymentNotRefundable, nil), tx{state: stateRefundFailed}, ambiguous},
		{"full: nothing happened, no snapshot", without(full()), captured, notFound},

		{"partial: nothing happened", partial(), captured, notFound},
		{"partial: refunding", partial(), tx{state: stateRefunding}, pending},
		{"partial: refunding another amount", partial(), tx{state: stateRefunding, refunded: 401}, ambiguous},
		{"partial: refunded", partial(), tx{state: stateRefunded, refunded: 400}, yes(payment.EffectRefunded, usd(400))},
		{"partial: one less", partial(), tx{state: stateRefunded, refunded: 399}, ambiguous},
		{"partial: all of it", partial(), tx{state: stateRefunded, refunded: 20000}, ambiguous},
		{"partial: failed", partial(), tx{state: stateRefundFailed}, failed},
		{"partial: a part was refunded before", with(partial(), payment.PaymentNotRefundable, usd(400)), tx{state: stateRefunded, refunded: 400}, ambiguous},

		{"cancel: nothing happened", cancel(), authorised, notFound},
		{"cancel: voided", cancel(), tx{state: stateAuthVoided, none: true, history: []string{auth, void}}, yes(payment.EffectVoided, nil)},
		{"cancel: captured meanwhile", cancel(), captured, notFound},
		{"cancel: capturing", cancel(), tx{state: stateCapturing, none: true}, notFound},
		{"cancel: it met the capture, refunding", cancel(), tx{state: stateRefunding}, pending},
		{"cancel: it met the capture, refunded all", cancel(), tx{state: stateRefunded, refunded: 20000}, yes(payment.EffectRefunded, usd(20000))},
		{"cancel: captured and refunded in part by somebody", cancel(), tx{state: stateRefunded, refunded: 400}, ambiguous},
		{"cancel: it met the capture, the refund failed", cancel(), tx{state: stateRefundFailed}, failed},
		{"cancel: a void failed", cancel(), tx{state: stateAuthSucceeded, none: true, history: []string{auth, failure("Void", outcomeFinal)}}, notFound},
		{"cancel: expired", cancel(), tx{state: stateAuthExpired, none: true}, none(payment.CodePaymentExpired)},
		{"cancel: failed", cancel(), tx{state: stateAuthFailed, none: true}, none(payment.CodePaymentFailed)},
		{"cancel: the capture failed", cancel(), tx{state: stateCaptureFailed, none: true}, none(payment.CodePaymentFailed)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := compare(doubtful(row.request), shown(t, row.now))
			ignore := cmpopts.IgnoreFields(payment.Outcome{}, "Message", "ProviderCode", "ProviderMessage", "ProviderReference", "ProviderTime")
			if diff := cmp.Diff(row.want, got, ignore); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Message == "" {
				t.Error("the outcome does not say what was seen")
			}
		})
	}
}

func TestAnotherCurrencyIsAnotherAmount(t *testing.T) {
	t.Parallel()
	r := partial()
	r.Amount = &payment.Money{Value: 400, Currency: "GBP"}
	if got := compare(r, shown(t, tx{state: stateRefunded, refunded: 400})); got.Result != payment.Ambiguous {
		t.Errorf("400 USD for 400 GBP is %s", got.Result)
	}
}
