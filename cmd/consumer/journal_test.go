package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// losing is a server whose journal loses its newest messages, and the program.
type losing struct {
	t      *testing.T
	server *natstest.Server
	file   string
	js     jetstream.JetStream
	serves bool // a service runs until the test ends
}

func setupLosing(t *testing.T, settings string) *losing {
	t.Helper()
	l := &losing{t: t, server: natstest.Start(t, nil), file: filepath.Join(t.TempDir(), "config.yaml")}
	text := fmt.Sprintf(`
nats: {url: %s, replicas: 1}
%s
providers:
  - {name: opay-eg, kind: opay, baseURL: "http://127.0.0.1:1", merchantID: "281824072117129", secretKey: {env: KEY}, callbackURL: "https://shop.example/callback", country: EG}
`, l.server.URL(), settings)
	if err := os.WriteFile(l.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.js = l.server.JetStream(t)
	if _, err := broker.Provision(t.Context(), l.js, broker.DefaultTopology()); err != nil {
		t.Fatal(err)
	}
	return l
}

// run runs the program with the configuration.
func (l *losing) run(args ...string) (code int, stdout, stderr string) {
	l.t.Helper()
	var out, errs bytes.Buffer
	code = run(append(args, "--config", l.file), &cli.World{
		Context: l.t.Context(), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(name string) string {
			return map[string]string{"KEY": "0123456789abcdef", "USER": "ann"}[name]
		},
	})
	return code, out.String(), errs.String()
}

// want runs the program and fails the test unless it ends as wanted. Where it asks the
// service for a decision and none runs, one does meanwhile.
func (l *losing) want(code int, text string, args ...string) (stdout string) {
	l.t.Helper()
	if !l.serves && decides(args) {
		defer l.serve()()
	}
	got, out, errs := l.run(args...)
	if got != code || !strings.Contains(out+errs, text) {
		l.t.Errorf("%s: code %d, want %d and %q\n%s%s", strings.Join(args, " "), got, code, text, out, errs)
	}
	return out
}

// decides reports whether a command asks the service for a decision about the journal.
func decides(args []string) bool {
	return len(args) > 1 && args[0] == "journal" && args[1] != "status"
}

// append adds the first events of payments.
func (l *losing) append(from, to int) {
	l.t.Helper()
	journal, err := stream.New(l.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for n := from; n <= to; n++ {
		id := payment.ID{Provider: "opay-eg", Native: fmt.Sprint(n)}
		if _, err := journal.Append(l.t.Context(), 0, journaltest.Event(id, 1, "a")); err != nil {
			l.t.Fatal(err)
		}
	}
}

// mark stores in the bucket how far the journal reaches now, or what was stored before.
func (l *losing) mark(record integrity.Record) integrity.Record {
	l.t.Helper()
	bucket := streams.NewBucket(l.js.Conn(), "PAYMENT_CONTROL")
	if record.Zero() {
		r, _, err := streams.NewReader(l.js.Conn(), streams.Plan{Journal: "PAYMENT_EVENTS", TokenHeader: stream.TokenHeader}).Read(l.t.Context(), integrity.Mark{}, nil)
		if err != nil {
			l.t.Fatal(err)
		}
		record = integrity.Record{Mark: integrity.MarkOf(r, r.Newest, 0), Epoch: integrity.FirstEpoch()}
	}
	if _, err := bucket.Raise(l.t.Context(), record); err != nil {
		l.t.Fatal(err)
	}
	return record
}

// lose writes 50 events, archives them and loses the last ten.
func (l *losing) lose() (archive string) {
	l.t.Helper()
	archive = filepath.Join(l.t.TempDir(), "journal.jsonl")
	l.append(1, 40)
	copied := l.server.Copy(l.t)
	l.js = l.server.JetStream(l.t)
	l.append(41, 50)
	record := l.mark(integrity.Record{})
	l.want(0, "the journal is whole", "journal", "status")
	l.want(0, "50 written", "archive", archive)
	l.server.Restore(l.t, copied)
	l.js = l.server.JetStream(l.t)
	l.mark(record)
	return archive
}

func (l *losing) messages() int { return natstest.Messages(l.t, l.js, "PAYMENT_EVENTS") }

func TestALossIsShownAcceptedBroughtBackAndTrusted(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	archive := l.lose()
	l.want(1, "the journal ends at 40; it was known to reach 50", "journal", "status")
	l.want(1, "missing: 41 to 50", "journal", "status")
	l.want(1, "another message than lies there", "archive", archive)
	l.want(0, "10 would be brought back", "recover", "--archive", archive)
	l.want(1, "a loss has to be accepted first", "recover", "--archive", archive, "--apply")
	l.want(2, "--reason", "journal", "accept", "--lose", "10", "--apply")
	l.want(1, "--lose 10", "journal", "accept", "--reason", "older copy", "--apply")
	l.want(0, "epoch 1 would be held", "journal", "accept", "--reason", "older copy", "--lose", "10")
	if n := l.messages(); n != 40 {
		t.Fatalf("refusals and dry runs have written %d messages", n-40)
	}
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	l.want(0, "already accepted by ann: epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	l.want(0, "the journal is whole", "journal", "status")
	l.want(0, "10 brought back", "recover", "--archive", archive, "--apply")
	l.want(0, "0 brought back", "recover", "--archive", archive, "--apply")
	l.want(0, "epoch 1 would be doubting", "journal", "go")
	l.want(0, "epoch 1 is doubting", "journal", "go", "--apply")
	l.want(1, "not held", "journal", "go", "--apply")
	l.want(1, "--without-commands", "journal", "trust", "--reason", "settled", "--apply")
	// The events of this journal have no command that could be rebuilt.
	l.want(1, "50 not to be read", "journal", "trust", "--reason", "settled", "--without-commands", "--apply")
	l.want(0, "epoch 1 is trusted", "journal", "trust", "--reason", "settled", "--without-commands", "--open", "50", "--apply")
	l.want(0, "1, trusted, accepted", "journal", "status")
	l.want(1, "a loss has to be accepted first", "recover", "--archive", archive, "--apply")
	if n := l.messages(); n != 40+10+3+2 {
		t.Errorf("%d messages, want 40, ten that were brought back, three actions and two recoveries", n)
	}
	l.underTheAcceptance()
	l.want(0, "55 written", "archive", archive+".2")
}

func TestTheJournalCommandsTellMachines(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true, secondPersonAbove: [{value: 1, currency: EUR}]}")
	archive := l.lose()
	var status struct {
		Whole    bool
		Findings []integrity.Finding
		Missing  []struct{ From, To uint64 }
		Loss     struct{ Messages uint64 }
	}
	if err := json.Unmarshal([]byte(l.want(1, "", "journal", "status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Whole || len(status.Findings) == 0 || len(status.Missing) != 1 || status.Missing[0].From != 41 || status.Loss.Messages != 10 {
		t.Errorf("%+v", status)
	}
	if out := l.want(1, "", "archive", archive, "--json"); !strings.Contains(out, `"before":50`) {
		t.Errorf("archive: %s", out)
	}
	rows := strings.Split(strings.TrimSpace(l.want(0, "10 would be brought back", "recover", "--archive", archive, "--csv")), "\n")
	if len(rows) != 11 || rows[0] != "outcome,applied,subject,archived_sequence,archived_at,sequence,ends,version,why" || !strings.HasPrefix(rows[1], "recovered,false,payment.") {
		t.Errorf("%d rows, %q", len(rows), rows[:2])
	}
	lines := strings.Split(strings.TrimSpace(l.want(0, "", "recover", "--archive", archive, "--json")), "\n")
	if len(lines) != 11 || !strings.Contains(lines[10], `"summary"`) {
		t.Errorf("%d lines: %s", len(lines), lines[len(lines)-1])
	}
	l.want(0, "another person has to say the same", "journal", "accept", "--reason", "copy", "--lose", "10", "--apply")
	l.want(1, "another person", "journal", "accept", "--reason", "copy", "--lose", "10", "--apply")
	if out := l.want(0, "", "journal", "accept", "--reason", "copy", "--lose", "10", "--apply", "--operator", "bob", "--json"); !strings.Contains(out, `"applied":true`) {
		t.Errorf("accept: %s", out)
	}
}

// replicas are the registered processes that run, as the status prints them.
func (l *losing) replicas() []integrity.Registered {
	l.t.Helper()
	var status struct{ Replicas []integrity.Registered }
	_, out, _ := l.run("journal", "status", "--json")
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return nil // the server is being restarted
	}
	return status.Replicas
}

// awaitReplica waits until the one registered process is as wanted.
func (l *losing) awaitReplica(what string, is func(integrity.Registered) bool) {
	l.t.Helper()
	var all []integrity.Registered
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if all = l.replicas(); len(all) == 1 && is(all[0]) {
			return
		}
	}
	l.t.Fatalf("no process is %s: %+v", what, all)
}

// serve runs the service until it is told to stop, and returns once it answers.
func (l *losing) serve() (stop func()) {
	l.t.Helper()
	cfg, err := config.Load(l.file, func(string) string { return "0123456789abcdef" })
	if err != nil {
		l.t.Fatal(err)
	}
	cfg.Admin.Listen = "" // tests run side by side
	instances, err := app.Instances(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		l.t.Fatal(err)
	}
	nc, err := app.Connect(cfg.NATS, "countermand test", slog.New(slog.DiscardHandler))
	if err != nil {
		l.t.Fatal(err)
	}
	service, err := app.New(nc, cfg, instances, &app.Options{Replica: "host-1"})
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
		nc.Close()
	})
	l.t.Cleanup(stop)
	answering(l.t, nc)
	return stop
}

// answering waits until a service takes requests about the journal.
func answering(t *testing.T, nc *nats.Conn) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		_, err := remote.NewClient(nc, "nobody").Journal(t.Context(), control.Servers{})
		if !errors.Is(err, remote.ErrNobody) && !errors.Is(err, remote.ErrOlder) {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("no service answers: %v", err)
		}
	}
}

func TestTheRunningServiceStopsAtALossAndFollowsWhatIsDecided(t *testing.T) {
	t.Parallel()
	witness := filepath.Join(t.TempDir(), "witness.json")
	l := setupLosing(t, "desk: {selfAsserted: true}\njournal: {witness: {file: "+witness+"}}")
	l.append(1, 40)
	copied := l.server.Copy(t)
	l.js = l.server.JetStream(t)
	l.append(41, 50)
	l.serve()
	l.serves = true
	l.awaitReplica("open", func(r integrity.Registered) bool { return !r.Shut && r.ID == "host-1" })
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) { // until the witness knows of all
		raw, _ := os.ReadFile(witness)
		var record integrity.Record
		if json.Unmarshal(raw, &record) == nil && record.Mark.Journal.Sequence == 50 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the witness was never raised")
		}
	}
	l.want(1, "the gate is open in host-1", "journal", "accept", "--reason", "none", "--apply")
	l.server.Restore(t, copied)
	l.js = l.server.JetStream(t)
	l.awaitReplica("broken", func(r integrity.Registered) bool { return r.Shut && r.Standing == "broken" })
	l.want(1, "known to reach 50", "journal", "status")
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	l.awaitReplica("held", func(r integrity.Registered) bool { return r.Shut && r.Standing == "whole" && r.Epoch.Number == 1 })
	l.want(0, "the journal is whole", "journal", "status")
	l.want(0, "epoch 1 is doubting", "journal", "go", "--apply")
	l.awaitReplica("doubting", func(r integrity.Registered) bool { return !r.Shut && r.Epoch.Phase == integrity.Doubting })
}

// A server that was to be asked and was not may hold what the leader has lost.
func TestAMonitorThatDoesNotAnswerIsNotPassedOver(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.lose()
	accept := func(args ...string) []string {
		return append([]string{"journal", "accept", "--reason", "older copy", "--lose", "10"}, args...)
	}
	l.want(2, `--monitor "foo" is not the address`, "journal", "status", "--monitor", "foo")
	l.want(2, `--monitor "foo" is not the address`, accept("--monitor", "foo", "--apply")...)
	l.want(1, "the server at http://127.0.0.1:1 was not asked, and may hold more", "journal", "status", "--monitor", "http://127.0.0.1:1")
	l.want(1, "the server at http://127.0.0.1:1 was not asked, and may hold more", accept("--monitor", "http://127.0.0.1:1", "--apply")...)
	l.want(0, "epoch 1 is held", accept("--apply")...)
	out := l.want(1, "", "journal", "status", "--monitor", "http://127.0.0.1:1")
	if !strings.Contains(out, "nothing is known to be missing, but the server at http://127.0.0.1:1 was not asked") || strings.Contains(out, "(--monitor)") {
		t.Error(out)
	}
}

// Where one server of the configuration is away, a decision goes on and says so.
func TestAConfiguredMonitorThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.lose()
	raw, err := os.ReadFile(l.file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "replicas: 1", `replicas: 1, monitor: "http://127.0.0.1:1"`, 1)
	if err := os.WriteFile(l.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.want(0, "note: the server at http://127.0.0.1:1 was not asked", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	l.want(0, "note: the server at http://127.0.0.1:1 was not asked", "journal", "status")
}

func TestWhatTheCommandsLostIsTypedOutAndKeepsTheJournalFromTrust(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.append(1, 10)
	record := l.mark(integrity.Record{})
	record.Mark.Streams = map[string]uint64{"PAYMENT_COMMANDS": 12}
	l.mark(record)
	l.want(1, "12 commands are lost: PAYMENT_COMMANDS is known to reach 12, ends at 0 (--lose-commands 12)", "journal", "status")
	l.want(1, "--lose-commands 12", "journal", "accept", "--reason", "x", "--apply")
	l.want(0, "commands given up: 12; trust needs --without-commands", "journal", "accept", "--reason", "x", "--lose-commands", "12", "--apply")
	l.want(0, "0 commands read", "recover", "--commands", "--apply")
	l.want(0, "epoch 1 is doubting", "journal", "go", "--apply")
	l.want(1, "12 commands count as lost", "journal", "trust", "--reason", "x", "--open", "10", "--apply")
	l.want(0, "epoch 1 is trusted", "journal", "trust", "--reason", "x", "--open", "10", "--without-commands", "--apply")
}

func TestWithoutAServiceNothingIsDecidedAndTheWayOutIsNamed(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.lose()
	code, out, errs := l.run("journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	if code != cli.ExitFailed || out != "" || !strings.Contains(errs, "no running service answers") || !strings.Contains(errs, "If none runs, start it") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if n := l.messages(); n != 40 {
		t.Errorf("%d messages were written", n-40)
	}
	l.want(1, "the journal ends at 40", "journal", "status") // it reads the streams itself
}

// After a failover to a copy nothing shows the loss of the last second, so that the gate
// has to be kept shut by hand.
func TestAServiceThatStartsShutStaysSoUntilALossIsAccepted(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}\njournal: {startShut: true}")
	l.append(1, 10)
	l.mark(integrity.Record{})
	l.serve()
	l.serves = true
	l.awaitReplica("whole and shut", func(r integrity.Registered) bool { return r.Shut && r.Standing == "whole" })
	l.want(0, "gate shut (the setting journal.startShut keeps the gate shut", "journal", "status")
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "failover", "--apply")
	l.want(0, "epoch 1 is doubting", "journal", "go", "--apply")
	l.awaitReplica("open", func(r integrity.Registered) bool { return !r.Shut })
}

// Nothing is missing once the newest data is back: no loss is to be accepted then.
func TestWhereTheNewestDataIsPutBackARestartEndsItAndNothingIsAccepted(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.append(1, 10)
	l.mark(integrity.Record{})
	older := l.server.Copy(t)
	l.js = l.server.JetStream(t)
	l.append(11, 20)
	l.mark(integrity.Record{})
	newest := l.server.Copy(t)
	l.js = l.server.JetStream(t)
	stop := l.serve()
	l.serves = true
	l.awaitReplica("open", func(r integrity.Registered) bool { return !r.Shut })
	l.server.Restore(t, older)
	l.js = l.server.JetStream(t)
	l.awaitReplica("broken", func(r integrity.Registered) bool { return r.Standing == "broken" })
	l.want(1, "(--lose 10)", "journal", "status")
	l.server.Restore(t, newest)
	l.js = l.server.JetStream(t)
	l.awaitReplica("sure that all is there", func(r integrity.Registered) bool { return !r.Recovered.IsZero() })
	if out := l.want(1, "nothing is missing any more", "journal", "status"); strings.Contains(out, "--lose") || !strings.Contains(out, "all that this process remembers is there") {
		t.Error(out)
	}
	l.want(1, "start them again once none runs", "journal", "accept", "--reason", "none")
	stop()
	l.serve()
	l.want(0, "the journal is whole", "journal", "status")
}

// The setting stands for a restart after the acceptance as well, and no further loss is to
// be accepted for it.
func TestWhoLeavesTheGateShutAfterAnAcceptanceIsToldToRemoveTheSetting(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}\njournal: {startShut: true}")
	l.append(1, 10)
	l.mark(integrity.Record{})
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "failover", "--apply") // and the service ends
	l.serve()
	l.serves = true
	const why = "epoch 1 is held), and the setting journal.startShut keeps its gate shut: remove journal.startShut and restart"
	l.awaitReplica("shut", func(r integrity.Registered) bool { return strings.Contains(r.Reason, why) })
	code, out, errs := l.run("journal", "go", "--apply")
	if code != 0 || !strings.Contains(out, "epoch 1 is doubting, recorded as ") || !strings.Contains(out, "note: no process works yet\n") ||
		!strings.Contains(out, "does not follow yet: its gate is shut: a loss was accepted before this process began (epoch 1 is doubting)") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
}

// underTheAcceptance fails the test unless the newest recovery names the acceptance under
// which it ran.
func (l *losing) underTheAcceptance() {
	l.t.Helper()
	journal, err := stream.New(l.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	var ids [2]string
	for i, action := range []string{"journal_accepted", "journal_recover"} {
		m, err := journal.On(l.t.Context(), events.OperatorFilter(action))
		if err != nil {
			l.t.Fatal(err)
		}
		a, said, err := events.DecodeJournalAction(m.Message)
		if err != nil || said.Epoch != 1 || a.Operator != "ann" || a.Identity != "asserted" {
			l.t.Errorf("%s: %+v, %+v, %v", action, a, said, err)
		}
		ids[i] = a.ULID
		if action == "journal_recover" {
			ids[1] = a.Follows
		}
	}
	if ids[0] != ids[1] {
		l.t.Errorf("the recovery ran under %q, the acceptance is %q", ids[1], ids[0])
	}
}

func TestTheServiceAnswersWhereStreamsAreMissing(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.append(1, 10)
	l.mark(integrity.Record{})
	l.serve()
	l.serves = true
	accept := []string{"journal", "accept", "--reason", "gone", "--lose", "10", "--apply"}
	for _, name := range []string{"PAYMENT_EVENTS", "KV_PAYMENT_CONTROL", "PAYMENT_COMMANDS"} {
		l.server.DeleteStream(t, l.js, name)
	}
	l.want(1, "the bucket of pauses and marks does not exist", "journal", "status", "--operator", "ann")
	l.want(1, "the journal's stream does not exist: consumer provision makes it", accept...)
	l.want(1, "the bucket of pauses and marks does not exist: consumer provision makes it", accept...)
	l.want(0, "", "provision")
	l.awaitReplica("broken", func(r integrity.Registered) bool { return r.Shut && r.Standing == "broken" })
	l.want(0, "epoch 1 is held", append(accept, "--lose-commands", "1")...)
}
