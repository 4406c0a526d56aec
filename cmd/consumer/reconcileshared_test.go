package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// refunded lets the core refund, and appends its events. Each call gets the next outcome; the
// zero one is an answer that was lost.
func (b *bookkeeping) refunded(in *payment.Input, key payment.Key, amount *payment.Money, outcomes ...payment.Outcome) {
	b.t.Helper()
	in.Command = payment.Command{
		Op: payment.Refund, Key: key, Provider: in.ID.Provider, Amount: amount, Full: amount == nil,
		Payment:     payment.Details{TransactionID: in.ID.Native, OrderID: "order-" + in.ID.Native, Currency: "EUR"},
		Origin:      payment.Origin{CommandID: "event-" + in.ID.Native + string(key), CommandSource: "/orders"},
		RequestedAt: in.Now,
	}
	in.Timer = false
	take := func(d payment.Decision) {
		if d.Event != nil {
			b.append(d.Event)
			in.State = d.Event.State
		}
	}
	for range 20 {
		d := payment.Decide(*in)
		take(d)
		switch {
		case d.Action == payment.Call && len(outcomes) > 0:
			attempt := in.State.Operations[in.State.Find(payment.Refund, key)].Attempt
			take(payment.Conclude(*in, payment.Heard{Attempt: attempt, Outcome: outcomes[0]}))
			outcomes = outcomes[1:]
		case d.Action == payment.ComeBack:
			in.Timer, in.Now = true, d.At
		default:
			b.t.Fatalf("payment %s, key %s: %d of its outcomes are left at %+v", in.ID.Native, key, len(outcomes), d)
		}
		if len(outcomes) == 0 {
			return
		}
	}
	b.t.Fatalf("payment %s, key %s: %d of its outcomes are left", in.ID.Native, key, len(outcomes))
}

// openpay adds an instance of Openpay, whose answers carry the payment's transactionId.
func (b *bookkeeping) openpay() providers.Instance {
	b.t.Helper()
	path := filepath.Join(b.dir, "config.yaml")
	b.write("config.yaml", b.read("config.yaml")+fmt.Sprintf(
		"  - {name: openpay-eu, kind: openpay, baseURL: \"http://127.0.0.1:1\", account: shop, apiKey: {file: %q}, partialRefunds: true}\n", filepath.Join(b.dir, "secret")))
	cfg, err := config.Load(path, os.Getenv)
	if err != nil {
		b.t.Fatal(err)
	}
	instances, err := app.Instances(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	return instances[1]
}

// A statement of Openpay has only the payment's transactionId, so that all refunds of a payment
// share it with declined calls and repeats.
func TestReconcileTellsRefundsApartThatShareThePaymentsReference(t *testing.T) {
	t.Parallel()
	b := setupBooks(t)
	instance := b.openpay()
	five := &payment.Money{Value: 500, Currency: "EUR"}
	var lost payment.Outcome
	var statement strings.Builder
	statement.WriteString("reference,provider_reference,operation,amount_minor,currency,executed_at,status\n")
	told := func(native string, statuses ...string) {
		for i, status := range statuses {
			fmt.Fprintf(&statement, ",%s,refund,500,EUR,%s,%s\n", native, b.base.AddDate(0, 0, i).Format("2006-01-02T15:04:05Z"), status)
		}
	}
	about := func(native string) (in *payment.Input, done, repeated, declined payment.Outcome) {
		in = &payment.Input{
			ID: payment.ID{Provider: "openpay-eu", Native: native}, Traits: instance.Provider.Traits(), Now: b.base,
			Instance: payment.Instance{Configured: true, Account: instance.Account, Policy: instance.Policy},
		}
		done = payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: five, ProviderReference: native}
		repeated = done
		repeated.Moved, repeated.Code, repeated.Basis = nil, payment.CodeAlreadyRefunded, payment.BasisInferred
		declined = payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined, ProviderReference: native}
		return in, done, repeated, declined
	}
	for native, statuses := range map[string]string{
		"failure-between": "succeeded failed succeeded", "pending-between": "succeeded pending succeeded",
		"three": "succeeded pending succeeded pending succeeded", "taken-back": "succeeded failed",
	} {
		in, done, _, _ := about(native)
		b.refunded(in, "a", five, done)
		told(native, strings.Fields(statuses)...)
	}
	in, done, _, declined := about("declined")
	b.refunded(in, "a", five, done)
	b.refunded(in, "b", five, declined)
	told("declined", "succeeded", "failed")
	in, _, repeated, _ := about("repeated")
	b.refunded(in, "a", nil, lost, repeated)
	told("repeated", "succeeded", "failed")
	in, done, _, _ = about("one-of-two")
	b.refunded(in, "a", five, done)
	b.refunded(in, "b", five, done)
	told("one-of-two", "succeeded", "failed")
	in, done, _, _ = about("lost")
	b.refunded(in, "a", five, done)
	b.refunded(in, "b", five, lost)
	told("lost", "succeeded", "succeeded")
	<-b.js.PublishAsyncComplete()
	b.write("statement.csv", statement.String())
	args := []string{"reconcile", "--provider", "openpay-eu", "--from", "2026-11-01", "--to", "2026-11-25", "--older-than", "9999h", "--file", "statement.csv"}
	code, p := runProgram(t, b.dir, append(args, "--config", "config.yaml")...)
	out := p.stdout.String()
	if code != cli.ExitFailed || !strings.Contains(out, "6 differences, moved_twice 4, not_executed 2 in") {
		t.Errorf("exit code %d\n%s%s", code, out, p.stderr)
	}
	for native, want := range map[string]int{
		"failure-between": 1, "pending-between": 1, "three": 2, "taken-back": 1, "declined": 0, "repeated": 0, "one-of-two": 1, "lost": 0,
	} {
		if got := strings.Count(out, "payment "+native+","); got != want {
			t.Errorf("payment %s has %d differences, want %d", native, got, want)
		}
	}
	if strings.Contains(p.stderr.String(), "is not in the configuration") {
		t.Errorf("the instance is not known:\n%s", p.stderr)
	}
	// The same without its configuration, and the command says how it reads the rows.
	b.write("other.yaml", strings.ReplaceAll(b.read("config.yaml"), "openpay-eu", "openpay-us"))
	if code, p := runProgram(t, b.dir, append(args, "--config", "other.yaml")...); code != cli.ExitFailed ||
		!strings.Contains(p.stdout.String(), "6 differences, moved_twice 4, not_executed 2 in") ||
		!strings.Contains(p.stderr.String(), `provider "openpay-eu" is not in the configuration`) {
		t.Errorf("exit code %d\n%s%s", code, p.stdout, p.stderr)
	}
}

func (b *bookkeeping) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}
