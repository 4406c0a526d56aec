package console

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
)

// amountError says how an amount must be typed.
type amountError struct{ message string }

// Error implements error.
func (e *amountError) Error() string { return e.message }

// parseAmount reads an amount in major units with exactly the decimals of its
// currency. For EGP it takes "4.00" and refuses "4", which could mean 4 or 0.04.
func parseAmount(typed string, currency payment.Currency) (payment.Money, error) {
	digits, ok := currency.Exponent()
	if !ok {
		return payment.Money{}, &amountError{"The currency is three letters of ISO 4217."}
	}
	whole, part, point := strings.Cut(typed, ".")
	want := &amountError{fmt.Sprintf("The amount is typed with %d decimals and nothing between its digits, for example %s.",
		digits, plainAmount(payment.Money{Value: 12345, Currency: currency}))}
	if len(part) != digits || point != (digits > 0) || whole == "" || strings.Trim(whole+part, "0123456789") != "" {
		return payment.Money{}, want
	}
	value, err := strconv.ParseInt(whole+part, 10, 64)
	if err != nil || value > payment.MaxAmount {
		return payment.Money{}, want
	}
	return payment.Money{Value: value, Currency: currency}, nil
}

// plainAmount writes an amount as parseAmount reads it, without the currency.
func plainAmount(m payment.Money) string {
	digits, _ := m.Currency.Exponent()
	s := fmt.Sprintf("%0*d", digits+1, m.Value)
	if digits == 0 {
		return s
	}
	return s[:len(s)-digits] + "." + s[len(s)-digits:]
}
