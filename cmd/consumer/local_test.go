package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/natstest"
)

// local is "consumer run" without a configuration, in a directory of its own.
type local struct {
	*program
	t     *testing.T
	howTo string
	admin string
	js    jetstream.JetStream
}

// startLocal starts it and waits until it is ready.
func startLocal(t *testing.T) *local {
	t.Helper()
	first := natstest.FreePorts(t, 4)
	l := &local{t: t, admin: fmt.Sprintf("127.0.0.1:%d", first+3)}
	l.program = start(t, t.TempDir(), "run", "--nats-port", fmt.Sprint(first), "--simulators-port", fmt.Sprint(first+1), "--admin", l.admin)
	l.howTo = l.await(l.stdout, "Ctrl-C ends it.")
	awaitStatus(t, "http://"+l.admin+"/readyz", 200)
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", first))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if l.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *local) publish(subject, data string) {
	l.t.Helper()
	if _, err := l.js.Publish(l.t.Context(), subject, []byte(data)); err != nil {
		l.t.Fatal(err)
	}
}

// event returns the data of the event on a subject, once it is there.
func (l *local) event(subject string) string {
	l.t.Helper()
	return string(awaitEvent(l.t, l.js, subject).Data())
}

// awaitEvent waits for one event.
func awaitEvent(t *testing.T, js jetstream.JetStream, subject string) jetstream.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream := "PAYMENT_EVENTS"
	if strings.HasPrefix(subject, "payment.command.rejected.") {
		stream = "PAYMENT_REFUSALS"
	}
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchContext(ctx))
	if err != nil {
		t.Fatalf("wait for event %s: %v", subject, err)
	}
	return m
}

// typed returns the part of the printed instructions that is for bash, and the
// address that shows what the provider did.
func (l *local) typed() (script, ledger string) {
	l.t.Helper()
	block := regexp.MustCompile(`(?s)with bash alone:\n\n(.*?)\n\nor with`).FindStringSubmatch(l.howTo)
	curl := regexp.MustCompile(`curl -s (http://\S+)`).FindStringSubmatch(l.howTo)
	if block == nil || curl == nil {
		l.t.Fatalf("no commands to type in:\n%s", l.howTo)
	}
	return block[1], curl[1]
}

func TestAFirstCommandCanBeTypedAsPrinted(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	l := startLocal(t)
	script, ledger := l.typed()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	said, err := exec.CommandContext(ctx, bash, "-c", "set -e\n"+script).CombinedOutput()
	if err != nil || !strings.Contains(string(said), "PONG") {
		t.Fatalf("bash: %v\n%s\n%s", err, script, said)
	}
	var r result
	if err := json.Unmarshal([]byte(l.event("payment.refund.succeeded.opay-eg.*.*")), &r); err != nil {
		t.Fatal(err)
	}
	status, body := get(t, ledger)
	var moved struct {
		Totals map[string]int64 `json:"totals"`
	}
	if err := json.Unmarshal([]byte(body), &moved); status != 200 || err != nil {
		t.Fatalf("GET %s: %d %v %s", ledger, status, err, body)
	}
	if r.Data.Moved == nil || r.Data.Moved.Value != 400 || len(moved.Totals) != 1 || moved.Totals["EGP"] != 400 {
		t.Errorf("the result says %+v moved, the ledger %v; want 4.00 EGP", r.Data.Moved, moved.Totals)
	}
	if !strings.Contains(l.howTo, "http://"+l.admin+"/readyz") {
		t.Errorf("the address of health is not printed:\n%s", l.howTo)
	}
	l.terminate()
	if code := l.exit(); code != 0 {
		t.Errorf("exit code %d after SIGTERM\n%s", code, l.stderr)
	}
}

func TestALocalDirectoryKeepsItsPorts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := natstest.FreePorts(t, 4)
	args := func(natsPort int) []string {
		return []string{
			"run", "--nats-port", fmt.Sprint(natsPort), "--simulators-port", fmt.Sprint(first + 1),
			"--admin", fmt.Sprintf("127.0.0.1:%d", first+3),
		}
	}
	p := start(t, dir, args(first)...)
	p.await(p.stdout, "Ctrl-C ends it.")
	p.kill()
	code, other := runProgram(t, dir, args(first+2)...)
	if code != cli.ExitFailed || !strings.Contains(other.stderr.String(), "was made with ports") {
		t.Errorf("other ports: exit code %d, %s", code, other.stderr)
	}
	again := start(t, dir, args(first)...)
	again.await(again.stdout, "Ctrl-C ends it.")
}
