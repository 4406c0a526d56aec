package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

const head = "reference,provider_reference,operation,amount_minor,currency,executed_at,status\n"

func readStatement(t *testing.T, text string) (rows []reconcile.Row, faults []string) {
	t.Helper()
	err := reconcile.ReadStatement(strings.NewReader(text), func(r reconcile.Row) error {
		rows = append(rows, r)
		return nil
	}, func(f reconcile.CSVFault) error {
		faults = append(faults, f.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows, faults
}

func TestAStatementIsReadWhateverTheOrderOfItsColumns(t *testing.T) {
	t.Parallel()
	want := []reconcile.Row{
		{Line: 2, Reference: "a", ProviderReference: "9", Op: payment.Refund, Amount: egp(400), ExecutedAt: noon(), Status: "succeeded"},
		{Line: 3, ProviderReference: "10,1", Op: payment.Cancel, ExecutedAt: noon().Add(-2 * time.Hour), Status: "failed"},
	}
	for _, text := range []string{
		head + "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n,\"10,1\",cancel,,,2026-11-10T12:00:00+02:00,failed\n",
		"\xef\xbb\xbfstatus,executed_at,currency,amount_minor,operation,provider_reference,reference\r\n" +
			"succeeded,2026-11-10T12:00:00Z,EGP,400,refund,9,a\r\nfailed,2026-11-10T12:00:00+02:00,,0,cancel,\"10,1\",\r\n",
	} {
		rows, faults := readStatement(t, text)
		if diff := cmp.Diff(want, rows); diff != "" || len(faults) > 0 {
			t.Errorf("faults %v, rows (-want +got):\n%s", faults, diff)
		}
	}
}

func TestEveryFaultOfAStatementIsToldWithLineAndColumn(t *testing.T) {
	t.Parallel()
	text := head +
		"a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n" +
		",,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n" +
		"a,9,void,4.00,egp,yesterday,done\n" +
		"a,9,refund,,EGP,2026-11-10T12:00:00Z,succeeded\n" +
		"a,9,refund\n" +
		"a,\"9\"x,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n" +
		"b,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
	rows, faults := readStatement(t, text)
	want := []string{
		"3:1: reference: neither reference nor provider_reference: nothing says what the row is about",
		"4:5: operation: must be cancel or refund",
		"4:10: amount_minor: must be a whole number of minor units, 1 to 9007199254740991; it has a decimal point, a decimal comma or a thousands separator, and nobody can tell which: write 4.00 EGP as 400",
		"4:15: currency: must be three capital letters (ISO 4217)",
		"4:19: executed_at: must be a time such as 2026-11-21T12:00:00Z (RFC 3339)",
		"4:29: status: must be succeeded, failed, pending or returned",
		"5:12: amount_minor: a refund needs an amount",
		"6:1: 3 fields, want 7",
		"7:5: extraneous or missing \" in quoted-field",
	}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if len(rows) != 2 {
		t.Errorf("%d rows are good, want the first and the last", len(rows))
	}
}

func TestAStatementWithoutItsColumnsIsNotGuessedAt(t *testing.T) {
	t.Parallel()
	const row = "a,9,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n"
	for text, want := range map[string]int{
		"":        1,
		row + row: 1, // its first row is taken for the header
		strings.Replace(head, "status", "state", 1) + row:    2,
		strings.Replace(head, "currency", "status", 1) + row: 2,
	} {
		if rows, faults := readStatement(t, text); len(rows) > 0 || len(faults) != want {
			t.Errorf("%q: %d rows, %d faults, want %d: %q", text, len(rows), len(faults), want, faults)
		}
	}
}
