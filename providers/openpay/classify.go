package openpay

import (
	"net/http"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// classifyRefund says what an answer to the refund call means. It is a pure
// function of the configured codes, the request, the HTTP status and the body.
// The first row that fits wins:
//
//	HTTP           body                                         outcome
//	401 403 429    says APPROVED, PENDING or WAITING            indeterminate
//	401 403        anything else                                not executed, unhealthy: provider_authentication
//	429            anything else                                not executed: provider_unavailable
//	1xx 3xx 5xx    anything                                     indeterminate
//	408            anything: somebody gave up waiting           indeterminate
//	2xx 4xx        no whole object with status and code         indeterminate
//	2xx 4xx        names another payment                        indeterminate
//	2xx            APPROVED, approved code, names ours          succeeded
//	2xx            PENDING or WAITING, waiting code             pending
//	2xx 4xx        DECLINED, see classifyDecline                by code
//	2xx 4xx        anything else, ERROR included                indeterminate
//
// The HTTP statuses of declines are documented nowhere, so a readable decline
// counts under any 2xx or 4xx; a yes counts under 2xx only.
func classifyRefund(codes Codes, r providers.Request, status int, body []byte) payment.Outcome {
	e, readable := decode(body)
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests
	switch {
	case refused && e.statusIn(statusApproved, statusPending, statusWaiting):
		return e.outcome(payment.Indeterminate, "", "the answer is a refusal whose body says yes")
	case status == http.StatusTooManyRequests:
		return e.outcome(payment.NotExecuted, payment.CodeProviderUnavailable, "rate limited")
	case refused:
		return unhealthy(e, payment.CodeProviderAuthentication, "key or calling address not accepted")
	case !success(status) && !clientError(status), status == http.StatusRequestTimeout:
		return e.outcome(payment.Indeterminate, "", "HTTP status says nothing of the refund")
	case !readable:
		return payment.Outcome{Message: "answer could not be read"}
	case e.contradicts(r):
		return payment.Outcome{ProviderCode: string(e.Code), Message: "answer names another payment"}
	case e.statusIn(statusDeclined):
		return classifyDecline(codes, r, e)
	case !success(status):
		return e.outcome(payment.Indeterminate, "", "HTTP status and body disagree")
	case e.statusIn(statusApproved) && e.codeIn(codes.Approved) && e.names(r):
		return refunded(r, e)
	case e.statusIn(statusPending, statusWaiting) && e.codeIn(codes.Waiting):
		return e.outcome(payment.Pending, "", "accepted, to be decided later")
	default:
		return e.outcome(payment.Indeterminate, "", "answer is none of the documented ones")
	}
}

// classifyDecline says what a readable DECLINED means:
//
//	code                    outcome
//	already refunded (32)   see classifyAlreadyRefunded
//	invalid request (188)   failed: provider_rejected_request
//	authentication          not executed, unhealthy: provider_authentication
//	insufficient balance    not executed, unhealthy: insufficient_balance
//	not found               failed: payment_not_found
//	approved or waiting     indeterminate: status and code disagree
//	any other               failed: declined
func classifyDecline(codes Codes, r providers.Request, e envelope) payment.Outcome {
	switch {
	case e.codeIn(codes.AlreadyRefunded):
		return classifyAlreadyRefunded(r, e)
	case e.codeIn(codes.InvalidRequest):
		return e.outcome(payment.Failed, payment.CodeProviderRejectedRequest, "provider refused the request as written")
	case e.codeIn(codes.Authentication):
		return unhealthy(e, payment.CodeProviderAuthentication, "key or calling address not accepted")
	case e.codeIn(codes.InsufficientBalance):
		return unhealthy(e, payment.CodeInsufficientBalance, "merchant account cannot fund the refund")
	case e.codeIn(codes.NotFound):
		return e.outcome(payment.Failed, payment.CodePaymentNotFound, "provider knows no such payment")
	case e.codeIn(codes.Approved), e.codeIn(codes.Waiting):
		return e.outcome(payment.Indeterminate, "", "status and code of the answer disagree")
	default:
		return e.outcome(payment.Failed, payment.CodeDeclined, "provider declined the refund")
	}
}

// classifyAlreadyRefunded reads code 32, which says that the payment is
// refunded but not by whom:
//
//	earlier attempt of ours   refund    before-snapshot      outcome
//	none may have left        any       any                  failed: already_refunded
//	may have left             partial   any                  indeterminate
//	may have left             full      already refunded     duplicate: it was not ours
//	may have left             full      anything else        succeeded: already_refunded, basis inferred
//
// A partial refund may have been followed by somebody's full one, and a payment
// refunded before our first call was not refunded by us.
func classifyAlreadyRefunded(r providers.Request, e envelope) payment.Outcome {
	switch {
	case !r.InDoubt:
		return e.outcome(payment.Failed, payment.CodeAlreadyRefunded, "payment was refunded before, not by this operation")
	case !r.Full:
		return e.outcome(payment.Indeterminate, "", "payment is refunded; whether this part came first is not said")
	case snapshotStatus(r) == payment.PaymentRefunded:
		return e.outcome(payment.Duplicate, "", "payment is refunded, and was before the first attempt")
	}
	o := refunded(r, e)
	o.Code, o.Basis = payment.CodeAlreadyRefunded, payment.BasisInferred
	o.Message = "already refunded, after an attempt of ours whose answer was lost"
	return o
}

// refunded is the success of this operation as the answer states it.
func refunded(r providers.Request, e envelope) payment.Outcome {
	o := e.outcome(payment.Succeeded, "", "refunded")
	o.Effect = payment.EffectRefunded
	o.Moved = e.money(e.Amount, r)
	return o
}

// unhealthy is a refusal that speaks of the merchant account, not of the payment.
func unhealthy(e envelope, code payment.Code, message string) payment.Outcome {
	o := e.outcome(payment.NotExecuted, code, message)
	o.Unhealthy = true
	return o
}

// snapshotStatus is what the payment was in before the first attempt, if that is known.
func snapshotStatus(r providers.Request) payment.PaymentStatus {
	if r.Snapshot == nil || !r.Snapshot.OK {
		return payment.PaymentUnknown
	}
	return r.Snapshot.Status
}

func success(status int) bool { return status >= 200 && status < 300 }

func clientError(status int) bool { return status >= 400 && status < 500 }
