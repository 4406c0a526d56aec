package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/app"
)

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
	b := setupRearm(t)
	code, out, errs := b.run("pause", "opay-eg", "--reason", "wrong account", "--by", "ana", "--config", b.file)
	if code != cli.ExitOK || !strings.HasPrefix(out, "opay-eg: paused since 20") || !strings.Contains(out, `by "ana": "wrong account"`) {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	if p := b.paused(); !p.Paused || p.Reason != "wrong account" || p.By != "ana" || time.Since(p.Since) > time.Minute {
		t.Errorf("stored %+v", p)
	}
	code, out, _ = b.run("check", "--config", b.file)
	if code != cli.ExitOK || !strings.Contains(out, `warning: provider-paused: provider opay-eg is paused since`) || !strings.Contains(out, "consumer resume opay-eg") {
		t.Errorf("check: code %d\n%s", code, out)
	}
	if code, out, errs = b.run("resume", "opay-eg", "--config", b.file); code != cli.ExitOK || out != "opay-eg: running\n" {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if b.paused().Paused {
		t.Error("still paused")
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
	code, out, errs := b.run("pause", "--all", "--reason", "incident", "--config", b.file, "--json")
	var names []string
	for line := range strings.Lines(out) {
		var got struct {
			Provider, Reason, By string
			Paused               bool
			Since                time.Time
			Revision             int
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !got.Paused || got.Reason != "incident" || got.Since.IsZero() || got.Revision == 0 {
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
	b := setupRearm(t)
	for _, args := range [][]string{
		{"pause", "opay-ge", "--reason", "x", "--config", b.file},
		{"resume", "opay-ge", "--config", b.file},
		{"pause", "opay-eg", "--config", b.file},
		{"pause", "--reason", "x", "--config", b.file},
		{"pause", "--all", "--reason", "x"},
		{"pause", "opay-eg", "--all", "--reason", "x", "--config", b.file},
		{"pause", "opay eg", "--reason", "x", "--nats", b.cfg.NATS.URL},
		{"pause", "opay-eg", "--reason", "two\nlines", "--config", b.file},
		{"pause", "opay-eg", "--reason", strings.Repeat("x", 201), "--config", b.file},
	} {
		if code, out, errs := b.run(args...); code != cli.ExitUsage || out != "" {
			t.Errorf("%q: code %d, want 2\n%s%s", args, code, out, errs)
		}
	}
	if p := b.paused(); p.Revision != 0 {
		t.Errorf("stored %+v", p)
	}
	if _, _, errs := b.run("pause", "opay-ge", "--reason", "x", "--config", b.file); !strings.Contains(errs, "there are opay-eg") {
		t.Errorf("it does not say what there is:\n%s", errs)
	}
}

func TestAPauseThatCannotBeStoredEndsWithOne(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	if err := b.js.DeleteKeyValue(t.Context(), "PAYMENT_CONTROL"); err != nil {
		t.Fatal(err)
	}
	code, _, errs := b.run("pause", "opay-eg", "--reason", "x", "--config", b.file)
	if code != cli.ExitFailed || !strings.Contains(errs, "PAYMENT_CONTROL") {
		t.Errorf("code %d\n%s", code, errs)
	}
}
