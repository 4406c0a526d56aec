package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
)

// provisionedFor starts a provisioned server on which whoever names no user is "reader", and
// returns its address. logins is the part of its configuration that has it and admin.
func provisionedFor(t *testing.T, logins string) (url string) {
	t.Helper()
	server := natstest.StartConfigured(t, filepath.Join(t.TempDir(), "nats.conf"), fmt.Sprintf(
		"listen: 127.0.0.1:-1\njetstream: {store_dir: %q}\nno_auth_user: reader\n%s", t.TempDir(), logins,
	))
	nc, err := nats.Connect(server.ClientURL(), nats.UserInfo("admin", "a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Defaults()
	cfg.NATS.Replicas = 1
	if _, err := broker.Provision(t.Context(), js, app.Topology(cfg)); err != nil {
		t.Fatal(err)
	}
	return server.ClientURL()
}

// at writes a configuration for a server, with a statement beside it, and returns the folder.
func at(t *testing.T, url string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.yaml": "nats: {url: '" + url + "', replicas: 1}\nproviders:\n  - {name: shop, kind: bento, baseURL: 'http://127.0.0.1:1', account: a, token: {env: OPENPAY_KEY}}\n",
		"rows.csv":    "reference,provider_reference,operation,amount_minor,currency,executed_at,status\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// reconcilingRows are the arguments of a reconcile with the statement.
func reconcilingRows() []string {
	return []string{"reconcile", "--provider", "shop", "--from", "2026-11-01", "--to", "2026-11-02", "--file", "rows.csv", "--config", "config.yaml"}
}

func TestWithoutAServerEachCommandSaysWhereThereIsNoneAndWhy(t *testing.T) {
	t.Parallel()
	address := natstest.FreeAddress(t)
	dir := at(t, "nats://"+address)
	for _, args := range [][]string{{"provision", "--config", "config.yaml"}, reconcilingRows(), {"archive", "journal.jsonl", "--config", "config.yaml"}} {
		code, p := runProgram(t, dir, args...)
		if want := "no connection to nats://" + address + " (refused)\n"; code != cli.ExitFailed || !strings.HasSuffix(p.stderr.String(), want) || strings.Count(p.stderr.String(), "\n") != 1 {
			t.Errorf("%s: code %d, %q, want %q", args[0], code, p.stderr, want)
		}
	}
	code, p := runProgram(t, dir, "check", "--config", "config.yaml")
	if want := "server nats://" + address + " is not reachable (refused), want"; code != cli.ExitFailed || !strings.Contains(p.stdout.String(), want) {
		t.Errorf("check: code %d\n%s", code, p.stdout)
	}
	unknown := at(t, "nats://nowhere.invalid:4222")
	if code, p := runProgram(t, unknown, "provision", "--config", "config.yaml"); code != cli.ExitFailed || !strings.Contains(p.stderr.String(), "no connection to nats://nowhere.invalid:4222 (") {
		t.Errorf("provision: code %d\n%s", code, p.stderr)
	}
}

func TestProvisionThatLosesTheServerSaysSoAtOnce(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	url := natstest.Relay(t, server.URL(), func(to io.Writer, from io.Reader) {
		said := make([]byte, 4096)
		for {
			n, err := from.Read(said)
			if err != nil || bytes.Contains(said[:n], []byte(`"name":"PAYMENT_EVENTS"`)) {
				return // it closes the connection
			}
			if _, err := to.Write(said[:n]); err != nil {
				return
			}
		}
	}, func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) })
	code, p := runProgram(t, at(t, url), "provision", "--config", "config.yaml")
	if want := "consumer: provision: the connection to " + url + " is lost: run it again\n"; code != cli.ExitFailed || !strings.HasSuffix(p.stderr.String(), want) {
		t.Errorf("code %d, %s, want %q", code, p.stderr, want)
	}
	if !strings.Contains(p.stdout.String(), "created stream PAYMENT_COMMANDS") {
		t.Errorf("it does not say what it has done: %s", p.stdout)
	}
}

func TestALoginThatMayNotReadTheJournalIsToldWhichRightItLacks(t *testing.T) {
	t.Parallel()
	const info, get = "$JS.API.STREAM.INFO.PAYMENT_EVENTS", "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS"
	for name, row := range map[string]struct{ permissions, want string }{
		"no right at all": {`publish: "x"`, "consumer: read stream PAYMENT_EVENTS: the server does not let this login publish to " + info + ", nor publish to " + get},
		"no messages":     {`publish: "` + info + `"`, "let this login publish to " + get + ": give it the rights of permissions/reader.conf\n"},
		"no answers":      {`publish: ">", subscribe: "x"`, "let this login hear answers on _INBOX.>: give"},
		"all it takes":    {`publish: ["` + info + `", "` + get + `"]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := provisionedFor(t, fmt.Sprintf("authorization {users: [{user: admin, password: a}, {user: reader, password: r, permissions: {%s}}]}", row.permissions))
			dir := at(t, url)
			for _, args := range [][]string{reconcilingRows(), {"archive", "journal.jsonl", "--config", "config.yaml"}} {
				code, p := runProgram(t, dir, args...)
				if good := row.want == ""; good != (code == 0) || !strings.Contains(p.stderr.String(), row.want) {
					t.Errorf("%s: code %d, %s", args[0], code, p.stderr)
				}
			}
		})
	}
}

func TestAServerThatNeverAnswersIsNamedWithHowLongItWasAsked(t *testing.T) {
	t.Parallel()
	server := natstest.StartConfigured(t, filepath.Join(t.TempDir(), "nats.conf"), "listen: 127.0.0.1:-1\n")
	url := server.ClientURL()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("$JS.API.>", func(*nats.Msg) {}); err != nil { // somebody who hears and says nothing
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	code, p := runProgram(t, at(t, url), reconcilingRows()...)
	if want := "read stream PAYMENT_EVENTS: no answer from " + url + " within 5s"; code != cli.ExitFailed || !strings.Contains(p.stderr.String(), want) {
		t.Errorf("code %d, %s, want %q", code, p.stderr, want)
	}
}

func TestAServerThatAcceptsConnectionsAndSaysNothingIsNamed(t *testing.T) {
	t.Parallel()
	url := natstest.Mute(t, natstest.Start(t, nil).URL())
	for _, args := range [][]string{{"provision", "--config", "config.yaml"}, reconcilingRows()} {
		code, p := runProgram(t, at(t, url), args...)
		if want := "no answer from " + url; code != cli.ExitFailed || !strings.Contains(p.stderr.String(), want) || !strings.HasSuffix(p.stderr.String(), ": the connection stands, and the server says nothing on it\n") {
			t.Errorf("%s: code %d, %s", args[0], code, p.stderr)
		}
	}
}

func TestAReaderWhoseAccountDoesNotImportTheJournalIsToldSo(t *testing.T) {
	t.Parallel()
	for _, absent := range []string{"$JS.API.STREAM.INFO.PAYMENT_EVENTS", "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS"} {
		imports := ""
		for _, subject := range []string{"$JS.API.INFO", "$JS.API.STREAM.INFO.PAYMENT_EVENTS", "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS"} {
			if subject != absent {
				imports += fmt.Sprintf("{service: {account: P, subject: %q}}\n", subject)
			}
		}
		url := provisionedFor(t, fmt.Sprintf("accounts {P: {jetstream: enabled, exports: [{service: \"$JS.API.>\"}], users: [{user: admin, password: a}]}\nR: {users: [{user: reader, password: r}], imports: [%s]}}", imports))
		for _, args := range [][]string{reconcilingRows(), {"archive", "journal.jsonl", "--config", "config.yaml"}} {
			code, p := runProgram(t, at(t, url), args...)
			want := "nobody at " + url + " answers " + absent + ": this login's account does not import it"
			if code != cli.ExitFailed || !strings.Contains(p.stderr.String(), want) || p.stdout.String() != "" {
				t.Errorf("%s: code %d, %s%s, want %q", args[0], code, p.stdout, p.stderr, want)
			}
		}
	}
}
