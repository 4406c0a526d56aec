package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// rearmBundle is a server whose journal holds open operations and whose timers
// are lost, one simulated provider, and a configuration file for both.
type rearmBundle struct {
	t    *testing.T
	js   jetstream.JetStream
	sim  *opaysim.Simulator
	file string
	cfg  *config.Config
}

func setupRearm(t *testing.T) *rearmBundle {
	t.Helper()
	server := natstest.Start(t, nil)
	b := &rearmBundle{t: t, js: server.JetStream(t), sim: opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})}
	t.Cleanup(b.sim.Close)
	http := httptest.NewServer(b.sim)
	t.Cleanup(http.Close)
	b.file = filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf(`
nats: {url: %s, replicas: 1}
journal: {witness: {file: %q}}
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {env: KEY}, callbackURL: "https://shop.example/callback", country: EG}
`, server.URL(), filepath.Join(filepath.Dir(b.file), "mark"), http.URL, opaysim.DefaultMerchantID)
	if err := os.WriteFile(b.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.load()
	if _, err := broker.Provision(t.Context(), b.js, app.Topology(b.cfg)); err != nil {
		t.Fatal(err)
	}
	return b
}

// load reads the configuration file.
func (b *rearmBundle) load() {
	b.t.Helper()
	var err error
	if b.cfg, err = config.Load(b.file, b.getenv); err != nil {
		b.t.Fatal(err)
	}
	b.cfg.Admin.Listen = "" // tests run side by side
}

func (b *rearmBundle) getenv(name string) string {
	return map[string]string{"KEY": opaysim.DefaultSecretKey}[name]
}

// run runs the program.
func (b *rearmBundle) run(args ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &cli.World{Context: b.t.Context(), Getenv: b.getenv, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

// waiting journals a refund that was deferred once and is due.
func (b *rearmBundle) waiting(order string) payment.Event {
	b.t.Helper()
	instances, err := app.Instances(b.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.sim.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		b.t.Fatal(err)
	}
	in := payment.Input{
		Command: payment.Command{
			Op: payment.Refund, Key: "return-1", Provider: "opay-eg", Amount: &payment.Money{Value: 400, Currency: "EGP"},
			Payment: payment.Details{OrderID: order, Country: "EG", Currency: "EGP"},
			Origin:  payment.Origin{CommandID: "event-1", CommandSource: "/orders"}, RequestedAt: time.Now().Add(-time.Hour).UTC(),
		},
		ID: payment.ID{Provider: "opay-eg", Native: order}, Traits: instances[0].Provider.Traits(), Now: time.Now().Add(-time.Hour).UTC(),
		Instance: payment.Instance{Configured: true, Account: instances[0].Account, Policy: instances[0].Policy},
	}
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	started := payment.Decide(in)
	sequence, err := journal.Append(b.t.Context(), 0, *started.Event)
	if err != nil {
		b.t.Fatal(err)
	}
	in.State = started.Event.State
	deferred := payment.Conclude(in, payment.Heard{Attempt: 1, Outcome: payment.Outcome{
		Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable,
	}})
	if _, err := journal.Append(b.t.Context(), sequence, *deferred.Event); err != nil {
		b.t.Fatal(err)
	}
	return *deferred.Event
}

// timers counts what the stream of timers holds, waiting and delivered.
func (b *rearmBundle) timers() int { return natstest.Messages(b.t, b.js, b.cfg.Streams.Due) }

func TestRearmRestoresEveryLostTimerOnceAndADryRunNone(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	b.serveDesk(3) // the two events of a payment lie in two parts
	b.waiting("1001")
	b.waiting("1002")
	code, out, errs := b.run("rearm", "--operator", "ana", "--config", b.file, "--dry-run")
	if n := b.audits("rearm"); n != 0 {
		t.Errorf("%d dry runs are recorded", n)
	}
	if code != 0 || b.timers() != 0 || strings.Count(out, "would restore: refund") != 2 || !strings.Contains(out, "2 timers would be restored") {
		t.Errorf("dry run: code %d, %d timers there\n%s%s", code, b.timers(), out, errs)
	}
	for round, want := range []string{"2 timers restored", "0 timers restored"} {
		code, out, errs := b.run("rearm", "--operator", "ana", "--config", b.file)
		if n := b.audits("rearm"); n != round+1 {
			t.Errorf("round %d: %d are recorded", round, n)
		}
		if code != 0 || b.timers() != 2 || !strings.Contains(out, want) {
			t.Errorf("round %d: code %d, %d timers there, want 2 and %q\n%s%s", round, code, b.timers(), want, out, errs)
		}
	}
}

func TestRearmTellsMachinesOneObjectALine(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	b.serveDesk(0)
	b.waiting("1001")
	_, out, _ := b.run("rearm", "--operator", "ana", "--config", b.file, "--json")
	var kinds []string
	for line := range strings.Lines(out) {
		var object map[string]map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for kind, fields := range object {
			kinds = append(kinds, kind)
			if kind == "summary" && (fields["restored"] != 1.0 || fields["open"] != 1.0 || fields["damaged"] != 0.0) {
				t.Errorf("summary is %v", fields)
			}
		}
	}
	if fmt.Sprint(kinds) != "[restored summary]" {
		t.Errorf("lines are %v", kinds)
	}
}

func TestRearmSaysWhatItCannotRebuildAndFails(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	b.serveDesk(0)
	e := b.waiting("1001")
	e.State.Version++
	e.State.Operations[0].Fingerprint = strings.Repeat("0", 64)
	m, err := events.NewEncoder(nil).EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), m.Subject, m.Data); err != nil {
		t.Fatal(err)
	}
	code, _, errs := b.run("rearm", "--operator", "ana", "--config", b.file)
	if code != cli.ExitFailed || b.timers() != 0 || !strings.Contains(errs, "its fingerprint differs") {
		t.Errorf("code %d, %d timers\n%s", code, b.timers(), errs)
	}
}

func TestRearmWithoutServerOrConfigurationEndsWithItsCode(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	for want, args := range map[int][]string{
		cli.ExitFailed: {"rearm", "--operator", "ana", "--nats", "nats://127.0.0.1:1"},
		cli.ExitUsage:  {"rearm", "--config", b.file + ".not"},
	} {
		if code, _, errs := b.run(args...); code != want {
			t.Errorf("%v: code %d, want %d\n%s", args, code, want, errs)
		}
	}
}

// The whole way: the operation whose timer was lost ends, by one refund; and a
// timer too many, for an operation that has ended, is acknowledged and adds
// neither event nor refund.
func TestARearmedOperationEndsAndATimerTooManyIsHarmless(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.typed()
	e := b.waiting("1001")
	handled := make(chan handlers.Disposition, 16)
	b.serve(handled)
	b.answering()
	if code, out, errs := b.run("rearm", "--operator", "ana", "--config", b.file); code != 0 {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	for awaitDisposition(t, handled).Kind != handlers.Ack {
		continue
	}
	count := natstest.Messages(t, b.js, b.cfg.Streams.Events)
	superfluous := payment.Command{
		Op: e.Op, Key: e.Key, Provider: e.ID.Provider, Payment: e.Payment, Amount: e.Amount,
		Origin: payment.Origin{CommandID: e.CommandID, CommandSource: e.CommandSource}, RequestedAt: e.RequestedAt,
	}
	m, err := events.NewEncoder(nil).EncodeCommand(superfluous)
	if err != nil {
		t.Fatal(err)
	}
	timers := broker.NewTimers(b.js, app.Topology(b.cfg))
	if err := timers.Schedule(t.Context(), handlers.Timer{
		Subject: events.ScheduleSubject(superfluous, e.ID), Target: events.DueSubject(e.Op), Message: m,
		At: time.Now(), OriginSequence: 1, OriginTime: e.RequestedAt,
	}); err != nil {
		t.Fatal(err)
	}
	if d := awaitDisposition(t, handled); d.Kind != handlers.Ack {
		t.Errorf("a timer of an ended operation ends in %s", d.Kind)
	}
	if got := natstest.Messages(t, b.js, b.cfg.Streams.Events); got != count {
		t.Errorf("it added %d events", got-count)
	}
	if moved := b.sim.Ledger().Count("refund", "1001"); moved != 1 {
		t.Errorf("money moved %d times", moved)
	}
}

// audits counts what operators have done.
func (b *rearmBundle) audits(action string) int {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), b.cfg.Streams.Events)
	if err != nil {
		b.t.Fatal(err)
	}
	info, err := s.Info(b.t.Context(), jetstream.WithSubjectFilter("payment.operator."+action+".*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(info.State.Subjects)
}

// noWork is a desk's index and service that have nothing to do.
type noWork struct{ desk.Service }

func (noWork) Open(context.Context) ([]payment.ID, bool, error) { return nil, true, nil }

// operators is a desk over the journal.
func (b *rearmBundle) operators(journal *stream.Journal) *desk.Desk {
	b.t.Helper()
	set, err := providers.NewSet()
	if err != nil {
		b.t.Fatal(err)
	}
	operators, err := desk.New(journal, noWork{}, noWork{}, set, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return operators
}

// serveDesk answers operators, without a consumer that takes timers. A part of the
// journal has that many sequences.
func (b *rearmBundle) serveDesk(part uint64) {
	b.t.Helper()
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	operators := b.operators(journal)
	topology := app.Topology(b.cfg)
	served, err := remote.Serve(b.js.Conn(), operators, &remote.Options{SelfAsserted: true, Control: control.New(control.Options{
		Desk: operators, Bucket: broker.NewControl(b.js, topology), Journal: journal, Open: func() error { return nil }, Now: time.Now,
		Work: control.Work{
			JetStream: b.js, Events: topology.Events, Due: topology.Due, Timers: broker.NewTimers(b.js, topology),
			Encoder: events.NewEncoder(nil), Part: part,
		},
	})})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = served.Stop() })
	if err := b.js.Conn().FlushTimeout(patience); err != nil { // another connection may ask at once
		b.t.Fatal(err)
	}
}

// serve runs the service until the test ends and tells what became of each message.
func (b *rearmBundle) serve(handled chan<- handlers.Disposition) {
	b.t.Helper()
	b.serveOn(b.js.Conn(), handled)
}

// serveOn is serve on a connection of the service's own.
func (b *rearmBundle) serveOn(nc *nats.Conn, handled chan<- handlers.Disposition) {
	b.t.Helper()
	instances, err := app.Instances(b.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	service, err := app.New(nc, b.cfg, instances, &app.Options{Wrap: func(h broker.Handler) broker.Handler {
		return observed{h, handled}
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
}

type observed struct {
	broker.Handler
	handled chan<- handlers.Disposition
}

// Handle implements broker.Handler.
func (o observed) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	out := o.Handler.Handle(ctx, d)
	o.handled <- out
	return out
}

func awaitDisposition(t *testing.T, handled <-chan handlers.Disposition) handlers.Disposition {
	t.Helper()
	select {
	case d := <-handled:
		return d
	case <-time.After(30 * time.Second):
		t.Fatal("the service was given nothing")
		return handlers.Disposition{}
	}
}
