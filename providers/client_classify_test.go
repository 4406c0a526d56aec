package providers_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

func TestTheTransportSettlesOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset")
	doubt := payment.Outcome{Code: payment.CodeProviderUnavailable}
	not := payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable}
	waits := not
	waits.RetryAfter = time.Minute
	rows := []struct {
		name    string
		answer  providers.Answer
		want    payment.Outcome
		settled bool
	}{
		{"no connection", providers.Answer{NeverSent: true, Err: lost}, not, true},
		{"too late", providers.Answer{NeverSent: true, Err: providers.ErrTooLate}, not, true},
		{"lost answer", providers.Answer{Err: lost}, doubt, true},
		{"lost after the head of a 200", providers.Answer{Status: 200, Err: lost}, doubt, true},
		{"too large", providers.Answer{Status: 200, Err: providers.ErrBodyTooLarge}, doubt, true},
		{"429", providers.Answer{Status: 429, RetryAfter: time.Minute}, waits, true},
		{"429 cut in its body", providers.Answer{Status: 429, Err: lost}, not, true},
		{"500", providers.Answer{Status: 500}, doubt, true},
		{"502", providers.Answer{Status: 502}, doubt, true},
		{"503", providers.Answer{Status: 503, RetryAfter: time.Minute}, payment.Outcome{Code: payment.CodeProviderUnavailable, RetryAfter: time.Minute}, true},
		{"504", providers.Answer{Status: 504}, doubt, true},
		{"302", providers.Answer{Status: 302}, doubt, true},
		{"307", providers.Answer{Status: 307}, doubt, true},
		{"408", providers.Answer{Status: 408}, doubt, true},
		{"no status at all", providers.Answer{}, doubt, true},
		{"200", providers.Answer{Status: 200}, payment.Outcome{}, false},
		{"202", providers.Answer{Status: 202}, payment.Outcome{}, false},
		{"401", providers.Answer{Status: 401}, payment.Outcome{}, false},
		{"404", providers.Answer{Status: 404}, payment.Outcome{}, false},
		{"422", providers.Answer{Status: 422}, payment.Outcome{}, false},
	}
	for _, row := range rows {
		got, settled := providers.ClassifyTransport(row.answer)
		if settled != row.settled {
			t.Errorf("%s: settled %v", row.name, settled)
		}
		if diff := cmp.Diff(row.want, got, cmpopts.IgnoreFields(payment.Outcome{}, "Message")); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
		if settled && got.Message == "" {
			t.Errorf("%s: says nothing", row.name)
		}
	}
}

func TestAQueryNeverSaysNotExecutedOrDuplicate(t *testing.T) {
	t.Parallel()
	for result := payment.Indeterminate; result <= payment.Ambiguous; result++ {
		want := result
		if result == payment.NotExecuted || result == payment.Duplicate {
			want = payment.Indeterminate
		}
		got := providers.AsQuery(payment.Outcome{Result: result, Unhealthy: true, RetryAfter: time.Second})
		if got.Result != want || !got.Unhealthy || got.RetryAfter != time.Second {
			t.Errorf("%v became %v", result, got)
		}
	}
}
