package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
)

// controlLogin is a user's key: its public half for the server, its seed in a file.
func controlLogin(t *testing.T) (public, file string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "nkey")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return public, file
}

// setupControl is a server with the accounts PAYMENTS and PEOPLE, and the configuration
// file of the operator. Both have the shipped files. The service runs if that is wanted.
func setupControl(t *testing.T, runs bool) (b *rearmBundle, operator string) {
	t.Helper()
	b = setupRearm(t)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "permissions"), os.DirFS("../../deploy/k8s/components/nats/permissions")); err != nil {
		t.Fatal(err)
	}
	service, serviceKey := controlLogin(t)
	person, personKey := controlLogin(t)
	server := natstest.StartConfigured(t, filepath.Join(dir, "nats.conf"), fmt.Sprintf(`listen: 127.0.0.1:-1
jetstream: {store_dir: %q}
accounts {
  PAYMENTS {
    jetstream: enabled
    include permissions/exports.conf
    users: [{user: admin, password: a}, {nkey: %s, include permissions/consumer.conf}]
  }
  PEOPLE {
    include permissions/people.conf
    users: [{nkey: %s, include permissions/operator.conf}]
  }
  READER {}
}
`, t.TempDir(), service, person))
	admin, err := nats.Connect(server.ClientURL(), nats.UserInfo("admin", "a"), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key string) string {
		return strings.Replace(string(text), b.cfg.NATS.URL, fmt.Sprintf("%q, nkey: {file: %q}", server.ClientURL(), key), 1) + "desk: {operator: operator}\n"
	}
	operator = filepath.Join(dir, "operator.yaml")
	for file, key := range map[string]string{b.file: serviceKey, operator: personKey} {
		if err := os.WriteFile(file, []byte(with(key)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.load()
	if b.js, err = jetstream.New(admin); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Provision(t.Context(), b.js, app.Topology(b.cfg)); err != nil {
		t.Fatal(err)
	}
	if !runs {
		return b, operator
	}
	nc, err := app.Connect(b.cfg.NATS, "service", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	b.serveOn(nc, make(chan handlers.Disposition, 16))
	return b, operator
}

// A person's credential has no right on any stream, and is enough for what people do.
func TestAPersonsFileIsEnoughForWhatPeopleDo(t *testing.T) {
	t.Parallel()
	b, operator := setupControl(t, true)
	b.waiting("1001")
	b.answering()
	if _, err := b.js.Publish(t.Context(), "payment.refund.requested", []byte("no command")); err != nil {
		t.Fatal(err)
	}
	subject := awaitEvent(t, b.js, "payment.command.rejected.*").Subject()
	token := subject[strings.LastIndexByte(subject, '.')+1:]
	for _, c := range []struct {
		says string
		args []string
	}{
		{`opay-eg: paused since 20`, []string{"pause", "opay-eg", "--reason", "a test"}},
		{"opay-eg: running", []string{"resume", "opay-eg"}},
		{"operations open", []string{"rearm", "--dry-run"}},
		{"operations open", []string{"rearm"}},
		{"refund deferred", []string{"show", "opay-eg", "1001"}},
		{"", []string{"review", "list"}},
		{"refund return-1: ", []string{"review", "show", "opay-eg", "1001"}},
		{token, []string{"rejected", "list"}},
		{`data: "no command"`, []string{"rejected", "show", token, "--reveal", "--reason", "a test"}},
		{"deleted 10 bytes", []string{"rejected", "delete", token, "--reason", "a test", "--apply"}},
	} {
		code, out, errs := b.run(append(c.args, "--config", operator)...)
		if code != cli.ExitOK || !strings.Contains(out, c.says) {
			t.Errorf("%v: code %d, want %q\n%s%s", c.args, code, c.says, out, errs)
		}
	}
	for _, action := range []string{"pause", "resume", "rearm", "delete"} {
		audit := string(awaitEvent(t, b.js, "payment.operator."+action+".*").Data())
		if !strings.Contains(audit, `"operator":"operator"`) || !strings.Contains(audit, `"identity":"nats"`) {
			t.Errorf("%s is recorded as %s", action, audit)
		}
	}
	// Under another name: told at once.
	text, err := os.ReadFile(operator)
	if err != nil {
		t.Fatal(err)
	}
	alice := operator + ".alice"
	if err := os.WriteFile(alice, []byte(strings.Replace(string(text), "operator: operator", "operator: alice", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := b.run("pause", "opay-eg", "--reason", "a test", "--config", alice); code != cli.ExitFailed || !strings.Contains(errs, "does not let this user act") {
		t.Errorf("as alice: code %d\n%s%s", code, out, errs)
	}
}

// The server says across accounts that nobody answers.
func TestAPersonIsToldAtOnceThatNoServiceRuns(t *testing.T) {
	t.Parallel()
	b, operator := setupControl(t, false)
	for _, args := range [][]string{{"pause", "opay-eg", "--reason", "a test"}, {"rearm"}, {"rejected", "list"}, {"review", "list"}} {
		if code, out, errs := b.run(append(args, "--config", operator)...); code != cli.ExitFailed || !strings.Contains(errs, "no running service answers") {
			t.Errorf("%v: code %d\n%s%s", args, code, out, errs)
		}
	}
}
