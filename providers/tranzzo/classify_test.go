package tranzzo

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

// cancelledSample is the documented answer to a cancel, its quotes repaired and
// its empty members left out.
const cancelledSample = `[{"payment_id":"9b1392a5-d030-4e85-b02d-9b7191ea2a5e","order_id":"123","gateway_order_id":null,
	"pos_id":"dc728de1-51ef-4ef1-80f7-3b44b07b5667","mode":"hosted","method":"purchase","amount":1,"currency":"UAH",
	"description":"Order description","status":"failure","status_code":"6007","status_description":"Payment has cancelled",
	"user_action_required":false,"options_3ds":"supported","cc_mask":null,"customer_ip":"194.183.171.239",
	"customer_fname":"Tom","created_at":"2018-10-10T10:10:22.100","processed_at":"2018-10-10T10:10:23.300","payload":null}]`

func cancelling() providers.Request {
	return providers.Request{
		Op: payment.Cancel, Attempt: 1, Key: "our-key", Payment: payment.Details{OrderID: "123", Currency: "UAH"},
		Snapshot: &payment.Reading{OK: true, Status: payment.PaymentUnpaid},
	}
}

func voiding() providers.Request {
	r := cancelling()
	r.Snapshot = &payment.Reading{OK: true, Status: payment.PaymentAuthorized}
	return r
}

func fullRefund() providers.Request {
	r := cancelling()
	r.Op, r.Full = payment.Refund, true
	r.Snapshot = &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: uah(40000)}
	return r
}

func partRefund() providers.Request {
	r := fullRefund()
	r.Full, r.Amount = false, uah(400)
	return r
}

func inDoubt(r providers.Request) providers.Request {
	r.InDoubt, r.Attempt = true, r.Attempt+1
	return r
}

func defaults() Settings {
	return Settings{PosID: "dc728de1-51ef-4ef1-80f7-3b44b07b5667", BalanceCodes: []string{"3001"}}.WithDefaults()
}

// op is one operation of order 123 as an object.
func op(method, status, code string, more ...string) string {
	return fmt.Sprintf(`{"operation_id":"op-1","payment_id":"p-1","transaction_id":"t-1","order_id":"123","mode":"direct","method":%q,"status":%q,"status_code":%q,"currency":"UAH"%s}`,
		method, status, code, strings.Join(append([]string{""}, more...), ","))
}

// paid is the payment as the answer to a cancel has it.
func paid(method, status, code string) string {
	return "[" + op(method, status, code, `"amount":1`) + "]"
}

const errorForm = `{"message":"no","args":{"code":"S-400"}}`

type verdict struct {
	result    payment.Result
	code      payment.Code
	effect    payment.Effect
	unhealthy bool
}

func TestTheDocumentedCancelIsASuccessWithAllItSays(t *testing.T) {
	t.Parallel()
	got := classify(defaults(), callCancel, cancelling(), providers.Answer{Status: 200, Body: []byte(cancelledSample)})
	want := payment.Outcome{
		Result: payment.Succeeded, Effect: payment.EffectClosed, ProviderReference: "9b1392a5-d030-4e85-b02d-9b7191ea2a5e",
		ProviderCode: "6007", ProviderMessage: "Payment has cancelled", Message: "the payment is cancelled",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARefundIsASuccessWithAllItSays(t *testing.T) {
	t.Parallel()
	body := op("refund", "success", "1000", `"amount":4.5`, `"status_description":"done"`,
		`"processing_time":"2026-11-21T12:00:00.300+02:00"`, `"fee":{"amount":"0.10","currency":"UAH"}`)
	got := classify(defaults(), callRefund, partRefund(), providers.Answer{Status: 200, Body: []byte(body)})
	want := payment.Outcome{
		Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: uah(450), Fee: uah(10),
		ProviderReference: "op-1", ProviderCode: "1000", ProviderMessage: "done",
		ProviderTime: time.Date(2026, 11, 21, 10, 0, 0, 300e6, time.UTC), Message: "refunded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, fee := range []string{"10", `"x"`, `{"amount":"x"}`, "null", `{"amount":{}}`} {
		body := op("refund", "success", "1000", `"amount":4`, `"fee":`+fee)
		got := classify(defaults(), callRefund, partRefund(), providers.Answer{Status: 200, Body: []byte(body)})
		if got.Result != payment.Succeeded || got.Fee != nil {
			t.Errorf("fee %s: %s, fee %v", fee, got.Result, got.Fee)
		}
	}
}

func TestEveryRowOfTheCallTable(t *testing.T) {
	t.Parallel()
	doubt := verdict{code: payment.CodeOther}
	noKey := verdict{payment.NotExecuted, payment.CodeProviderAuthentication, "", true}
	failed := func(c payment.Code) verdict { return verdict{result: payment.Failed, code: c} }
	duplicate := func(c payment.Code) verdict { return verdict{result: payment.Duplicate, code: c} }
	refundedYes := verdict{result: payment.Succeeded, effect: payment.EffectRefunded}
	voided := verdict{result: payment.Succeeded, effect: payment.EffectVoided}
	pending := verdict{result: payment.Pending}
	rejected := payment.CodeProviderRejectedRequest
	done := op("refund", "success", "1000", `"amount":4`)
	no := op("refund", "failure", "2002", `"amount":4`)
	for _, row := range []struct {
		name    string
		call    call
		request providers.Request
		status  int
		body    string
		want    verdict
	}{
		{"cancel: cancelled", callCancel, cancelling(), 200, cancelledSample, verdict{payment.Succeeded, "", payment.EffectClosed, false}},
		{"cancel: cancelled, as an object", callCancel, cancelling(), 200, op("auth", "failure", "6007"), verdict{payment.Succeeded, "", payment.EffectClosed, false}},
		{"cancel: cancelled, code as a number", callCancel, cancelling(), 200, strings.Replace(cancelledSample, `"6007"`, `6007`, 1), verdict{payment.Succeeded, "", payment.EffectClosed, false}},
		{"cancel: cancelled, on a repeat", callCancel, inDoubt(cancelling()), 200, cancelledSample, verdict{payment.Succeeded, "", payment.EffectClosed, false}},
		{"cancel: failed by itself", callCancel, cancelling(), 200, paid("purchase", "failure", "2002"), verdict{payment.Succeeded, payment.CodePaymentFailed, payment.EffectNone, false}},
		{"cancel: still created", callCancel, cancelling(), 200, paid("purchase", "init", "1001"), pending},
		{"cancel: at the bank", callCancel, cancelling(), 200, paid("purchase", "pending", "1001"), pending},
		{"cancel: paid before", callCancel, cancelling(), 200, paid("purchase", "success", "1000"), failed(payment.CodePaymentAlreadyPaid)},
		{"cancel: authorised before", callCancel, cancelling(), 200, paid("auth", "success", "1000"), failed(payment.CodePaymentNotCancellable)},
		{"cancel: paid before, on a repeat", callCancel, inDoubt(cancelling()), 200, paid("purchase", "success", "1000"), duplicate(payment.CodePaymentAlreadyPaid)},
		{"cancel: a status nobody listed", callCancel, cancelling(), 200, paid("purchase", "cancelled", "6007"), doubt},
		{"cancel: success in capitals", callCancel, cancelling(), 200, paid("purchase", "FAILURE", "6007"), doubt},
		{"cancel: another order", callCancel, cancelling(), 200, strings.Replace(cancelledSample, `"123"`, `"124"`, 1), doubt},
		{"cancel: answered by a refund", callCancel, cancelling(), 200, paid("refund", "failure", "6007"), doubt},
		{"cancel: two payments", callCancel, cancelling(), 200, "[" + op("purchase", "failure", "6007") + "," + op("purchase", "success", "1") + "]", doubt},
		{"cancel: an empty array", callCancel, cancelling(), 200, "[]", doubt},
		{"cancel: cancelled under 400", callCancel, cancelling(), 400, cancelledSample, doubt},
		{"cancel: refused", callCancel, cancelling(), 400, errorForm, failed(rejected)},
		{"cancel: refused, on a repeat", callCancel, inDoubt(cancelling()), 400, errorForm, duplicate(rejected)},
		{"cancel: unknown order", callCancel, cancelling(), 404, errorForm, failed(payment.CodePaymentNotFound)},

		{"void: done", callVoid, voiding(), 200, op("void", "success", "1000", `"amount":400`), voided},
		{"void: done, no amount", callVoid, voiding(), 200, op("void", "success", "1000"), voided},
		{"void: accepted", callVoid, voiding(), 200, op("void", "pending", "1001"), pending},
		{"void: failed", callVoid, voiding(), 200, op("void", "failure", "2002"), failed(payment.CodeDeclined)},
		{"void: failed, on a repeat", callVoid, inDoubt(voiding()), 200, op("void", "failure", "2002"), duplicate(payment.CodeDeclined)},
		{"void: answered by the payment", callVoid, voiding(), 200, op("auth", "success", "1000"), doubt},
		{"void: answered by a cancelled payment", callVoid, voiding(), 200, cancelledSample, doubt},
		{"void: refused, on a repeat", callVoid, inDoubt(voiding()), 400, errorForm, duplicate(rejected)},

		{"refund: done", callRefund, partRefund(), 200, done, refundedYes},
		{"refund: done, under 201", callRefund, partRefund(), 201, done, refundedYes},
		{"refund: done, as an array", callRefund, fullRefund(), 200, "[" + done + "]", refundedYes},
		{"refund: done, no amount", callRefund, fullRefund(), 200, op("refund", "success", "1000"), refundedYes},
		{"refund: done, another amount", callRefund, partRefund(), 200, op("refund", "success", "1000", `"amount":5`), refundedYes},
		{"refund: done, an amount that is none", callRefund, partRefund(), 200, op("refund", "success", "1000", `"amount":"4,00"`), doubt},
		{"refund: done, in another currency", callRefund, partRefund(), 200, strings.Replace(done, "UAH", "USD", 1), doubt},
		{"refund: done, for another order", callRefund, partRefund(), 200, strings.Replace(done, `"123"`, `"1230"`, 1), doubt},
		{"refund: done, for no order", callRefund, partRefund(), 200, strings.Replace(done, `"order_id":"123",`, "", 1), doubt},
		{"refund: order as a number", callRefund, partRefund(), 200, strings.Replace(done, `"123"`, `123`, 1), refundedYes},
		{"refund: answered by the payment", callRefund, partRefund(), 200, op("purchase", "success", "1000"), doubt},
		{"refund: created", callRefund, partRefund(), 200, op("refund", "init", "1001"), pending},
		{"refund: accepted", callRefund, partRefund(), 200, op("refund", "pending", "1001"), pending},
		{"refund: failed", callRefund, partRefund(), 200, no, failed(payment.CodeDeclined)},
		{"refund: failed, with a cancel's code", callRefund, partRefund(), 200, op("refund", "failure", "6007"), failed(payment.CodeDeclined)},
		{"refund: failed, under 422", callRefund, partRefund(), 422, no, failed(payment.CodeDeclined)},
		{"refund: failed, on a repeat", callRefund, inDoubt(fullRefund()), 200, no, duplicate(payment.CodeDeclined)},
		{"refund: balance too low", callRefund, partRefund(), 200, op("refund", "failure", "3001"), verdict{payment.NotExecuted, payment.CodeInsufficientBalance, "", true}},
		{"refund: balance too low, on a repeat", callRefund, inDoubt(fullRefund()), 200, op("refund", "failure", "3001"), verdict{payment.Indeterminate, payment.CodeInsufficientBalance, "", true}},
		{"refund: a status of older plugins", callRefund, partRefund(), 200, op("refund", "rejected", "1"), doubt},
		{"refund: done, under 400", callRefund, partRefund(), 400, done, doubt},
		{"refund: done, under 401", callRefund, partRefund(), 401, done, doubt},
		{"refund: done, under 403", callRefund, partRefund(), 403, done, doubt},
		{"refund: done, under 500", callRefund, partRefund(), 500, done, verdict{code: payment.CodeProviderUnavailable}},
		{"refund: done, under 302", callRefund, partRefund(), 302, done, verdict{code: payment.CodeProviderUnavailable}},
		{"refund: refused", callRefund, fullRefund(), 400, errorForm, failed(rejected)},
		{"refund: refused by field", callRefund, partRefund(), 400, `{"message":"Invalid amount","args":[{"field_name":"refund_amount","violation":"too much"}]}`, failed(rejected)},
		{"refund: refused, on a repeat", callRefund, inDoubt(fullRefund()), 400, errorForm, duplicate(rejected)},
		{"refund: unknown order", callRefund, partRefund(), 404, errorForm, failed(payment.CodePaymentNotFound)},
		{"refund: 405", callRefund, partRefund(), 405, errorForm, failed(rejected)},
		{"refund: 406", callRefund, partRefund(), 406, errorForm, failed(rejected)},
		{"refund: refused under 200", callRefund, partRefund(), 200, errorForm, doubt},
		{"refund: 409, of which nobody says that it is final", callRefund, partRefund(), 409, errorForm, doubt},
		{"refund: 422, likewise", callRefund, partRefund(), 422, errorForm, doubt},
		{"refund: refused, and done", callRefund, partRefund(), 400, `{"status":"success","message":"no","args":{"code":"S-400"}}`, doubt},
		{"refund: done, at another merchant", callRefund, partRefund(), 200, op("refund", "success", "1000", `"amount":4`, `"pos_id":"other"`), doubt},
		{"refund: failed, at another merchant", callRefund, partRefund(), 200, op("refund", "failure", "2002", `"amount":4`, `"pos_id":"other"`), doubt},
		{"refund: done, the merchant as in the sample", callRefund, partRefund(), 200, op("refund", "success", "1000", `"amount":4`, `"pos_id":"$dc728de1-51ef-4ef1-80f7-3b44b07b5667"`), refundedYes},
		{"refund: a gateway's 404", callRefund, partRefund(), 404, `{"message":"no Route matched with those values"}`, doubt},
		{"refund: args null", callRefund, partRefund(), 404, `{"message":"no","args":null}`, doubt},
		{"refund: a framework's 404", callRefund, partRefund(), 404, `{"status":404,"error":"Not Found","message":"No handler","path":"/"}`, doubt},
		{"refund: a page's 404", callRefund, partRefund(), 404, "<html>", doubt},
		{"refund: 401", callRefund, partRefund(), 401, errorForm, noKey},
		{"refund: 401, a framework's", callRefund, partRefund(), 401, `{"status":401,"message":"x"}`, noKey},
		{"refund: 403", callRefund, partRefund(), 403, "", noKey},
		{"refund: 429", callRefund, partRefund(), 429, errorForm, verdict{result: payment.NotExecuted, code: payment.CodeProviderUnavailable}},
		{"refund: 408", callRefund, partRefund(), 408, errorForm, verdict{code: payment.CodeProviderUnavailable}},
		{"refund: 503", callRefund, partRefund(), 503, errorForm, verdict{code: payment.CodeProviderUnavailable}},
		{"refund: no body", callRefund, partRefund(), 200, "", doubt},
		{"refund: cut short", callRefund, partRefund(), 200, done[:40], doubt},
		{"refund: the status twice", callRefund, partRefund(), 200, `{"status":"failure",` + done[1:], doubt},
		{"refund: something behind", callRefund, partRefund(), 200, done + "{}", doubt},
		{"refund: null", callRefund, partRefund(), 200, "null", doubt},
		{"refund: an object for a status", callRefund, partRefund(), 200, strings.Replace(done, `"success"`, `{"a":1}`, 1), doubt},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := classify(defaults(), row.call, row.request, providers.Answer{Status: row.status, Body: []byte(row.body)})
			if got := (verdict{o.Result, o.Code, o.Effect, o.Unhealthy}); got != row.want {
				t.Errorf("got %+v (%s), want %+v", got, o.Message, row.want)
			}
			if o.Message == "" {
				t.Error("the outcome does not say what was seen")
			}
			if row.request.InDoubt && o.Result == payment.Failed {
				t.Error("a refusal of a repeat is called a failure")
			}
		})
	}
}

func TestWhatNeverLeftAndWhatMayHaveAreToldApart(t *testing.T) {
	t.Parallel()
	broke := errors.New("broke")
	o := classify(defaults(), callRefund, partRefund(), providers.Answer{NeverSent: true, Err: broke})
	if o.Result != payment.NotExecuted {
		t.Errorf("never sent: %s", o.Result)
	}
	o = classify(defaults(), callRefund, partRefund(), providers.Answer{Status: 200, Err: broke, Body: []byte(op("refund", "success", "1"))})
	if o.Result != payment.Indeterminate {
		t.Errorf("half an answer: %s", o.Result)
	}
}

func TestConfiguredCodesAndStatusesTakeTheirMeaning(t *testing.T) {
	t.Parallel()
	s := Settings{CancelledCodes: []string{"7001"}, FailureStatuses: []string{"rejected"}}.WithDefaults()
	say := func(c call, r providers.Request, body string) payment.Outcome {
		return classify(s, c, r, providers.Answer{Status: 200, Body: []byte(body)})
	}
	if o := say(callCancel, cancelling(), paid("purchase", "rejected", "7001")); o.Effect != payment.EffectClosed {
		t.Errorf("a configured cancelled code: %+v", o)
	}
	if o := say(callCancel, cancelling(), paid("purchase", "rejected", "6007")); o.Effect != payment.EffectNone {
		t.Errorf("a code that is no longer listed: %+v", o)
	}
	if o := say(callRefund, partRefund(), op("refund", "failure", "1")); o.Result != payment.Indeterminate {
		t.Errorf("a status that is no longer listed: %+v", o)
	}
	if o := say(callRefund, partRefund(), op("refund", "rejected", "1")); o.Result != payment.Failed {
		t.Errorf("a configured status: %+v", o)
	}
}

func TestARefusalCarriesTheProvidersWords(t *testing.T) {
	t.Parallel()
	o := classify(defaults(), callRefund, partRefund(), providers.Answer{Status: 404, Body: []byte(`{"message":"Order not found","args":{"code":"S-404"}}`)})
	if o.ProviderCode != "S-404" || o.ProviderMessage != "Order not found" {
		t.Errorf("got %q %q", o.ProviderCode, o.ProviderMessage)
	}
}
