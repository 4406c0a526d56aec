package payment

import "slices"

//go:generate go run ../internal/currencygen currency_table.go

// Exponent returns how many digits of the currency's amounts stand behind the
// decimal point: 10 to its power minor units make one major unit (EGP 2, JPY 0,
// KWD 3). A currency that ISO 4217 has withdrawn since 2008 keeps the exponent that it
// had, because a refund may come years after its payment (see Withdrawn). It is false
// for what is no currency with a minor unit in ISO 4217: unknown codes, codes in lower
// case, metals (XAU), bond units, "no currency" (XXX).
//
// The test code XTS is the one exception. ISO 4217 gives it no minor unit;
// providers that use it in their test mode use two decimals, so it has two here.
//
// The standard is followed, not custom: ISO 4217 says PKR, IDR 2 and IQD 3 where
// CLDR, made for showing prices, says 0. Money moved a hundredfold otherwise.
func (c Currency) Exponent() (digits int, ok bool) {
	if digits, ok = exponent(c); ok {
		return digits, ok
	}
	return historic(c)
}

// Withdrawn says when ISO 4217 withdrew the currency, as a day or a month ("2026-01-01",
// "2017-01"), and which currency replaced it. Both are empty for any other code.
func (c Currency) Withdrawn() (since string, by Currency) { return withdrawn(c) }

// Currencies returns every currency Exponent knows, in alphabetical order. The
// slice is the caller's own.
func Currencies() []Currency {
	all := append(currencies(), historicCurrencies()...)
	slices.Sort(all)
	return all
}
