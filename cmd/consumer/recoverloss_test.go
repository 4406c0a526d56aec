package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// recoveryOperations is how many operations the test of recovery has; the proof is
// run with 10000.
func recoveryOperations(t *testing.T) int {
	t.Helper()
	given := os.Getenv("COUNTERMAND_RECOVERY_OPERATIONS")
	if given == "" {
		return 100
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 10 {
		t.Fatalf("COUNTERMAND_RECOVERY_OPERATIONS: %q, %v", given, err)
	}
	return n
}

// fifthLost is a service of real processes whose journal has lost what the last
// fifth of its operations did.
type fifthLost struct {
	*service

	server  *natstest.Server
	n       int
	archive string                    // of the whole journal
	whole   map[string]events.Message // by subject
	lost    string                    // a copy of everything after the loss
	moved   int                       // refunds that the provider was sent
}

func (f *fifthLost) order(i int) string { return fmt.Sprintf("order-%d", i) }

// lostFrom is the first operation that is lost.
func (f *fifthLost) lostFrom() int { return f.n - f.n/5 }

func loseAFifth(t *testing.T) *fifthLost {
	t.Helper()
	server := natstest.Start(t, nil)
	f := &fifthLost{server: server, n: recoveryOperations(t), archive: "journal.jsonl", service: &service{
		t: t, dir: t.TempDir(), admin: natstest.FreeAddress(t), js: server.JetStream(t),
		opay: opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"}),
	}}
	web := httptest.NewServer(f.opay)
	t.Cleanup(web.Close)
	t.Cleanup(f.opay.Close)
	f.write("secret", opaysim.DefaultSecretKey+"\n")
	f.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
admin: {listen: %q}
desk: {selfAsserted: true, operator: ann}
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {file: secret}, callbackURL: "https://shop.example/opay", country: EG, timeout: 1s, reviewAfter: 1s, poll: {initial: 200ms, max: 1s}}
`, server.URL(), f.admin, web.URL, opaysim.DefaultMerchantID))
	f.program(cli.ExitOK, "provision")
	f.carryOut(0, f.lostFrom())
	before := server.Copy(t)
	f.js = server.JetStream(t)
	f.carryOut(f.lostFrom(), f.n)
	f.program(cli.ExitOK, "archive", f.archive)
	f.whole = f.messages()
	f.moved = f.refunds()
	server.RestoreStream(t, before, "PAYMENT_EVENTS")
	f.lost = server.Copy(t)
	f.js = server.JetStream(t)
	return f
}

// program runs the program to its end, and fails the test unless it ends as wanted.
func (f *fifthLost) program(code int, args ...string) string {
	f.t.Helper()
	if decides(args) {
		defer f.serving()()
	}
	began := time.Now()
	got, p := runProgram(f.t, f.dir, append(args, "--config", "config.yaml")...)
	if got != code {
		f.t.Fatalf("%v: exit code %d, want %d\n%.2000s\n%.2000s", args, got, code, p.stdout, p.stderr)
	}
	f.t.Logf("%s: %s", strings.Join(args[:min(len(args), 3)], " "), time.Since(began).Round(time.Millisecond))
	return p.stdout.String()
}

// serving runs the service until it is told to stop, and returns once it answers.
func (f *fifthLost) serving() (stop func()) {
	f.t.Helper()
	p := start(f.t, f.dir, "run", "--config", "config.yaml")
	answering(f.t, f.js.Conn())
	return func() {
		p.terminate()
		if code := p.exit(); code != cli.ExitOK {
			f.t.Errorf("the service ended with %d\n%s", code, p.stderr)
		}
	}
}

// carryOut runs the service until it has ended some operations. Of ten, one has a
// payment that the provider does not know, and one is declined.
func (f *fifthLost) carryOut(from, to int) {
	f.t.Helper()
	for i := from; i < to; i++ {
		switch i % 10 {
		case 3:
			f.publish(f.order(i))
			continue
		case 7:
			if err := f.opay.Fault(simulator.Fault{Operation: "refund", Payment: f.order(i), Mode: simulator.Decline, Times: 1}); err != nil {
				f.t.Fatal(err)
			}
		}
		f.refund(f.order(i))
	}
	p := start(f.t, f.dir, "run", "--config", "config.yaml")
	f.until("every command has its result", func() bool {
		return f.count("payment.refund.succeeded.>")+f.count("payment.refund.failed.>")+f.count("payment.refund.rejected.>") == to
	})
	p.terminate()
	if code := p.exit(); code != cli.ExitOK {
		f.t.Fatalf("the service ended with %d\n%s", code, p.stderr)
	}
}

// publish publishes a refund of 400.
func (f *fifthLost) publish(order string) {
	f.t.Helper()
	body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[1]s","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"%[1]s"},"amount":{"value":400,"currency":"EGP"}}}`, order)
	if _, err := f.js.Publish(f.t.Context(), "payment.refund.requested", []byte(body)); err != nil {
		f.t.Fatal(err)
	}
}

// until waits for a condition, and fails the test if it does not come in five minutes.
func (f *fifthLost) until(what string, is func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !is(); <-time.After(50*time.Millisecond + time.Duration(f.n)*20*time.Microsecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: never", what)
		}
	}
}

// refunds counts the calls that move money, whatever came of them.
func (f *fifthLost) refunds() (n int) {
	for _, c := range f.opay.Calls() {
		if c.Operation == "refund" {
			n++
		}
	}
	return n
}

// messages are the journal's, by subject, without what a recovered one has not kept.
func (f *fifthLost) messages() map[string]events.Message {
	f.t.Helper()
	journal, err := stream.New(f.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := f.js.Stream(f.t.Context(), "PAYMENT_EVENTS")
	if err != nil {
		f.t.Fatal(err)
	}
	all := map[string]events.Message{}
	for sequence := uint64(1); sequence <= s.CachedInfo().State.LastSeq; sequence++ {
		m, err := journal.At(f.t.Context(), sequence)
		if err != nil || m.Sequence == 0 {
			f.t.Fatalf("sequence %d: %v", sequence, err)
		}
		if strings.HasPrefix(m.Message.Subject, "payment.operator.") {
			continue // the acceptance
		}
		maps.DeleteFunc(m.Message.Header, func(name string, _ []string) bool {
			return strings.HasPrefix(name, "Nats-") || name == events.RecoveredHeader
		})
		all[m.Message.Subject] = m.Message
	}
	return all
}

// accept accepts the loss.
func (f *fifthLost) accept() {
	f.t.Helper()
	var status struct{ Loss struct{ Messages uint64 } }
	if err := json.Unmarshal([]byte(f.program(cli.ExitFailed, "journal", "status", "--json")), &status); err != nil {
		f.t.Fatal(err)
	}
	if status.Loss.Messages == 0 {
		f.t.Fatal("nothing was lost")
	}
	f.program(cli.ExitOK, "journal", "accept", "--reason", "older copy", "--lose", fmt.Sprint(status.Loss.Messages), "--apply")
}

// killed runs the program and kills it once it has told half of what is lost.
func (f *fifthLost) killed(half int, args ...string) {
	f.t.Helper()
	p := start(f.t, f.dir, append(args, "--config", "config.yaml")...)
	ended := p.afterLines(half, patience)
	p.kill()
	f.t.Logf("%v: killed after %d lines, it had ended: %t", args, len(lines(p.stdout.String())), ended)
}

func TestRecoveryFromAnArchiveBringsEveryEventBack(t *testing.T) {
	t.Parallel()
	f := loseAFifth(t)
	f.accept()
	lost := len(f.whole) - len(f.messages())
	f.killed(lost/2, "recover", "--archive", f.archive, "--apply")
	half := len(f.messages())
	f.program(cli.ExitOK, "recover", "--archive", f.archive, "--apply")
	is := f.messages()
	same := maps.EqualFunc(f.whole, is, func(a, b events.Message) bool {
		return slices.Equal(a.Data, b.Data) && maps.EqualFunc(a.Header, b.Header, slices.Equal)
	})
	if !same {
		t.Errorf("%d messages before the loss, %d after the recovery, and they are not the same", len(f.whole), len(is))
	}
	f.program(cli.ExitOK, "recover", "--commands", "--apply") // there is nothing left to presume
	f.program(cli.ExitOK, "journal", "go", "--apply")
	f.program(cli.ExitOK, "journal", "trust", "--reason", "all is there", "--apply")
	if n := f.refunds(); n != f.moved {
		t.Errorf("the provider was called %d times", n-f.moved)
	}
	t.Logf("%d operations, %d of %d messages lost, %d of them there after the kill, all there in the end", f.n, lost, len(f.whole), half-(len(f.whole)-lost))
}

func TestRecoveryFromTheCommandsEndsInTheTruthOrBeforeAPerson(t *testing.T) {
	t.Parallel()
	f := loseAFifth(t)
	f.accept()
	f.killed(f.n/10, "recover", "--commands", "--apply")
	presumed := f.count("payment.refund.indeterminate.>")
	f.program(cli.ExitOK, "recover", "--commands", "--apply")
	if n := f.count("payment.refund.indeterminate.>"); n != f.n/5 {
		t.Fatalf("%d operations are presumed, want %d", n, f.n/5)
	}
	f.program(cli.ExitOK, "journal", "go", "--apply")
	p := start(t, f.dir, "run", "--config", "config.yaml")
	journal, err := stream.New(f.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	succeeded, reviewed := 0, 0
	for i := f.lostFrom(); i < f.n; i++ {
		var op payment.Operation
		f.until("order "+f.order(i)+" is settled or before a person", func() bool {
			last, err := journal.Last(t.Context(), payment.ID{Provider: "opay-eg", Native: f.order(i)})
			if err != nil {
				t.Fatal(err)
			}
			op = last.State.Operations[0]
			return op.Status.Terminal() || op.Open.Review != nil
		})
		moved := f.opay.Ledger().Count("refund", f.order(i))
		switch {
		case op.Status == payment.StatusSucceeded && moved == 1:
			succeeded++
		case op.Open != nil && op.Open.Review != nil:
			reviewed++
		default:
			t.Errorf("%s is %s, and the provider moved money %d times", f.order(i), op.Status, moved)
		}
	}
	p.terminate()
	p.exit()
	if n := f.refunds(); n != f.moved {
		t.Errorf("the provider was called %d times", n-f.moved)
	}
	t.Logf("%d operations, %d lost, %d of them presumed before the kill; %d found succeeded, %d before a person, 0 calls",
		f.n, f.n/5, presumed, succeeded, reviewed)
}
