package reconcile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// TestStatementsAsOtherProgramsWriteThem reads one table as spreadsheet programs, banks and
// providers' back offices write it. Where it cannot be read, a fault says why in a line.
func TestStatementsAsOtherProgramsWriteThem(t *testing.T) {
	t.Parallel()
	const (
		folder = "testdata/statements"
		number = "must be a whole number of minor units, 1 to 9007199254740991; it has a decimal point, a decimal comma or a thousands separator, " +
			"and nobody can tell which: write 4.00 EGP as 400"
		moment  = "must be a time such as 2026-11-21T12:00:00Z (RFC 3339); "
		damaged = "looks damaged by a spreadsheet: "
		asText  = ". Export it again, and let the spreadsheet take the column as text"
		save    = "open it there and save it as CSV (UTF-8)"
		convert = "convert it first to CSV with the columns of a statement"
		foreign = "1:1: its first line lacks most of a statement's columns, so it is another program's export: make of it the columns " +
			"reference, provider_reference, operation, amount_minor, currency, executed_at, status"
		shortened = "provider_reference: " + damaged + "a long number was rounded, as in 2.11009E+17, and its digits are lost" + asText
	)
	cases := map[string][]string{ // nil: it works
		"excel-csv-utf8.csv":     nil,
		"excel-macintosh.csv":    nil, // carriage returns alone
		"excel-semicolons.csv":   nil, // and empty columns and rows
		"excel-short-rows.csv":   nil, // separators left out at the end
		"excel-unicode-text.txt": nil, // UTF-16 with tabs
		"google-sheets.tsv":      nil,
		"libreoffice-quoted.csv": nil,
		"sep-line.csv":           nil,
		"utf-16-big-endian.csv":  nil,

		"titled.csv":          {"1:1: the header is in line 4: remove the lines above it"},
		"excel-shortened.csv": {"2:34: " + shortened, "4:2: " + shortened},
		"excel-rounded.csv": {
			"2:34: provider_reference: " + damaged + "every long number of this column, first here, ends in zeros behind its 15th digit" + asText,
		},
		"excel-reformatted.csv": {
			"2:1: reference: " + damaged + "an apostrophe, which marks text there, is in front. Remove it",
			"2:61: amount_minor: " + number,
			"2:70: executed_at: " + moment + "a spreadsheet's date has no time zone, and day and month may be swapped: let it take the column as text",
			"3:1: reference: " + damaged + "it was taken for a date" + asText,
			"4:2: provider_reference: " + damaged + "the cell shows an error or is too narrow" + asText,
			"4:18: amount_minor: " + number,
			"4:28: executed_at: " + moment + "it " + damaged + "it is a spreadsheet's number of a day" + asText,
		},
		"excel-workbook.xlsx":      {"1:1: is an Excel workbook (xlsx) and no CSV: " + save},
		"libreoffice-workbook.ods": {"1:1: is a LibreOffice or OpenOffice workbook (ods) and no CSV: " + save},
		"excel-97.xls":             {"1:1: is an old Excel workbook (xls), or one with a password, and no CSV: " + save},
		"web-page.xls":             {"1:1: is a web page or XML and no CSV, as some programs name xls. If a spreadsheet program opens it, " + save},
		"bank-mt940.sta":           {"1:1: is an account statement in SWIFT's form (MT940): " + convert},
		"bank-camt053.xml":         {"1:1: is an account statement in XML (ISO 20022, camt): " + convert},
		"ofx.ofx":                  {"1:1: is OFX and no CSV: " + convert},
		"provider-api.json":        {"1:1: is JSON and no CSV: " + convert},
		"bank-savings.csv":         {foreign},
		"adyen-accounting.csv":     {foreign},
		"antom-settlement.csv":     {foreign},
		"cybersource-search.csv":   {foreign},
		"mercadopago-refunds.csv":  {foreign},
		"paypal-details.csv":       {foreign},
		"ppro-refunds.csv":         {foreign},
		"stripe-balance.csv":       {foreign},
	}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	whole := []reconcile.Row{
		{
			Line: 2, Reference: "5b0c0a3f6f5f4b0f9a5c1d2e3f405162", ProviderReference: "211003140885499643", Op: payment.Refund,
			Amount: egp(400), ExecutedAt: at, Status: reconcile.RowSucceeded,
		},
		{Line: 3, Reference: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", Op: payment.Cancel, ExecutedAt: at.Add(5 * time.Minute), Status: reconcile.RowSucceeded},
		{Line: 4, ProviderReference: "211003140885499651", Op: payment.Refund, Amount: egp(1250), ExecutedAt: at.Add(10 * time.Minute), Status: reconcile.RowReturned},
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != len(cases) {
		t.Errorf("%d files and %d cases: %v", len(files), len(cases), err)
	}
	for name, want := range cases {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, faults := readStatement(t, string(text))
		if diff := cmp.Diff(want, faults); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", name, diff)
		}
		if want != nil {
			continue
		}
		for i := range rows {
			if name == "sep-line.csv" { // the header is in its second line
				rows[i].Line--
			}
		}
		if diff := cmp.Diff(whole, rows); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
}

// damage reads one row with a value in a column, and returns the rules that it breaks.
func damage(t *testing.T, column, value string) string {
	t.Helper()
	var fields []string
	for name := range strings.SplitSeq(strings.TrimSpace(head), ",") {
		text := map[string]string{
			"reference": "a", "provider_reference": "9", "operation": "refund", "amount_minor": "400", "currency": "EGP",
			"executed_at": "2026-11-10T12:00:00Z", "status": "succeeded",
		}[name]
		if name == column {
			text = value
		}
		fields = append(fields, `"`+strings.ReplaceAll(text, `"`, `""`)+`"`)
	}
	rows, faults := readStatement(t, head+strings.Join(fields, ",")+"\n")
	if len(rows)+len(faults) != 1 {
		t.Errorf("%s %q: %d rows, faults %q", column, value, len(rows), faults)
	}
	return strings.Join(faults, "\n")
}

func TestWhatSpreadsheetsDoToAFieldIsNamed(t *testing.T) {
	t.Parallel()
	for _, column := range []string{"reference", "provider_reference"} {
		for _, good := range []string{
			"211003140885499643", "211003140885499000", "5b0c0a3f", "12E5", "1e10", "R-2026-11", "2026-11-21-7", "DEC-12345", "10.12.13.14",
			"00123", "12-345", "12/13", "NOV26", "#12", "A'B", "pi_3O=", "1.5", "12345.1",
			"10,1", "1.234", "12 345", "1234,567", "12.34.56", "123-456-789", "12,34,56",
		} {
			if got := damage(t, column, good); got != "" {
				t.Errorf("%s %q: %s", column, good, got)
			}
		}
		for want, bad := range map[string][]string{
			"a long number was rounded":          {"2.11009E+17", "2,11009E+17", "2E+17", "2.1100314088549965e+17", "2.11009E17", "-2.11009E+17"},
			"taken for a number with a fraction": {"12345.0", "211003140885499643,00"},
			"it was taken for a date":            {"2026-11-21", "21.11.2026", "11/21/2026", "3/4/26", "2026-11-21 00:00:00", "1-Mar", "21-Nov", "21 Nov 2026", "Dec-12", "11/21/2026 12:00 PM"},
			"has thousands separators": {
				"211,009,140,896,593,010", "211.009.140.896.593.010", "211'009'140'896'593'010", "211’009’140’896’593’010", "1,234", "12'345",
				"211\u00a0009\u00a0140", "211\u202f009\u202f140", "211\u2009009\u2009140", "211 009 140", "12\u00a0345", "2,11,00,914", "211,009,140.00", "2٬110٬091٫00",
			},
			"an apostrophe":                      {"'211003140885499643", "'00123"},
			"it is a formula":                    {`="211003140885499643"`, "=A1"},
			"the cell shows an error":            {"########", "#NAME?", "#N/A", "#REF!"},
			"is not UTF-8: save the file as CSV": {"caf\xe9"},
		} {
			for _, value := range bad {
				if got := damage(t, column, value); !strings.Contains(got, want) || !strings.HasPrefix(got, "2:") || !strings.Contains(got, column) {
					t.Errorf("%s %q: %q, want %q", column, value, got, want)
				}
			}
		}
	}
	for want, bad := range map[string][]string{
		"a decimal point, a decimal comma or a thousands separator": {"4.00", "4,00", "1,250", "1.250", "1.250,00", "1 250", "1'250", "1\u00a0250", "-4.00"},
		"it has a sign":                               {"-400", "+400", "400-", "(400)", "+0"},
		"its digits are lost":                         {"4E+05", "4.1E+15"},
		"it was taken for a date":                     {"21-Nov", "1900-01-04"},
		"must be a whole number of minor units, 1 to": {"EGP 400", "0400x", "9007199254740992"},
		"an apostrophe":                               {"'400"},
	} {
		for _, value := range bad {
			if got := damage(t, "amount_minor", value); !strings.Contains(got, want) || !strings.Contains(got, "2:18: amount_minor") {
				t.Errorf("amount %q: %q, want %q", value, got, want)
			}
		}
	}
	for want, bad := range map[string][]string{
		"day and month may be swapped":    {"11/21/2026 12:00", "21.11.2026 12:00:00", "2026-11-21 12:00", "21-Nov-26", "2026-11-21"},
		"a spreadsheet's number of a day": {"46347", "46347.5", "46347,5"},
		"(RFC 3339)":                      {"yesterday", "2026-11-21T12:00:00"},
	} {
		for _, value := range bad {
			if got := damage(t, "executed_at", value); !strings.Contains(got, want) || !strings.Contains(got, "executed_at") {
				t.Errorf("time %q: %q, want %q", value, got, want)
			}
		}
	}
}

// One long number that ends in zeros may be what the provider wrote. Where all do, it is not.
func TestRoundedNumbersAreToldByTheWholeColumn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		references []string
		want       string
	}{
		"one":              {[]string{"211003140885499000"}, ""},
		"two":              {[]string{"211003140885499000", "211003140885498000"}, "2:3: provider_reference: looks damaged"},
		"one is whole":     {[]string{"211003140885499000", "211003140885498000", "211003140885498001"}, ""},
		"a long one":       {[]string{"29000000000000000000000", "29000000000000000000000"}, ""},
		"with a zero":      {[]string{"211003140885499000", "000000000000000000000000"}, ""},
		"short ones":       {[]string{"100000000000000", "200000000000000"}, ""},
		"not only digits":  {[]string{"tr_2110031408854990000000", "tr_2110031408854980000000"}, ""},
		"of sixteen, many": {[]string{"1110000000000000", "1120000000000000", "1130000000000000", "1140000000000000", "1150000000000000", "1160000000000000"}, "2:3: "},
	} {
		text := head
		for _, r := range c.references {
			text += "a," + r + ",refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
		}
		_, faults := readStatement(t, text)
		if got := strings.Join(faults, "\n"); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestAFileThatIsNoStatementIsOneFault(t *testing.T) {
	t.Parallel()
	const row = "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
	utf16 := func(text string) string { // without a byte order mark
		return strings.Join(strings.Split(text, ""), "\x00") + "\x00"
	}
	for want, texts := range map[string][]string{
		"1:1: there is no header line":           {"", "\n\n", "sep=;\r\n", "\xef\xbb\xbf", "\xff\xfe"},
		"1:1: has zero bytes":                    {utf16(head + row), head + "a\x00"},
		"1:1: is UTF-32":                         {"\xff\xfe\x00\x00r\x00\x00\x00"},
		"1:1: is a PDF":                          {"%PDF-1.7\n"},
		"1:1: is compressed":                     {"\x1f\x8b\x08\x00"},
		"1:1: is a zip archive":                  {"PK\x03\x04\x14\x00statement.csv" + head},
		"1:1: is encrypted":                      {"-----BEGIN PGP MESSAGE-----\n"},
		"1:1: is QIF":                            {"!Type:Bank\nD11/21/26\n"},
		"1:1: is an Excel workbook in XML":       {`<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">`},
		"1:1: is JSON":                           {"[{}]"},
		"1:1: the header is in line 2":           {"Statement of November\n" + head + row, "x\t\n" + strings.ReplaceAll(head, ",", "\t")},
		"1:1: its first line lacks most of a st": {row + row, "reference,status\n", "reference|status\n", "|\n"},
		"1:1: its columns are separated by '|': save it with commas, or write the line sep=| above the header": {
			strings.ReplaceAll(head+row, ",", "|"), strings.ToUpper(`"` + strings.ReplaceAll(strings.TrimSpace(head), ",", `"|"`) + `"`),
		},
		"1:1: its columns are separated by '~'": {strings.ReplaceAll(head+row, ",", "~")},
	} {
		for _, text := range texts {
			if rows, faults := readStatement(t, text); len(rows) > 0 || len(faults) != 1 || !strings.HasPrefix(faults[0], want) {
				t.Errorf("%q: %d rows, faults %q, want %q", text, len(rows), faults, want)
			}
		}
	}
}

func TestAHeaderInCapitalsIsRead(t *testing.T) {
	t.Parallel()
	const row = "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
	capitals := strings.ToUpper(head)
	for text, want := range map[string]string{
		capitals + row: "",
		"Reference,Provider_Reference,Operation,Amount_Minor,Currency,Executed_At,Status\n" + row: "",
		strings.ReplaceAll(capitals+row, ",", ";"):                                                "",
		strings.ReplaceAll(capitals, "CURRENCY", "reference") + row:                               "1:53: column is there twice",
		"Report\n" + capitals + row:                                                               "1:1: the header is in line 2: remove the lines above it",
		strings.ReplaceAll(capitals, "STATUS", "STATE") + row:                                     "1:74: unknown column",
		capitals + "a,9,refund,x,EGP,2026-11-10T12:00:00Z,succeeded\n":                            "2:12: amount_minor: must be",
	} {
		rows, faults := readStatement(t, text)
		if got := strings.Join(faults, "\n"); want == "" && (got != "" || len(rows) != 1) || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %d rows, faults %q, want %q", text, len(rows), got, want)
		}
	}
}

func TestARowOfTotalsIsOneFault(t *testing.T) {
	t.Parallel()
	const row = "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
	for _, totals := range []string{
		"Total,,,650,EGP,,", "Summe,,,\"6,50\",EGP,,", ",,,650,,,", ",,Total,650,EGP,,", ",,,650,EGP,Gesamt,", "Total,,,650", "Total", "Total,2 rows,,6.50,EGP,,,",
		"End of report", "Total,,,6,50,EGP,,",
	} {
		rows, faults := readStatement(t, head+row+totals+"\n")
		const want = "3:1: is no movement but a row of totals or a note: it has no operation, time and status of one. Remove it"
		if len(rows) != 1 || len(faults) != 1 || faults[0] != want {
			t.Errorf("%q: %d rows, faults %q", totals, len(rows), faults)
		}
	}
	for want, line := range map[string]string{
		"2:9: operation: must be":     "Total,9,,400,EGP,2026-11-10T12:00:00Z,succeeded",
		"2:1: 3 fields, want 7":       "a,9,refund",
		"2:5: operation: must be can": "a,9,void,400,EGP,yesterday,done",
	} {
		if _, faults := readStatement(t, head+line+"\n"); len(faults) == 0 || !strings.HasPrefix(faults[0], want) {
			t.Errorf("%q: faults %q, want %q", line, faults, want)
		}
	}
}

func TestACurrencyIsOneThatThereIsOrWas(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]string{
		"EGP": "", "JPY": "", "XTS": "", "BGN": "", "HRK": "", "ANG": "",
		"EGY": "is no currency with minor units in ISO 4217", "XXX": "is no currency with minor units", "XAU": "is no currency with minor units",
		"egp": "must be three capital letters", "EUROS": "must be three capital letters",
	} {
		if got := damage(t, "currency", currency); want == "" && got != "" || !strings.Contains(got, want) || want != "" && !strings.HasPrefix(got, "2:24: currency: ") {
			t.Errorf("%s: %q, want %q", currency, got, want)
		}
	}
}

// The line that tells Excel the separator may name another one, or lie.
func TestTheSeparatorIsWhatTheHeaderFits(t *testing.T) {
	t.Parallel()
	const row = "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
	piped := strings.ReplaceAll(head+row, ",", "|")
	for _, text := range []string{head + row, "sep=|\n" + piped, "\"sep=|\"\r\n" + piped, "SEP=;\n" + head + row, "sep=\t\n" + strings.ReplaceAll(head+row, ",", "\t")} {
		rows, faults := readStatement(t, text)
		if len(rows) != 1 || len(faults) > 0 {
			t.Errorf("%q: %d rows, faults %q", text, len(rows), faults)
		}
	}
	rows, faults := readStatement(t, "sep=;\n"+strings.ReplaceAll(head+"a,9,refund,x,EGP,2026-11-10T12:00:00Z,succeeded\n", ",", ";"))
	if len(rows) > 0 || len(faults) != 1 || !strings.HasPrefix(faults[0], "3:12: amount_minor") {
		t.Errorf("%d rows, faults %q", len(rows), faults)
	}
}

func TestEmptyColumnsAndRowsOfASpreadsheetAreNoFaults(t *testing.T) {
	t.Parallel()
	wide := strings.TrimSpace(head) + ",,\n"
	for text, want := range map[string]string{
		wide + "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded,,\n,,,,,,,,\n\n": "",
		wide + "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n":               "",
		head + "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded,,\n":             "",
		wide + "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded,,total 4\n":      "2:52: a value in a column without a name",
		head + "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded,,1\n":            "2:1: 9 fields, want 7",
		head + "a,9,refund,400,EGP,2026-11-10T12:00:00Z\n":                         "2:1: 6 fields, want 7",
		head + "=\"a\",9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n":          "2:2: bare \" in non-quoted-field; a value written as =\"123\" is a formula for a spreadsheet: write 123",
		head + "'a,#N/A,refund,4.00,EGP,2026-11-10T12:00:00Z,done\n":               "2:1: reference: looks damaged",
	} {
		rows, faults := readStatement(t, text)
		if got := strings.Join(faults, "\n"); want == "" && (got != "" || len(rows) != 1) || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %d rows, faults %q, want %q", text, len(rows), got, want)
		}
	}
}
