package handlers_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// acceptance is when a test says that a loss was accepted; nil: never.
type acceptance struct{ at atomic.Pointer[time.Time] }

func (a *acceptance) Accepted() (at time.Time, doubted bool) {
	if at := a.at.Load(); at != nil {
		return *at, true
	}
	return time.Time{}, false
}

func (a *acceptance) Epoch() uint64 {
	if a.at.Load() != nil {
		return 1
	}
	return 0
}

func (*acceptance) Contradicted(handlers.Contradiction) {}

// An outcome waits in hand while the journal is shut. Meanwhile a loss is accepted,
// and the sequence that its append expects is given to another operation's event.
func TestAnOutcomeInHandReadsTheJournalOfALaterEpochAgain(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	other := strings.Replace(s.data, `"idempotencyKey":"`, `"idempotencyKey":"other-`, 1)
	if other == s.data {
		t.Fatal("the other command is the same one")
	}
	mineCommand, otherCommand := b.command(s.op, s.data), b.command(s.op, other)
	begin := func() { // one message before the payment's first event
		if err := b.journal.AppendRejection(t.Context(), payment.Rejection{Token: "1-0123456789ab", Code: payment.CodeInvalidCommand}); err != nil {
			t.Error(err)
		}
	}
	rival := b.newHandler(b.journal.Writer(&memory.Options{Fault: func(memory.Try) memory.Fault { return memory.GiveUpStored }}), b.instances)
	var losses acceptance
	lost := false
	mine := b.journal.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event == nil || try.Event.Type != payment.EventSucceeded || lost {
			return memory.None
		}
		lost = true
		b.journal.Cut(0)
		begin()
		rival.Handle(t.Context(), otherCommand)
		if got := b.types(); got != "started" {
			t.Errorf("the rival has appended %q", got)
		}
		now := b.clock.Now()
		losses.at.Store(&now)
		return memory.Refuse
	}})
	set, err := providers.NewSet(b.instances...)
	if err != nil {
		t.Fatal(err)
	}
	h, err := handlers.New(mine, set, b.quarantine, events.NewEncoder(nil), &handlers.Options{
		Now: b.clock.Now, Patience: 50 * time.Millisecond, Losses: &losses,
	})
	if err != nil {
		t.Fatal(err)
	}
	begin()
	if out := h.Handle(t.Context(), mineCommand); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v, want ack", out.Kind)
	}
	last, err := b.journal.Last(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	status := map[payment.Status]int{}
	for _, o := range last.State.Operations {
		status[o.Status]++
	}
	if len(last.State.Operations) != 2 || status[payment.StatusSucceeded] != 1 || b.refunds() != 1 {
		t.Errorf("the payment holds %v after %d calls: %s", status, b.refunds(), b.types())
	}
}
