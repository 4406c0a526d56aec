package tranzzo

// White-box: reading and writing decimals are pure tables.

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

func TestAmountsAreWrittenDigitByDigit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value    int64
		currency payment.Currency
		want     string
		ok       bool
	}{
		{1, "UAH", "0.01", true},
		{10, "UAH", "0.10", true},
		{99, "UAH", "0.99", true},
		{100, "UAH", "1.00", true},
		{40050, "UAH", "400.50", true},
		{101, "XTS", "1.01", true},
		{400, "JPY", "400", true},
		{29, "EUR", "0.29", true},                                // 0.29*100 is 28.999… in a float
		{payment.MaxAmount, "UAH", "90071992547409.91", true},    // 2^53−1
		{math.MaxInt64, "UAH", "92233720368547758.07", true},     // no float holds it
		{payment.MaxAmount - 1, "JPY", "9007199254740990", true}, //
		{400, "KWD", "", false},                                  // three decimals
		{400, "CLF", "", false},                                  // four
		{400, "XXX", "", false},
		{400, "uah", "", false},
		{400, "", "", false},
		{0, "UAH", "", false},
		{-1, "UAH", "", false},
		{math.MinInt64, "UAH", "", false},
	} {
		got, ok := decimal(payment.Money{Value: row.value, Currency: row.currency})
		if got != row.want || ok != row.ok {
			t.Errorf("%d %s is written %q %v, want %q %v", row.value, row.currency, got, ok, row.want, row.ok)
		}
	}
}

func TestOnlyExactAmountsAreRead(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text, currency providers.Text
		want           *payment.Money
		ok             bool
	}{
		{"", "", nil, true},
		{"1", "UAH", uah(100), true},
		{"4.5", "UAH", uah(450), true},
		{"4.50", "UAH", uah(450), true},
		{"4.500", "UAH", uah(450), true}, // nothing behind the second digit
		{"0.29", "UAH", uah(29), true},
		{"0", "UAH", uah(0), true},
		{"90071992547409.91", "UAH", uah(payment.MaxAmount), true},
		{"400", "JPY", &payment.Money{Value: 400, Currency: "JPY"}, true},
		{"400.00", "JPY", &payment.Money{Value: 400, Currency: "JPY"}, true},
		{"1.005", "KWD", &payment.Money{Value: 1005, Currency: "KWD"}, true},
		{"4.505", "UAH", nil, false},
		{"400.5", "JPY", nil, false},
		{"90071992547409.92", "UAH", nil, false},
		{"99999999999999999999", "UAH", nil, false},
		{"1e2", "UAH", nil, false},
		{"1E+2", "UAH", nil, false},
		{"-1", "UAH", nil, false},
		{"+1", "UAH", nil, false},
		{"1,50", "UAH", nil, false},
		{"1 000", "UAH", nil, false},
		{" 1", "UAH", nil, false},
		{".5", "UAH", nil, false},
		{"5.", "UAH", nil, false},
		{"1.2.3", "UAH", nil, false},
		{"0x10", "UAH", nil, false},
		{"1_0", "UAH", nil, false},
		{"١", "UAH", nil, false},
		{"1", "", nil, false},
		{"1", "XXX", nil, false},
		{"1", "uah", nil, false},
	} {
		got, ok := money(row.text, row.currency)
		if diff := cmp.Diff(row.want, got); diff != "" || ok != row.ok {
			t.Errorf("%q %s: ok %v, want %v (-want +got):\n%s", row.text, row.currency, ok, row.ok, diff)
		}
	}
}

func FuzzWhatIsWrittenIsReadBack(f *testing.F) {
	f.Add(int64(1), "UAH")
	f.Add(int64(29), "JPY")
	f.Fuzz(func(t *testing.T, value int64, currency string) {
		m := payment.Money{Value: value, Currency: payment.Currency(currency)}
		text, ok := decimal(m)
		if !ok || value > payment.MaxAmount {
			return
		}
		got, ok := money(providers.Text(text), providers.Text(currency))
		if !ok || got == nil || *got != m {
			t.Errorf("%s is written %s and read back as %v", m, text, got)
		}
	})
}

func uah(value int64) *payment.Money { return &payment.Money{Value: value, Currency: "UAH"} }
