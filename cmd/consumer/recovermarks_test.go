package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
)

// publish publishes a refund of each payment, as a shop does.
func (l *losing) publish(from, to int) {
	l.t.Helper()
	for n := from; n <= to; n++ {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[1]d","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"lost-%[1]d"},"amount":{"value":400,"currency":"EGP"}}}`, n)
		if _, err := l.js.Publish(l.t.Context(), "payment.refund.requested", []byte(body)); err != nil {
			l.t.Fatal(err)
		}
	}
}

// loseAgain loses what the journal has taken since a copy, and nothing else.
func (l *losing) loseAgain(copied string) {
	l.t.Helper()
	l.server.RestoreStream(l.t, copied, "PAYMENT_EVENTS")
	l.js = l.server.JetStream(l.t)
}

// What recover appends while every pod is stopped may be lost as well.
func TestTheLossOfWhatWasBroughtBackIsNoticed(t *testing.T) {
	t.Parallel()
	row := func(name string, args ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			witness := t.TempDir() + "/witness.json"
			l := setupLosing(t, "desk: {selfAsserted: true}\njournal: {witness: {file: "+witness+"}}")
			archive := l.lose()
			l.publish(1, 5)
			l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
			accepted := l.server.Copy(t)
			l.js = l.server.JetStream(t)
			for i, arg := range args {
				switch arg {
				case "ARCHIVE":
					args[i] = archive
				case "STATEMENT":
					args[i] = l.statement(1, 3)
				}
			}
			l.want(0, "", args...)
			reached := l.messages()
			if reached <= 41 {
				t.Fatal("nothing was appended")
			}
			raw, err := os.ReadFile(witness)
			if err != nil || !strings.Contains(string(raw), fmt.Sprintf(`"seq":%d`, reached)) {
				t.Errorf("the witness does not know of %d: %s, %v", reached, raw, err)
			}
			l.loseAgain(accepted)
			lost := fmt.Sprintf("the journal ends at 41; it was known to reach %d", reached)
			l.want(1, lost, "journal", "status")
			l.want(1, lost, "journal", "go", "--apply")
			l.want(1, lost, args...)
		})
	}
	row("from the commands", "recover", "--commands", "--apply")
	row("from an archive", "recover", "--archive", "ARCHIVE", "--apply")
	row("from a statement", "recover", "--statement", "STATEMENT", "--provider", "opay-eg", "--reason", "x", "--apply")
}

// statement is one that shows the refunds of payments under our own references.
func (l *losing) statement(from, to int) string {
	l.t.Helper()
	file := l.t.TempDir() + "/statement.csv"
	text := "reference,provider_reference,operation,amount_minor,currency,executed_at,status\n"
	for n := from; n <= to; n++ {
		text += fmt.Sprintf("%s,p-%d,refund,400,EGP,2026-11-30T08:00:00Z,succeeded\n", l.reference(fmt.Sprintf("lost-%d", n)), n)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}

// Where nobody has a mark any more, the walk itself names what is lost.
func TestTheJournalIsNotTrustedByAWalkWhoseEndItNoLongerShows(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	l.lose()
	l.publish(1, 5)
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	before := l.stored()
	accepted := l.server.Copy(t)
	l.js = l.server.JetStream(t)
	l.want(0, "5 of them presumed now", "recover", "--commands", "--apply")
	l.want(0, "epoch 1 is doubting", "journal", "go", "--apply")
	l.loseAgain(accepted)
	before.Epoch.Phase = integrity.Doubting
	l.forget(before) // as a version did that raised no mark
	trust := []string{"journal", "trust", "--reason", "x", "--open", "40", "--apply"}
	l.want(1, "the journal no longer shows event 47", trust...)
	l.want(0, "5 commands read", "recover", "--commands", "--apply") // a slow service has presumed them meanwhile
	trust[5] = "45"
	l.want(0, "epoch 1 is trusted", trust...)
}

func TestABadNameOfTheJournalIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	l := setupLosing(t, "desk: {selfAsserted: true}")
	archive := l.lose()
	l.publish(1, 5)
	l.want(0, "epoch 1 is held", "journal", "accept", "--reason", "older copy", "--lose", "10", "--apply")
	text, err := os.ReadFile(l.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.file, append(text, "streams: {events: WRONG}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"recover", "--commands"},
		{"recover", "--commands", "--apply"},
		{"recover", "--archive", archive},
		{"recover", "--archive", archive, "--apply"},
		{"recover", "--statement", l.statement(1, 3), "--provider", "opay-eg"},
		{"show", "opay-eg", "1"},
		{"archive", archive + ".2"},
	} {
		l.want(1, "WRONG", args...)
	}
}

// reference is what the provider was told of an order's refund.
func (l *losing) reference(order string) string {
	l.t.Helper()
	return payment.ProviderReference("opay", l.account(), order, payment.Refund, "k")
}

// account is the hash of the provider's account.
func (l *losing) account() string {
	l.t.Helper()
	cfg, err := config.Load(l.file, func(string) string { return "0123456789abcdef" })
	if err != nil {
		l.t.Fatal(err)
	}
	instances, err := app.Instances(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		l.t.Fatal(err)
	}
	return instances[0].Account
}

// stored is what the bucket remembers.
func (l *losing) stored() (r integrity.Record) {
	l.t.Helper()
	r, err := streams.NewBucket(l.js.Conn(), "PAYMENT_CONTROL").Load(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// forget lets the bucket remember what it did before.
func (l *losing) forget(r integrity.Record) {
	l.t.Helper()
	kv, err := l.js.KeyValue(l.t.Context(), "PAYMENT_CONTROL")
	if err != nil {
		l.t.Fatal(err)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := kv.Put(l.t.Context(), "_mark", raw); err != nil {
		l.t.Fatal(err)
	}
}
