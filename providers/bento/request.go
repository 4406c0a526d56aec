package bento

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// fetch reads the transaction. A refused token is renewed once and the read
// repeated: it moves nothing. false: the outcome says why there is none.
//
//	| Answer                                    | Outcome                         |
//	|-------------------------------------------|---------------------------------|
//	| our transaction in a state we know, 2xx   | true                            |
//	| no token, no answer, 429, 5xx …           | not executed or indeterminate   |
//	| 401, 403                                  | indeterminate, unhealthy        |
//	| 404 in the API's error form               | not found                       |
//	| anything else                             | indeterminate                   |
func (p *Provider) fetch(ctx context.Context, r providers.Request) (transaction, payment.Outcome, bool) {
	a, failure, ok := p.get(ctx, r)
	if !ok {
		return transaction{}, failure, false
	}
	if o, settled := providers.ClassifyTransport(a); settled {
		return transaction{}, o, false
	}
	none := payment.Outcome{RetryAfter: a.RetryAfter}
	b, _ := decode(a.Body)
	switch {
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		none = notAccepted("the provider does not let this client read")
		none.Result = payment.Indeterminate
	case a.Status == http.StatusNotFound && b.Message != "" && b.Data == nil:
		none.Result, none.Code, none.Message = payment.NotFound, payment.CodePaymentNotFound, "the provider does not know the transaction"
	case a.Status >= 300:
		none.Code, none.Message = payment.CodeProviderUnavailable, "the answer to the read says nothing of the transaction"
	default:
		if t, ok := read(r, a.Body); ok {
			return t, payment.Outcome{}, true
		}
		none.Code, none.Message = payment.CodeOther, "the answer to the read holds no transaction of ours that can be read"
	}
	return transaction{}, none, false
}

// get sends the read, a second time where its token was refused and there is
// another one.
func (p *Provider) get(ctx context.Context, r providers.Request) (a providers.Answer, failure payment.Outcome, ok bool) {
	used := ""
	for range 2 {
		token, failure, ok := p.tokens.get(ctx)
		if !ok || token == used {
			return a, failure, ok
		}
		a = p.client.Do(ctx, p.call(http.MethodGet, p.settings.ReadPath, token, r))
		if a.Err != nil || a.Status != http.StatusUnauthorized {
			return a, payment.Outcome{}, true
		}
		p.tokens.refused(token)
		used = token
	}
	return a, payment.Outcome{}, true
}

// call builds a request without a body.
func (p *Provider) call(method, path, token string, r providers.Request) providers.Call {
	path = strings.NewReplacer(
		"{orderId}", url.PathEscape(r.Payment.OrderID), "{transactionId}", url.PathEscape(r.Payment.TransactionID),
	).Replace(path)
	return providers.Call{
		Method:  method,
		URL:     p.base + path,
		Header:  http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/json"}},
		Secrets: []providers.Secret{providers.NewSecret(token), p.settings.ClientSecret},
	}
}

// named reports whether the request names a transaction. A dot or two would
// name another place of the path, whatever the encoding.
func named(r providers.Request) bool {
	for _, id := range []string{r.Payment.OrderID, r.Payment.TransactionID} {
		if id == "" || id == "." || id == ".." || len(id) > maxIdentifier {
			return false
		}
	}
	return true
}

// refuse returns the outcome of a request that must not be sent.
func refuse(r providers.Request) (payment.Outcome, bool) {
	switch {
	case !named(r):
		return notSent(payment.CodeInvalidCommand, "order and transaction id are required, of 64 characters at most, and no dots alone"), true
	case r.Partial() && (r.Amount == nil || r.Amount.Value < 1):
		return notSent(payment.CodeInvalidCommand, "a partial refund needs an amount"), true
	default:
		return payment.Outcome{}, false
	}
}

// notSent is the outcome of a request this adapter refuses: certainly not done.
func notSent(code payment.Code, message string) payment.Outcome {
	return payment.Outcome{Result: payment.Failed, Code: code, Message: "not sent: " + message}
}
