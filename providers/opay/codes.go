package opay

import (
	"slices"

	"github.com/countermand/countermand/payment"
)

// call is one of the three ways an answer's code is read.
type call int

const (
	callClose call = iota
	callRefund
	callQuery // refund/query and cashier/status: they move nothing
)

// meaning is what one code means in each kind of call. In a column whose
// Result is Indeterminate the code does not settle the operation.
type meaning struct {
	close, refund, query payment.Result
	code                 payment.Code
	unhealthy            bool
}

// meanings is the table of OPay's codes. Behind each group: where it is from.
//
// OPay advises to treat every code it does not list as a decline. That advice
// is for charges: here it would call a refund failed that may have been made.
// So an unlisted code is indeterminate, and so are all the codes that say
// "try again", which do not say that nothing was done.
func meanings() map[string]meaning {
	const (
		doubt  = payment.Indeterminate
		failed = payment.Failed
		not    = payment.NotExecuted
		absent = payment.NotFound
	)
	credentials := meaning{not, not, doubt, payment.CodeProviderAuthentication, true}
	request := meaning{failed, failed, doubt, payment.CodeProviderRejectedRequest, false}
	unavailable := meaning{doubt, doubt, doubt, payment.CodeProviderUnavailable, false}
	acquirer := meaning{doubt, failed, doubt, payment.CodeDeclined, false}
	return map[string]meaning{
		// OPay's cancel-payment and query-refund-status pages. The first three
		// speak of the merchant, so they hold for every payment until mended.
		"02000": credentials, // authentication failed
		"02002": credentials, // merchant not configured with this function
		"02007": credentials, // merchant not available
		"02001": request,     // request params not valid
		"02006": {failed, failed, absent, payment.CodePaymentNotFound, false},
		"50003": unavailable, // service not available, please try again

		// OPay's error-codes page.
		"02003": request,     // pay method not supported
		"97":    request,     // checkout session
		"98":    request,     // requestId header
		"99":    request,     // channel parameters
		"09":    unavailable, // time out
		"90":    unavailable, // system failure
		"91":    unavailable, // refund error, try again later
		"96":    unavailable, // search order error, try again later
		"05":    acquirer,    // do not honour
		"13":    acquirer,    // invalid amount
		"51":    acquirer,    // insufficient funds, of the customer's account
		"54":    acquirer,    // expired card
		"57":    acquirer,    // not permitted
		"62":    acquirer,    // restricted card
	}
}

// classifyCode settles an answer whose code is not success.
//
// The codes from the settings come first: a duplicate is one only where we
// sent a reference, a further "not found" one only in answer to a question.
// That a payment is absent ends an operation on OPay's documented 02006 alone.
func (p *Provider) classifyCode(c call, e envelope) payment.Outcome {
	code := string(e.Code)
	out := payment.Outcome{Code: payment.CodeOther, ProviderCode: code, ProviderMessage: p.redact(e.Message)}
	m, listed := p.meanings[code]
	switch {
	case c == callRefund && slices.Contains(p.settings.DuplicateCodes, code):
		out.Result, out.Code = payment.Duplicate, ""
		out.Message = "OPay knows the refund's reference already"
	case c == callQuery && slices.Contains(p.settings.NotFoundCodes, code):
		out.Result, out.Code = payment.NotFound, ""
		out.Message = "OPay found nothing"
	case !listed:
		out.Message = "OPay answered with a code that is not listed"
	default:
		out.Code, out.Unhealthy = m.code, m.unhealthy
		out.Result = [...]payment.Result{callClose: m.close, callRefund: m.refund, callQuery: m.query}[c]
		out.Message = "OPay answered with an error code"
	}
	return out
}
