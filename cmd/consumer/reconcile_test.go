package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// reconcileOperations is how many operations the planted test has; the proof is
// run with 100000.
func reconcileOperations(t *testing.T) int {
	t.Helper()
	given := os.Getenv("COUNTERMAND_RECONCILE_OPERATIONS")
	if given == "" {
		return 3000
	}
	n, err := strconv.Atoi(given)
	if err != nil {
		t.Fatalf("COUNTERMAND_RECONCILE_OPERATIONS: %v", err)
	}
	return n
}

// bookkeeping is a journal and a simulated OPay that were written side by side.
type bookkeeping struct {
	t        *testing.T
	dir      string
	js       jetstream.JetStream
	sim      *opaysim.Simulator
	instance providers.Instance
	encoder  *events.Encoder
	base     time.Time
	payments []map[string]any
	refunds  []map[string]any
	moves    []simulator.Movement
	quiet    map[string]bool // our references of stories without OPay's number
	peak     string          // of the last process, as the system tells it
}

func setupBooks(t *testing.T) *bookkeeping {
	t.Helper()
	server := natstest.Start(t, nil)
	b := &bookkeeping{
		t: t, dir: t.TempDir(), js: server.JetStream(t), sim: opaysim.New(opaysim.Options{}),
		encoder: events.NewEncoder(&events.EncoderOptions{Source: "/payments/consumer"}),
		quiet:   map[string]bool{},
		base:    time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC),
	}
	t.Cleanup(b.sim.Close)
	web := httptest.NewServer(b.sim)
	t.Cleanup(web.Close)
	b.write("secret", opaysim.DefaultSecretKey)
	b.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {file: %q}, callbackURL: "https://shop.example/callback", country: EG}
`, server.URL(), web.URL, opaysim.DefaultMerchantID, filepath.Join(b.dir, "secret")))
	cfg, err := config.Load(filepath.Join(b.dir, "config.yaml"), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Provision(t.Context(), b.js, app.Topology(cfg)); err != nil {
		t.Fatal(err)
	}
	instances, err := app.Instances(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.instance = instances[0]
	return b
}

func (b *bookkeeping) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// story is one refund: what our journal tells of it and what OPay did.
type story struct {
	order string
	ours  payment.Result // Succeeded, Failed, Pending; Indeterminate: still deferred
	age   time.Duration  // of its request, at base
	// theirs is OPay's status of it; empty: OPay knows nothing. moved is by how
	// much more than asked, times how often.
	theirs string
	more   int64
	times  int
	// quiet: our books do not have OPay's number for it.
	quiet bool
	// number is OPay's; empty: one is made up.
	number string
}

// tell writes one story to both sides and returns our reference.
func (b *bookkeeping) tell(s story, i int) string {
	at := b.base.Add(time.Duration(i)*time.Millisecond - s.age)
	in := payment.Input{
		Command: payment.Command{
			Op: payment.Refund, Key: "return-1", Provider: "opay-eg", Amount: &payment.Money{Value: 400, Currency: "EGP"},
			Payment: payment.Details{OrderID: s.order, Country: "EG", Currency: "EGP"},
			Origin:  payment.Origin{CommandID: "event-" + s.order, CommandSource: "/orders"}, RequestedAt: at,
		},
		ID: payment.ID{Provider: "opay-eg", Native: s.order}, Traits: b.instance.Provider.Traits(), Now: at.Add(time.Millisecond),
		Instance: payment.Instance{Configured: true, Account: b.instance.Account, Policy: b.instance.Policy},
	}
	started := payment.Decide(in)
	b.append(started.Event)
	reference := started.Event.ClientReference
	number := s.number
	if number == "" {
		number = fmt.Sprintf("29%014d", i)
	}
	in.State, in.Now = started.Event.State, in.Now.Add(time.Millisecond)
	out := payment.Outcome{Result: s.ours, ProviderReference: number}
	if s.quiet {
		out.ProviderReference, b.quiet[reference] = "", true
	}
	switch s.ours {
	case payment.Succeeded:
		out.Effect, out.Moved = payment.EffectRefunded, in.Command.Amount
	case payment.Failed:
		out.Code = payment.CodeDeclined
	default:
	}
	b.append(payment.Conclude(in, payment.Heard{Attempt: 1, Outcome: out}).Event)
	b.provider(s, reference, number, at)
	return reference
}

func (b *bookkeeping) provider(s story, reference, number string, at time.Time) {
	b.payments = append(b.payments, map[string]any{"reference": s.order, "country": "EG", "amount": 40000, "currency": "EGP", "status": "SUCCESS", "orderNo": "1" + number})
	if s.theirs == "" {
		return
	}
	b.refunds = append(b.refunds, map[string]any{
		"reference": reference, "original": s.order, "orderNo": number, "currency": "EGP", "status": s.theirs, "end": s.theirs, "amount": 400 + s.more,
	})
	for n := range s.times { // rows that were equal in every column would be one row twice
		b.moves = append(b.moves, simulator.Movement{
			Time: at.Add(time.Duration(n) * time.Second), Operation: "refund", Payment: s.order, Reference: reference, ProviderReference: number, Amount: 400 + s.more, Currency: "EGP",
		})
	}
}

func (b *bookkeeping) append(e *payment.Event) {
	b.t.Helper()
	if e == nil {
		b.t.Fatal("the core says there is no event")
	}
	m, err := b.encoder.EncodeEvent(*e)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.js.PublishAsyncPending() > 2000 {
		<-b.js.PublishAsyncComplete() // a slow disk is no failure
	}
	if _, err := b.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
		b.t.Fatal(err)
	}
}

// byReference keys what OPay holds as the simulator does.
func byReference(all []map[string]any) map[string]any {
	keyed := make(map[string]any, len(all))
	for _, one := range all {
		keyed[one["reference"].(string)] = one
	}
	return keyed
}

// settle waits for the journal, and gives the simulator and the statement what OPay did.
func (b *bookkeeping) settle() {
	b.t.Helper()
	<-b.js.PublishAsyncComplete()
	memory, err := json.Marshal(map[string]any{"own": map[string]any{"payments": byReference(b.payments), "refunds": byReference(b.refunds)}, "base": map[string]any{"movements": b.moves}})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.sim.Load(memory); err != nil {
		b.t.Fatal(err)
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	w.Write([]string{"reference", "provider_reference", "operation", "amount_minor", "currency", "executed_at", "status"})
	before := ""
	for i, m := range b.sim.Ledger().Movements("") {
		reference := m.Reference
		if i%3 == 0 && !b.quiet[m.Reference] || reference == before {
			reference = "" // some providers' statements do not repeat ours
		}
		before = m.Reference
		w.Write([]string{reference, m.ProviderReference, m.Operation, fmt.Sprint(m.Amount), m.Currency, m.Time.Format(time.RFC3339), "succeeded"})
	}
	w.Flush()
	b.write("statement.csv", text.String())
}

// compare runs the program and returns what it found, as "kind payment" or, for
// what has none, "kind provider's reference", and its exit code.
func (b *bookkeeping) compare(args ...string) (found []string, code int, p *program) {
	b.t.Helper()
	args = append([]string{"reconcile", "--config", "config.yaml", "--provider", "opay-eg", "--from", "2026-11-01", "--to", "2026-11-20", "--json"}, args...)
	p = start(b.t, b.dir, args...)
	b.peak = peakResident(p)
	code = p.exit()
	for _, line := range lines(p.stdout.String()) {
		var x struct {
			Difference *struct{ Kind, Payment, ProviderReference string }
			Summary    map[string]any
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			b.t.Fatalf("%q: %v", line, err)
		}
		if d := x.Difference; d != nil {
			name := d.Payment
			if name == "" {
				name = d.ProviderReference
			}
			found = append(found, d.Kind+" "+name)
		}
		if x.Summary != nil {
			b.t.Log(line)
		}
	}
	slices.Sort(found)
	return found, code, p
}

// peakResident watches how much memory a process has had at most (Linux), until it ends.
// What the system accounts to an ended child counts its parent's as well.
func peakResident(p *program) string {
	peak := "?"
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if _, rest, found := strings.Cut(string(status), "VmHWM:"); found {
			line, _, _ := strings.Cut(rest, "\n")
			peak = strings.TrimSpace(line)
		}
		select {
		case <-again.C:
		case <-p.ended:
			return peak
		}
	}
}

// plant writes n stories, a few of which differ, and returns those that asking
// finds and those that a statement finds.
func (b *bookkeeping) plant(n int) (asked, stated []string) {
	for i := range n {
		s := story{order: fmt.Sprintf("order-%d", i), ours: payment.Succeeded, theirs: "SUCCESS", times: 1}
		kind, statementOnly := "", ""
		switch i % (n / 3) {
		case 10:
			kind, s.theirs, s.times = "not_executed", "", 0
		case 11:
			kind, s.theirs, s.times = "not_executed", "FAIL", 0
		case 20:
			kind, s.more = "amount_differs", 1
		case 30:
			kind, s.ours = "executed_anyway", payment.Failed
		case 40:
			kind, s.ours, s.age = "open_too_old", payment.Pending, 72*time.Hour
		case 41:
			kind, s.ours, s.theirs, s.times = "open_too_old", payment.Indeterminate, "", 0
		case 50:
			statementOnly, s.times = "moved_twice", 2
		case 51:
			statementOnly, s.times, s.quiet = "moved_twice", 2, true
		case 60: // both call it failed
			s.ours, s.theirs, s.times = payment.Failed, "FAIL", 0
		case 61: // both know nothing of it
			s.ours, s.theirs, s.times = payment.Failed, "", 0
		}
		b.tell(s, i)
		if kind != "" {
			asked, stated = append(asked, kind+" "+s.order), append(stated, kind+" "+s.order)
		}
		if statementOnly != "" {
			stated = append(stated, statementOnly+" "+s.order)
		}
	}
	for i := range 5 { // refunds made in OPay's own console
		number := fmt.Sprintf("77%014d", i)
		b.moves = append(b.moves, simulator.Movement{
			Time: b.base, Operation: "refund", Payment: "order-1", Reference: fmt.Sprintf("foreign-%d", i), ProviderReference: number, Amount: 400, Currency: "EGP",
		})
		stated = append(stated, "unknown_money "+number)
	}
	slices.Sort(asked)
	slices.Sort(stated)
	return asked, stated
}

func TestReconcileFindsEveryPlantedDifferenceAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setupBooks(t)
	n := reconcileOperations(t)
	asked, stated := b.plant(n)
	b.settle()
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"asked":     {nil, asked},
		"statement": {[]string{"--file", "statement.csv"}, stated},
	} {
		began := time.Now()
		got, code, p := b.compare(c.args...)
		if code != cli.ExitFailed {
			t.Errorf("%s: exit code %d, want 1\n%s", name, code, p.stderr)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-planted +found):\n%s\n%s", name, diff, p.stderr)
		}
		t.Logf("%s: %d operations in %s, at most %s resident", name, n, time.Since(began).Round(time.Millisecond), b.peak)
	}
}

// questions counts what the provider was asked.
func (b *bookkeeping) questions() int { return len(b.sim.Calls()) }

func TestAReconciliationThatWasEndedGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	b := setupBooks(t)
	const n = 300
	asked, _ := b.plant(n)
	b.settle()
	keep := []string{"--resume", "answers.jsonl"}
	for round, c := range []struct {
		change func(file string) string
		want   int // questions
	}{
		{func(string) string { return "" }, n},
		{func(file string) string { return file }, 0},
		{func(file string) string { return file[:len(file)-10] }, 1}, // killed while it wrote
		{func(file string) string {
			all := strings.SplitAfter(file, "\n")
			return strings.Join(all[:1+n/3], "")
		}, n - n/3},
	} {
		if round > 0 {
			b.write("answers.jsonl", c.change(readFile(t, filepath.Join(b.dir, "answers.jsonl"))))
		}
		before := b.questions()
		got, code, p := b.compare(keep...)
		if diff := cmp.Diff(asked, got); diff != "" || code != cli.ExitFailed {
			t.Errorf("round %d: exit code %d (-planted +found):\n%s%s", round, code, diff, p.stderr)
		}
		if more := b.questions() - before; more != c.want {
			t.Errorf("round %d: %d questions, want %d", round, more, c.want)
		}
	}
	// Books that moved are asked about again.
	b.tell(story{order: "order-new", ours: payment.Succeeded}, n)
	<-b.js.PublishAsyncComplete()
	before := b.questions()
	if got, _, _ := b.compare(keep...); !slices.Contains(got, "not_executed order-new") || b.questions()-before != 1 {
		t.Errorf("found %v with %d questions", got, b.questions()-before)
	}
	code, p := runProgram(t, b.dir, "reconcile", "--config", "config.yaml", "--provider", "opay-eg", "--from", "2026-11-02", "--to", "2026-11-20", "--resume", "answers.jsonl")
	if code != cli.ExitUsage || !strings.Contains(p.stderr.String(), "another reconciliation") {
		t.Errorf("another period: exit code %d\n%s", code, p.stderr)
	}
}

func TestReconcileWithoutDifferencesEndsWithZero(t *testing.T) {
	t.Parallel()
	b := setupBooks(t)
	for i := range 10 {
		b.tell(story{order: fmt.Sprintf("order-%d", i), ours: payment.Succeeded, theirs: "SUCCESS", times: 1}, i)
	}
	b.settle()
	for _, more := range [][]string{nil, {"--file", "statement.csv"}} {
		if found, code, p := b.compare(more...); code != cli.ExitOK || len(found) > 0 {
			t.Errorf("%v: exit code %d, found %v\n%s", more, code, found, p.stderr)
		}
	}
	args := []string{"reconcile", "--config", "config.yaml", "--provider", "opay-eg", "--from", "2026-11-01", "--to", "2026-11-20"}
	code, p := runProgram(t, b.dir, append(args, "--csv")...)
	want := "kind,provider,payment,operation,idempotency_key,reference,provider_reference,ours,theirs,our_amount_minor,their_amount_minor,currency,at,line,note\n"
	if code != cli.ExitOK || p.stdout.String() != want || !strings.Contains(p.stderr.String(), "0 differences") {
		t.Errorf("exit code %d\n%s%s", code, p.stdout, p.stderr)
	}
}

// An export that overlaps and is written by a spreadsheet program, in which one refund failed
// after it had succeeded and another succeeded after it had failed.
func TestReconcileCountsTheNewestRowAndTellsARepeatedOne(t *testing.T) {
	t.Parallel()
	b := setupBooks(t)
	var references []string
	for i, order := range []string{"agrees", "repeated", "failed-later", "succeeded-later", "failed-unnamed", "returned-unnamed", "zeros", "renumbered"} {
		s := story{order: order, ours: payment.Succeeded, theirs: "SUCCESS", times: 1}
		if order == "zeros" {
			s.number = "00012345"
		}
		references = append(references, b.tell(s, i))
	}
	b.settle()
	row := func(i, hour int, ours bool, status string) string {
		reference := references[i]
		if !ours {
			reference = ""
		}
		return fmt.Sprintf("%s;29%014d;refund;400;EGP;2026-11-10T%02d:00:00Z;%s", reference, i, hour, status)
	}
	newestFirst := []string{
		"sep=;", "reference;provider_reference;operation;amount_minor;currency;executed_at;status",
		row(4, 9, false, "failed"), row(5, 9, false, "returned"), row(3, 8, true, "succeeded"), row(3, 8, true, "failed"),
		row(2, 7, true, "failed"), row(2, 6, true, "succeeded"), row(4, 5, true, "succeeded"), row(5, 5, true, "succeeded"),
		row(1, 4, true, "succeeded"), row(1, 4, true, "succeeded"), row(0, 3, true, "succeeded"),
		"nobody's;77;cancel;;;2026-11-10T02:00:00Z;succeeded",
		";console-7;refund;400;EGP;2026-11-10T01:30:00Z;failed", references[7] + ";console-7;refund;400;EGP;2026-11-10T01:20:00Z;succeeded",
		";12345;refund;400;EGP;2026-11-10T01:10:00Z;succeeded", ";123;refund;400;EGP;2026-11-10T01:00:00Z;succeeded", "",
	}
	b.write("statement.csv", strings.Join(newestFirst, "\r\n"))
	want := []string{
		"not_executed failed-later", "not_executed failed-unnamed", "not_executed renumbered", "not_executed zeros",
		"returned returned-unnamed", "row_repeated repeated", "unknown_money 123", "unknown_money 12345",
	}
	got, code, p := b.compare("--file", "statement.csv")
	if diff := cmp.Diff(want, got); diff != "" || code != cli.ExitFailed {
		t.Errorf("exit code %d (-want +got):\n%s%s", code, diff, p.stderr)
	}
	if strings.Count(p.stdout.String(), "zeros in front") != 1 {
		t.Errorf("zeros in front are not noted once:\n%s", p.stdout)
	}
	for _, part := range []string{
		`"note":"with zeros in front this would be the reference of payment zeros: a spreadsheet may have removed them"`,
		`"line":11,"firstLine":12`, `"agreed":3`, `"cancels":1`, `"note":"line 8 said succeeded, and a later row took it back"`,
	} {
		if !strings.Contains(p.stdout.String(), part) {
			t.Errorf("%s is not in\n%s", part, p.stdout)
		}
	}
}

func TestReconcileRefusesWhatItCannotReadBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() // there is no server, and none is looked for
	good := "reference,provider_reference,operation,amount_minor,currency,executed_at,status\n"
	for name, text := range map[string]string{
		"good.csv": good,
		"book.csv": "PK\x03\x04[Content_Types].xml",
		"cut.csv":  good + "a,2.11009E+17,refund,400,EGP,2026-11-10T12:00:00Z,succeeded\n",
		"bad.csv":  good + "a,9,void,400,EGP,2026-11-10T12:00:00Z,succeeded\n,,refund,x,EGP,2026-11-10T12:00:00Z,succeeded\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, args := range map[string][]string{
		"bad.csv:2:5: operation":     {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "bad.csv"},
		"bad.csv:3:1: reference":     {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "bad.csv"},
		"bad.csv:3:10: amount_minor": {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "bad.csv"},
		"3 faults":                   {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "bad.csv"},
		"book.csv:1:1: is an Excel":  {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "book.csv"},
		"cut.csv:2:3: provider_reference: looks damaged by a spreadsheet": {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "cut.csv"},
		"no such file":              {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "absent.csv"},
		"--from must be":            {"--from", "yesterday", "--to", "2026-11-02"},
		"--from is not before --to": {"--from", "2026-11-02", "--to", "2026-11-02"},
		"nobody is asked":           {"--from", "2026-11-01", "--to", "2026-11-02", "--file", "good.csv", "--resume", "x"},
		"can't be used together":    {"--from", "2026-11-01", "--to", "2026-11-02", "--csv", "--json"},
	} {
		code, p := runProgram(t, dir, append([]string{"reconcile", "--provider", "opay-eg", "--nats", "nats://127.0.0.1:1"}, args...)...)
		if code != cli.ExitUsage || !strings.Contains(p.stderr.String(), want) {
			t.Errorf("%v: exit code %d, want 2 and %q\n%s", args, code, want, p.stderr)
		}
	}
}
