package bento

import (
	"net/http"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// classify says what an answer to the _cancel call means. ask is true for a
// refusal that only the transaction's state explains (see Provider.explain).
// The first row that fits wins:
//
//	| HTTP    | Body                                             | Outcome                                     |
//	|---------|--------------------------------------------------|---------------------------------------------|
//	| none, 1xx, 3xx, 408, 429, 5xx |                            | see providers.ClassifyTransport             |
//	| 4xx     | a transaction that is not ours                   | indeterminate                               |
//	| 4xx     | a transaction that does not say failed, or says succeeded | indeterminate                      |
//	| 401     | anything else                                    | not executed, unhealthy; the token is dropped |
//	| 4xx     | a status that says failed                        | see decline                                 |
//	| 403     | anything else                                    | not executed, unhealthy                     |
//	| 4xx     | the API's error form, in doubt                   | duplicate                                   |
//	| 404     | the API's error form                             | failed, payment_not_found                   |
//	| 4xx     | the API's error form (422: cannot be performed)  | ask                                         |
//	| 4xx     | anything else: not the API's word                | indeterminate                               |
//	| 2xx     | our transaction                                  | see accepted                                |
//	| 2xx     | anything else                                    | indeterminate                               |
//
// A refusal of a repeat says nothing of the attempts before it.
func classify(r providers.Request, a providers.Answer) (o payment.Outcome, ask bool) {
	if o, settled := providers.ClassifyTransport(a); settled {
		return o, false
	}
	b, _ := decode(a.Body)
	said := b.said()
	declined := said.Outcome == outcomeRetryable || said.Outcome == outcomeFinal
	word := payment.Outcome{ProviderCode: said.Code, ProviderMessage: string(b.Message)}
	switch {
	case a.Status < 300:
		return accepted(r, a), false
	case b.Data != nil && !b.Data.ours(r):
		return indeterminate("the answer is a refusal about another transaction"), false
	case (b.Data != nil && !declined) || said.Outcome == outcomeSucceeded:
		return indeterminate("the answer is a refusal whose body does not say so"), false
	case a.Status == http.StatusUnauthorized:
		return notAccepted("the provider refused the token"), false
	case declined:
		word.ProviderMessage = said.Description
		return decline(r, said, word), false
	case a.Status == http.StatusForbidden:
		return notAccepted("the provider does not allow this client the call"), false
	case b.Message == "":
		return indeterminate("the answer is a refusal, but not in the provider's words"), false
	case r.InDoubt:
		word.Result, word.Message = payment.Duplicate, "the provider refused the repeat"
		return word, false
	case a.Status == http.StatusNotFound:
		word.Result, word.Code, word.Message = payment.Failed, payment.CodePaymentNotFound, "the provider does not know the transaction"
		return word, false
	default:
		word.Message = "the provider refused the call"
		return word, true
	}
}

// said is the status a refusal carries: at the top of the body, as the later
// generation of the API has it, or the transaction's.
func (b answer) said() status {
	if b.Status != (status{}) || b.Data == nil {
		return b.Status
	}
	return b.Data.Status
}

// accepted says what a 2xx answer means. The transaction in it may still show
// the capture as its last action (the documented sample does), so a status that
// says succeeded proves nothing, and one that says failed counts only with a
// new entry of the history:
//
//	| The transaction                                   | Outcome                     |
//	|---------------------------------------------------|-----------------------------|
//	| is none, another, or cannot be read               | indeterminate               |
//	| shows the operation (see seen)                    | that; ambiguous becomes indeterminate |
//	| has a new Void or Refund entry that failed        | see decline                 |
//	| says failed, and no entry of its history does     | indeterminate               |
//	| is ended otherwise (a refund of what is not paid) | indeterminate               |
//	| shows nothing yet, HTTP 202                       | pending                     |
//	| shows nothing yet, any other 2xx                  | indeterminate               |
func accepted(r providers.Request, a providers.Answer) payment.Outcome {
	t, ok := read(r, a.Body)
	if !ok {
		return indeterminate("the answer says yes and holds no transaction of ours that can be read")
	}
	if o, ok := seen(r, t); ok {
		return asCall(r, o)
	}
	fresh := t.fresh(r)
	switch {
	case len(fresh) > 0 && fresh[len(fresh)-1].Result == resultFailure:
		said := fresh[len(fresh)-1].Status
		return decline(r, said, t.outcome(r, payment.Outcome{}))
	case t.Status.Outcome != outcomeSucceeded && t.Status.Outcome != "" && t.Status.Outcome != t.last().Status.Outcome:
		return t.outcome(r, indeterminate("the transaction's status says failed; of which action is not said"))
	case t.State == stateAuthExpired, t.State == stateAuthFailed, t.State == stateCaptureFailed:
		return t.outcome(r, indeterminate("the answer says yes to a transaction that took no money"))
	case a.Status == http.StatusAccepted:
		return t.outcome(r, payment.Outcome{Result: payment.Pending, Message: "submitted for processing"})
	default:
		return t.outcome(r, indeterminate("the answer is not the documented 202, and the transaction shows nothing"))
	}
}

// asCall fits what a transaction shows to the results a call can have.
func asCall(r providers.Request, o payment.Outcome) payment.Outcome {
	switch {
	case o.Result == payment.Ambiguous:
		o.Result = payment.Indeterminate
	case o.Result == payment.Failed && r.InDoubt:
		o.Result = payment.Duplicate
	}
	return o
}

// decline is an explicit no, by the outcome it states and never by its code:
//
//	| Outcome            | In doubt  | Otherwise                          |
//	|--------------------|-----------|------------------------------------|
//	| failedRetryable    | duplicate | not executed: it is tried again    |
//	| failedNonRetryable | duplicate | failed, declined                   |
//	| anything else      | indeterminate                                  |
func decline(r providers.Request, said status, o payment.Outcome) payment.Outcome {
	o.Code = payment.CodeDeclined
	switch {
	case said.Outcome != outcomeRetryable && said.Outcome != outcomeFinal:
		o.Code, o.Message = payment.CodeOther, "a new entry failed; whether for good is not said"
	case r.InDoubt:
		o.Result, o.Message = payment.Duplicate, "the repeat was declined"
	case said.Outcome == outcomeRetryable:
		o.Result, o.Message = payment.NotExecuted, "declined; the provider says that it may be tried again"
	default:
		o.Result, o.Message = payment.Failed, "declined"
	}
	return o
}

func indeterminate(message string) payment.Outcome {
	return payment.Outcome{Code: payment.CodeOther, Message: message}
}
