package payment_test

import (
	"slices"
	"testing"

	"github.com/countermand/countermand/payment"
)

func TestExponentFollowsTheStandardAndNotCustom(t *testing.T) {
	t.Parallel()
	for code, want := range map[payment.Currency]int{
		"EGP": 2, "EUR": 2, "NGN": 2, "UAH": 2, "USD": 2, "PKR": 2, "IDR": 2, "COP": 2, "HUF": 2, "MGA": 2,
		"IQD": 3, "KWD": 3, "BHD": 3, "TND": 3,
		"JPY": 0, "KRW": 0, "ISK": 0, "UGX": 0, "XAF": 0,
		"CLF": 4, "UYW": 4,
		"XCG": 2, "ZWG": 2, "XTS": 2,
	} {
		if got, ok := code.Exponent(); !ok || got != want {
			t.Errorf("Exponent of %s is %d, %t; want %d", code, got, ok, want)
		}
	}
}

func TestWhatIsNoCurrencyWithAMinorUnitHasNoExponent(t *testing.T) {
	t.Parallel()
	for _, code := range []payment.Currency{
		"", "E", "EU", "EURO", "eur", "Eur", " EUR", "EUR ", "ЕUR",
		"XXX", "XAU", "XAG", "XPT", "XPD", "XDR", "XBA", "XSU", "XUA",
		"BGM", "HKR", "BGL", "DEM", "QQQ", "978",
	} {
		if got, ok := code.Exponent(); ok || got != 0 {
			t.Errorf("Exponent of %q is %d, %t; want none", code, got, ok)
		}
	}
}

func TestTheListOfCurrenciesIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	payment.Currencies()[0] = "QQQ"
	if slices.Contains(payment.Currencies(), "QQQ") {
		t.Error("a caller changed the list of another")
	}
}

func TestAWithdrawnCurrencyKeepsItsExponentAndSaysWhenItEnded(t *testing.T) {
	t.Parallel()
	type end struct {
		since string
		by    payment.Currency
	}
	for code, want := range map[payment.Currency]end{
		"BGN": {"2026-01-01", "EUR"}, "HRK": {"2023-01-01", "EUR"}, "ANG": {"2025-03-31", "XCG"}, "SLL": {"2023-12-31", "SLE"},
		"ZWL": {"2024-08-31", "ZWG"}, "BYR": {"2017-01", "BYN"}, "CUC": {"2021-06-30", "CUP"}, "EUR": {}, "BGM": {}, "XTS": {},
	} {
		since, by := code.Withdrawn()
		if got := (end{since, by}); got != want {
			t.Errorf("%s: %+v, want %+v", code, got, want)
		}
		if _, ok := code.Exponent(); since != "" && (!ok || !slices.Contains(payment.Currencies(), code)) {
			t.Errorf("%s has no exponent or is not listed", code)
		}
	}
	if digits, _ := payment.Currency("BYR").Exponent(); digits != 0 {
		t.Errorf("BYR has exponent %d, want 0", digits)
	}
}
