package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestTheCommittedTableIsWhatTheGeneratorWrites(t *testing.T) {
	t.Parallel()
	want, err := generate(listOne, amendments, historic)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../payment/currency_table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("payment/currency_table.go is not what its sources give: run go generate ./payment")
	}
}

func TestAnAmendmentThatChangesNothingIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ line, want string }{
		"adding a listed code":            {"add EUR 2", "already"},
		"removing an unlisted code":       {"remove ANG\nremove ANG", "line 2"},
		"an exponent that is no number":   {"add QQQ two", "exponent of QQQ"},
		"a word nobody knows":             {"rename ANG XCG", "neither"},
		"a missing exponent":              {"except XTS", "neither"},
		"an exception that is listed now": {"except USD 2", "already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := generate(listOne, []byte(tc.line), historic)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestAListThatContradictsItselfIsRefused(t *testing.T) {
	t.Parallel()
	list := `<ISO_4217 Pblshd="2024-01-01"><CcyTbl>
		<CcyNtry><Ccy>EUR</Ccy><CcyMnrUnts>2</CcyMnrUnts></CcyNtry>
		<CcyNtry><Ccy>EUR</Ccy><CcyMnrUnts>3</CcyMnrUnts></CcyNtry></CcyTbl></ISO_4217>`
	if _, err := generate([]byte(list), nil, nil); err == nil || !strings.Contains(err.Error(), "both 2 and 3") {
		t.Errorf("error is %v, want one that names both exponents", err)
	}
}

func TestAHistoricTableThatContradictsTheActiveOneIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"an active currency":         {string(historic) + "EUR 2 2030-01-01 USD\n", "EUR is active"},
		"a currency twice":           {string(historic) + "HRK 2 2023-01-01 EUR\n", "HRK stands here twice"},
		"one that is removed":        {"ANG 2 2025-03-31 XCG\nCUC 2 2021-06-30 CUP\n", "BGN is missing"},
		"no exponent":                {"ANG\n", "historic.txt line 1"},
		"a date in words":            {"ANG 2 2025-March XCG\n", "date of ANG"},
		"an exponent without number": {"ANG two 2025-03-31 XCG\n", "exponent of ANG"},
	} {
		if _, err := generate(listOne, amendments, []byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, tc.want)
		}
	}
}
