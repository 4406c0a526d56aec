package handlers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// scheduler stores timers as the broker does, and can refuse.
type scheduler struct {
	b   *setup
	err error
	// before is called with each timer, while the journal shows what it shows.
	before func(handlers.Timer)
}

func (s *scheduler) Schedule(_ context.Context, t handlers.Timer) error {
	if s.before != nil {
		s.before(t)
	}
	if s.err == nil {
		s.b.timers[t.Subject] = t
	}
	return s.err
}

// beforePerson brings Openpay's partial refund, cut before or after it was
// carried out, before a person.
func beforePerson(t *testing.T, mode simulator.Mode) (*setup, subject, handlers.Ruling) {
	t.Helper()
	b := newSetup(t)
	s := named("openpay refund partial")
	base := b.seed(s)
	if err := base.Fault(simulator.Fault{Operation: string(s.op), Mode: mode, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	b.drive(func() bool {
		op := b.operation(s.id, s.op, key)
		return op.Open != nil && op.Open.Review != nil
	})
	rec, err := b.journal.Last(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	return b, s, handlers.Ruling{
		ID: s.id, Op: s.op, Key: key, Version: rec.State.Version,
		Resolution: payment.Resolution{
			Seen: b.clock.Now(), Resolved: payment.ResolvedBy{Operator: "ann", Reason: "portal", Evidence: "ticket 7"},
		},
	}
}

func TestARulingIsTheOneTerminalResultAndNamesWhoDecided(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[payment.Verdict]payment.Status{
		payment.VerdictSucceeded: payment.StatusSucceeded, payment.VerdictFailed: payment.StatusFailed,
	} {
		b, s, r := beforePerson(t, simulator.CutAfter)
		r.Resolution.Verdict = verdict
		if _, err := b.handler.Resolve(t.Context(), r, &scheduler{b: b}); err != nil {
			t.Fatal(err)
		}
		op := b.operation(s.id, s.op, key)
		if op.Status != want || op.Basis != payment.BasisOperator || b.terminals(key) != 1 {
			t.Errorf("%s by %s with %d terminal results, want %s", op.Status, op.Basis, b.terminals(key), want)
		}
		all, err := b.journal.Events()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&r.Resolution.Resolved, all[len(all)-1].ResolvedBy); diff != "" {
			t.Error(diff)
		}
		var refused *handlers.RefusedError
		if _, err := b.handler.Resolve(t.Context(), r, &scheduler{b: b}); !errors.As(err, &refused) || !refused.Stale {
			t.Errorf("a second ruling on the same view ended in %v, want stale", err)
		}
	}
}

func TestARulingOnWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	b, s, r := beforePerson(t, simulator.CutAfter)
	r.Resolution.Verdict = payment.VerdictFailed
	cases := map[string]func(*handlers.Ruling){
		"another version":    func(r *handlers.Ruling) { r.Version-- },
		"another key":        func(r *handlers.Ruling) { r.Key = "other" },
		"a payment unknown":  func(r *handlers.Ruling) { r.ID.Native = "unknown" },
		"no verdict":         func(r *handlers.Ruling) { r.Resolution.Verdict = payment.VerdictNone },
		"another operation":  func(r *handlers.Ruling) { r.Op = payment.Cancel },
		"an unknown payment": func(r *handlers.Ruling) { r.ID.Native, r.Version = "unknown", 0 },
	}
	for name, change := range cases {
		wrong := r
		change(&wrong)
		var refused *handlers.RefusedError
		if _, err := b.handler.Resolve(t.Context(), wrong, &scheduler{b: b}); !errors.As(err, &refused) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if op := b.operation(s.id, s.op, key); op.Status != payment.StatusIndeterminate {
		t.Errorf("the operation is %s after refused rulings", op.Status)
	}
}

func TestARivalsAppendMakesARulingStale(t *testing.T) {
	t.Parallel()
	b, s, r := beforePerson(t, simulator.CutAfter)
	r.Resolution.Verdict = payment.VerdictFailed
	other := r
	other.Resolution.Verdict = payment.VerdictSucceeded
	rival := b.newHandler(b.journal.Writer(nil), b.instances)
	first := &onAppend{Journal: b.journal.Writer(nil), do: func() {
		if _, err := rival.Resolve(context.Background(), other, &scheduler{b: b}); err != nil {
			t.Error(err)
		}
	}}
	var refused *handlers.RefusedError
	if _, err := b.newHandler(first, b.instances).Resolve(t.Context(), r, &scheduler{b: b}); !errors.As(err, &refused) || !refused.Stale {
		t.Fatalf("ended in %v, want stale", err)
	}
	if op := b.operation(s.id, s.op, key); op.Status != payment.StatusSucceeded || b.terminals(key) != 1 {
		t.Errorf("%s with %d terminal results, want the rival's one", op.Status, b.terminals(key))
	}
}

// onAppend does something before its first append.
type onAppend struct {
	journal.Journal
	do func()
}

// Append implements journal.Journal.
func (j *onAppend) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	if j.do != nil {
		do := j.do
		j.do = nil
		do()
	}
	return j.Journal.Append(ctx, expected, e)
}

func TestARetryIsTimedThenStartedThenCalled(t *testing.T) {
	t.Parallel()
	b, s, r := beforePerson(t, simulator.CutBefore)
	r.Resolution.Verdict = payment.VerdictRetry
	var timed []string
	var at time.Time
	store := &scheduler{b: b, before: func(timer handlers.Timer) {
		at = timer.At
		timed = append(timed, string(b.operation(s.id, s.op, key).Status))
	}}
	if _, err := b.handler.Resolve(t.Context(), r, store); err != nil {
		t.Fatal(err)
	}
	op := b.operation(s.id, s.op, key)
	if diff := cmp.Diff([]string{"indeterminate"}, timed); diff != "" || !at.After(b.clock.Now()) {
		t.Errorf("timer at %s: %s", at, diff)
	}
	if moved := b.openpay.Ledger().Count(string(s.op), s.id.Native); op.Status != payment.StatusSucceeded || moved != 1 || op.Attempt != 2 {
		t.Errorf("%s by attempt %d, money moved %d times", op.Status, op.Attempt, moved)
	}
}

func TestARetryWithoutATimerIsNotEvenStarted(t *testing.T) {
	t.Parallel()
	b, s, r := beforePerson(t, simulator.CutBefore)
	r.Resolution.Verdict = payment.VerdictRetry
	before := b.operation(s.id, s.op, key)
	if _, err := b.handler.Resolve(t.Context(), r, &scheduler{b: b, err: errors.New("away")}); err == nil || errors.Is(err, journal.ErrUnknown) {
		t.Errorf("the operator hears %v, want that nothing was done", err)
	}
	after := b.operation(s.id, s.op, key)
	if moved := b.openpay.Ledger().Count(string(s.op), s.id.Native); moved != 0 || cmp.Diff(before, after) != "" {
		t.Errorf("%s, and money moved %d times; want nothing changed", after.Status, moved)
	}
}
