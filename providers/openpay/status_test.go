package openpay

// White-box: the status tables are pure, and the tests walk their rows.

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

func statusAnswer(status, code, more string) string {
	return fmt.Sprintf(`{"code":%s,"status":%q,"message":"text","transactionId":%q,"referenceNo":%q,"amount":"1234","currency":"EUR"%s}`,
		code, status, ourTransaction, ourReference, more)
}

func TestEveryRowOfTheStatusTable(t *testing.T) {
	t.Parallel()
	ok := func(s payment.PaymentStatus) payment.Reading { return payment.Reading{OK: true, Status: s} }
	money := func(s payment.PaymentStatus, captured, refunded *payment.Money) payment.Reading {
		return payment.Reading{OK: true, Status: s, Captured: captured, Refunded: refunded}
	}
	unreadable := payment.Reading{Code: payment.CodeProviderUnavailable}
	noKey := payment.Reading{Code: payment.CodeProviderAuthentication, Unhealthy: true}
	rows := []struct {
		name   string
		status int
		body   string
		want   payment.Reading
	}{
		{"paid", 200, statusAnswer("APPROVED", `"00"`, ""), money(payment.PaymentPaid, eur(1234), nil)},
		{"paid, code as a number", 200, statusAnswer("APPROVED", `0`, ""), money(payment.PaymentPaid, eur(1234), nil)},
		{"paid, nothing refunded yet", 200, statusAnswer("APPROVED", `0`, `,"refundedAmount":0`), money(payment.PaymentPaid, eur(1234), nil)},
		{"paid, part refunded", 200, statusAnswer("APPROVED", `0`, `,"refundedAmount":"400"`), money(payment.PaymentPartiallyRefunded, eur(1234), eur(400))},
		{"approved with another code", 200, statusAnswer("APPROVED", `5`, ""), unreadable},
		{"partially refunded", 200, statusAnswer("PARTIALLY_REFUNDED", `"00"`, `,"refundedAmount":400`), money(payment.PaymentPartiallyRefunded, eur(1234), eur(400))},
		{"partially refunded, not by how much", 200, statusAnswer("PARTIALLY_REFUNDED", `"00"`, ""), money(payment.PaymentPartiallyRefunded, eur(1234), nil)},
		{"refunded", 200, statusAnswer("REFUNDED", `"00"`, ""), money(payment.PaymentRefunded, eur(1234), eur(1234))},
		{"cancelled", 200, statusAnswer("CANCELLED", `1`, ""), ok(payment.PaymentCancelled)},
		{"failed", 200, statusAnswer("FAILED", `1`, ""), ok(payment.PaymentFailed)},
		{"declined", 200, statusAnswer("DECLINED", `5`, ""), ok(payment.PaymentFailed)},
		{"pending", 200, statusAnswer("PENDING", `283`, ""), ok(payment.PaymentPending)},
		{"waiting", 200, statusAnswer("WAITING", `283`, ""), ok(payment.PaymentPending)},
		{"a status nobody listed", 200, statusAnswer("SETTLED", `"00"`, ""), unreadable},
		{"a question refused is no declined payment", 200, `{"status":"DECLINED","message":"missing","code":188}`, unreadable},
		{"an approval that names no payment", 200, `{"status":"APPROVED","code":"00","amount":1}`, unreadable},
		{"another payment", 200, `{"status":"APPROVED","code":"00","transactionId":"other","referenceNo":"123456"}`, payment.Reading{Code: payment.CodePaymentNotFound}},
		{"404 in the provider's own words", 404, `{"status":"ERROR","message":"no such transaction","code":1}`, unreadable},
		{"404 from a wrong path", 404, `<html>`, unreadable},
		{"404 that says yes", 404, statusAnswer("APPROVED", `"00"`, ""), unreadable},
		{"401", 401, statusAnswer("APPROVED", `"00"`, ""), noKey},
		{"403", 403, ``, noKey},
		{"429", 429, ``, unreadable},
		{"500", 500, statusAnswer("REFUNDED", `"00"`, ""), unreadable},
		{"302", 302, statusAnswer("REFUNDED", `"00"`, ""), unreadable},
		{"no body", 200, ``, unreadable},
		{"garbage", 200, `{"status":`, unreadable},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := classifyStatus(defaults(), full(), row.status, []byte(row.body))
			if diff := cmp.Diff(row.want, got, cmpopts.IgnoreFields(payment.Reading{}, "Message")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !got.OK && got.Message == "" {
				t.Error("a reading that is not OK does not say why")
			}
		})
	}
}

func TestConfiguredCodesTakeTheirMeaningInAStatus(t *testing.T) {
	t.Parallel()
	codes := Codes{Authentication: []string{"401"}, NotFound: []string{"128"}}.withDefaults()
	got := classifyStatus(codes, full(), 200, []byte(`{"status":"DECLINED","code":401}`))
	if !got.Unhealthy || got.Code != payment.CodeProviderAuthentication {
		t.Errorf("authentication code gives %+v", got)
	}
	got = classifyStatus(codes, full(), 200, []byte(`{"status":"DECLINED","code":"128"}`))
	if got.OK || got.Code != payment.CodePaymentNotFound {
		t.Errorf("not-found code gives %+v", got)
	}
}

func TestEveryRowOfTheComparison(t *testing.T) {
	t.Parallel()
	reading := func(s payment.PaymentStatus, refunded *payment.Money) payment.Reading {
		return payment.Reading{OK: true, Status: s, Captured: eur(1234), Refunded: refunded}
	}
	before := func(r providers.Request, was payment.Reading) providers.Request {
		r.InDoubt, r.Snapshot = true, &was
		return r
	}
	paid := reading(payment.PaymentPaid, nil)
	refunded := reading(payment.PaymentRefunded, eur(1234))
	partly := func(n int64) payment.Reading { return reading(payment.PaymentPartiallyRefunded, eur(n)) }
	partlyUnsaid := reading(payment.PaymentPartiallyRefunded, nil)
	rows := []struct {
		name    string
		request providers.Request
		now     payment.Reading
		result  payment.Result
		moved   *payment.Money
	}{
		{"full: not read", before(full(), paid), payment.Reading{}, payment.Indeterminate, nil},
		{"full: still paid", before(full(), paid), paid, payment.NotFound, nil},
		{"full: the payment is unknown", before(full(), paid), reading(payment.PaymentAbsent, nil), payment.NotFound, nil},
		{"full: cancelled meanwhile", before(full(), paid), reading(payment.PaymentCancelled, nil), payment.NotFound, nil},
		{"full: refunded since", before(full(), paid), refunded, payment.Succeeded, eur(1234)},
		{"full: refunded in full after a part", before(full(), partly(400)), refunded, payment.Succeeded, eur(834)},
		{"full: refunded in full after a part not said", before(full(), partlyUnsaid), refunded, payment.Succeeded, nil},
		{"full: only a part since", before(full(), paid), partly(400), payment.NotFound, nil},
		{"full: refunded before as well", before(full(), refunded), refunded, payment.Ambiguous, nil},
		{"full: no snapshot", full(), refunded, payment.Ambiguous, nil},
		{"full: a snapshot that is not OK", before(full(), payment.Reading{}), refunded, payment.Ambiguous, nil},
		{"full: was failed before", before(full(), reading(payment.PaymentFailed, nil)), refunded, payment.Ambiguous, nil},

		{"partial: not read", before(partial(), paid), payment.Reading{}, payment.Indeterminate, nil},
		{"partial: still paid", before(partial(), paid), paid, payment.NotFound, nil},
		{"partial: exactly this amount since", before(partial(), paid), partly(400), payment.Succeeded, eur(400)},
		{"partial: exactly this amount more", before(partial(), partly(100)), partly(500), payment.Succeeded, eur(400)},
		{"partial: nothing more", before(partial(), partly(400)), partly(400), payment.NotFound, nil},
		{"partial: less than this amount", before(partial(), paid), partly(399), payment.NotFound, nil},
		{"partial: more than this amount", before(partial(), paid), partly(800), payment.Ambiguous, nil},
		{"partial: all of it, by somebody", before(partial(), paid), refunded, payment.Ambiguous, nil},
		{"partial: the last part", before(partial(), partly(834)), refunded, payment.Succeeded, eur(400)},
		{"partial: not said by how much", before(partial(), paid), partlyUnsaid, payment.NotFound, nil},
		{"partial: not said by how much before", before(partial(), partlyUnsaid), partly(400), payment.NotFound, nil},
		{"partial: no snapshot", partial(), partly(400), payment.Ambiguous, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := compare(row.request, row.now)
			if got.Result != row.result {
				t.Fatalf("result %s, want %s (%s)", got.Result, row.result, got.Message)
			}
			if diff := cmp.Diff(row.moved, got.Moved); diff != "" {
				t.Errorf("moved (-want +got):\n%s", diff)
			}
			if got.Result == payment.Succeeded && got.Basis != payment.BasisInferred {
				t.Errorf("basis %q: somebody else could have made this movement", got.Basis)
			}
		})
	}
}

func TestAQueryThatWasRefusedKeepsItsCause(t *testing.T) {
	t.Parallel()
	got := compare(full(), notAccepted())
	if got.Result != payment.Indeterminate || !got.Unhealthy || got.Code != payment.CodeProviderAuthentication {
		t.Errorf("got %+v", got)
	}
}
