package events

import (
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
)

// readData reads a command's data. It looks at the text only (types, names,
// integers); what the values must be is left to the rules. amount and full are
// unknown names where the operation takes no amount.
func readData(r *reader, text []byte, op payment.Op, f *faults) *commandData {
	d := &commandData{Op: op}
	r.Begin(text, rootPointer, f)
	known := []string{"idempotencyKey", "provider", "payment", "reason", "amount", "full"}
	if !op.TakesAmount() {
		known = known[:4]
	}
	r.Members(rootPointer, known, func(name, at string) {
		switch name {
		case "idempotencyKey":
			d.IdempotencyKey = r.Text(at)
		case "provider":
			d.Provider = r.Text(at)
		case "payment":
			d.Payment = r.payment(at)
		case "reason":
			d.Reason = r.AnyText(at)
		case "amount":
			d.Amount = r.money(at)
		case "full":
			d.Full = r.boolean(at)
		}
	})
	r.End()
	return d
}

func (r *reader) payment(pointer string) *paymentDetails {
	d := new(paymentDetails)
	known := []string{"orderId", "transactionId", "country", "currency", "capturedAmount"}
	r.Members(pointer, known, func(name, at string) {
		switch name {
		case "orderId":
			d.OrderID = r.Text(at)
		case "transactionId":
			d.TransactionID = r.Text(at)
		case "country":
			d.Country = r.Text(at)
		case "currency":
			d.Currency = r.Text(at)
		case "capturedAmount":
			d.CapturedAmount = r.money(at)
		}
	})
	return d
}

func (r *reader) money(pointer string) *money {
	m := new(money)
	r.Members(pointer, []string{"value", "currency"}, func(name, at string) {
		switch name {
		case "value":
			m.Value = r.integer(at)
		case "currency":
			m.Currency = r.Text(at)
		}
	})
	return m
}

// boolean reads true or false; anything else counts as given.
func (r *reader) boolean(pointer string) *bool {
	given := true
	switch r.Kind() {
	case 't', 'f':
		given = r.Value().Kind() == 't'
	default:
		r.WrongType(pointer, "true")
	}
	return &given
}

// integer reads a number written as a plain integer. 1e3, 400.0 and "400" name
// the same amount to some readers and not to others, so they are refused.
func (r *reader) integer(pointer string) *int64 {
	one := int64(1)
	if r.Kind() != '0' {
		r.WrongType(pointer, "an integer without fraction or exponent")
		return &one
	}
	literal := string(r.Value())
	if !integer(literal) {
		r.Faults.Add(pointer, ruleType, "an integer without fraction or exponent")
		return &one
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	switch {
	case err == nil:
		return &n
	case strings.HasPrefix(literal, "-"):
		r.Faults.Add(pointer, ruleMin, atLeastOne)
	default:
		r.Faults.Add(pointer, ruleMax, atMostMax)
	}
	return &one
}
