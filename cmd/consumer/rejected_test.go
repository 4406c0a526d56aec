package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// misspelled is a command with an unknown member and a value that must not leak.
const misspelled = `{"specversion":"1.0","id":"e-typo","source":"/shop","type":"payment.refund.requested","correlationid":"order-7","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"order-7"},"ammount":{"value":400,"currency":"EGP"},"reason":"Jane-Doe-was-here"}}`

// rejecting is a running service that has rejected one message.
type rejecting struct {
	*service
	token string
}

func setupRejecting(t *testing.T, settings string) *rejecting {
	t.Helper()
	s := newService(t)
	file, err := os.ReadFile(filepath.Join(s.dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("config.yaml", settings+string(file))
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	p := start(t, s.dir, "run", "--config", "config.yaml")
	awaitStatus(t, "http://"+s.admin+"/readyz", 200)
	if err := s.opay.AddPayment(opaysim.Payment{Reference: "order-7", Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.js.Publish(t.Context(), "payment.refund.requested", []byte(misspelled)); err != nil {
		t.Fatal(err)
	}
	subject := awaitEvent(t, s.js, "payment.command.rejected.*").Subject()
	t.Cleanup(p.kill)
	return &rejecting{s, subject[strings.LastIndexByte(subject, '.')+1:]}
}

// run runs a "rejected" command.
func (r *rejecting) run(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	code, p := runProgram(r.t, r.dir, append(append([]string{"rejected"}, args...), "--config", "config.yaml")...)
	return code, p.stdout.String(), p.stderr.String()
}

func TestRejectedMessagesAreListedAndShownWithoutTheirBytes(t *testing.T) {
	t.Parallel()
	r := setupRejecting(t, "desk: {selfAsserted: true, operator: ana}\n")
	code, out, errs := r.run("list", "--since", "1h", "--code", "invalid_command")
	if code != cli.ExitOK || !strings.Contains(out, r.token) || !strings.Contains(out, "/ammount") {
		t.Errorf("list: exit code %d\n%s%s", code, out, errs)
	}
	for _, none := range [][]string{{"--code", "unknown_provider"}, {"--provider", "opay-eg"}, {"--since", "2999-01-01"}} {
		if code, out, _ := r.run(append([]string{"list"}, none...)...); code != cli.ExitOK || strings.Contains(out, r.token) {
			t.Errorf("list %v: exit code %d\n%s", none, code, out)
		}
	}
	code, out, _ = r.run("show", r.token, "--json")
	var shown map[string]any
	if err := json.Unmarshal([]byte(out), &shown); code != cli.ExitOK || err != nil {
		t.Fatalf("show: exit code %d, %v\n%s", code, err, out)
	}
	if shown["size"] != float64(len(misspelled)) || shown["commandId"] != "e-typo" || shown["original"] != nil || strings.Contains(out, "Jane") {
		t.Errorf("shown is %s", out)
	}
	for want, args := range map[int][]string{
		cli.ExitUsage: {"show", "payment.refund.rejected.opay-eg.order-7.1"},
		cli.ExitNone:  {"show", "999999-0123456789ab"},
	} {
		if code, out, errs := r.run(args...); code != want {
			t.Errorf("%v: exit code %d, want %d\n%s%s", args, code, want, out, errs)
		}
	}
}

func TestBytesAreRevealedOnlyAfterItWasRecorded(t *testing.T) {
	t.Parallel()
	r := setupRejecting(t, "desk: {selfAsserted: true}\n")
	if code, out, _ := r.run("show", r.token, "--reveal"); code != cli.ExitUsage || strings.Contains(out, "Jane") {
		t.Errorf("without a reason: exit code %d\n%s", code, out)
	}
	code, out, errs := r.run("show", r.token, "--reveal", "--reason", "shop asks", "--operator", "ana")
	if code != cli.ExitOK || !strings.Contains(out, "Jane-Doe-was-here") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	audit := string(awaitEvent(t, r.js, "payment.operator.reveal.*").Data())
	for _, want := range []string{`"operator":"ana"`, `"reason":"shop asks"`, r.token} {
		if !strings.Contains(audit, want) {
			t.Errorf("audit lacks %s: %s", want, audit)
		}
	}
	code, out, errs = r.run("show", r.token, "--reveal", "--reason", "to mend it", "--operator", "ana", "--output", "original.json")
	written, err := os.ReadFile(filepath.Join(r.dir, "original.json"))
	if code != cli.ExitOK || err != nil || string(written) != misspelled || strings.Contains(out, "Jane") {
		t.Errorf("exit code %d, %v, %s\n%s%s", code, err, written, out, errs)
	}
}

func TestWithoutAnAuditNothingIsRevealedOrReplayed(t *testing.T) {
	t.Parallel()
	r := setupRejecting(t, "") // names that are only typed are not taken
	r.write("typed.yaml", strings.Replace(readFile(t, filepath.Join(r.dir, "config.yaml")), "nats:", "desk: {selfAsserted: true}\nnats:", 1))
	before := natstest.Messages(t, r.js, "PAYMENT_COMMANDS")
	r.write("good.json", strings.ReplaceAll(misspelled, "ammount", "amount"))
	for _, args := range [][]string{
		{"show", r.token, "--reveal", "--reason", "curious", "--operator", "ana", "--config", "typed.yaml"},
		{"replay", r.token, "--reason", "mended", "--file", "good.json", "--apply", "--operator", "ana", "--config", "typed.yaml"},
		{"delete", r.token, "--reason", "out of spite", "--apply", "--operator", "ana", "--config", "typed.yaml"},
	} {
		code, p := runProgram(t, r.dir, append([]string{"rejected"}, args...)...)
		if code != cli.ExitFailed || strings.Contains(p.stdout.String(), "Jane") || !strings.Contains(p.stderr.String(), "selfAsserted") {
			t.Errorf("%v: exit code %d\n%s%s", args, code, p.stdout, p.stderr)
		}
	}
	if n := natstest.Messages(t, r.js, "PAYMENT_COMMANDS"); n != before {
		t.Errorf("%d commands, want %d", n, before)
	}
	if n := r.count("payment.operator.>"); n != 0 {
		t.Errorf("%d audit events of nobody", n)
	}
}

func TestBytesAreDeletedOnceItIsRecordedAndTheRejectionStays(t *testing.T) {
	t.Parallel()
	r := setupRejecting(t, "desk: {selfAsserted: true, operator: ana}\n")
	const kept = "PAYMENT_REJECTED"
	args := []string{"delete", r.token, "--reason", "personal data"}
	if code, out, errs := r.run(args...); code != cli.ExitOK || !strings.Contains(out, "add --apply") || natstest.Messages(t, r.js, kept) != 1 || r.count("payment.operator.>") != 0 {
		t.Errorf("dry: exit code %d\n%s%s", code, out, errs)
	}
	code, out, errs := r.run(append(args, "--apply")...)
	if code != cli.ExitOK || !strings.Contains(out, fmt.Sprintf("deleted %d bytes", len(misspelled))) || natstest.Messages(t, r.js, kept) != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	if audit := string(awaitEvent(t, r.js, "payment.operator.delete.*").Data()); !strings.Contains(audit, r.token) || !strings.Contains(audit, `"operator":"ana"`) {
		t.Errorf("the audit is %s", audit)
	}
	for _, gone := range [][]string{
		append(args, "--apply"), {"show", r.token, "--reveal", "--reason", "x"}, {"replay", r.token, "--reason", "x", "--apply"},
	} {
		if code, out, errs := r.run(gone...); code != cli.ExitNone || !strings.Contains(errs, "not in the quarantine any more") {
			t.Errorf("%v: exit code %d\n%s%s", gone, code, out, errs)
		}
	}
	if code, out, _ := r.run("show", r.token); code != cli.ExitOK || !strings.Contains(out, "/ammount") {
		t.Errorf("the rejection: exit code %d\n%s", code, out)
	}
	if n := r.count("payment.operator.delete.*"); n != 1 {
		t.Errorf("%d deletions are recorded", n)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestARejectedMessageIsReplayedCorrectedAndOnceIsEnough(t *testing.T) {
	t.Parallel()
	r := setupRejecting(t, "desk: {selfAsserted: true}\n")
	args := []string{"replay", r.token, "--reason", "typing error", "--operator", "ana"}
	code, _, errs := r.run(append(args, "--apply")...)
	if code != cli.ExitFailed || !strings.Contains(errs, "/ammount") || !strings.Contains(errs, "nothing was published") {
		t.Errorf("unchanged: exit code %d\n%s", code, errs)
	}
	r.write("good.json", strings.ReplaceAll(misspelled, "ammount", "amount"))
	args = append(args, "--file", "good.json")
	code, out, errs := r.run(args...)
	if n := natstest.Messages(t, r.js, "PAYMENT_COMMANDS"); code != cli.ExitOK || n != 1 || !strings.Contains(out, "add --apply") || r.count("payment.operator.>") != 0 {
		t.Errorf("dry: exit code %d, %d commands\n%s%s", code, n, out, errs)
	}
	for range 2 {
		if code, out, errs = r.run(append(args, "--apply")...); code != cli.ExitOK {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
	}
	result := awaitEvent(t, r.js, "payment.refund.succeeded.opay-eg.order-7.2").Data()
	if !strings.Contains(string(result), `"correlationid":"order-7"`) {
		t.Errorf("the result has lost what it belongs to: %s", result)
	}
	stream, err := r.js.Stream(t.Context(), "PAYMENT_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 2)
	if err != nil || !strings.Contains(string(m.Data), fmt.Sprintf(`"causationid":"payment.command.rejected.%s"`, r.token)) || strings.Contains(string(m.Data), `"id":"e-typo"`) {
		t.Errorf("command is %s, %v", m.Data, err)
	}
	if n := r.count("payment.operator.replay.*"); n != 2 {
		t.Errorf("%d audit events, want 2", n)
	}
	r.settled() // both replays
	if n := len(r.opay.Ledger().Movements("order-7")); n != 1 {
		t.Errorf("money moved %d times, want once", n)
	}
}

// settled waits until every command has been taken in hand and ended.
func (r *rejecting) settled() {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), "PAYMENT_COMMANDS", "payment-consumer")
	if err != nil {
		r.t.Fatal(err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		info, err := c.Info(r.t.Context())
		if err == nil && info.NumPending == 0 && info.NumAckPending == 0 {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			r.t.Fatalf("commands are left: %+v, %v", info, err)
		}
	}
}

func TestARejectionInTheJournalOfAnOlderVersionIsListedShownAndReplayed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file := readFile(t, filepath.Join(s.dir, "config.yaml"))
	s.write("config.yaml", "desk: {selfAsserted: true, operator: ana}\n"+file)
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	token := events.RejectionToken(1, []byte(misspelled))
	sum := sha256.Sum256([]byte(misspelled))
	m, err := events.NewEncoder(nil).EncodeRejection(payment.Rejection{
		Token: token, Code: payment.CodeInvalidCommand, Faults: []payment.Fault{{Pointer: "/ammount", Rule: "unknown"}},
		Size: len(misspelled), SHA256: hex.EncodeToString(sum[:]), OriginSequence: 1, OriginSubject: "payment.refund.requested", CommandID: "e-typo",
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	natstest.OldRejection(t, s.js, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	p := start(t, s.dir, "run", "--config", "config.yaml")
	t.Cleanup(p.kill)
	awaitStatus(t, "http://"+s.admin+"/readyz", 200)
	if err := s.opay.AddPayment(opaysim.Payment{Reference: "order-7", Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		t.Fatal(err)
	}
	// One of today comes behind it.
	if _, err := s.js.Publish(t.Context(), "payment.refund.requested", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	newer := awaitEvent(t, s.js, "payment.command.rejected.*").Subject()
	r := &rejecting{s, token}
	code, out, errs := r.run("list")
	before, after := strings.Index(out, token), strings.Index(out, newer[strings.LastIndexByte(newer, '.')+1:])
	if code != cli.ExitOK || before < 0 || after < before {
		t.Errorf("list: exit code %d\n%s%s", code, out, errs)
	}
	if code, out, errs := r.run("show", token); code != cli.ExitOK || !strings.Contains(out, "/ammount") {
		t.Errorf("show: exit code %d\n%s%s", code, out, errs)
	}
	r.write("good.json", strings.ReplaceAll(misspelled, "ammount", "amount"))
	if code, out, errs := r.run("replay", token, "--reason", "typing error", "--operator", "ana", "--file", "good.json", "--apply"); code != cli.ExitOK {
		t.Fatalf("replay: exit code %d\n%s%s", code, out, errs)
	}
	awaitEvent(t, s.js, "payment.refund.succeeded.opay-eg.order-7.2")
}
