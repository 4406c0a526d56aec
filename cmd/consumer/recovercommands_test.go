package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// command publishes a refund of an order as its shop does, and returns its sequence and data.
func (b *rearmBundle) command(order, id string, amount int64) (sequence uint64, data []byte) {
	b.t.Helper()
	return b.commandAt("opay-eg", order, id, amount)
}

// commandAt publishes a refund at a provider.
func (b *rearmBundle) commandAt(provider, order, id string, amount int64) (sequence uint64, data []byte) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeCommand(payment.Command{
		Op: payment.Refund, Key: "return-1", Provider: provider, Amount: &payment.Money{Value: amount, Currency: "EGP"},
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

// An earlier version looked at the data alone, so that it may have begun such a command.
func TestTheWalkFindsACommandOfAMediaTypeThatAnEarlierVersionTook(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	_, data := b.command("1001", "event-1", 400)
	typed := bytes.Replace(data, []byte(`"application/json"`), []byte(`"text/plain"`), 1)
	typed = bytes.Replace(typed, []byte(`"1001"`), []byte(`"1002"`), 1)
	if bytes.Equal(typed, data) || !bytes.Contains(typed, []byte("text/plain")) {
		t.Fatalf("nothing to replace in %s", data)
	}
	if _, err := b.js.Publish(t.Context(), events.CommandSubject(payment.Refund, ""), typed); err != nil {
		t.Fatal(err)
	}
	b.epoch(integrity.Held, time.Now())
	code, out, errs := b.run("recover", "--commands", "--config", b.file)
	if want := "2 commands read, 0 of them not valid, 0 newer than the acceptance, 2 unknown to the journal"; code != 0 || !strings.Contains(out, want) {
		t.Errorf("code %d\n%s%s", code, out, errs)
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
	const summary = "8 commands read, 1 of them not valid, 1 newer than the acceptance, 1 unknown to the journal, %d of them presumed now, 2 with an earlier one's key"
	recoverCommands(0, "refund return-1 of payment 1002 at opay-eg (command 2")
	recoverCommands(0, fmt.Sprintf(summary, 0))
	recoverCommands(0, "state,presumed,handed_over,sequence,at,provider,payment,operation,idempotency_key,command_id\n", "--csv")
	if n := b.timers(); n != 0 {
		t.Fatalf("the dry run has made %d timers", n)
	}
	recoverCommands(0, "presumed now", "--apply")
	if n := b.timers(); n != 1 {
		t.Errorf("%d timers, want one", n)
	}
	last, err := journal.Last(t.Context(), payment.ID{Provider: "opay-eg", Native: "1002"})
	if err != nil || len(last.State.Operations) != 1 || last.State.Operations[0].Open == nil || !last.State.Operations[0].Open.Presumed {
		t.Fatalf("it is not presumed: %+v, %v", last, err)
	}
	if m, err := journal.At(t.Context(), last.Sequence); err != nil || !strings.Contains(string(m.Message.Data), `"source":"/payments/consumer#1"`) {
		t.Errorf("its event does not name the epoch: %s, %v", m.Message.Data, err)
	}
	// A run that was killed before its timer is run again.
	if err := b.purgeTimers(); err != nil {
		t.Fatal(err)
	}
	recoverCommands(0, "0 unknown to the journal", "--apply")
	recoverCommands(0, `"finished":true`, "--apply", "--json")
	if n := b.timers(); n != 1 {
		t.Errorf("%d timers after the second run, want one", n)
	}
	b.timerSaysWhatTheJournalHeld()
}

// timerSaysWhatTheJournalHeld fails the test unless the newest timer names the
// version of its operation, so that it is no sign of another loss.
func (b *rearmBundle) timerSaysWhatTheJournalHeld() {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), b.cfg.Streams.Due)
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := s.GetMsg(b.t.Context(), s.CachedInfo().State.LastSeq)
	if err != nil {
		b.t.Fatal(err)
	}
	if text := fmt.Sprint(m.Header); !strings.Contains(text, "Countermand-Version:[1]") {
		b.t.Errorf("the timer says %s", text)
	}
}

// purgeTimers loses every timer.
func (b *rearmBundle) purgeTimers() error {
	s, err := b.js.Stream(b.t.Context(), b.cfg.Streams.Due)
	if err != nil {
		return err
	}
	return s.Purge(b.t.Context())
}

func TestACommandThatCannotBePresumedGoesToTheService(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.commandAt("gone", "1001", "event-1", 400)
	b.epoch(integrity.Held, time.Now().Add(time.Second))
	code, out, errs := b.run("recover", "--commands", "--apply", "--config", b.file)
	if code != 1 || !strings.Contains(out, "handed to the service") || !strings.Contains(errs, "1 commands were handed to the service") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if n := b.timers(); n < 1 {
		t.Errorf("%d timers, want one", n)
	}
}

// The command is gone, and the journal has lost its operation: only its timer knows it.
func TestTheWalkPresumesWhatOnlyATimerKnows(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	accepted := time.Now()
	b.epoch(integrity.Held, accepted)
	encoder := events.NewEncoder(nil)
	schedule := func(order string, stored time.Time, held payment.Recorded) {
		t.Helper()
		c := payment.Command{
			Op: payment.Refund, Key: "return-1", Provider: "opay-eg", Amount: &payment.Money{Value: 400, Currency: "EGP"},
			Payment: payment.Details{OrderID: order, Country: "EG", Currency: "EGP"}, Origin: payment.Origin{CommandID: "event-" + order, CommandSource: "/orders"},
		}
		m, err := encoder.EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		err = broker.NewTimers(b.js, app.Topology(b.cfg)).Schedule(t.Context(), handlers.Timer{
			Subject: events.ScheduleSubject(c, payment.ID{Provider: "opay-eg", Native: order}), Target: events.DueSubject(c.Op), Message: m,
			At: time.Now().Add(time.Hour), OriginSequence: 7, OriginTime: stored, Original: handlers.DigestOf(m.Data), Deliveries: 1, Recorded: held,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	schedule("1002", accepted.Add(-time.Minute), payment.Recorded{Version: 1, Operation: 1})
	schedule("1003", accepted.Add(time.Minute), payment.Recorded{}) // a new command that waits
	for _, args := range [][]string{nil, {"--apply"}} {
		code, out, errs := b.run(append([]string{"recover", "--commands", "--json", "--config", b.file}, args...)...)
		if code != 0 || !strings.Contains(out, `"timer":true`) || !strings.Contains(out, `"unknown":1`) {
			t.Errorf("code %d\n%s%s", code, out, errs)
		}
	}
	journal, err := stream.New(b.js.Conn(), encoder, nil)
	if err != nil {
		t.Fatal(err)
	}
	for order, want := range map[string]int{"1002": 1, "1003": 0} {
		last, err := journal.Last(t.Context(), payment.ID{Provider: "opay-eg", Native: order})
		if err != nil || len(last.State.Operations) != want || want > 0 && !last.State.Operations[0].Open.Presumed {
			t.Errorf("%s: %+v, %v", order, last, err)
		}
	}
	if n := b.timers(); n != 2 {
		t.Errorf("%d timers, want two", n)
	}
	if code, out, errs := b.run("recover", "--commands", "--apply", "--config", b.file); code != 0 || !strings.Contains(out, "0 unknown to the journal") {
		t.Errorf("again: code %d\n%s%s", code, out, errs)
	}
}

func TestTheWalkGoesNotBehindTheOldestRefusalThatIsKept(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	b.command("1001", "event-1", 400)
	s, err := b.js.Stream(t.Context(), b.cfg.Streams.Refusals)
	if err != nil {
		t.Fatal(err)
	}
	small := s.CachedInfo().Config
	small.MaxBytes = 3000
	if _, err := b.js.UpdateStream(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	b.epoch(integrity.Held, time.Now().Add(time.Minute))
	run := func(code int, text string, args ...string) {
		t.Helper()
		got, out, errs := b.run(append([]string{"recover", "--commands", "--config", b.file}, args...)...)
		if got != code || !strings.Contains(out+errs, text) {
			t.Errorf("%v: code %d, want %d and %q\n%s%s", args, got, code, text, out, errs)
		}
	}
	refuse := func(from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			if _, err := b.js.Publish(t.Context(), fmt.Sprintf("payment.command.rejected.%d-0123456789ab", n), make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	refuse(1, 2)
	run(0, "1 unknown to the journal") // nothing is forgotten yet
	refuse(3, 5)
	const why = "PAYMENT_REFUSALS keeps no refusal older than"
	run(0, why)
	run(1, why, "--apply")
	if n := b.timers(); n != 0 {
		t.Errorf("what may have been refused has %d timers", n)
	}
	run(2, "--beyond-refusals belongs to", "--beyond-refusals")
	run(0, "presumed now", "--apply", "--beyond-refusals")
}
