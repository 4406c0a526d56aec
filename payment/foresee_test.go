package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

func TestWhatIsForeseenIsWhatIsDecided(t *testing.T) {
	t.Parallel()
	expired := refund("a", 1)
	expired.Expiry = time.Unix(0, 0)
	dollars := refund("a", 1)
	dollars.Amount = inUSD(1)
	for name, c := range map[string]struct {
		before []payment.Command
		ask    payment.Command
		set    func(*payment.Input)
		want   payment.Code
	}{
		"nothing is wrong": {ask: captured(refund("a", 1), 500)},
		"an operation the kind has not": {
			ask: cancel("a"), set: func(in *payment.Input) { in.Traits.Cancel.Supported = false }, want: payment.CodeUnsupportedOperation,
		},
		"a currency the instance has not": {
			ask: refund("a", 1), set: func(in *payment.Input) { in.Instance.Currencies = []payment.Currency{"USD"} }, want: payment.CodeUnsupportedCurrency,
		},
		"two currencies":          {ask: dollars, want: payment.CodeCurrencyMismatch},
		"expired":                 {ask: expired, want: payment.CodeExpired},
		"more than captured":      {ask: captured(refund("a", 501), 500), want: payment.CodeAmountExceedsCaptured},
		"more than is left":       {before: []payment.Command{captured(refund("x", 400), 500)}, ask: refund("a", 101), want: payment.CodeAmountExceedsRefundable},
		"a repeat":                {before: []payment.Command{captured(refund("a", 400), 500)}, ask: captured(refund("a", 400), 500)},
		"the key of another":      {before: []payment.Command{captured(refund("a", 400), 500)}, ask: refund("a", 401), want: payment.CodeIdempotencyKeyReused},
		"a full one after a part": {before: []payment.Command{captured(refund("x", 1), 500)}, ask: fullRefund("b"), want: payment.CodePartiallyRefunded},
	} {
		s := tell(t, opay())
		if c.set != nil {
			s.with(c.set)
		}
		for _, b := range c.before {
			s.command(b)
		}
		in := s.in
		in.Command = c.ask
		var want []payment.Fault
		if c.want != "" {
			want = []payment.Fault{{Rule: string(c.want)}}
			if c.want == payment.CodeIdempotencyKeyReused {
				want[0].Pointer = "/idempotencyKey"
			}
		}
		if diff := cmp.Diff(want, payment.Foresee(in)); diff != "" {
			t.Errorf("%s is foreseen otherwise (-want +got):\n%s", name, diff)
		}
		if s.command(c.ask); name == "a repeat" && s.last.Action == payment.ComeBack {
			continue // it waits for its first answer
		} else if s.last.Code != c.want && (s.last.Event == nil || s.last.Event.Code != c.want) {
			t.Errorf("%s: decided is %+v, want %s", name, s.last, c.want)
		}
	}
}
