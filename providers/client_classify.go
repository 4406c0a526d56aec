package providers

import (
	"errors"
	"net/http"
	"time"

	"github.com/countermand/countermand/payment"
)

// ClassifyTransport settles the outcome of a call that can move money where
// the transport already says it; adapters call it before they read the body.
// False means: an answer came whole, its body decides. The first row that fits:
//
//	| Answer                                 | Outcome                                     |
//	|----------------------------------------|---------------------------------------------|
//	| nothing left (dial, DNS, TLS, clock)   | not executed, provider_unavailable          |
//	| status 429                             | not executed, Retry-After honoured          |
//	| any other error                        | indeterminate: it may have been executed    |
//	| status 5xx                             | indeterminate: a gateway speaks, or a crash |
//	| status 1xx, 3xx                        | indeterminate: not followed, not understood |
//	| status 408                             | indeterminate: somebody gave up waiting     |
//	| any other status                       | false                                       |
//
// 503 is no exception, whatever its name: a gateway that lost the answer says
// 503 too.
func ClassifyTransport(a Answer) (payment.Outcome, bool) {
	unavailable := payment.Outcome{Code: payment.CodeProviderUnavailable, RetryAfter: a.RetryAfter}
	switch {
	case a.NeverSent && errors.Is(a.Err, ErrTooLate):
		unavailable.Result = payment.NotExecuted
		unavailable.Message = "not sent: " + CauseTooLate.Words()
	case a.NeverSent:
		unavailable.Result = payment.NotExecuted
		unavailable.Message = unsent(a.Cause)
	case a.Status == http.StatusTooManyRequests:
		unavailable.Result = payment.NotExecuted
		unavailable.Message = "the provider limits the rate of calls"
	case a.Err != nil:
		unavailable.Message = a.Cause.Because("the call may have been executed, its answer was lost")
	case a.Status >= 500:
		unavailable.Message = "the provider answered with a server error (" + http.StatusText(a.Status) + ")"
	case a.Status < 200, a.Status >= 300 && a.Status < 400, a.Status == http.StatusRequestTimeout:
		unavailable.Message = "the provider's answer is none to this call (" + http.StatusText(a.Status) + ")"
	default:
		return payment.Outcome{}, false
	}
	return unavailable, true
}

// unsent says why nothing was sent.
func unsent(cause Cause) string {
	if cause.ours() {
		return "not sent: " + cause.Words()
	}
	return cause.Because("not sent: no connection to the provider")
}

// AsQuery turns an outcome classified as a call's into a query's: what says
// only that this call did nothing (not executed, duplicate) says nothing of
// the operation asked about, and is indeterminate. Health, code and
// Retry-After are kept.
func AsQuery(o payment.Outcome) payment.Outcome {
	if o.Result == payment.NotExecuted || o.Result == payment.Duplicate {
		o.Result = payment.Indeterminate
	}
	return o
}

// FailedReading is the reading that could not be had, with the outcome's cause.
func FailedReading(o payment.Outcome, at time.Time) payment.Reading {
	return payment.Reading{Code: o.Code, RetryAfter: o.RetryAfter, Unhealthy: o.Unhealthy, Message: o.Message, At: at}
}
