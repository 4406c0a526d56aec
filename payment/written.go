package payment

import (
	"fmt"
	"strconv"
	"strings"
)

// Text writes an amount for people, the one way in which ParseMoney reads it: in
// major units with exactly the decimals of its currency, one space, and the code
// ("25.00 EUR", "2500 JPY", "25.000 KWD"). A withdrawn currency keeps the decimals
// that it had. An amount in no currency that ISO 4217 has had is written in minor
// units, and says so.
func (m Money) Text() string {
	digits, ok := m.Currency.Exponent()
	if !ok {
		return m.String()
	}
	sign, value := "", uint64(m.Value)
	if m.Value < 0 { // never typed, and never hidden
		sign, value = "-", -value
	}
	s := fmt.Sprintf("%0*d", digits+1, value)
	if digits > 0 {
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	return sign + s + " " + string(m.Currency)
}

// MoneyText is Text for an amount that may not be known: nil is "not known".
func MoneyText(m *Money) string {
	if m == nil {
		return "not known"
	}
	return m.Text()
}

// WrittenError says how an amount must be typed.
type WrittenError struct{ message string }

// Error implements error.
func (e *WrittenError) Error() string { return e.message }

// ParseMoney reads an amount as Text writes it, and nothing else: "25 EUR" could mean
// 25.00 or 0.25. The error (*WrittenError) says what would be read, where only one
// thing can be meant.
func ParseMoney(typed string) (Money, error) {
	number, code, space := strings.Cut(typed, " ")
	c := Currency(strings.ToUpper(strings.TrimSpace(code)))
	digits, ok := c.Exponent()
	if !space || !ok {
		return Money{}, &WrittenError{`an amount is written with the decimals of its currency, one space and the currency, such as "25.00 EUR" or "2500 JPY"`}
	}
	example := Money{Value: 25, Currency: c}
	for range digits {
		example.Value *= 10
	}
	m, read := readDigits(number, digits, c)
	switch {
	case read && m.Text() == typed:
		return m, nil
	case read:
		return Money{}, &WrittenError{fmt.Sprintf("%s is written with %s: write %q", c, decimalsText(digits), m.Text())}
	default:
		return Money{}, &WrittenError{fmt.Sprintf("%s is written with %s and nothing between its digits, such as %q", c, decimalsText(digits), example.Text())}
	}
}

// readDigits reads digits with at most one point as somebody may have meant them. It
// is false where that could be more than one thing.
func readDigits(number string, digits int, c Currency) (Money, bool) {
	whole, part, _ := strings.Cut(number, ".")
	if whole == "" || len(part) > digits || strings.Trim(whole+part, "0123456789") != "" {
		return Money{}, false
	}
	value, err := strconv.ParseInt(whole+part+strings.Repeat("0", digits-len(part)), 10, 64)
	return Money{Value: value, Currency: c}, err == nil && value <= MaxAmount
}

func decimalsText(digits int) string {
	switch digits {
	case 0:
		return "no decimals"
	case 1:
		return "1 decimal"
	default:
		return fmt.Sprintf("%d decimals", digits)
	}
}
