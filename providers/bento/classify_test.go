package bento

// White-box: the classification is a pure table over status and body, and the
// tests walk its rows.

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

const (
	ourOrder       = "or_01H84B0452F9X02H3YSZ03RFRG"
	ourTransaction = "tx_01H84D1GN7AGCBFACSDYC1D4AF"

	// sample is the documented 202, oddities included: the capture is still the
	// last action, and the authorisation's entry shows ten times the amount.
	sample = `{"data":{"orderId":"or_01H84B0452F9X02H3YSZ03RFRG","transactionId":"tx_01H84D1GN7AGCBFACSDYC1D4AF",
		"customerId":"cu_01H84B0452F9X02H3YSZ03RFRG","paymentMethodId":"pm_01H84B0452F9X02H3YSZ03RFRG",
		"totalAmount":20000,"authorizedAmount":20000,"capturedAmount":20000,"refundedAmount":0,"currency":"USD",
		"description":"A description of the transaction.","state":"CaptureSucceeded",
		"status":{"code":"PG0000","description":"Approved or completed successfully","outcome":"succeeded"},
		"history":[{"amount":200000,"result":"Success","action":"Authorize","status":{"code":"PG0000","description":"Approved or completed successfully","outcome":"succeeded"},"created":"2011-10-05T14:48:00.000Z"},
		{"amount":20000,"result":"Success","action":"Capture","status":{"code":"PG0000","description":"Approved or completed successfully","outcome":"succeeded"},"created":"2011-10-05T14:48:00.000Z"}],
		"created":"2011-10-05T14:48:00.000Z","updated":"2011-10-05T14:48:00.000Z"}}`
)

func usd(value int64) *payment.Money { return &payment.Money{Value: value, Currency: "USD"} }

func details() payment.Details {
	return payment.Details{TransactionID: ourTransaction, OrderID: ourOrder}
}

func full() providers.Request {
	return providers.Request{
		Op: payment.Refund, Full: true, Attempt: 1, Payment: details(),
		Snapshot: &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: usd(20000)},
	}
}

func partial() providers.Request {
	r := full()
	r.Full, r.Amount = false, usd(400)
	return r
}

func cancel() providers.Request {
	return providers.Request{
		Op: payment.Cancel, Attempt: 1, Payment: details(),
		Snapshot: &payment.Reading{OK: true, Status: payment.PaymentAuthorized},
	}
}

func doubtful(r providers.Request) providers.Request {
	r.InDoubt, r.Attempt = true, 2
	return r
}

// tx is a transaction as an answer shows it, with its status and history.
type tx struct {
	state    string
	refunded int64
	outcome  string // of its status; "" for succeeded
	history  []string
	none     bool // nothing is captured
}

const (
	auth    = `{"amount":20000,"result":"Success","action":"Authorize","status":{"code":"PG0000","description":"a","outcome":"succeeded"},"created":"2011-10-05T14:48:00.000Z"}`
	capture = `{"amount":20000,"result":"Success","action":"Capture","status":{"code":"PG0000","description":"c","outcome":"succeeded"},"created":"2011-10-05T14:49:00.000Z"}`
	poll    = `{"amount":20000,"result":"Failure","action":"Poll","status":{"code":"PG0998","description":"p","outcome":"failedRetryable"},"created":"2011-10-05T14:50:00.000Z"}`
	refund  = `{"amount":19600,"result":"Success","action":"Refund","status":{"code":"PG0021","description":"r","outcome":"succeeded"},"created":"2011-10-05T15:00:00.000Z"}`
	void    = `{"amount":0,"result":"Success","action":"Void","status":{"code":"PG0000","description":"v","outcome":"succeeded"},"created":"2011-10-05T15:00:00.000Z"}`
)

func failure(action, outcome string) string {
	return fmt.Sprintf(`{"amount":20000,"result":"Failure","action":%q,"status":{"code":"PG0005","description":"no","outcome":%q},"created":"2011-10-05T15:00:00.000Z"}`, action, outcome)
}

func (x tx) body() string {
	captured, outcome := 20000, x.outcome
	if x.none {
		captured = 0
	}
	if outcome == "" {
		outcome = outcomeSucceeded
	}
	return fmt.Sprintf(`{"data":{"orderId":%q,"transactionId":%q,"capturedAmount":%d,"refundedAmount":%d,"currency":"USD","state":%q,
		"status":{"code":"PG0007","description":"top","outcome":%q},"history":[%s]}}`,
		ourOrder, ourTransaction, captured, x.refunded, x.state, outcome, strings.Join(x.history, ","))
}

// problem is the documented error form.
const problem = `{"message":"Action Cannot Be Performed","causes":[{"message":"no","metadata":{"a":1}}]}`

func declined(outcome string) string {
	return fmt.Sprintf(`{"message":"declined","causes":[],"status":{"code":"PG0000","description":"no","outcome":%q}}`, outcome)
}

// verdict is what a row promises.
type verdict struct {
	result    payment.Result
	code      payment.Code
	effect    payment.Effect
	unhealthy bool
	ask       bool
}

func TestEveryRowOfTheCallTable(t *testing.T) {
	t.Parallel()
	doubt := verdict{code: payment.CodeOther}
	ambiguous := verdict{}
	pending := verdict{result: payment.Pending}
	refunded := verdict{result: payment.Succeeded, effect: payment.EffectRefunded}
	voided := verdict{result: payment.Succeeded, effect: payment.EffectVoided}
	no := verdict{result: payment.Failed, code: payment.CodeDeclined}
	later := verdict{result: payment.NotExecuted, code: payment.CodeDeclined}
	duplicate := verdict{result: payment.Duplicate}
	declinedAgain := verdict{result: payment.Duplicate, code: payment.CodeDeclined}
	noToken := verdict{result: payment.NotExecuted, code: payment.CodeProviderAuthentication, unhealthy: true}
	unavailable := verdict{code: payment.CodeProviderUnavailable}
	paid := tx{state: stateCaptureSucceeded, history: []string{auth, capture}}
	rows := []struct {
		name    string
		request providers.Request
		status  int
		body    string
		want    verdict
	}{
		{"the documented 202, which shows the capture's success", full(), 202, sample, pending},
		{"the documented 202 to a part", partial(), 202, sample, pending},
		{"the documented 202 to a cancel that met the capture", cancel(), 202, sample, pending},
		{"the documented 202 to a repeat", doubtful(full()), 202, sample, pending},
		{"the documented body under 200", full(), 200, sample, doubt},
		{"202, refunding", full(), 202, tx{state: stateRefunding}.body(), pending},
		{"202, refunding this amount", partial(), 202, tx{state: stateRefunding, refunded: 400}.body(), pending},
		{"202, refunding another amount", partial(), 202, tx{state: stateRefunding, refunded: 500}.body(), ambiguous},
		{"202, all refunded", full(), 202, tx{state: stateRefunded, refunded: 20000, history: []string{auth, capture, refund}}.body(), refunded},
		{"202, this part refunded", partial(), 202, tx{state: stateRefunded, refunded: 400, history: []string{auth, capture, refund}}.body(), refunded},
		{"202, another part refunded", partial(), 202, tx{state: stateRefunded, refunded: 500}.body(), ambiguous},
		{"202, a part refunded of all", full(), 202, tx{state: stateRefunded, refunded: 400}.body(), ambiguous},
		{"202, refunded but not by how much", full(), 202, tx{state: stateRefunded}.body(), doubt},
		{"202, refunded twice", full(), 202, tx{state: stateRefunded, refunded: 20000, history: []string{refund, refund}}.body(), ambiguous},
		{"202, the refund recorded before the state", full(), 202, tx{state: stateCaptureSucceeded, history: []string{capture, refund}}.body(), pending},
		{"202, the refund failed", full(), 202, tx{state: stateRefundFailed, outcome: outcomeFinal}.body(), no},
		{"202, the refund failed, may be retried, yet is final", full(), 202, tx{state: stateRefundFailed, outcome: outcomeRetryable}.body(), no},
		{"202, the refund failed, in doubt", doubtful(full()), 202, tx{state: stateRefundFailed}.body(), declinedAgain},

		{"a cancel that voided", cancel(), 202, tx{state: stateAuthVoided, none: true, history: []string{auth, void}}.body(), voided},
		{"a cancel not carried out yet", cancel(), 202, tx{state: stateAuthSucceeded, none: true, history: []string{auth}}.body(), pending},
		{"a cancel recorded before the state", cancel(), 202, tx{state: stateAuthSucceeded, none: true, history: []string{auth, void}}.body(), pending},
		{"a cancel that met the capture refunded all", cancel(), 202, tx{state: stateRefunded, refunded: 20000}.body(), refunded},
		{"a cancel that met the capture is refunding", cancel(), 202, tx{state: stateRefunding}.body(), pending},
		{"a cancel beside somebody's partial refund", cancel(), 202, tx{state: stateRefunded, refunded: 400}.body(), ambiguous},
		{"a cancel whose refund failed", cancel(), 202, tx{state: stateRefundFailed}.body(), no},
		{"a cancel while capturing", cancel(), 202, tx{state: stateCapturing, none: true}.body(), pending},
		{"a cancel of what had expired", cancel(), 202, tx{state: stateAuthExpired, none: true}.body(), verdict{payment.Succeeded, payment.CodePaymentExpired, payment.EffectNone, false, false}},
		{"a cancel of what had failed", cancel(), 202, tx{state: stateCaptureFailed, none: true}.body(), verdict{payment.Succeeded, payment.CodePaymentFailed, payment.EffectNone, false, false}},
		{"a partial refund before the capture voided all", partial(), 202, tx{state: stateAuthVoided, none: true}.body(), voided},
		{"a refund of what took no money", full(), 202, tx{state: stateAuthExpired, none: true}.body(), doubt},

		{"declined in a 2xx", full(), 202, tx{state: stateCaptureSucceeded, outcome: outcomeFinal, history: []string{auth, capture, failure("Refund", outcomeFinal)}}.body(), no},
		{"declined in a 200", full(), 200, tx{state: stateCaptureSucceeded, outcome: outcomeFinal, history: []string{failure("Refund", outcomeFinal)}}.body(), no},
		{"declined in a 2xx, may be retried", full(), 202, tx{state: stateCaptureSucceeded, outcome: outcomeRetryable, history: []string{failure("Refund", outcomeRetryable)}}.body(), later},
		{"a void declined in a 2xx", cancel(), 202, tx{state: stateAuthSucceeded, none: true, outcome: outcomeFinal, history: []string{auth, failure("Void", outcomeFinal)}}.body(), no},
		{"declined in a 2xx, in doubt", doubtful(full()), 202, tx{state: stateCaptureSucceeded, outcome: outcomeFinal, history: []string{failure("Refund", outcomeFinal)}}.body(), declinedAgain},
		{"an entry that failed in no way we know", full(), 202, tx{state: stateCaptureSucceeded, history: []string{failure("Refund", "failed")}}.body(), doubt},
		{"failed, and nothing says what", full(), 202, tx{state: stateCaptureSucceeded, outcome: outcomeRetryable, history: []string{capture}}.body(), doubt},
		{"failed, but by the capture's poll", full(), 202, tx{state: stateCaptureSucceeded, outcome: outcomeRetryable, history: []string{capture, poll}}.body(), pending},
		{"failed, but by an older refund", before(full(), 1), 202, tx{state: stateCaptureSucceeded, outcome: outcomeRetryable, history: []string{capture, failure("Refund", outcomeRetryable)}}.body(), pending},
		{"a poll that failed and no more", full(), 202, tx{state: stateCaptureSucceeded, history: []string{capture, poll}}.body(), pending},
		{"an older refund that failed", before(full(), 1), 202, tx{state: stateCaptureSucceeded, history: []string{capture, failure("Refund", outcomeRetryable)}}.body(), pending},
		{"declined in a 4xx", full(), 400, declined(outcomeFinal), no},
		{"declined in a 402", full(), 402, declined(outcomeFinal), no},
		{"declined in a 403", full(), 403, declined(outcomeFinal), no},
		{"declined in a 422, may be retried", full(), 422, declined(outcomeRetryable), later},
		{"declined in a 422 with the transaction", full(), 422, tx{state: stateCaptureSucceeded, outcome: outcomeFinal}.body(), no},
		{"declined in a 422, in doubt", doubtful(full()), 422, declined(outcomeFinal), declinedAgain},
		{"declined in a 401", full(), 401, declined(outcomeFinal), noToken},
		{"declined in a 408", full(), 408, declined(outcomeFinal), unavailable},
		{"declined in a 500", full(), 500, declined(outcomeFinal), unavailable},
		{"a 4xx that says succeeded", full(), 422, declined(outcomeSucceeded), doubt},
		{"a 4xx with our transaction", full(), 422, paid.body(), doubt},
		{"a 401 with a transaction", full(), 401, paid.body(), doubt},

		{"422", full(), 422, problem, verdict{ask: true}},
		{"422 to a repeat", doubtful(full()), 422, problem, duplicate},
		{"400", full(), 400, problem, verdict{ask: true}},
		{"422 in nobody's words", full(), 422, `<html>`, doubt},
		{"422 with a gateway's status", full(), 422, `{"status":422,"message":"no"}`, verdict{ask: true}},
		{"401", full(), 401, `{"message":"Invalid Authentication Credentials","causes":[]}`, noToken},
		{"401 without a body", full(), 401, ``, noToken},
		{"403", full(), 403, problem, noToken},
		{"404", full(), 404, problem, verdict{result: payment.Failed, code: payment.CodePaymentNotFound}},
		{"404 to a repeat", doubtful(full()), 404, problem, duplicate},
		{"404 in nobody's words", full(), 404, `not found`, doubt},
		{"429", full(), 429, problem, verdict{result: payment.NotExecuted, code: payment.CodeProviderUnavailable}},
		{"500", full(), 500, sample, unavailable},
		{"502", full(), 502, problem, unavailable},
		{"503", full(), 503, problem, unavailable},
		{"504", full(), 504, problem, unavailable},
		{"302", full(), 302, sample, unavailable},

		{"202 without a body", full(), 202, ``, doubt},
		{"202 without data", full(), 202, `{}`, doubt},
		{"202 with an error", full(), 202, problem, doubt},
		{"422 that declines another transaction", full(), 422, strings.ReplaceAll(tx{state: stateCaptureSucceeded, outcome: outcomeFinal}.body(), ourTransaction, "tx_other"), doubt},
		{"202 with another transaction", full(), 202, strings.ReplaceAll(sample, ourTransaction, "tx_other"), doubt},
		{"202 with another order", full(), 202, strings.ReplaceAll(sample, ourOrder, "or_other"), doubt},
		{"202 with a state nobody documented", full(), 202, tx{state: "Disputed"}.body(), doubt},
		{"202 with the state twice", full(), 202, strings.Replace(sample, `"state":`, `"state":"Refunded","state":`, 1), doubt},
		{"202 with a negative amount", full(), 202, tx{state: stateRefunded, refunded: -1}.body(), doubt},
		{"202 with a fraction", full(), 202, strings.Replace(sample, `"refundedAmount":0`, `"refundedAmount":0.5`, 1), doubt},
		{"202 with amounts of no currency", full(), 202, strings.Replace(sample, `"USD"`, `""`, 1), doubt},
		{"202 cut short", full(), 202, sample[:200], doubt},
		{"202 with something behind", full(), 202, sample + `{}`, doubt},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o, ask := classify(row.request, providers.Answer{Status: row.status, Body: []byte(row.body)})
			got := verdict{o.Result, o.Code, o.Effect, o.Unhealthy, ask}
			if got != row.want {
				t.Errorf("got %+v, want %+v (%s)", got, row.want, o.Message)
			}
			if o.Message == "" {
				t.Error("outcome does not say what was seen")
			}
			if (o.Effect == payment.EffectRefunded) != (o.Moved != nil) {
				t.Errorf("effect %q with %v moved", o.Effect, o.Moved)
			}
		})
	}
}

// before gives the request a snapshot with so many Void and Refund entries.
func before(r providers.Request, entries int) providers.Request {
	snapshot := *r.Snapshot
	snapshot.Movements = make([]payment.Movement, entries)
	r.Snapshot = &snapshot
	return r
}

func TestALostAnswerIsTheTransportsWord(t *testing.T) {
	t.Parallel()
	o, _ := classify(full(), providers.Answer{Status: 202, Body: []byte(sample), Err: errors.New("cut")})
	if o.Result != payment.Indeterminate {
		t.Errorf("a cut answer is %s", o.Result)
	}
	o, _ = classify(full(), providers.Answer{NeverSent: true, Err: errors.New("refused")})
	if o.Result != payment.NotExecuted {
		t.Errorf("a call never sent is %s", o.Result)
	}
}

func TestAnOutcomeCarriesWhatTheProviderSaysOfTheVoidOrRefundAndOfNothingElse(t *testing.T) {
	t.Parallel()
	o, _ := classify(partial(), providers.Answer{Status: 202, Body: []byte(tx{state: stateRefunded, refunded: 400, history: []string{auth, capture, refund}}.body())})
	want := payment.Outcome{
		Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: usd(400), ProviderReference: ourTransaction,
		ProviderCode: "PG0021", ProviderMessage: "r", ProviderTime: time.Date(2011, 10, 5, 15, 0, 0, 0, time.UTC),
		Message: "the transaction is refunded by this amount",
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	o, _ = classify(partial(), providers.Answer{Status: 202, Body: []byte(sample)})
	if o.ProviderCode != "" || o.ProviderMessage != "" || !o.ProviderTime.IsZero() {
		t.Errorf("the capture's code went into the refund's outcome: %+v", o)
	}
	o, _ = classify(partial(), providers.Answer{Status: 202, Body: []byte(tx{state: stateRefundFailed, outcome: outcomeFinal}.body())})
	if o.ProviderCode != "PG0007" || o.ProviderMessage != "top" {
		t.Errorf("without a new entry the transaction's own status counts: %+v", o)
	}
}

// FuzzAnAnswerIsAYesOnlyIfItSaysSo: a success needs a 2xx and a transaction of
// ours in a state that says so.
func FuzzAnAnswerIsAYesOnlyIfItSaysSo(f *testing.F) {
	f.Add(202, []byte(sample))
	f.Add(202, []byte(tx{state: stateRefunded, refunded: 400}.body()))
	f.Add(422, []byte(declined(outcomeFinal)))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		o, _ := classify(partial(), providers.Answer{Status: status, Body: body})
		if o.Result != payment.Succeeded {
			return
		}
		b, ok := decode(body)
		if status < 200 || status > 299 || !ok || b.Data == nil || b.Data.TransactionID != ourTransaction {
			t.Fatalf("HTTP %d is a success: %q", status, body)
		}
		if b.Data.State == stateRefunded && (o.Moved == nil || *o.Moved != *usd(400)) {
			t.Fatalf("a refund of %v is ours: %q", o.Moved, body)
		}
	})
}
