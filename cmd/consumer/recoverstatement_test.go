package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// reference is what the provider was told of an order's refund.
func (b *rearmBundle) reference(order string) string {
	return payment.ProviderReference("opay", b.account(), order, payment.Refund, "return-1")
}

// account is the hash of the provider's account.
func (b *rearmBundle) account() string {
	b.t.Helper()
	instances, err := app.Instances(b.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	return instances[0].Account
}

// setting adds a line to the configuration.
func (b *rearmBundle) setting(line string) {
	b.t.Helper()
	text, err := os.ReadFile(b.file)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.file, append(text, line+"\n"...), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// statement writes rows of a statement.
func (b *rearmBundle) statement(rows ...string) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "statement.csv")
	text := "reference,provider_reference,operation,amount_minor,currency,executed_at,status\n" + strings.Join(rows, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// refundOf is the operation of an order; its zero value is none.
func (b *rearmBundle) refundOf(order string) payment.Operation {
	b.t.Helper()
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	last, err := journal.Last(b.t.Context(), payment.ID{Provider: "opay-eg", Native: order})
	if err != nil {
		b.t.Fatal(err)
	}
	if i := last.State.Find(payment.Refund, "return-1"); i >= 0 {
		return last.State.Operations[i]
	}
	return payment.Operation{}
}

func TestAStatementSettlesByOurOwnReferenceAlone(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.setting("desk: {selfAsserted: true}")
	for _, order := range []string{"1001", "1003", "1004", "1005", "1006"} {
		b.command(order, "event-"+order, 400)
	}
	b.epoch(integrity.Held, time.Now().Add(time.Minute))
	if code, out, errs := b.run("recover", "--commands", "--apply", "--config", b.file); code != 0 {
		t.Fatalf("walk: %d\n%s%s", code, out, errs)
	}
	b.command("1002", "event-1002", 400) // only its command is known
	row := func(reference, theirs string, amount int) string {
		return fmt.Sprintf("%s,%s,refund,%d,EGP,2026-11-30T08:00:00Z,succeeded", reference, theirs, amount)
	}
	file := b.statement(
		row(b.reference("1001"), "p-1", 400),
		row(b.reference("1002"), "p-2", 400),
		row("", "p-3", 400), // 1003 has this amount, and nothing else
		row(b.reference("1004"), "p-4", 401),
		row(b.reference("1005"), "p-5", 400), row(b.reference("1005"), "p-6", 400),
		row(strings.Repeat("0", 32), "p-7", 400),
	)
	args := []string{"recover", "--statement", file, "--provider", "opay-eg", "--config", b.file}
	want := func(code int, text string, more ...string) {
		t.Helper()
		got, out, errs := b.run(append(args, more...)...)
		if got != code || !strings.Contains(out+errs, text) {
			t.Errorf("%v: code %d, want %d and %q\n%s%s", more, got, code, text, out, errs)
		}
	}
	want(2, "--reason belongs to", "--apply")
	want(1, "0 movements are in the journal, 1 would be settled, 1 only their commands explain, 5 left")
	want(1, "outcome,applied,line,reference,", "--csv")
	if op := b.refundOf("1001"); op.Status != payment.StatusIndeterminate {
		t.Fatalf("the dry run has settled it: %+v", op)
	}
	apply := []string{"--apply", "--reason", "statement of November", "--operator", "ann", "--json"}
	want(1, `"settled":2`, apply...)
	for order, status := range map[string]payment.Status{
		"1001": payment.StatusSucceeded, "1002": payment.StatusSucceeded, "1003": payment.StatusIndeterminate,
		"1004": payment.StatusIndeterminate, "1005": payment.StatusIndeterminate, "1006": payment.StatusIndeterminate,
	} {
		op := b.refundOf(order)
		if op.Status != status {
			t.Errorf("%s is %+v, want %s", order, op, status)
		}
		if status == payment.StatusSucceeded && (op.Basis != payment.BasisOperator || op.Moved == nil || op.Moved.Value != 400 || op.ProviderReference == "") {
			t.Errorf("%s: %+v", order, op)
		}
	}
	want(1, `"booked":2`, apply...) // again: nothing more
	_, out, _ := b.run("show", "opay-eg", "1001", "--json", "--config", b.file)
	if !strings.Contains(out, "statement of November") {
		t.Errorf("who and why is not shown:\n%s", out)
	}
	if calls := b.sim.Calls(); len(calls) > 0 {
		t.Errorf("the provider was called: %v", calls)
	}
}

// What only its command explains is judged by all rows of its reference, as if it lay
// open in the journal.
func TestAStatementInWhichMoneyCameBackOrMovedTwiceSettlesNoCommand(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.setting("desk: {selfAsserted: true}")
	for _, order := range []string{"1001", "1002", "1003", "1004"} {
		b.command(order, "event-"+order, 400)
	}
	b.epoch(integrity.Held, time.Now().Add(time.Minute))
	row := func(order, theirs string, amount int, status string) string {
		return fmt.Sprintf("%s,%s,refund,%d,EGP,2026-11-30T08:00:00Z,%s", b.reference(order), theirs, amount, status)
	}
	file := b.statement(
		row("1001", "p-1", 400, "succeeded"), row("1001", "p-1", 400, "returned"),
		row("1002", "p-2", 400, "succeeded"), row("1002", "p-3", 400, "succeeded"),
		row("1003", "p-4", 401, "succeeded"),
		row("1004", "p-5", 400, "failed"), row("1004", "p-6", 400, "succeeded"),
	)
	args := []string{"recover", "--statement", file, "--provider", "opay-eg", "--json", "--config", b.file}
	for _, apply := range [][]string{nil, {"--apply", "--reason", "x", "--operator", "ann"}} {
		code, out, errs := b.run(append(args, apply...)...)
		if code != 1 || strings.Count(out, `"outcome":"doubtful"`) != 5 || strings.Contains(out, `"outcome":"unexplained"`) {
			t.Errorf("%v: code %d\n%s%s", apply, code, out, errs)
		}
	}
	for order, status := range map[string]payment.Status{
		"1001": payment.StatusIndeterminate, "1002": payment.StatusIndeterminate, "1003": payment.StatusIndeterminate, "1004": payment.StatusSucceeded,
	} {
		if op := b.refundOf(order); op.Status != status {
			t.Errorf("%s is %+v, want %s", order, op, status)
		}
	}
}

// The newest row of a transaction counts, also one without our reference, and a row that is
// there again is no second movement.
func TestAStatementSettlesWhatItsNewestRowsSay(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.setting("desk: {selfAsserted: true}")
	orders := []string{"1001", "1002", "1003", "1004", "1005", "1006"}
	for _, order := range orders {
		b.command(order, "event-"+order, 400)
	}
	b.epoch(integrity.Held, time.Now().Add(time.Minute))
	if code, out, errs := b.run("recover", "--commands", "--apply", "--config", b.file); code != 0 {
		t.Fatalf("walk: %d\n%s%s", code, out, errs)
	}
	row := func(order, theirs string, hour int, status string) string {
		reference := ""
		if order != "" {
			reference = b.reference(order)
		}
		return fmt.Sprintf("%s,%s,refund,400,EGP,2026-11-30T%02d:00:00Z,%s", reference, theirs, hour, status)
	}
	file := b.statement(
		row("1001", "p-1", 8, "succeeded"), row("1001", "p-1", 9, "failed"),
		row("1002", "p-2", 8, "succeeded"), row("", "p-2", 9, "failed"),
		row("1003", "p-3", 8, "succeeded"), row("", "p-3", 9, "returned"),
		row("1004", "p-4", 8, "failed"), row("1004", "p-4", 9, "succeeded"),
		row("1005", "p-5", 8, "succeeded"), row("1005", "p-5", 8, "succeeded"),
		row("1006", "p-6", 8, "succeeded"),
	)
	code, out, errs := b.run("recover", "--statement", file, "--provider", "opay-eg", "--config", b.file, "--json",
		"--apply", "--reason", "x", "--operator", "ann")
	if code != 1 || !strings.Contains(out, `"outcomes":{"doubtful":2,"repeated":1,"settled":3}`) {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	for i, status := range []payment.Status{
		payment.StatusIndeterminate, payment.StatusIndeterminate, payment.StatusIndeterminate,
		payment.StatusSucceeded, payment.StatusSucceeded, payment.StatusSucceeded,
	} {
		if op := b.refundOf(orders[i]); op.Status != status {
			t.Errorf("%s is %+v, want %s", orders[i], op, status)
		}
	}
}

func TestWhatNamesAPersonIsNoReferenceOfAStatement(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.setting("desk: {selfAsserted: true}")
	b.command("1001", "event-1001", 400)
	b.epoch(integrity.Held, time.Now().Add(time.Second))
	file := b.statement(b.reference("1001") + ",Olena Kovalenko,refund,400,EGP,2026-11-30T08:00:00Z,succeeded")
	code, out, errs := b.run("recover", "--statement", file, "--provider", "opay-eg", "--config", b.file, "--apply", "--reason", "x", "--operator", "ann")
	if op := b.refundOf("1001"); code != 0 || op.Status != payment.StatusSucceeded || op.ProviderReference != "" {
		t.Errorf("code %d, %+v\n%s%s", code, op, out, errs)
	}
}

func TestAStatementDoesNotSettleWhatTwoPersonsRuleOn(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.setting("desk: {selfAsserted: true, secondPersonAbove: [{value: 399, currency: EGP}]}")
	b.command("1001", "event-1001", 400)
	b.epoch(integrity.Held, time.Now().Add(time.Second))
	file := b.statement(b.reference("1001") + ",p-1,refund,400,EGP,2026-11-30T08:00:00Z,succeeded")
	for range 2 {
		code, out, errs := b.run("recover", "--statement", file, "--provider", "opay-eg", "--config", b.file, "--apply", "--reason", "x", "--operator", "ann")
		if code != 1 || !strings.Contains(out, "needs_second_person") {
			t.Errorf("code %d\n%s%s", code, out, errs)
		}
	}
	if op := b.refundOf("1001"); op.Open == nil || !op.Open.Presumed {
		t.Errorf("%+v", op)
	}
}
