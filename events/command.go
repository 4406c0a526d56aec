package events

import (
	"github.com/countermand/countermand/payment"
)

// commandData is the data of a command. The validate tags are the rules of the
// wire; each is explained where it is registered (rules.go). Where the operation
// takes an amount, exactly one of Amount and Full is given: a forgotten amount
// must not refund everything. Elsewhere both are unknown names.
type commandData struct {
	Op payment.Op `json:"-" validate:"-"` // as the envelope says

	IdempotencyKey string          `json:"idempotencyKey" validate:"required,max=255,graphic"`
	Provider       string          `json:"provider" validate:"required,provider"`
	Payment        *paymentDetails `json:"payment" validate:"required"`
	Amount         *money          `json:"amount,omitzero" validate:"omitempty"`
	Full           *bool           `json:"full,omitzero" validate:"omitnil,eq=true"`
	Reason         string          `json:"reason,omitzero" validate:"omitempty,max=200"`
}

// paymentDetails names the payment; at least one identifier is given.
type paymentDetails struct {
	OrderID        string `json:"orderId,omitzero" validate:"omitempty,max=64,graphic"`
	TransactionID  string `json:"transactionId,omitzero" validate:"omitempty,max=64,graphic"`
	Country        string `json:"country,omitzero" validate:"omitempty,iso3166_1_alpha2"`
	Currency       string `json:"currency,omitzero" validate:"omitempty,currency"`
	CapturedAmount *money `json:"capturedAmount,omitzero" validate:"omitempty"`
}

// money is an amount in minor units. Value is a pointer to tell a missing
// value, which is required, from 0, which is too small.
type money struct {
	Value    *int64 `json:"value" validate:"required,min=1,max=9007199254740991"`
	Currency string `json:"currency" validate:"required,currency"`
}

// command turns valid data into the noun. Only valid data may be given.
func (r *commandData) command() payment.Command {
	return payment.Command{
		Op: r.Op, Key: payment.Key(r.IdempotencyKey), Provider: r.Provider,
		Payment: payment.Details{
			OrderID: r.Payment.OrderID, TransactionID: r.Payment.TransactionID,
			Country: r.Payment.Country, Currency: payment.Currency(r.Payment.Currency),
			CapturedAmount: r.Payment.CapturedAmount.noun(),
		},
		Amount: r.Amount.noun(), Full: r.Full != nil,
		// Text is text. What must not be published is taken out of it on the way in, so
		// that the folded state and every event that carries it are clean; the reason is
		// no part of the command's content.
		Reason: Text(r.Reason),
	}
}

func (m *money) noun() *payment.Money {
	if m == nil {
		return nil
	}
	return &payment.Money{Value: *m.Value, Currency: payment.Currency(m.Currency)}
}

func moneyOf(m *payment.Money) *money {
	if m == nil {
		return nil
	}
	return &money{Value: &m.Value, Currency: string(m.Currency)}
}

func detailsOf(d payment.Details) *paymentDetails {
	return &paymentDetails{
		OrderID: d.OrderID, TransactionID: d.TransactionID, Country: d.Country,
		Currency: string(d.Currency), CapturedAmount: moneyOf(d.CapturedAmount),
	}
}

// dataOf is the inverse of command. An amount the operation does not take is
// left out.
func dataOf(c payment.Command) commandData {
	r := commandData{
		Op: c.Op, IdempotencyKey: string(c.Key), Provider: c.Provider, Payment: detailsOf(c.Payment), Reason: c.Reason,
	}
	if !c.Op.TakesAmount() {
		return r
	}
	r.Amount = moneyOf(c.Amount)
	if c.Full {
		full := true
		r.Full = &full
	}
	return r
}
