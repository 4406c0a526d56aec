package handlers_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// away is how long the provider asks to be left alone: the operation's own
// timer lies that far off.
const away = 2 * time.Hour

// death is where a consumer dies in a requery.
type death struct {
	name string
	// begin brings the operation to where its own timer is hours away.
	begin func(*testing.T, *setup, subject)
	// at is the event whose append it dies with: after the append, or with lost
	// before the store has it.
	at   payment.EventType
	lost bool
	// left is the journal afterwards, moved how often the money has moved by then.
	left  string
	moved int
}

func deaths() []death {
	return []death{
		{
			name: "after what changed, before its timer", begin: doubtForHours,
			at: payment.EventIndeterminate, left: "started indeterminate indeterminate",
		},
		{
			name: "after started, before the call", begin: unansweredForHours,
			at: payment.EventStarted, left: "started indeterminate indeterminate started",
		},
		{
			name: "after the call, before its outcome is appended", begin: unansweredForHours,
			at: payment.EventSucceeded, lost: true, left: "started indeterminate indeterminate started", moved: 1,
		},
	}
}

// A requery may lead to a call at a time when the operation's own timer is hours
// away. Whoever dies in it leaves a timer that is soon.
func TestAnOperationWhoseRequeryDiedIsAskedAboutSoon(t *testing.T) {
	t.Parallel()
	for _, d := range deaths() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			b := newSetup(t)
			b.patient()
			s := named("opay refund partial")
			b.seed(s)
			d.begin(t, b, s)
			if timer := b.onlyTimer(); timer.At.Sub(b.clock.Now()) < time.Hour {
				t.Fatalf("its own timer is at %s, %s from now: not hours away", timer.At, timer.At.Sub(b.clock.Now()))
			}
			b.dieInRequery(s, &deadly{Journal: b.journal.Writer(nil), at: d.at, lost: d.lost})
			if moved := b.opay.Ledger().Count(string(s.op), s.id.Native); b.types() != d.left || moved != d.moved {
				t.Fatalf("it died with %q in the journal and %d movements, want %q and %d", b.types(), moved, d.left, d.moved)
			}
			died := b.clock.Now()
			b.drive(func() bool { return b.terminals(key) > 0 })
			if waited := b.clock.Now().Sub(died); waited > time.Minute {
				t.Errorf("it was carried out %s later, want within a minute", waited)
			}
			op := b.operation(s.id, s.op, key)
			if moved := b.opay.Ledger().Count(string(s.op), s.id.Native); op.Status != payment.StatusSucceeded || moved != 1 {
				t.Errorf("ended %s, and money moved %d times", op.Status, moved)
			}
		})
	}
}

// Where the state's own time is near, or nothing is asked, no timer is stored
// but the one of what came of it.
func TestARequeryStoresNoTimerThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  simulator.Fault
		stored int
	}{
		"in doubt, due soon": {simulator.Fault{Operation: "refund", Mode: simulator.CutBefore, Times: 1}, 1},
		"deferred":           {simulator.Fault{Operation: "refund", Mode: simulator.RateLimit, RetryAfter: int(away.Seconds()), Times: 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSetup(t)
			b.patient()
			s := named("opay refund partial")
			if err := b.seed(s).Fault(c.fault); err != nil {
				t.Fatal(err)
			}
			b.deliver(b.command(s.op, s.data))
			stored := 0
			store := &scheduler{b: b, before: func(handlers.Timer) { stored++ }}
			out, err := b.handler.Requery(t.Context(), s.id, s.op, key, store)
			if err != nil {
				t.Fatal(err)
			}
			if out.Asked != (c.stored > 0) || stored != c.stored {
				t.Errorf("%+v stored %d timers, want %d", out, stored, c.stored)
			}
		})
	}
}

// patient asks no person for a day.
func (b *setup) patient() {
	for i := range b.instances {
		b.instances[i].Policy.ReviewAfter = 24 * time.Hour
	}
	b.handler = b.newHandler(b.journal, b.instances)
}

// doubtForHours: the call's answer was lost, with the word to come back in hours.
// The state itself says so.
func doubtForHours(t *testing.T, b *setup, s subject) {
	t.Helper()
	f := simulator.Fault{Operation: string(s.op), Mode: simulator.StatusBefore, Status: 503, RetryAfter: int(away.Seconds()), Times: 1}
	if err := b.opay.Fault(f); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
}

// unansweredForHours: the call's answer was lost, it was not found once, and the
// next question was answered with the word to come back in hours. Nothing of
// that is an event: the state's own time has passed, and only the timer knows.
func unansweredForHours(t *testing.T, b *setup, s subject) {
	t.Helper()
	if err := b.opay.Fault(simulator.Fault{Operation: string(s.op), Mode: simulator.CutBefore, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	b.drive(func() bool { return b.types() == "started indeterminate indeterminate" })
	f := simulator.Fault{Operation: "query", Mode: simulator.RateLimit, RetryAfter: int(away.Seconds()), Times: 1}
	if err := b.opay.Fault(f); err != nil {
		t.Fatal(err)
	}
	d, _ := b.next()
	b.deliver(d)
	b.clock.advanceTo(b.clock.Now().Add(time.Minute)) // not found has stood long enough for a repeat
}

// onlyTimer is the one timer there is.
func (b *setup) onlyTimer() handlers.Timer {
	b.t.Helper()
	if len(b.timers) != 1 {
		b.t.Fatalf("%d timers, want the operation's one", len(b.timers))
	}
	for _, timer := range b.timers {
		return timer
	}
	panic("unreachable")
}

// dieInRequery has a consumer over j requery the operation and die in it.
func (b *setup) dieInRequery(s subject, j *deadly) {
	b.t.Helper()
	h := b.newHandler(j, b.instances)
	over := make(chan bool)
	go func() {
		lived := false
		defer func() { over <- lived }()
		_, _ = h.Requery(context.Background(), s.id, s.op, key, &scheduler{b: b}) // nobody hears of it
		lived = true
	}()
	if <-over {
		b.t.Fatalf("the requery lived; the journal says %q", b.types())
	}
}

// deadly is a journal whose user dies in an append: once it is stored, or
// before that.
type deadly struct {
	journal.Journal
	at   payment.EventType
	lost bool
}

// Append implements journal.Journal.
func (j *deadly) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	if e.Type == j.at && j.lost {
		runtime.Goexit()
	}
	seq, err := j.Journal.Append(ctx, expected, e)
	if e.Type == j.at {
		runtime.Goexit()
	}
	return seq, err
}
