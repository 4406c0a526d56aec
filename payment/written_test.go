package payment_test

import (
	"math"
	"strings"
	"testing"

	"github.com/countermand/countermand/payment"
)

func TestAnAmountIsWrittenOneWayAndReadBackThatWayOnly(t *testing.T) {
	t.Parallel()
	for text, m := range map[string]payment.Money{
		"25.00 EUR":             {Value: 2500, Currency: "EUR"},
		"0.58 EUR":              {Value: 58, Currency: "EUR"},
		"0.00 EUR":              {Value: 0, Currency: "EUR"},
		"2500 JPY":              {Value: 2500, Currency: "JPY"},
		"25.000 KWD":            {Value: 25000, Currency: "KWD"},
		"2.5000 CLF":            {Value: 25000, Currency: "CLF"},
		"25.00 BGN":             {Value: 2500, Currency: "BGN"},
		"2500 BYR":              {Value: 2500, Currency: "BYR"},
		"1.00 XTS":              {Value: 100, Currency: "XTS"},
		"90071992547409.91 EUR": {Value: payment.MaxAmount, Currency: "EUR"},
		"9007199254740991 JPY":  {Value: payment.MaxAmount, Currency: "JPY"},
		"9007199254740.991 KWD": {Value: payment.MaxAmount, Currency: "KWD"},
		"900719925474.0991 CLF": {Value: payment.MaxAmount, Currency: "CLF"},
		"0.01 EGP":              {Value: 1, Currency: "EGP"},
		"1000000.00 EUR":        {Value: 100000000, Currency: "EUR"},
		"0.001 KWD":             {Value: 1, Currency: "KWD"},
		"12345678901234.56 UAH": {Value: 1234567890123456, Currency: "UAH"},
	} {
		if got := m.Text(); got != text {
			t.Errorf("%+v is written %q, want %q", m, got, text)
		}
		if got, err := payment.ParseMoney(text); err != nil || got != m {
			t.Errorf("%q is read as %+v, %v, want %+v", text, got, err, m)
		}
	}
	for typed, want := range map[string]string{
		"25 EUR":     `write "25.00 EUR"`,
		"58 EUR":     `write "58.00 EUR"`,
		"25. EUR":    `write "25.00 EUR"`,
		"25.0 EUR":   `write "25.00 EUR"`,
		"25.00 eur":  `write "25.00 EUR"`,
		"025.00 EUR": `write "25.00 EUR"`,
		"25.00  EUR": `write "25.00 EUR"`,
		"25.00 EUR ": `write "25.00 EUR"`,
		"25 KWD":     `write "25.000 KWD"`,
		"25. JPY":    `write "25 JPY"`,

		"25.000 EUR":                     `such as "25.00 EUR"`,
		"2500.00 JPY":                    `no decimals and nothing between its digits, such as "25 JPY"`,
		"2,500.00 EUR":                   `such as "25.00 EUR"`,
		"2.500,00 EUR":                   `such as "25.00 EUR"`,
		"25,00 EUR":                      `such as "25.00 EUR"`,
		"2'500.00 EUR":                   `such as "25.00 EUR"`,
		"2 500.00 EUR":                   `such as "25.00 EUR"`,
		"-25.00 EUR":                     `such as "25.00 EUR"`,
		"+25.00 EUR":                     `such as "25.00 EUR"`,
		"−25.00 EUR":                     `such as "25.00 EUR"`,
		"1e3 EUR":                        `such as "25.00 EUR"`,
		".50 EUR":                        `such as "25.00 EUR"`,
		"٢٥.٠٠ EUR":                      `such as "25.00 EUR"`,
		" 25.00 EUR":                     `such as "25.00 EUR"`,
		"25.00\u00a0EUR":                 `such as "25.00 EUR"`,
		"25.00 QQQ":                      `such as "25.00 EUR"`,
		"25.00 €":                        `such as "25.00 EUR"`,
		"25.00":                          `such as "25.00 EUR"`,
		"EUR 25.00":                      `such as "25.00 EUR"`,
		"EUR":                            `such as "25.00 EUR"`,
		"":                               `such as "25.00 EUR"`,
		"90071992547409.92 EUR":          `such as "25.00 EUR"`,
		strings.Repeat("9", 40) + " EUR": `such as "25.00 EUR"`,
	} {
		if m, err := payment.ParseMoney(typed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read as %+v, %v, want an error with %s", typed, m, err, want)
		}
	}
}

func TestAnAmountThatNobodyCouldHaveTypedIsStillWrittenTruly(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]payment.Money{
		"-0.58 EUR":                 {Value: -58, Currency: "EUR"},
		"-92233720368547758.08 EUR": {Value: math.MinInt64, Currency: "EUR"},
		"400 QQQ (minor units)":     {Value: 400, Currency: "QQQ"},
	} {
		if got := m.Text(); got != want {
			t.Errorf("%+v is written %q, want %q", m, got, want)
		}
	}
	if got := payment.MoneyText(nil); got != "not known" {
		t.Errorf("no amount is written %q", got)
	}
}

func TestEveryCurrencyIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, c := range payment.Currencies() {
		m := payment.Money{Value: 1234567, Currency: c}
		if got, err := payment.ParseMoney(m.Text()); err != nil || got != m {
			t.Errorf("%s is read as %+v, %v", m.Text(), got, err)
		}
	}
}
