package main

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

func TestShowPrintsEveryEventAlsoOneThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	e := b.waiting("1001")
	b.waiting("1002")
	subject, err := events.EventSubject(payment.Refund, payment.EventStarted, e.ID, e.State.Version+1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), subject, []byte("not an event")); err != nil {
		t.Fatal(err)
	}
	code, out, errs := b.run("show", "opay-eg", "1001", "--config", b.file)
	if code != cli.ExitOK {
		t.Fatalf("code %d\n%s", code, errs)
	}
	for _, want := range []string{
		"payment 1001 at opay-eg\n\n  v1   ", "refund started         key return-1, attempt 1, amount 4.00 EGP",
		"\n  v2   ", "refund deferred        key return-1", "\n  " + subject + "  cannot be read: ", "(key return-1): deferred, looked at again ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if code, out, _ := b.run("show", "opay-eg", "1001", "--json", "--config", b.file); code != cli.ExitOK || strings.Count(out, "\n") != 3 || !strings.HasSuffix(out, "\nnot an event\n") {
		t.Errorf("code %d\n%s", code, out)
	}
	if code, _, errs := b.run("show", "opay-eg", "1003", "--config", b.file); code != cli.ExitNone || !strings.Contains(errs, "no event of payment 1003") {
		t.Errorf("code %d\n%s", code, errs)
	}
	if code, _, _ := b.run("show", "opay eg", "1001", "--config", b.file); code != cli.ExitUsage {
		t.Errorf("code %d", code)
	}
}

func TestShowSaysAtOnceThatTheStreamIsMissing(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	if err := b.js.DeleteStream(t.Context(), "PAYMENT_EVENTS"); err != nil {
		t.Fatal(err)
	}
	code, _, errs := b.run("show", "opay-eg", "1001", "--config", b.file)
	if code != cli.ExitFailed || !strings.Contains(errs, "stream not found") {
		t.Errorf("code %d\n%s", code, errs)
	}
}
