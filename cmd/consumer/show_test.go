package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/history"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/journal/stream"
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

// An operator has no right on a stream. The service tells the same as the streams.
func TestShowTellsTheSameByTheServiceAndPageByPage(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	b.waiting("1001")
	want := map[string]string{}
	_, want["--no-json"], _ = b.run("show", "opay-eg", "1001", "--config", b.file)
	_, want["--json"], _ = b.run("show", "opay-eg", "1001", "--json", "--config", b.file)
	asked := 0
	b.tellsHistory(func(r *history.Reader, ctx context.Context, id payment.ID, version uint64) (*history.Page, error) {
		asked++
		p, err := r.Page(ctx, id, version)
		if err == nil && len(p.Events) > 1 { // one event a page
			p.Events, p.Timers, p.Next = p.Events[:1], nil, max(version, 1)+1
		}
		return p, err
	})
	for _, args := range [][]string{{}, {"--json"}} {
		code, out, errs := b.run(append([]string{"show", "opay-eg", "1001", "--operator", "ana", "--config", b.file}, args...)...)
		form := "--no-json"
		if len(args) > 0 {
			form = args[0]
		}
		if code != cli.ExitOK || out != want[form] {
			t.Errorf("%v: code %d\n%s%s\nwant\n%s", args, code, out, errs, want[form])
		}
	}
	if asked != 4 {
		t.Errorf("the service was asked %d times", asked)
	}
	if code, _, errs := b.run("show", "opay-eg", "1003", "--operator", "ana", "--config", b.file); code != cli.ExitNone {
		t.Errorf("code %d\n%s", code, errs)
	}
}

// As on a local server, where the service takes no name that is only typed.
func TestShowReadsForItselfWhereTheServiceDoesNotAnswerItsUser(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	e := b.waiting("1001")
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	served, err := remote.Serve(b.js.Conn(), b.operators(journal), &remote.Options{History: history.NewReader(journal, nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = served.Stop() })
	code, out, errs := b.run("show", e.ID.Provider, "1001", "--operator", "ana", "--config", b.file)
	if code != cli.ExitOK || !strings.Contains(out, "refund deferred") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
}

// paged is a history that a test cuts.
type paged struct {
	reader *history.Reader
	page   func(r *history.Reader, ctx context.Context, id payment.ID, version uint64) (*history.Page, error)
}

func (p paged) Page(ctx context.Context, id payment.ID, version uint64) (*history.Page, error) {
	return p.page(p.reader, ctx, id, version)
}

// tellsHistory answers what show asks.
func (b *rearmBundle) tellsHistory(page func(*history.Reader, context.Context, payment.ID, uint64) (*history.Page, error)) {
	b.t.Helper()
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	reader := history.NewReader(journal, func(ctx context.Context, id payment.ID) ([]time.Time, error) {
		return openwork.TimesOf(ctx, b.js, b.cfg.Streams.Due, id)
	})
	served, err := remote.Serve(b.js.Conn(), b.operators(journal), &remote.Options{SelfAsserted: true, History: paged{reader, page}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = served.Stop() })
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
