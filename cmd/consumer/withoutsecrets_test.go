package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
)

// A Job of a person has the server's credential, and no secret of a provider.
func TestOnlyCommandsThatCallProvidersNeedTheirSecrets(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.waiting("1001")
	b.typed()
	b.serveDesk(0)
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "not-mounted")
	if err := os.WriteFile(b.file, []byte(strings.Replace(string(text), "{env: KEY}", "{file: "+missing+"}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"provision"},
		{"show", "opay-eg", "1001", "--operator", "ana"},
		{"review", "list", "--operator", "ana"},
		{"rejected", "list", "--operator", "ana"},
		{"pause", "opay-eg", "--reason", "test", "--operator", "ana"},
		{"resume", "opay-eg", "--operator", "ana"},
		{"rearm", "--dry-run", "--operator", "ana"},
		{"journal", "status"},
		{"archive", filepath.Join(t.TempDir(), "journal.jsonl")},
		{"check", "--as", "operator", "--operator", "ana"},
		{"check", "--as", "provisioner"},
	} {
		if code, out, errs := b.run(append(args, "--config", b.file)...); strings.Contains(errs, "fault") || strings.Contains(errs, "secret") {
			t.Errorf("%v: code %d\n%s%s", args, code, out, errs)
		}
	}
	for _, args := range [][]string{
		{"run"},
		{"check"},
		{"check", "--as", "reader"},
		{"check", "--as", "recovery"},
		{"recover", "--commands"},
		{"reconcile", "--provider", "opay-eg", "--from", "2026-11-01", "--to", "2026-11-02"},
	} {
		code, _, errs := b.run(append(args, "--config", b.file)...)
		if code != cli.ExitUsage || !strings.Contains(errs, "providers[0].secretKey: names a file that cannot be read: no such file or directory") {
			t.Errorf("%v: code %d\n%s", args, code, errs)
		}
	}
}

func TestCheckLooksAsTheRoleThatItIsTold(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	code, out, errs := b.run("check", "--as", "operator", "--config", b.file)
	if code != cli.ExitUsage || !strings.Contains(errs, "set desk.operator") {
		t.Errorf("nobody's name: code %d\n%s%s", code, out, errs)
	}
	b.setting("desk: {operator: ana}")
	code, out, errs = b.run("check", "--as", "operator", "--config", b.file)
	if code != cli.ExitFailed || !strings.Contains(out, "not verifiable: journal: journal is hidden from the role operator") || // no service runs here
		strings.Count(out, "error: ") != 3 || strings.Count(out, "is heard by nobody, want answered") != 3 || !strings.Contains(out, "\n3 errors,") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if code, _, errs := b.run("check", "--as", "auditor", "--config", b.file); code != cli.ExitUsage || !strings.Contains(errs, "service") {
		t.Errorf("a role that is none: code %d\n%s", code, errs)
	}
}
