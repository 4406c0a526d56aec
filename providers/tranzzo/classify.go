package tranzzo

import (
	"net/http"
	"slices"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// call is one of the three calls that change something.
type call int

const (
	callCancel call = iota // an unpaid hosted payment
	callVoid               // an authorised one
	callRefund
)

// concerns reports whether an operation can be the answer to the call.
func (c call) concerns(op operation) bool {
	switch c {
	case callVoid:
		return op.Method == methodVoid
	case callRefund:
		return op.Method == methodRefund
	default:
		return op.primary()
	}
}

// classify says what an answer to one of the calls means. It is a pure function
// of the settings, the request and the answer. The first row that fits wins:
//
//	| HTTP                          | Body                                | Outcome                                         |
//	|-------------------------------|-------------------------------------|-------------------------------------------------|
//	| none, 1xx, 3xx, 408, 429, 5xx | anything                            | see providers.ClassifyTransport                 |
//	| 4xx                           | an operation that has not failed    | indeterminate                                   |
//	| 401, 403                      | anything else                       | not executed, unhealthy: provider_authentication |
//	| 400, 404, 405, 406            | the API's error form, no status of an operation in it | refused, see refused          |
//	| 4xx                           | our void or refund, failed          | refused, see refused                            |
//	| 2xx                           | our payment (cancel)                | see cancelOutcome                               |
//	| 2xx                           | our void or refund                  | see executed                                    |
//	| any                           | anything else                       | indeterminate                                   |
//
// Tranzzo calls 400, 401, 404, 405 and 406 final, 429 safe to send again, and
// 500 and 503 unknown until the order's listing was read (page on HTTP
// statuses). Of any other 4xx nobody says that nothing was done. A refusal counts
// by its form too, because a gateway answers 404.
func classify(s Settings, c call, r providers.Request, a providers.Answer) payment.Outcome {
	if o, settled := providers.ClassifyTransport(a); settled {
		return o
	}
	op, isOperation := decodeOne(a.Body)
	e, isRefusal := decodeRefusal(a.Body)
	ours := isOperation && op.ours(s, r) && c.concerns(op)
	switch {
	case a.Status >= 400 && isOperation && s.state(op) != stateFailure:
		return indeterminate("the HTTP status is a refusal, the body is none")
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		return notAccepted()
	case final(a.Status) && !isOperation && isRefusal && s.state(operation{Status: e.Status}) == stateUnknown:
		return refused(r, payment.Outcome{
			Code: refusalCode(a.Status), ProviderCode: e.code(), ProviderMessage: string(e.Message),
			Message: "the provider refused the request",
		})
	case !isOperation:
		return indeterminate("the answer could not be read")
	case !ours:
		return indeterminate("the answer is about another operation")
	case c == callCancel && a.Status < 300:
		return cancelOutcome(s, r, op)
	case c != callCancel:
		return executed(s, c, r, op)
	default:
		return indeterminate("the HTTP status and the body disagree")
	}
}

// final reports an HTTP status that Tranzzo calls final.
func final(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return true
	default:
		return false
	}
}

// refusalCode names the refusals whose meaning is documented.
func refusalCode(status int) payment.Code {
	if status == http.StatusNotFound {
		return payment.CodePaymentNotFound
	}
	return payment.CodeProviderRejectedRequest
}

// cancelOutcome reads the payment in the answer to a cancel.
//
//	| Status        | And                           | Outcome                                      |
//	|---------------|-------------------------------|----------------------------------------------|
//	| failure       | code 6007                     | succeeded, closed                            |
//	| failure       | any other code                | succeeded, none: payment_failed              |
//	| init, pending |                               | pending                                      |
//	| success       | purchase                      | refused: payment_already_paid, to be refunded |
//	| success       | auth                          | refused: payment_not_cancellable, to be voided |
//	| any other     |                               | indeterminate                                |
//
// Only the first row is documented, on the page about cancelling; the others
// follow from what the statuses say of a payment.
func cancelOutcome(s Settings, r providers.Request, op operation) payment.Outcome {
	switch state := s.state(op); {
	case state == stateFailure && s.cancelled(op):
		return op.outcome(payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectClosed, Message: "the payment is cancelled"})
	case state == stateFailure:
		return op.outcome(payment.Outcome{
			Result: payment.Succeeded, Effect: payment.EffectNone, Code: payment.CodePaymentFailed, Message: "the payment failed by itself",
		})
	case state == stateInit, state == statePending:
		return op.outcome(payment.Outcome{Result: payment.Pending, Message: "the payment is not cancelled yet"})
	case state == stateSuccess && op.Method == methodPurchase:
		return refused(r, op.outcome(payment.Outcome{Code: payment.CodePaymentAlreadyPaid, Message: "the payment was paid before it was cancelled"}))
	case state == stateSuccess:
		return refused(r, op.outcome(payment.Outcome{Code: payment.CodePaymentNotCancellable, Message: "the payment was authorised before it was cancelled"}))
	default:
		return op.outcome(indeterminate("the payment's status is none we know"))
	}
}

// executed reads a void or refund in the answer to its own call.
//
//	| Status        | And                                       | Outcome                        |
//	|---------------|-------------------------------------------|--------------------------------|
//	| success       | an amount that cannot be read             | indeterminate                  |
//	| success       | an amount in another currency than asked  | indeterminate                  |
//	| success       |                                           | succeeded, voided or refunded  |
//	| init, pending |                                           | pending                        |
//	| failure       |                                           | see failed                     |
//	| any other     |                                           | indeterminate                  |
func executed(s Settings, c call, r providers.Request, op operation) payment.Outcome {
	amount, readable := money(op.Amount, op.Currency)
	switch s.state(op) {
	case stateSuccess:
		switch {
		case !readable:
			return op.outcome(indeterminate("the answer's amount cannot be read"))
		case amount != nil && r.Amount != nil && amount.Currency != r.Amount.Currency:
			return op.outcome(indeterminate("the answer is in another currency"))
		case c == callVoid:
			return op.outcome(payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectVoided, Message: "voided"})
		}
		return op.outcome(payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: amount, Message: "refunded"})
	case stateInit, statePending:
		return op.outcome(payment.Outcome{Result: payment.Pending, Message: "accepted, to be decided later"})
	case stateFailure:
		return failed(s, r, op)
	default:
		return op.outcome(indeterminate("the operation's status is none we know"))
	}
}

// failed reads a void or refund that failed. One that lacked money in the
// merchant's balance was certainly not done, and can be once there is some.
func failed(s Settings, r providers.Request, op operation) payment.Outcome {
	o := op.outcome(payment.Outcome{Code: failureCode(s, op), Message: "the provider carried it out without success"})
	if o.Code != payment.CodeInsufficientBalance {
		return refused(r, o)
	}
	o.Unhealthy, o.Message = true, "the merchant's balance is too low"
	if !r.InDoubt {
		o.Result = payment.NotExecuted
	}
	return o
}

func failureCode(s Settings, op operation) payment.Code {
	if slices.Contains(s.BalanceCodes, string(op.StatusCode)) {
		return payment.CodeInsufficientBalance
	}
	return payment.CodeDeclined
}

// refused completes the outcome of a definite no to this call:
//
//	| An earlier attempt | Outcome                                                            |
//	|--------------------|--------------------------------------------------------------------|
//	| none left          | failed                                                             |
//	| may have left      | duplicate: perhaps that one was carried out; no further repeat     |
func refused(r providers.Request, o payment.Outcome) payment.Outcome {
	o.Result = payment.Failed
	if r.InDoubt {
		o.Result = payment.Duplicate
	}
	return o
}

// notAccepted is a refusal that speaks of the credentials, not of the payment.
func notAccepted() payment.Outcome {
	return payment.Outcome{
		Result: payment.NotExecuted, Code: payment.CodeProviderAuthentication, Unhealthy: true,
		Message: "the provider did not accept the keys",
	}
}

func indeterminate(message string) payment.Outcome {
	return payment.Outcome{Code: payment.CodeOther, Message: message}
}
