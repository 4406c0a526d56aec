package handlers_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// wholeness is what a test says of the journal; what says nothing lets pass.
type wholeness struct {
	open func() error
	sure func(ctx context.Context) error

	mu    sync.Mutex
	asked []uint64 // sequences that Sure was asked for
}

func (w *wholeness) Open() error {
	if w.open == nil {
		return nil
	}
	return w.open()
}

func (w *wholeness) Sure(ctx context.Context, sequence uint64) error {
	w.mu.Lock()
	w.asked = append(w.asked, sequence)
	w.mu.Unlock()
	if w.sure == nil {
		return nil
	}
	return w.sure(ctx)
}

// knowing gives the handler what knows whether the journal is whole.
func (b *setup) knowing(i handlers.Integrity) {
	b.t.Helper()
	set, err := providers.NewSet(b.instances...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.handler, err = handlers.New(b.journal, set, b.quarantine, events.NewEncoder(nil), &handlers.Options{
		Now: b.clock.Now, Patience: 50 * time.Millisecond, Integrity: i,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// unsafe is a partial refund at a kind where nothing stops a second one.
func unsafe(t *testing.T) (*setup, subject) {
	t.Helper()
	b := newSetup(t)
	s := named("tranzzo refund partial")
	b.seed(s)
	return b, s
}

// executed counts what the simulator of the payment's instance has carried out.
func (b *setup) executed(s subject) int {
	return b.bases[s.id.Provider].Ledger().Count("", "")
}

func TestOnlyAnUnsafeCallWaitsForItsStarted(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{
		"tranzzo refund partial": 1, "openpay refund partial": 1,
		"opay refund partial": 0, "tranzzo refund full": 0, "openpay refund full": 0,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSetup(t)
			s := named(name)
			b.seed(s)
			w := &wholeness{}
			b.knowing(w)
			if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack && out.Kind != handlers.Later {
				t.Fatalf("disposition %v", out.Kind)
			}
			if len(w.asked) != want {
				t.Errorf("asked for %v, want %d waits", w.asked, want)
			}
			if want == 1 && w.asked[0] != 1 {
				t.Errorf("waited for sequence %d, not for that of started", w.asked[0])
			}
			if n := b.executed(s); n != 1 {
				t.Errorf("%d executions", n)
			}
		})
	}
}

// A journal that has lost a success answers its repeat as the provider does, which
// refuses it. Nobody may hear that before the loss is noticed.
func TestARefusalIsToldOnceTheJournalIsKnownToBeWhole(t *testing.T) {
	t.Parallel()
	b, s := newSetup(t), named("tranzzo refund full")
	b.seed(s)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack || b.types() != "started succeeded" {
		t.Fatalf("disposition %v after %s", out.Kind, b.types())
	}
	b.journal.Cut(0)
	shut := errors.New("the journal ends at 1; it was known to reach 2")
	w := &wholeness{sure: func(context.Context) error { return shut }}
	b.knowing(w)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Redeliver || !out.StopPulling {
		t.Errorf("disposition %+v, want redeliver and stop pulling", out)
	}
	if got := b.types(); strings.Contains(got, "failed") || strings.Contains(got, "rejected") {
		t.Errorf("told %s while the journal is not whole", got)
	}
	if len(w.asked) == 0 || w.asked[0] != 0 {
		t.Errorf("asked for %v, want a wait for no sequence", w.asked)
	}
}

func TestWhatCannotBeSureInTimeIsNotSent(t *testing.T) {
	t.Parallel()
	b, s := unsafe(t)
	w := &wholeness{sure: func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if most := payment.DefaultPolicy().CallMargin; !ok || time.Until(deadline) > most {
			t.Errorf("it may wait until %s, longer than %s", deadline, most)
		}
		return context.DeadlineExceeded
	}}
	b.knowing(w)
	b.deliver(b.command(s.op, s.data))
	op := b.operation(s.id, s.op, key)
	if b.executed(s) != 0 || op.Code != payment.CodeJournalIncomplete || op.InDoubt() {
		t.Fatalf("%d executions, operation %+v", b.executed(s), op)
	}
	w.sure = nil
	b.drive(func() bool { return b.terminals(key) == 1 })
	if n := b.executed(s); n != 1 {
		t.Errorf("%d executions once it can be sure", n)
	}
}

func TestNothingIsSentWhileTheJournalIsNotWhole(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	shut := errors.New("the journal ends at 563; it was known to reach 1958")
	w := &wholeness{open: func() error { return shut }}
	b.knowing(w)
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later {
		t.Fatalf("disposition %v, want later", out.Kind)
	}
	op := b.operation(s.id, s.op, key)
	if b.refunds() != 0 || op.Status != payment.StatusDeferred || op.Code != payment.CodeJournalIncomplete || op.InDoubt() {
		t.Fatalf("%d calls, operation %+v", b.refunds(), op)
	}
	w.open = nil
	b.drive(func() bool { return b.terminals(key) == 1 })
	if b.refunds() != 1 {
		t.Errorf("%d calls once it is whole", b.refunds())
	}
}

func TestAClockThatMovesWhileItWaitsIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	b, s := unsafe(t)
	b.knowing(&wholeness{sure: func(context.Context) error {
		b.clock.advanceTo(b.clock.Now().Add(time.Hour))
		return nil
	}})
	b.deliver(b.command(s.op, s.data))
	if n := b.executed(s); n != 0 {
		t.Errorf("%d executions after callUntil", n)
	}
}
