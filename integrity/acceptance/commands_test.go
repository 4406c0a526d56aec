package acceptance_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/natstest"
)

// publish adds commands to their stream. What they say is of no matter here.
func (b *bundle) publish(n int) {
	b.t.Helper()
	for i := range n {
		if _, err := b.js.Publish(b.t.Context(), "payment.refund.requested", fmt.Append(nil, i)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// commandsLost is a bundle whose marks know of more commands than there are.
func commandsLost(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	b.publish(3)
	raised := b.look().Witness
	raised.Mark.Streams[topology().Commands] = 7
	if _, err := b.sources.Witness.Raise(t.Context(), raised); err != nil {
		t.Fatal(err)
	}
	return b
}

// A walk cannot go over commands that are not there. Each place that outlives the
// next loss remembers that some were lost, until somebody trusts the journal
// although they were.
func TestTheJournalIsNotTrustedWhereCommandsWereLost(t *testing.T) {
	t.Parallel()
	b := commandsLost(t)
	desk := b.desk(false)
	if l := acceptance.LossOf(b.look()).Commands; l.Known != 7 || l.End != 3 || l.Messages != 4 {
		t.Errorf("%+v", l)
	}
	for _, typed := range []acceptance.Typed{{Messages: 4}, {Messages: 4, Commands: 3}} {
		_, err := desk.Accept(t.Context(), asked("ann"), typed)
		refused(t, err, "--lose-commands 4")
	}
	// One that was published meanwhile makes the known loss smaller, and loses nothing.
	b.publish(1)
	done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4, Commands: 4})
	if err != nil || !done.Applied || done.Epoch.CommandsLost != 4 {
		t.Fatalf("%+v, %v", done, err)
	}
	v := b.look()
	if v.Actions[0].CommandsLost != 4 || v.Bucket.Epoch.CommandsLost != 4 || v.Witness.Epoch.CommandsLost != 4 {
		t.Errorf("the journal has %d, the bucket %d, the witness %d", v.Actions[0].CommandsLost, v.Bucket.Epoch.CommandsLost, v.Witness.Epoch.CommandsLost)
	}
	if _, err := desk.Go(t.Context(), asked("ann")); err != nil {
		t.Fatal(err)
	}
	walked := acceptance.Left{Walked: true}
	_, err = desk.Trust(t.Context(), asked("ann"), walked, 0, false)
	refused(t, err, "4 commands count as lost, and no walk goes over what is not there")
	// The next acceptance does not forget them.
	again, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{})
	if err != nil || again.Epoch.CommandsLost != 4 {
		t.Fatalf("%+v, %v", again, err)
	}
	if _, err := desk.Go(t.Context(), asked("ann")); err != nil {
		t.Fatal(err)
	}
	_, err = desk.Trust(t.Context(), asked("ann"), walked, 0, false)
	refused(t, err, "4 commands count as lost")
	if done, err := desk.Trust(t.Context(), asked("ann"), walked, 0, true); err != nil || done.Epoch.Phase != integrity.Trusted {
		t.Fatalf("%+v, %v", done, err)
	}
	// Whoever has trusted in spite of it has settled it.
	if n := acceptance.LossOf(b.look()).Commands.Messages; n != 0 {
		t.Errorf("%d are still lost", n)
	}
}

// After a failover to a copy of everything, no place remembers more than the copy. What
// was lost since then may be commands that were carried out.
func TestCommandsCountAsLostWhereNothingIsFoundAndThePersonAcceptsAllTheSame(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t)
	desk := b.desk(false)
	if done, err := desk.Accept(ctx, asked("ann"), acceptance.Typed{Messages: 4}); err != nil || done.NothingFound || done.Epoch.CommandsLost != 0 {
		t.Fatalf("a loss of events alone: %+v, %v", done, err)
	}
	again := asked("ann")
	again.Reason = "failover"
	done, err := desk.Accept(ctx, again, acceptance.Typed{})
	if err != nil || !done.Applied || !done.NothingFound || done.Epoch.CommandsLost != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := desk.Go(ctx, asked("ann")); err != nil {
		t.Fatal(err)
	}
	_, err = desk.Trust(ctx, asked("ann"), acceptance.Left{Walked: true}, 0, false)
	refused(t, err, "type it out with --without-commands")
	if done, err := desk.Trust(ctx, asked("ann"), acceptance.Left{Walked: true}, 0, true); err != nil || done.Epoch.Phase != integrity.Trusted {
		t.Fatalf("%+v, %v", done, err)
	}
}

// An older version of the program writes the epoch without the member that it does
// not know. The journal still has it.
func TestThatCommandsWereLostIsReadFromTheJournalToo(t *testing.T) {
	t.Parallel()
	b := commandsLost(t)
	desk := b.desk(false)
	if _, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4, Commands: 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Go(t.Context(), asked("ann")); err != nil {
		t.Fatal(err)
	}
	v := b.look()
	v.Record.Epoch.CommandsLost = 0
	if no := acceptance.CheckTrust(v, acceptance.Left{Walked: true}, 0, false); len(no) != 1 {
		t.Errorf("%q", no)
	}
	if raw, err := json.Marshal(integrity.FirstEpoch()); err != nil || string(raw) != `{"number":0,"phase":"trusted"}` {
		t.Errorf("%s, %v", raw, err)
	}
}

// The stream was set back to a copy, and new commands have filled it beyond the mark
// before anybody looked.
func TestCommandsThatWereLostAreCountedAlsoWhereNewOnesHaveFilledTheGap(t *testing.T) {
	t.Parallel()
	for _, kept := range []int{0, 1, 5, 8} {
		t.Run(fmt.Sprint(kept), func(t *testing.T) {
			t.Parallel()
			server, path := natstest.Start(t, nil), filepath.Join(t.TempDir(), "witness.json")
			b := &bundle{t: t}
			b.connect(server, path)
			if _, err := broker.Provision(t.Context(), b.js, topology()); err != nil {
				t.Fatal(err)
			}
			b.append(1, 2)
			b.publish(kept)
			copied := server.Copy(t)
			b.connect(server, path)
			b.publish(9 - kept)
			v := b.look()
			mark := integrity.MarkOf(v.Reading, v.Reading.Newest, 0)
			if _, err := b.sources.Witness.Raise(t.Context(), integrity.Record{Mark: mark, Epoch: integrity.FirstEpoch()}); err != nil {
				t.Fatal(err)
			}
			server.Restore(t, copied)
			b.connect(server, path)
			b.publish(12)
			v = b.look()
			want := acceptance.CommandsLoss{
				Stream: topology().Commands, Known: 9, End: uint64(kept), Messages: uint64(9 - kept), Refilled: true,
			}
			if got := acceptance.LossOf(v).Commands; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			no := acceptance.Check(v, acceptance.Typed{})
			if text := fmt.Sprint(no); len(no) != 1 || !strings.Contains(text, fmt.Sprintf("--lose-commands %d", 9-kept)) ||
				!strings.Contains(text, fmt.Sprintf("was set back to %d, and was filled again", kept)) {
				t.Errorf("%q", no)
			}
		})
	}
}

// The stream ends where it did, so that no end shows the loss.
func TestCommandsThatAreGoneTooEarlyAreCountedAndAcceptedOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t)
	b.publish(5)
	v := b.look()
	if _, err := b.sources.Witness.Raise(ctx, integrity.Record{Mark: integrity.MarkOf(v.Reading, v.Reading.Newest, 0), Epoch: integrity.FirstEpoch()}); err != nil {
		t.Fatal(err)
	}
	b.publish(2)
	cfg := topology().CommandsConfig()
	cfg.MaxAge = 100 * time.Millisecond
	if _, err := b.js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for b.look().Reading.Streams[cfg.Name].Messages > 0 {
		<-again.C
	}
	cfg.MaxAge = topology().CommandsConfig().MaxAge
	if _, err := b.js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	b.publish(3)
	l := acceptance.LossOf(b.look())
	if l.Commands.Messages != 7 || l.Commands.Gone == nil || *l.Commands.Gone != (integrity.Range{From: 1, To: 7}) {
		t.Fatalf("%+v", l.Commands)
	}
	desk := b.desk(false)
	_, err := desk.Accept(ctx, asked("ann"), acceptance.Typed{Messages: l.Messages})
	refused(t, err, "7 commands are lost: PAYMENT_COMMANDS no longer holds 1 to 7: bring them back first, or type it out with --lose-commands 7")
	done, err := desk.Accept(ctx, asked("ann"), acceptance.Typed{Messages: l.Messages, Commands: 7})
	if err != nil || done.Epoch.CommandsLost != 7 {
		t.Fatalf("%+v, %v", done, err)
	}
	if v := b.look(); len(v.Findings) > 0 || acceptance.LossOf(v).Commands.Messages > 0 {
		t.Errorf("it is found again: %v, %+v", v.Findings, acceptance.LossOf(v).Commands)
	}
	if _, err := desk.Go(ctx, asked("ann")); err != nil {
		t.Fatal(err)
	}
	_, err = desk.Trust(ctx, asked("ann"), acceptance.Left{Walked: true}, 0, false)
	refused(t, err, "7 commands count as lost")
}

// Neither bucket nor witness knows anything, and a person is the first to look.
func TestAJournalThatNoProcessWouldTakeIsNotCalledWhole(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	b := &bundle{t: t}
	b.connect(server, filepath.Join(t.TempDir(), "witness.json"))
	if _, err := broker.Provision(t.Context(), b.js, topology()); err != nil {
		t.Fatal(err)
	}
	if v := b.look(); len(v.Findings) > 0 {
		t.Errorf("a first start has findings: %v", v.Findings)
	}
	b.publish(3)
	consumer, err := b.js.Consumer(t.Context(), topology().Commands, topology().Consumer)
	if err != nil {
		t.Fatal(err)
	}
	if batch, err := consumer.Fetch(3); err != nil {
		t.Fatal(err)
	} else {
		for m := range batch.Messages() {
			if err := m.Ack(); err != nil {
				t.Error(err)
			}
		}
	}
	shorter := func(when string) {
		t.Helper()
		v := b.look()
		if len(v.Findings) != 1 || v.Findings[0].Kind != integrity.JournalShorter || acceptance.LossOf(v).Messages == 0 {
			t.Errorf("%s: %v, given up %d", when, v.Findings, acceptance.LossOf(v).Messages)
		}
	}
	shorter("empty")
	// The first of two persons proposes to accept it: that is no answer to any command.
	if _, err := b.desk(true).Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: acceptance.LossOf(b.look()).Messages}); err != nil {
		t.Fatal(err)
	}
	shorter("with a proposal")
}
