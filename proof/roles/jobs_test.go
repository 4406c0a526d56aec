package roles_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/examples/cloudevent"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// buildProgram builds the program as it is shipped.
func buildProgram(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "consumer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "production", "-o", binary, "../../cmd/consumer").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// program runs the program to its end and returns what it said.
func (w *world) program(binary, config string, args ...string) (code int, said string) {
	w.t.Helper()
	c := exec.CommandContext(w.ctx(), binary, append(args, "--config", config)...)
	c.Env = append(c.Environ(), "KEY="+opaysim.DefaultSecretKey)
	out, err := c.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("run %v: %v", args, err)
	}
	return c.ProcessState.ExitCode(), string(out)
}

// must runs the program and wants an exit code and words.
func (w *world) must(binary, config string, code int, says []string, args ...string) {
	w.t.Helper()
	got, said := w.program(binary, config, args...)
	for _, words := range says {
		if !strings.Contains(said, words) {
			w.t.Errorf("%v does not say %q:\n%s", args, words, said)
		}
	}
	if got != code {
		w.t.Errorf("%v ends with %d, want %d:\n%s", args, got, code, said)
	}
}

func TestTheJobsUseEachLineOfTheirFilesAndNothingElse(t *testing.T) {
	t.Parallel()
	binary := buildProgram(t)
	dir := layout(t)
	as := byKey(t)
	w := bare(t, startServer(t, filepath.Join(dir, "nats.conf"), as.configuration()), as)
	sim, paysAt := simulated(t)

	provisioning := newTap(t, w.server.ClientURL())
	file := w.configFile(provisioner(), provisioning.url, paysAt)
	w.must(binary, file, 0, []string{
		"created stream PAYMENT_EVENTS", "created stream KV_PAYMENT_CONTROL", "created consumer payment-consumer on PAYMENT_DUE",
		"created consumer ledger on PAYMENT_EVENTS", "created consumer orders-pl on PAYMENT_EVENTS",
	}, "provision")
	w.must(binary, file, 0, []string{"nothing to change"}, "provision")
	provisioning.compare(t, provisioner())

	w.serve(w.serviceConfig(w.server.ClientURL(), paysAt))
	if err := sim.AddPayment(opaysim.Payment{Reference: "paid", Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		t.Fatal(err)
	}
	const body = `{"specversion":"1.0","id":"e","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"paid"},"amount":{"value":400,"currency":"EGP"}}}`
	if _, err := w.stream(ordersEG()).Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte(body)); err != nil {
		t.Fatal(err)
	}
	w.await("payment.refund.succeeded.opay-eg.paid.*")

	reading := newTap(t, w.server.ClientURL())
	file = w.configFile(reader(), reading.url, paysAt)
	kept := filepath.Join(t.TempDir(), "journal.jsonl")
	day := func(shift int) string { return time.Now().UTC().AddDate(0, 0, shift).Format(time.DateOnly) }
	w.must(binary, file, 0, []string{"2 written", "0 findings"}, "archive", kept)
	w.must(binary, file, 0, []string{"2 events read, 1 operations", "0 differences"}, "reconcile", "--provider", "opay-eg", "--from", day(-1), "--to", day(2))
	// What the provider says now is asked for by an operator; the reader may not.
	if err := sim.Return(w.reference("payment.refund.succeeded.opay-eg.paid.*")); err != nil {
		t.Fatal(err)
	}
	again := []string{"reconcile", "--provider", "opay-eg", "--from", day(-1), "--to", day(2), "--apply", "--reason", "weekly"}
	w.must(binary, file, 2, []string{"your credentials name nobody"}, again...)
	asking := w.configFile(operator(), w.server.ClientURL(), paysAt)
	write(t, asking, read(t, asking)+"desk: {operator: operator}\n")
	w.must(binary, file, 1, []string{"payment.refund.returned went out", "1 events went out"}, append(again, "--ask-as", asking)...)
	// What is missing has it look whether that was accepted.
	if _, err := w.stream(consumer()).Publish(w.ctx(), "payment.refund.started.opay-eg.other.2", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	w.must(binary, file, 1, []string{"follows version 0", "1 findings"}, "archive", kept)
	reading.compare(t, reader())
}

// reference is what the provider was told to call the operation of an event.
func (w *world) reference(subject string) string {
	w.t.Helper()
	s, err := w.stream(consumer()).Stream(w.ctx(), "PAYMENT_EVENTS")
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(w.ctx(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := cloudevent.Read(m.Header, m.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	var data struct {
		ClientReference string `json:"clientReference"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		w.t.Fatal(err)
	}
	return data.ClientReference
}

// The file of before had one inbox for all in PAYMENTS.
func TestProvisionAndCheckSayThatTheFileIsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	binary := buildProgram(t)
	dir := layout(t)
	as := byKey(t)
	path := filepath.Join(dir, "permissions", provisioner().file)
	write(t, path, strings.Replace(read(t, path), `"_INBOX_provisioner.>"]`, `"_INBOX.>"]`, 1))
	w := bare(t, startServer(t, filepath.Join(dir, "nats.conf"), as.configuration()), as)
	file := w.configFile(provisioner(), w.server.ClientURL(), "http://127.0.0.1:1")
	w.must(binary, file, 1, []string{
		"provision: the server does not let this login hear answers on _INBOX_provisioner.>: give it permissions/provisioner.conf of this version",
	}, "provision")
	w.must(binary, file, 1, []string{"subscribe to _INBOX_provisioner.>", "refused by the server", "give this login the rights of permissions/provisioner.conf"},
		"check", "--as", "provisioner")
}

// An upgrade that changes a stream needs a right that no shipped file has.
func TestProvisionSaysWhichRightItLacksForAChange(t *testing.T) {
	t.Parallel()
	binary := buildProgram(t)
	dir := layout(t)
	as := byKey(t)
	path := filepath.Join(dir, "permissions", provisioner().file)
	shipped := read(t, path)
	const right = "$JS.API.STREAM.UPDATE.PAYMENT_COMMANDS"
	upgrade := strings.Replace(shipped, "allow: [\n", fmt.Sprintf("allow: [\n      %q\n", right), 1)
	write(t, path, upgrade)
	s := startServer(t, filepath.Join(dir, "nats.conf"), as.configuration())
	w := provisioned(t, s, as)
	stream, err := w.stream(provisioner()).Stream(w.ctx(), "PAYMENT_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	older := stream.CachedInfo().Config
	older.MaxMsgSize = 1000
	if _, err := w.stream(provisioner()).UpdateStream(w.ctx(), older); err != nil {
		t.Fatal(err)
	}
	file := w.configFile(provisioner(), w.server.ClientURL(), "http://127.0.0.1:1")

	write(t, path, shipped)
	reload(t, s, dir, as.configuration())
	w.must(binary, file, 1, []string{
		"cannot change stream PAYMENT_COMMANDS: max message size is 1000, want 65536: the server does not permit it to this login",
		"provision: this login may not publish to " + right, "for one run",
	}, "provision")

	write(t, path, upgrade)
	reload(t, s, dir, as.configuration())
	w.must(binary, file, 0, []string{"updated stream PAYMENT_COMMANDS: max message size from 1000 to 65536"}, "provision")
	w.must(binary, file, 1, []string{"publish to " + right}, "check", "--as", "provisioner")

	write(t, path, shipped)
	reload(t, s, dir, as.configuration())
	w.must(binary, file, 0, []string{"nothing to change"}, "provision")
	if _, said := w.program(binary, file, "check", "--as", "provisioner"); strings.Contains(said, right+" is permitted") {
		t.Errorf("check still reports the right:\n%s", said)
	}

	// A reader that the file does not name: everything else is done, and the line is named.
	write(t, file, strings.Replace(read(t, file), "readers:\n", "readers:\n  - {name: orders-new, filters: [\"payment.*.*.opay-eg.*.*\"]}\n", 1))
	w.must(binary, file, 1, []string{"cannot change consumer orders-new on PAYMENT_EVENTS", "$JS.API.CONSUMER.INFO.PAYMENT_EVENTS.orders-new"}, "provision")
	if _, err := w.stream(observer()).Consumer(w.ctx(), "PAYMENT_EVENTS", "orders-new"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("the consumer: %v", err)
	}
}
