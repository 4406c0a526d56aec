package safetext_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/safetext"
)

func TestACardNumberIsNoProvidersReference(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"4111111111111111", "4111 1111 1111 1111", "ref 4111-1111-1111-1111", "5555555555554444",
		"4111.1111.1111.1111", "4111_1111/1111|1111", "ref 4111·1111·1111·1111, 12", "ref 4111111111111111, 12", "４１１１ 1111 1111 1111", "2223003122003222",
		"378282246310005", "6011111111111117", "3530111333300000", "30569309025904", "x5019717010103742",
	} {
		if !safetext.CardLike(s) {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{
		"", "p-1", "211003140885499643", "220507145660712931829", "10000000-0000-4000-8000-000000000001", "4111111111111112", "1234567890123",
		"20261121123456789", "rf_411111", "0000000000000000",
	} {
		if safetext.CardLike(s) {
			t.Errorf("%q is refused", s)
		}
	}
}

func TestADigitOfAnyScriptHasItsValue(t *testing.T) {
	t.Parallel()
	for _, digits := range []string{"0123456789", "０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿", "\U0001fbf0\U0001fbf1\U0001fbf2"} {
		want := 0
		for _, r := range digits {
			if got, ok := safetext.Digit(r); !ok || got != want {
				t.Errorf("%c is %d, %v, want %d", r, got, ok, want)
			}
			want++
		}
	}
	for _, r := range "a½⁴②ⅳ四-" {
		if got, ok := safetext.Digit(r); ok {
			t.Errorf("%c is %d", r, got)
		}
	}
}

func TestAPersonsDataIsNoIdentifier(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"211003140885499643", "529-1438673740-2", "tx_01H84D1GN7AGCBFACSDYC1D4AF", "9b1392a5-d030-4e85-b02d-9b7191ea2a5e", "7",
		"4111-1111-1111-1111-a", "GB33BUKB20201555555556", strings.Repeat("9", 128),
	} {
		if !safetext.Identifier(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"", "Kovalenko", "Olena-Kovalenko", "Olena Kovalenko 2", "olena7@example.org", "+380441234567", "(044) 1234567", "537541******4242",
		"4111111111111111", "4111-1111-1111-1111", "4111.1111.1111.1111", "4111_1111/1111:1111", "378282246310005", "GB33BUKB20201555555555", "ua21-3223-1300-0002-6007-2335-6600-1", "Олена7",
		"a\u20287", "1%40", strings.Repeat("9", 129),
	} {
		if safetext.Identifier(s) {
			t.Errorf("%q passes", s)
		}
	}
}

func TestAPersonsDataIsNoCode(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"00000", "02006", "50003", "6007", "283", "32", "5", "PG0005", "PG0998", "S-404", "E_51", "P1"} {
		if !safetext.Code(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"", "Kovalenko", "KOVALENKO", "Olena 7", "o7@example.org", "5551234", "4242-4242", "a1:b", "UA213223130000026007233566001", strings.Repeat("a", 32) + "1",
		"olena.kovalenko1990", "olena1990", "OLENA1990", "AB123456", "AB12345", "tel-441234", "441234", "TEL-44123", "e_1.2", "PG", "PG-", "-1", "A--1", "PG0005x", "12.34", "٣٢",
		"19.11.90",
	} {
		if safetext.Code(s) {
			t.Errorf("%q passes", s)
		}
	}
}
