package tranzzo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// maxDecimals is the most Tranzzo takes behind the decimal point.
const maxDecimals = 2

// supported reports whether amounts of the currency can be written at all.
func supported(c payment.Currency) bool {
	digits, ok := c.Exponent()
	return ok && digits <= maxDecimals
}

// decimal writes an amount in major units, digit by digit: 400 piastres of a
// currency with two decimals are 4.00, 400 yen are 400. False: the currency has
// more decimals than Tranzzo takes, or the amount is not positive.
func decimal(m payment.Money) (string, bool) {
	digits, _ := m.Currency.Exponent()
	switch {
	case !supported(m.Currency) || m.Value < 1:
		return "", false
	case digits == 0:
		return strconv.FormatInt(m.Value, 10), true
	}
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	return fmt.Sprintf("%d.%0*d", m.Value/unit, digits, m.Value%unit), true
}

// money reads an amount in major units: digits, and behind a point no more of
// them than the currency has, trailing zeros aside. No sign, no exponent, no
// rounding: what is not exactly an amount is refused. An absent one is nil.
func money(text, currency providers.Text) (m *payment.Money, ok bool) {
	if text == "" {
		return nil, true
	}
	c := payment.Currency(currency)
	digits, known := c.Exponent()
	whole, fraction, pointed := strings.Cut(string(text), ".")
	if !known || !allDigits(whole) || (pointed && !allDigits(fraction)) {
		return nil, false
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > digits {
		return nil, false
	}
	value, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", digits-len(fraction)), 10, 64)
	if err != nil || value > payment.MaxAmount {
		return nil, false
	}
	return &payment.Money{Value: value, Currency: c}, true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
