package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
)

func TestTheFileOfTheRecoveryIsEnoughForIt(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	rights, err := os.ReadFile("../../deploy/k8s/components/nats/permissions/recovery.conf")
	if err != nil {
		t.Fatal(err)
	}
	server := natstest.StartConfigured(t, filepath.Join(t.TempDir(), "nats.conf"), fmt.Sprintf(
		"listen: 127.0.0.1:-1\njetstream: {store_dir: %q}\nno_auth_user: recovery\nauthorization {users: [{user: admin, password: a}, {user: recovery, password: r, %s}]}",
		t.TempDir(), rights,
	))
	admin, err := nats.Connect(server.ClientURL(), nats.UserInfo("admin", "a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	if b.js, err = jetstream.New(admin); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Provision(t.Context(), b.js, app.Topology(b.cfg)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(string(text), b.cfg.NATS.URL, server.ClientURL(), 1) + "desk: {selfAsserted: true}\n"
	if err := os.WriteFile(b.file, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	b.command("1001", "event-1", 400)
	b.epoch(integrity.Held, time.Now().Add(time.Minute))
	file := b.statement(b.reference("1001") + ",p-1,refund,400,EGP,2026-11-30T08:00:00Z,succeeded")
	archive := filepath.Join(t.TempDir(), "journal.jsonl")
	for _, args := range [][]string{
		{"recover", "--commands", "--apply"},
		{"recover", "--statement", file, "--provider", "opay-eg", "--apply", "--reason", "statement", "--operator", "ann"},
		{"archive", archive},
		{"recover", "--archive", archive, "--apply"},
		{"journal", "status"},
	} {
		if code, out, errs := b.run(append(args, "--config", b.file)...); code != 0 {
			t.Errorf("%v: code %d\n%s%s", args, code, out, errs)
		}
	}
}
