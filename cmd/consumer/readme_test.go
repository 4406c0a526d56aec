package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/config"
)

// root is the repository's root, seen from this package.
const root = "../.."

// blocks returns the README's fenced blocks of a language, in order.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	var found []string
	for _, m := range fence.FindAllStringSubmatch(string(readme), -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		t.Fatalf("README.md has no block of %s", language)
	}
	return found
}

func TestTheReadmeStartsWithTwoCommandsThatNeedNothing(t *testing.T) {
	t.Parallel()
	sh := blocks(t, "sh")
	want := []string{"go run ./cmd/consumer demo\n", "go test ./... ./proof/...\n"}
	if diff := cmp.Diff(want, sh[:min(2, len(sh))]); diff != "" {
		t.Errorf("first commands (-want +README):\n%s", diff)
	}
}

func TestTheReadmesDemoShowsNoDoubleRefund(t *testing.T) {
	t.Parallel()
	command := strings.TrimSpace(blocks(t, "sh")[0]) + " --json"
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, stderr.String())
	}
	results, sum := readDemo(t, string(out))
	if sum.Commands < 15 || len(results) < sum.Operations {
		t.Errorf("the demo printed %d results for %+v", len(results), sum)
	}
	sum.check(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if sends := fmt.Sprintf("sends %d commands", sum.Commands); !strings.Contains(string(readme), sends) {
		t.Errorf("the demo %s; README.md says otherwise", sends)
	}
}

// summary is the demo's last line.
type summary struct {
	Commands        int `json:"commands"`
	Operations      int `json:"operations"`
	Duplicates      int `json:"duplicates"`
	TerminalResults int `json:"terminalResults"`
	AwaitingReview  int `json:"awaitingReview"`
	MoneyMovements  int `json:"moneyMovements"`
	DoubleRefunds   int `json:"doubleRefunds"`
}

func (s summary) check(t *testing.T) {
	t.Helper()
	if s.DoubleRefunds != 0 || s.Operations == 0 || s.TerminalResults+s.AwaitingReview != s.Operations {
		t.Errorf("summary %+v: want no double refund, and an end or a person for every operation", s)
	}
}

// result is what these tests read of a result event.
type result struct {
	ID             string `json:"id"`
	Type           string `json:"type"`
	IdempotencyKey string `json:"idempotencykey"` // on terminal results only
	Data           struct {
		events.Result
	} `json:"data"`
}

// readDemo reads the output of demo --json: result events, then the summary.
func readDemo(t *testing.T, out string) ([]result, summary) {
	t.Helper()
	all := lines(out)
	if len(all) == 0 {
		t.Fatal("the demo printed nothing")
	}
	var last map[string]summary
	if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil || len(last) != 1 {
		t.Fatalf("the last line is no summary: %v: %s", err, all[len(all)-1])
	}
	var results []result
	for _, line := range all[:len(all)-1] {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID == "" || !strings.HasPrefix(r.Type, "payment.") {
			t.Fatalf("no result event: %v: %s", err, line)
		}
		results = append(results, r)
	}
	return results, last["summary"]
}

func TestTheReadmesCommandYieldsTheReadmesResult(t *testing.T) {
	t.Parallel()
	examples := blocks(t, "json")
	if len(examples) != 2 {
		t.Fatalf("README.md has %d blocks of json, want a command and its result", len(examples))
	}
	decoder, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	message := events.Message{Subject: "payment.refund.requested", Data: []byte(examples[0])}
	if _, invalid := decoder.DecodeCommand(message); invalid != nil {
		t.Fatalf("README.md's command: %v", invalid)
	}
	local := startLocal(t)
	local.publish(message.Subject, examples[0])
	got := local.event("payment.refund.succeeded.opay-eg.1001000.2")
	if diff := cmp.Diff(alike(t, examples[1]), alike(t, got)); diff != "" {
		t.Errorf("result (-README.md +service):\n%s", diff)
	}
}

// alike decodes a result and puts what differs from run to run into the
// form it must have.
func alike(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	data, ok := m["data"].(map[string]any)
	if !ok {
		t.Fatalf("result without data: %s", text)
	}
	const moment = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`
	for _, f := range []struct {
		in         map[string]any
		name, form string
	}{
		{m, "time", moment},
		{data, "requestedAt", moment},
		{data, "occurredAt", moment},
		{data, "clientReference", `^[0-9a-f]{32}$`},
		{data, "providerReference", `^\d{18}$`},
	} {
		value, ok := f.in[f.name].(string)
		if !ok || !regexp.MustCompile(f.form).MatchString(value) {
			t.Errorf("%s is %q, want the form %s", f.name, value, f.form)
		}
		f.in[f.name] = f.form
	}
	// The provider's own words, which README.md leaves out.
	delete(data, "providerCode")
	delete(data, "providerMessage")
	if state, ok := data["state"].(map[string]any); ok { // shortened in README.md
		data["state"] = map[string]any{"format": state["format"], "version": state["version"]}
	}
	return m
}

func TestTheReadmesConfigurationIsRight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "opay")
	if err := os.WriteFile(secret, []byte("OPAYPRV-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const named = "/run/secrets/opay"
	yaml := blocks(t, "yaml")[0]
	if !strings.Contains(yaml, named) {
		t.Fatalf("README.md's configuration does not name %s", named)
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(yaml, named, secret, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, func(name string) string {
		return map[string]string{"OPENPAY_KEY": "0123456789abcdef0123456789abcdef"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range cfg.Providers {
		names = append(names, p.Name)
	}
	if want := []string{"opay-eg", "openpay-eu"}; !slices.Equal(names, want) || cfg.NATS.Replicas != 3 {
		t.Errorf("providers %v and %d replicas, want %v and 3", names, cfg.NATS.Replicas, want)
	}
}
