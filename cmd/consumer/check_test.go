package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/cmd/consumer/cli"
)

func TestCheckEndsWithOneOnlyIfThereAreErrors(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	code, out, errs := b.run("check", "--config", b.file)
	if code != cli.ExitOK || !strings.Contains(out, "0 errors, 1 warnings, 2 not verifiable\n") ||
		!strings.Contains(out, "not verifiable: sync-interval: ") || !strings.Contains(out, "warning: login: a client without credentials is permitted to publish to any subject") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	b.waiting("1001")
	if code, out, errs := b.run("check", "--config", b.file); code != cli.ExitOK {
		t.Errorf("without --deep it ends with %d for a lost timer\n%s%s", code, out, errs)
	}
	code, out, errs = b.run("check", "--config", b.file, "--deep")
	if code != cli.ExitFailed || !strings.Contains(out, "error: open-work: refund of payment 1001 at opay-eg is deferred") || !strings.Contains(out, "run consumer rearm") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if code, _, errs := b.run("rearm", "--config", b.file); code != cli.ExitOK {
		t.Fatal(errs)
	}
}

func TestCheckTellsMachinesOneFindingALine(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.waiting("1001")
	code, out, _ := b.run("check", "--config", b.file, "--deep", "--json")
	var got []map[string]any
	for line := range strings.Lines(out) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got = append(got, object)
	}
	if code != cli.ExitFailed || len(got) != 5 {
		t.Fatalf("code %d, %d lines\n%s", code, len(got), out)
	}
	if got[3]["severity"] != "error" || got[3]["check"] != "open-work" || got[3]["what"] == "" || got[3]["do"] == "" {
		t.Errorf("finding is %v", got[3])
	}
	want := map[string]any{"summary": map[string]any{"errors": 1.0, "warnings": 1.0, "notVerifiable": 2.0}}
	if diff := cmp.Diff(want, got[4]); diff != "" {
		t.Errorf("summary differs (-want +got):\n%s", diff)
	}
}

func TestCheckWithAWrongConfigurationEndsWithTwoAndEveryFault(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	for _, args := range [][]string{{"check"}, {"check", "--config", b.file + ".not"}} {
		if code, _, errs := b.run(args...); code != cli.ExitUsage {
			t.Errorf("%v: code %d, want 2\n%s", args, code, errs)
		}
	}
	if err := os.WriteFile(b.file, []byte("nats: {urll: x}\nconcurency: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := b.run("check", "--config", b.file)
	if code != cli.ExitUsage || !strings.Contains(errs, "urll") || !strings.Contains(errs, "concurency") {
		t.Errorf("code %d\n%s", code, errs)
	}
}
