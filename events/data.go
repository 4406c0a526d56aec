package events

import (
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
)

// placeholder stands in for a text that was given but is no text: it keeps the
// field from being called missing as well.
const placeholder = "?"

// readData reads a command's data. It looks at the text only (types, names,
// integers); what the values must be is left to the rules. amount and full are
// unknown names where the operation takes no amount.
func readData(r *reader, text []byte, op payment.Op, f *faults) *commandData {
	d := &commandData{Op: op}
	r.begin(text, rootPointer, f)
	known := []string{"idempotencyKey", "provider", "payment", "reason", "amount", "full"}
	if !op.TakesAmount() {
		known = known[:4]
	}
	r.members(rootPointer, known, func(name, at string) {
		switch name {
		case "idempotencyKey":
			d.IdempotencyKey = r.text(at)
		case "provider":
			d.Provider = r.text(at)
		case "payment":
			d.Payment = r.payment(at)
		case "reason":
			d.Reason = r.anyText(at)
		case "amount":
			d.Amount = r.money(at)
		case "full":
			d.Full = r.boolean(at)
		}
	})
	r.end()
	return d
}

func (r *reader) payment(pointer string) *paymentDetails {
	d := new(paymentDetails)
	known := []string{"orderId", "transactionId", "country", "currency", "capturedAmount"}
	r.members(pointer, known, func(name, at string) {
		switch name {
		case "orderId":
			d.OrderID = r.text(at)
		case "transactionId":
			d.TransactionID = r.text(at)
		case "country":
			d.Country = r.text(at)
		case "currency":
			d.Currency = r.text(at)
		case "capturedAmount":
			d.CapturedAmount = r.money(at)
		}
	})
	return d
}

func (r *reader) money(pointer string) *money {
	m := new(money)
	r.members(pointer, []string{"value", "currency"}, func(name, at string) {
		switch name {
		case "value":
			m.Value = r.integer(at)
		case "currency":
			m.Currency = r.text(at)
		}
	})
	return m
}

// members reads an object of known names, each at most once. Of a duplicate the
// first value is kept (the message is refused anyway).
func (r *reader) members(pointer string, known []string, read func(name, at string)) {
	var seen uint
	r.object(pointer, func(name string) {
		for i, k := range known {
			if k != name {
				continue
			}
			at := pointer + "/" + k
			if seen&(1<<i) != 0 {
				r.faults.add(at, ruleDuplicate, "")
				r.skip()
				return
			}
			seen |= 1 << i
			read(k, at)
			return
		}
		r.faults.add(child(pointer, name), ruleUnknown, suggestion(name, known))
		r.skip()
	})
}

// text reads a string that must not be empty.
func (r *reader) text(pointer string) string {
	s := r.anyText(pointer)
	if s == "" && !r.broken {
		r.faults.add(pointer, ruleMin, "at least 1 character")
		return placeholder
	}
	return s
}

// anyText reads a string.
func (r *reader) anyText(pointer string) string {
	if r.dec.PeekKind() != '"' {
		r.wrongType(pointer, "a string")
		return placeholder
	}
	return r.token().String()
}

// boolean reads true or false; anything else counts as given.
func (r *reader) boolean(pointer string) *bool {
	given := true
	switch r.dec.PeekKind() {
	case 't', 'f':
		given = r.token().Kind() == 't'
	default:
		r.wrongType(pointer, "true")
	}
	return &given
}

// integer reads a number written as a plain integer. 1e3, 400.0 and "400" name
// the same amount to some readers and not to others, so they are refused.
func (r *reader) integer(pointer string) *int64 {
	one := int64(1)
	if r.dec.PeekKind() != '0' {
		r.wrongType(pointer, "an integer without fraction or exponent")
		return &one
	}
	literal := string(r.value())
	if !integer(literal) {
		r.faults.add(pointer, ruleType, "an integer without fraction or exponent")
		return &one
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	switch {
	case err == nil:
		return &n
	case strings.HasPrefix(literal, "-"):
		r.faults.add(pointer, ruleMin, atLeastOne)
	default:
		r.faults.add(pointer, ruleMax, atMostMax)
	}
	return &one
}

// suggestion names the known member an unknown one was probably meant to be.
func suggestion(name string, known []string) string {
	if len(name) > maxNamed {
		return ""
	}
	for _, k := range known {
		if strings.EqualFold(k, name) || distance(k, name) <= 2 {
			return "did you mean " + k + "?"
		}
	}
	return ""
}

// distance is the number of bytes to insert, delete or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
