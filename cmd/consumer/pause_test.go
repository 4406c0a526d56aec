package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/app"
)

// setupPausing is a running service whose operators' names are only typed.
func setupPausing(t *testing.T) *rearmBundle {
	t.Helper()
	b := setupRearm(t)
	b.typed()
	b.serve(make(chan handlers.Disposition, 16))
	b.answering()
	return b
}

// typed lets operators' names be typed.
func (b *rearmBundle) typed() {
	b.t.Helper()
	b.setting("desk: {selfAsserted: true}")
	b.cfg.Desk.SelfAsserted = true
}

// answering waits until the service takes requests and appends: only then does it say
// that nobody has begun what is asked to go on.
func (b *rearmBundle) answering() {
	b.t.Helper()
	client := remote.NewClient(b.js.Conn(), "nobody")
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		_, err := client.Rearm(b.t.Context(), control.Rearm{RequestID: "01JDF6Z0000000000000000000", From: 1, Reason: "a test waits"})
		if no := (*desk.Error)(nil); errors.As(err, &no) && no.Fault == desk.FaultRefused {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			b.t.Fatalf("no service answers: %v", err)
		}
	}
}

// paused reads what the bucket says of the one provider.
func (b *rearmBundle) paused() broker.Pause {
	b.t.Helper()
	all, err := broker.NewControl(b.js, app.Topology(b.cfg)).Get(b.t.Context(), "opay-eg")
	if err != nil {
		b.t.Fatal(err)
	}
	return all["opay-eg"]
}

func TestPauseAndResumeAreStoredWithWhoAndWhyAndShownByCheck(t *testing.T) {
	t.Parallel()
	b := setupPausing(t)
	code, out, errs := b.run("pause", "opay-eg", "--reason", "wrong account", "--operator", "ana", "--config", b.file)
	if code != cli.ExitOK || !strings.HasPrefix(out, "opay-eg: paused since 20") || !strings.Contains(out, `by "ana": "wrong account" (revision `) {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	if p := b.paused(); !p.Paused || p.Reason != "wrong account" || p.By != "ana" || time.Since(p.Since) > time.Minute {
		t.Errorf("stored %+v", p)
	}
	audit := string(awaitEvent(t, b.js, "payment.operator.pause.*").Data())
	for _, want := range []string{`"operator":"ana"`, `"reason":"wrong account"`, `"provider":"opay-eg"`, `"identity":"asserted"`} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit lacks %s: %s", want, audit)
		}
	}
	code, out, _ = b.run("check", "--config", b.file)
	if code != cli.ExitOK || !strings.Contains(out, `warning: provider-paused: provider opay-eg is paused since`) || !strings.Contains(out, "consumer resume opay-eg") {
		t.Errorf("check: code %d\n%s", code, out)
	}
	if code, out, errs = b.run("resume", "opay-eg", "--operator", "bo", "--config", b.file); code != cli.ExitOK || !strings.HasPrefix(out, "opay-eg: running (revision ") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if b.paused().Paused {
		t.Error("still paused")
	}
	if audit := string(awaitEvent(t, b.js, "payment.operator.resume.*").Data()); !strings.Contains(audit, `"operator":"bo"`) {
		t.Errorf("the audit is %s", audit)
	}
	if _, out, _ = b.run("check", "--config", b.file); strings.Contains(out, "paused") {
		t.Errorf("check after resume:\n%s", out)
	}
}

func TestAllProvidersArePausedAtOnceAndMachinesReadIt(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(string(text[strings.Index(string(text), "  - {"):]), "opay-eg", "opay-two", 1)
	second = strings.Replace(second, `merchantID: "`, `merchantID: "1`, 1)
	if err := os.WriteFile(b.file, append(text, second...), 0o600); err != nil {
		t.Fatal(err)
	}
	b.typed()
	b.load()
	b.serve(make(chan handlers.Disposition, 16))
	b.answering()
	code, out, errs := b.run("pause", "--all", "--reason", "incident", "--operator", "ana", "--config", b.file, "--json")
	var names []string
	for line := range strings.Lines(out) {
		var got struct {
			Provider, Reason, By, Audit string
			Paused                      bool
			Since                       time.Time
			Revision                    int
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !got.Paused || got.Reason != "incident" || got.Since.IsZero() || got.Revision == 0 || got.Audit == "" {
			t.Errorf("line %s", line)
		}
		names = append(names, got.Provider)
	}
	if code != cli.ExitOK || fmt.Sprint(names) != "[opay-eg opay-two]" {
		t.Errorf("code %d, %v\n%s", code, names, errs)
	}
}

func TestAPauseThatNamesNobodyKnownIsRefusedAndNothingIsStored(t *testing.T) {
	t.Parallel()
	b := setupPausing(t)
	for _, args := range [][]string{
		{"pause", "opay-ge", "--reason", "x"},
		{"resume", "opay-ge"},
		{"pause", "opay-eg"},
		{"pause", "--reason", "x"},
		{"pause", "opay-eg", "--all", "--reason", "x"},
		{"pause", "--all", "--reason", "x", "--revision", "3"},
		{"pause", "opay eg", "--reason", "x"},
		{"pause", "opay-eg", "--reason", "two\nlines"},
		{"pause", "opay-eg", "--reason", strings.Repeat("x", 201)},
		{"pause", "opay-eg", "--reason", "x", "--request-id", "mine"},
	} {
		if code, out, errs := b.run(append(args, "--operator", "ana", "--config", b.file)...); code != cli.ExitUsage || out != "" {
			t.Errorf("%q: code %d, want 2\n%s%s", args, code, out, errs)
		}
	}
	if p := b.paused(); p.Revision != 0 {
		t.Errorf("stored %+v", p)
	}
	if _, _, errs := b.run("pause", "opay-ge", "--reason", "x", "--operator", "ana", "--config", b.file); !strings.Contains(errs, "there are opay-eg") {
		t.Errorf("it does not say what there is:\n%s", errs)
	}
}

func TestAPauseThatCannotBeStoredEndsWithOne(t *testing.T) {
	t.Parallel()
	b := setupPausing(t)
	if err := b.js.DeleteKeyValue(t.Context(), "PAYMENT_CONTROL"); err != nil {
		t.Fatal(err)
	}
	code, _, errs := b.run("pause", "opay-eg", "--reason", "x", "--operator", "ana", "--config", b.file)
	if code != cli.ExitFailed || !strings.Contains(errs, "PAYMENT_CONTROL") {
		t.Errorf("code %d\n%s", code, errs)
	}
}

func TestWithoutARunningServiceAPauseNamesTheWayOut(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	for _, command := range [][]string{{"pause", "opay-eg", "--reason", "x"}, {"resume", "opay-eg"}} {
		code, out, errs := b.run(append(command, "--operator", "ana", "--config", b.file)...)
		if code != cli.ExitFailed || out != "" || !strings.Contains(errs, "no running service answers") || !strings.Contains(errs, "startPaused") {
			t.Errorf("%v: code %d\n%s%s", command, code, out, errs)
		}
	}
	if p := b.paused(); p.Revision != 0 {
		t.Errorf("stored %+v", p)
	}
}

func TestAPauseOnAnOldRevisionIsRefusedWithWhatIsThereNow(t *testing.T) {
	t.Parallel()
	b := setupPausing(t)
	if code, out, errs := b.run("pause", "opay-eg", "--reason", "an incident", "--operator", "ana", "--config", b.file); code != cli.ExitOK {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	before := b.paused()
	code, out, errs := b.run("resume", "opay-eg", "--revision", "0", "--operator", "bo", "--config", b.file)
	if code != cli.ExitFailed || out != "" || !strings.Contains(errs, `by "ana": "an incident"`) || !strings.Contains(errs, fmt.Sprintf("(revision %d)", before.Revision)) {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if after := b.paused(); after != before {
		t.Errorf("stored %+v, was %+v", after, before)
	}
	if code, out, errs := b.run("resume", "opay-eg", "--revision", fmt.Sprint(before.Revision), "--operator", "bo", "--config", b.file); code != cli.ExitOK {
		t.Errorf("on the revision that is there: code %d\n%s%s", code, out, errs)
	}
}

func TestTheSameRequestIsCarriedOutOnceAndTheRepeatToldWhatCameOfTheFirst(t *testing.T) {
	t.Parallel()
	b := setupPausing(t)
	id := desk.NewULID()
	pause := []string{"pause", "opay-eg", "--reason", "an incident", "--request-id", id, "--operator", "ana", "--config", b.file}
	if code, out, errs := b.run(pause...); code != cli.ExitOK {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := b.run("resume", "opay-eg", "--operator", "bo", "--config", b.file); code != cli.ExitOK {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	before := b.paused()
	for _, again := range [][]string{pause, {"resume", "opay-eg", "--request-id", id, "--operator", "bo", "--config", b.file}} {
		code, out, errs := b.run(again...)
		for _, want := range []string{"this request was made before: pause by ana was recorded at 20", "now opay-eg: running"} {
			if code != cli.ExitFailed || out != "" || !strings.Contains(errs, want) {
				t.Errorf("again: code %d, want %q\n%s%s", code, want, out, errs)
			}
		}
	}
	if after := b.paused(); after != before {
		t.Errorf("stored %+v, was %+v", after, before)
	}
	if s, err := b.js.Stream(t.Context(), b.cfg.Streams.Events); err != nil {
		t.Fatal(err)
	} else if _, err := s.GetLastMsgForSubject(t.Context(), "payment.operator.pause."+id); err != nil {
		t.Errorf("the request's record: %v", err)
	}
}

// A service whose journal takes nothing sends nothing. A pause then must be possible,
// since it holds once the journal is open again; a resume must not.
func TestWhileTheJournalTakesNothingAProviderIsPausedAndNotResumed(t *testing.T) {
	t.Parallel()
	b := setupPausing(t)
	client := remote.NewClient(b.js.Conn(), "ana")
	if _, err := client.Say(t.Context(), control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Reason: "so that there is something to lose"}); err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteStream(t.Context(), b.cfg.Streams.Events); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(patience); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // one that came before the loss was noticed waits long
		_, err := client.Say(ctx, control.Say{RequestID: desk.NewULID(), Provider: "opay-eg", Reason: "x"})
		cancel()
		if err != nil && strings.Contains(err.Error(), "the journal takes nothing") {
			break
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("a resume ends in %v", err)
		}
	}
	code, out, errs := b.run("pause", "opay-eg", "--reason", "the journal is gone", "--operator", "ana", "--config", b.file, "--json")
	if p := b.paused(); code != cli.ExitOK || strings.Contains(out, "audit") || !p.Paused || p.By != "ana" || p.Reason != "the journal is gone" {
		t.Errorf("code %d, stored %+v\n%s%s", code, p, out, errs)
	}
}
