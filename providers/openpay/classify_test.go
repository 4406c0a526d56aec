package openpay

// White-box: the classification is a pure table over status and body, and the
// tests walk its rows.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

const (
	ourTransaction = "12345-1234567890-123"
	ourReference   = "123456"

	approvedSample = `{"code":"00","status":"APPROVED","message":"Approved","transactionId":"12345-1234567890-123",
		"referenceNo":"123456","amount":"1234","currency":"EUR","date":1476187198,"isLive":false}`
	declinedSample = `{"code":32,"status":"DECLINED","message":"Already refunded","transactionId":"12345-1234567890-123",
		"referenceNo":"123456","amount":"1234","currency":"EUR","date":1476187472}`
)

func full() providers.Request {
	return providers.Request{
		Op: payment.Refund, Full: true, Attempt: 1,
		Payment: payment.Details{TransactionID: ourTransaction, OrderID: ourReference},
	}
}

func partial() providers.Request {
	r := full()
	r.Full = false
	r.Amount = eur(400)
	return r
}

func doubtful(r providers.Request, before payment.PaymentStatus) providers.Request {
	r.InDoubt, r.Attempt = true, 2
	if before != payment.PaymentUnknown {
		r.Snapshot = &payment.Reading{OK: true, Status: before, Captured: eur(1234)}
	}
	return r
}

func eur(value int64) *payment.Money { return &payment.Money{Value: value, Currency: "EUR"} }

func answer(status, code string) string {
	return fmt.Sprintf(`{"code":%s,"status":%q,"message":"text","transactionId":%q,"referenceNo":%q}`,
		code, status, ourTransaction, ourReference)
}

func defaults() Codes { return Codes{}.withDefaults() }

func TestTheDocumentedApprovalIsASuccessWithAllItSays(t *testing.T) {
	t.Parallel()
	got := classifyRefund(defaults(), full(), 200, []byte(approvedSample))
	want := payment.Outcome{
		Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: eur(1234),
		ProviderReference: ourTransaction, ProviderCode: "00", ProviderMessage: "Approved",
		ProviderTime: time.Date(2016, 10, 11, 11, 59, 58, 0, time.UTC), Message: "refunded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// verdict is what a row of the refund table promises.
type verdict struct {
	result    payment.Result
	code      payment.Code
	basis     payment.Basis
	unhealthy bool
}

func TestEveryRowOfTheRefundTable(t *testing.T) {
	t.Parallel()
	indeterminate := verdict{}
	declined := verdict{result: payment.Failed, code: payment.CodeDeclined}
	succeeded := verdict{result: payment.Succeeded}
	inferredYes := verdict{result: payment.Succeeded, code: payment.CodeAlreadyRefunded, basis: payment.BasisInferred}
	notOurs := verdict{result: payment.Duplicate}
	already := verdict{result: payment.Failed, code: payment.CodeAlreadyRefunded}
	noKey := verdict{result: payment.NotExecuted, code: payment.CodeProviderAuthentication, unhealthy: true}
	limited := verdict{result: payment.NotExecuted, code: payment.CodeProviderUnavailable}
	rows := []struct {
		name    string
		request providers.Request
		status  int
		body    string
		want    verdict
	}{
		{"approved, code as the string 00", full(), 200, approvedSample, succeeded},
		{"approved, code as the string 0", full(), 200, answer("APPROVED", `"0"`), succeeded},
		{"approved, code as the number 0", full(), 200, answer("APPROVED", `0`), succeeded},
		{"approved partial", partial(), 200, answer("APPROVED", `"00"`), succeeded},
		{"approved under 201", full(), 201, answer("APPROVED", `"00"`), succeeded},
		{"approved without the amount", full(), 200, answer("APPROVED", `"00"`), succeeded},
		{"approved with another code", full(), 200, answer("APPROVED", `7`), indeterminate},
		{"approved with the decline's code", full(), 200, answer("APPROVED", `32`), indeterminate},
		{"approved without a code", full(), 200, `{"status":"APPROVED"}`, indeterminate},
		{"approved naming no transaction", full(), 200, `{"status":"APPROVED","code":"00"}`, indeterminate},
		{"approved naming another transaction", full(), 200, strings.ReplaceAll(approvedSample, ourTransaction, "other"), indeterminate},
		{"approved naming another reference", full(), 200, strings.ReplaceAll(approvedSample, `"123456"`, `"7"`), indeterminate},
		{"approved with the reference as a number", full(), 200, strings.ReplaceAll(approvedSample, `"123456"`, `123456`), succeeded},
		{"approved in lower case", full(), 200, answer("approved", `"00"`), indeterminate},
		{"approved under 400", full(), 400, approvedSample, indeterminate},
		{"approved under 403", full(), 403, approvedSample, indeterminate},
		{"approved under 429", full(), 429, approvedSample, indeterminate},
		{"approved under 302", full(), 302, approvedSample, indeterminate},
		{"approved under 500", full(), 500, approvedSample, indeterminate},

		{"already refunded, nothing of ours before", full(), 200, declinedSample, already},
		{"already refunded under 400", full(), 400, declinedSample, already},
		{"already refunded, code as a string", full(), 200, answer("DECLINED", `"32"`), already},
		{"already refunded by somebody, a first partial", partial(), 200, declinedSample, already},
		{"already refunded after a lost full refund, was paid", doubtful(full(), payment.PaymentPaid), 200, declinedSample, inferredYes},
		{"already refunded after a lost full refund, was said to have failed", doubtful(full(), payment.PaymentFailed), 200, declinedSample, inferredYes},
		{"already refunded after a lost full refund, was not read", doubtful(full(), ""), 200, declinedSample, inferredYes},
		{"already refunded after a lost full refund, was partly refunded", doubtful(full(), payment.PaymentPartiallyRefunded), 200, declinedSample, inferredYes},
		{"already refunded after a lost full refund, was refunded before", doubtful(full(), payment.PaymentRefunded), 200, declinedSample, notOurs},
		{"already refunded after a lost partial refund", doubtful(partial(), payment.PaymentPaid), 200, declinedSample, indeterminate},
		{"already refunded, another transaction", doubtful(full(), payment.PaymentPaid), 200, strings.ReplaceAll(declinedSample, ourTransaction, "other"), indeterminate},
		{"already refunded under 500", doubtful(full(), payment.PaymentPaid), 500, declinedSample, indeterminate},

		{"a required field is missing", full(), 200, `{"status":"DECLINED","message":"missing","code":188}`, verdict{result: payment.Failed, code: payment.CodeProviderRejectedRequest}},
		{"declined for any other reason", full(), 200, answer("DECLINED", `5`), declined},
		{"declined for any other reason under 422", full(), 422, answer("DECLINED", `5`), declined},
		{"declined without a code", full(), 200, `{"status":"DECLINED","message":"no"}`, indeterminate},
		{"declined with the approval's code", full(), 200, answer("DECLINED", `"00"`), indeterminate},
		{"declined with the waiting code", full(), 200, answer("DECLINED", `283`), indeterminate},
		{"declined under 503", full(), 503, answer("DECLINED", `5`), indeterminate},

		{"pending", full(), 200, answer("PENDING", `283`), verdict{result: payment.Pending}},
		{"waiting", full(), 200, answer("WAITING", `"283"`), verdict{result: payment.Pending}},
		{"pending with another code", full(), 200, answer("PENDING", `1`), indeterminate},
		{"pending under 400", full(), 400, answer("PENDING", `283`), indeterminate},
		{"error, as for a method that cannot be refunded", full(), 200, answer("ERROR", `99`), indeterminate},
		{"a status nobody listed", full(), 200, answer("REVERSED", `"00"`), indeterminate},

		{"401", full(), 401, ``, noKey},
		{"403, address not registered", full(), 403, `<html>`, noKey},
		{"429", full(), 429, ``, limited},
		{"404 without an envelope", full(), 404, `<html>`, indeterminate},
		{"408", full(), 408, ``, indeterminate},
		{"408 with a decline", full(), 408, answer("DECLINED", `5`), indeterminate},
		{"200 without a body", full(), 200, ``, indeterminate},
		{"200 with a list", full(), 200, `[` + approvedSample + `]`, indeterminate},
		{"200 with something behind the object", full(), 200, approvedSample + `{}`, indeterminate},
		{"200 cut short", full(), 200, approvedSample[:60], indeterminate},
		{"200 naming the status twice", full(), 200, `{"status":"DECLINED",` + approvedSample[1:], indeterminate},
		{"200 with an object for a code", full(), 200, answer("APPROVED", `{"a":1}`), indeterminate},
		{"200 with null", full(), 200, `null`, indeterminate},
		{"no status at all", full(), 0, approvedSample, indeterminate},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := classifyRefund(defaults(), row.request, row.status, []byte(row.body))
			got := verdict{o.Result, o.Code, o.Basis, o.Unhealthy}
			if got != row.want {
				t.Errorf("got %+v, want %+v (%s)", got, row.want, o.Message)
			}
			if (o.Result == payment.Succeeded) != (o.Effect == payment.EffectRefunded) {
				t.Errorf("result %s with effect %q", o.Result, o.Effect)
			}
			if o.Message == "" {
				t.Error("outcome does not say what was seen")
			}
		})
	}
}

func TestConfiguredCodesTakeTheirMeaning(t *testing.T) {
	t.Parallel()
	codes := Codes{Authentication: []string{"401"}, InsufficientBalance: []string{"51"}, NotFound: []string{"128"}}.withDefaults()
	for code, want := range map[string]verdict{
		`401`:  {payment.NotExecuted, payment.CodeProviderAuthentication, "", true},
		`"51"`: {payment.NotExecuted, payment.CodeInsufficientBalance, "", true},
		`128`:  {payment.Failed, payment.CodePaymentNotFound, "", false},
	} {
		o := classifyRefund(codes, full(), 200, []byte(answer("DECLINED", code)))
		if got := (verdict{o.Result, o.Code, o.Basis, o.Unhealthy}); got != want {
			t.Errorf("code %s: got %+v, want %+v", code, got, want)
		}
	}
}

func TestMovedIsWhatTheProviderSaysItIs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		amount, currency string
		want             *payment.Money
	}{
		"a string":                      {`"1234"`, `"EUR"`, eur(1234)},
		"an integer":                    {`1234`, `"EUR"`, eur(1234)},
		"the currency left out":         {`"1234"`, `null`, eur(1234)},
		"another currency":              {`"1234"`, `"USD"`, &payment.Money{Value: 1234, Currency: "USD"}},
		"no amount":                     {`null`, `"EUR"`, nil},
		"zero":                          {`0`, `"EUR"`, nil},
		"negative":                      {`-5`, `"EUR"`, nil},
		"decimal":                       {`"12.34"`, `"EUR"`, nil},
		"an exponent":                   {`1e3`, `"EUR"`, nil},
		"more than any reader can hold": {`9007199254740992`, `"EUR"`, nil},
		"text":                          {`"a lot"`, `"EUR"`, nil},
		"no currency we could mean":     {`"1234"`, `"EURO"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fmt.Sprintf(`{"code":"00","status":"APPROVED","transactionId":%q,"amount":%s,"currency":%s}`,
				ourTransaction, row.amount, row.currency)
			o := classifyRefund(defaults(), partial(), 200, []byte(body))
			if o.Result != payment.Succeeded {
				t.Fatalf("result %s", o.Result)
			}
			if diff := cmp.Diff(row.want, o.Moved); diff != "" {
				t.Errorf("moved (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzAnAnswerIsAYesOnlyIfItSaysSo: no body and status outside 2xx is ever a
// success, and a success always names our transaction as approved, or follows
// a lost attempt.
func FuzzAnAnswerIsAYesOnlyIfItSaysSo(f *testing.F) {
	f.Add(200, []byte(approvedSample))
	f.Add(200, []byte(declinedSample))
	f.Add(500, []byte(approvedSample))
	f.Add(200, []byte(`{"status":"APPROVED"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		o := classifyRefund(defaults(), full(), status, body)
		if o.Result != payment.Succeeded {
			return
		}
		if !success(status) {
			t.Fatalf("HTTP %d is a success", status)
		}
		e, ok := decode(body)
		if !ok || e.Status != statusApproved || string(e.TransactionID) != ourTransaction {
			t.Fatalf("a success without an approval of ours: %q", body)
		}
	})
}
