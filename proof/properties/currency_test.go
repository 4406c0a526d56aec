package properties_test

import (
	"testing"

	"github.com/Rhymond/go-money"
	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

// Where an independent, hand-kept table (Rhymond/go-money) and ours part, and
// why. Nothing else may differ, in either direction.
func knownDifferences() map[payment.Currency]string {
	const (
		fund      = "a fund code of List One, missing there"
		recent    = "newer than that table"
		withdrawn = "withdrawn from ISO 4217 before 2008, kept there"
		missing   = "withdrawn since 2008 and kept here, missing there"
		noMinor   = "ISO 4217 gives it no minor unit"
		unlisted  = "never an ISO 4217 code"
	)
	return map[payment.Currency]string{
		"BOV": fund, "CHE": fund, "CHW": fund, "COU": fund, "MXV": fund, "USN": fund, "UYI": fund, "UYW": fund,
		"VED": recent, "XAD": recent, "ZWG": recent,
		"XTS": "our documented exception",
		"RUR": withdrawn, "TRL": withdrawn, "ZWD": withdrawn,
		"CYP": missing, "MRO": missing, "MTL": missing, "TMM": missing, "VEB": missing, "ZMK": missing, "ZWR": missing,
		"XAG": noMinor, "XAU": noMinor, "XDR": noMinor,
		"GGP": unlisted, "IMP": unlisted, "JEP": unlisted,
	}
}

func TestTheTableAgreesWithAnIndependentOneOnEveryCode(t *testing.T) {
	t.Parallel()
	known := knownDifferences()
	compared := 0
	for _, c := range threeLetterCodes() {
		ours, listed := c.Exponent()
		theirs := money.GetCurrency(string(c))
		switch differ := listed != (theirs != nil); {
		case differ && known[c] == "":
			t.Errorf("%s is listed here: %t, there: %t", c, listed, theirs != nil)
		case !differ && known[c] != "":
			t.Errorf("%s no longer differs: it is not %q", c, known[c])
		case listed && theirs != nil:
			compared++
			if theirs.Fraction != ours {
				t.Errorf("%s has exponent %d here and %d there", c, ours, theirs.Fraction)
			}
		}
	}
	if compared < 150 {
		t.Errorf("only %d currencies were compared", compared)
	}
}

func TestCurrenciesListsExactlyTheCodesWithAnExponent(t *testing.T) {
	t.Parallel()
	var want []payment.Currency
	for _, c := range threeLetterCodes() {
		if _, ok := c.Exponent(); ok {
			want = append(want, c)
		}
	}
	if diff := cmp.Diff(want, payment.Currencies()); diff != "" {
		t.Errorf("Currencies (-with an exponent +listed):\n%s", diff)
	}
}

// threeLetterCodes returns AAA to ZZZ.
func threeLetterCodes() []payment.Currency {
	var codes []payment.Currency
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				codes = append(codes, payment.Currency([]rune{a, b, c}))
			}
		}
	}
	return codes
}
