package main

import (
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// command publishes a refund of an order as its shop does, and returns its sequence and data.
func (b *rearmBundle) command(order, id string, amount int64) (sequence uint64, data []byte) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeCommand(payment.Command{
		Op: payment.Refund, Key: "return-1", Provider: "opay-eg", Amount: &payment.Money{Value: amount, Currency: "EGP"},
		Payment: payment.Details{OrderID: order, Country: "EG", Currency: "EGP"},
		Origin:  payment.Origin{CommandID: id, CommandSource: "/orders"}, RequestedAt: time.Now().UTC(),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ack, err := b.js.Publish(b.t.Context(), events.CommandSubject(payment.Refund, ""), m.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return ack.Sequence, m.Data
}

// epoch stores that epoch 1 has come to a phase; it was accepted at that time.
func (b *rearmBundle) epoch(phase integrity.Phase, at time.Time) {
	b.t.Helper()
	_, err := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL").Raise(b.t.Context(), integrity.Record{
		Mark: integrity.Mark{Epoch: 1}, Epoch: integrity.Epoch{Number: 1, Phase: phase, AcceptedAt: at},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestTheWalkFindsTheCommandsThatTheJournalDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.waiting("1001")
	b.command("1001", "event-1", 400) // the journal has its operation
	b.command("1002", "event-2", 400)
	b.command("1002", "event-2-again", 400)
	b.command("1002", "event-3", 500) // the same key for something else
	b.command("1001", "event-4", 500)
	sequence, data := b.command("1003", "event-5", 400)
	journal, err := stream.New(b.js.Conn(), events.NewEncoder(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = journal.AppendRejection(t.Context(), payment.Rejection{
		Token: events.RejectionToken(sequence, data), Code: payment.CodeTooManyOperations, OriginSequence: sequence, OriginSubject: "x", SHA256: strings.Repeat("a", 64),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), events.CommandSubject(payment.Refund, ""), []byte("no command")); err != nil {
		t.Fatal(err)
	}
	recoverCommands := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errs := b.run(append([]string{"recover", "--commands", "--config", b.file}, args...)...)
		if got != code || !strings.Contains(out, text) {
			t.Errorf("%v: code %d, want %d and %q\n%s%s", args, got, code, text, out, errs)
		}
	}
	recoverCommands(1, "", "--apply") // no loss was accepted
	accepted := time.Now()
	b.epoch(integrity.Held, accepted)
	b.command("1004", "event-6", 400) // newer than the acceptance
	const summary = "8 commands read, 1 of them not valid, 1 newer than the acceptance, 1 unknown to the journal, 2 with an earlier one's key"
	recoverCommands(0, "refund return-1 of payment 1002 at opay-eg (command 2")
	recoverCommands(0, summary)
	recoverCommands(0, "state,handed_over,sequence,at,provider,payment,operation,idempotency_key,command_id\n", "--csv")
	if n := b.timers(); n != 0 {
		t.Fatalf("the dry run has made %d timers", n)
	}
	for again := range 2 {
		recoverCommands(1, "handed to the service", "--apply")
		// On a busy machine the first one has become due: its copy lies beside the next.
		if n := b.timers(); n < 1 || n > 1+again {
			t.Errorf("%d timers, want one, or its copy with it", n)
		}
	}
	b.epoch(integrity.Doubting, accepted)
	handled := make(chan handlers.Disposition, 10)
	b.serve(handled)
	awaitDisposition(t, handled)
	for range 10 { // the other commands are answered as well
		if code, out, _ := b.run("recover", "--commands", "--apply", "--json", "--config", b.file); code == 0 && strings.Contains(out, `"finished":true`) {
			return
		}
		awaitDisposition(t, handled)
	}
	t.Error("the walk was never finished")
}
