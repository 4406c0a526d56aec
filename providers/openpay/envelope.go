package openpay

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// The response statuses. APPROVED and DECLINED are documented for the refund
// call; the rest is known from sister brands.
const (
	statusApproved          = "APPROVED"
	statusDeclined          = "DECLINED"
	statusPending           = "PENDING"
	statusWaiting           = "WAITING"
	statusCancelled         = "CANCELLED"
	statusRefunded          = "REFUNDED"
	statusPartiallyRefunded = "PARTIALLY_REFUNDED"
	statusFailed            = "FAILED"
)

// envelope is every answer of the API, as documented for the refund call.
// refundedAmount is documented nowhere; it is read if it is ever sent. Strings
// and numbers are both taken for every member: the provider's samples and its
// table disagree on which of the two code and amount are.
type envelope struct {
	Code           providers.Text `json:"code"`
	Status         providers.Text `json:"status"`
	Message        providers.Text `json:"message"`
	TransactionID  providers.Text `json:"transactionId"`
	ReferenceNo    providers.Text `json:"referenceNo"`
	Amount         providers.Text `json:"amount"`
	RefundedAmount providers.Text `json:"refundedAmount"`
	Currency       providers.Text `json:"currency"`
	Date           providers.Text `json:"date"`
}

// decode reads an answer. ok is false for anything that is not one whole JSON
// object with a status and a code, or names a member twice: the decoder is a
// strict one, because of two statuses the wrong one could be read.
func decode(body []byte) (e envelope, ok bool) {
	if err := json.Unmarshal(body, &e); err != nil {
		return envelope{}, false
	}
	return e, e.Status != "" && e.Code != ""
}

func (e envelope) codeIn(list []string) bool { return slices.Contains(list, string(e.Code)) }

func (e envelope) statusIn(statuses ...providers.Text) bool {
	return slices.Contains(statuses, e.Status)
}

// names reports whether the answer names the payment asked about.
func (e envelope) names(r providers.Request) bool {
	return string(e.TransactionID) == r.Payment.TransactionID
}

// contradicts reports whether the answer names another payment.
func (e envelope) contradicts(r providers.Request) bool {
	return (e.TransactionID != "" && string(e.TransactionID) != r.Payment.TransactionID) ||
		(e.ReferenceNo != "" && string(e.ReferenceNo) != r.Payment.OrderID)
}

// money reads an amount in minor units with the answer's currency, else the one
// known from the request. It is nil where the provider did not say, or not readably.
func (e envelope) money(amount providers.Text, r providers.Request) *payment.Money {
	value, ok := amount.Int()
	if !ok || value < 1 || value > payment.MaxAmount {
		return nil
	}
	currency := payment.Currency(e.Currency)
	if currency == "" {
		currency = knownCurrency(r)
	}
	if _, known := currency.Exponent(); !known {
		return nil
	}
	return &payment.Money{Value: value, Currency: currency}
}

// knownCurrency is what the request itself says of the currency; empty if nothing.
func knownCurrency(r providers.Request) payment.Currency {
	switch {
	case r.Amount != nil:
		return r.Amount.Currency
	case r.Snapshot != nil && r.Snapshot.Captured != nil:
		return r.Snapshot.Captured.Currency
	default:
		return r.Payment.Currency
	}
}

// time reads the answer's date (unix seconds); zero where there is none.
func (e envelope) time() time.Time {
	const year9999 = 253402300799
	seconds, ok := e.Date.Int()
	if !ok || seconds <= 0 || seconds > year9999 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// outcome fills in what every classified answer carries.
func (e envelope) outcome(result payment.Result, code payment.Code, message string) payment.Outcome {
	return payment.Outcome{
		Result:            result,
		Code:              code,
		ProviderReference: e.TransactionID.Reference(),
		ProviderCode:      string(e.Code),
		ProviderMessage:   string(e.Message),
		ProviderTime:      e.time(),
		Message:           message,
	}
}
