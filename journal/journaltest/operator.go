package journaltest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Action returns a valid operator's action, the n-th.
func Action(n int) payment.OperatorAction {
	return payment.OperatorAction{
		ULID: fmt.Sprintf("01J8Z3N9Q8K6M2V4T7R5W1X%03d", n), Action: "resolve", Operator: "dana", Identity: "nats",
		Reason: "found in the portal", Evidence: "ticket 4711", ID: one(), Op: payment.Refund, Key: "k", Version: 3, Ruling: "failed",
		At: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC),
	}
}

// audit is a writer as what keeps operators' actions.
func audit(t *testing.T, j journal.Journal) journal.Audit {
	t.Helper()
	a, ok := j.(journal.Audit)
	if !ok {
		t.Fatalf("%T keeps no operators' actions", j)
	}
	return a
}

func action(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	for n := range 2 {
		if err := audit(t, j).AppendOperator(bounded(t), Action(n)); err != nil {
			t.Fatalf("append action: %v", err)
		}
	}
	e := Event(one(), 1, "a")
	holds(t, s, record(append1(t, j, 0, e), e), one())
	length(t, s, 3)
}

func actionTwice(t *testing.T, s Store) {
	for range 2 {
		if err := audit(t, s.Writer(t, nil)).AppendOperator(bounded(t), Action(1)); err != nil {
			t.Fatalf("append action: %v", err)
		}
	}
	length(t, s, 1)
}

func actionLostAnswer(t *testing.T, s Store) {
	if err := audit(t, s.Writer(t, faults(LoseAnswer, InFlight))).AppendOperator(bounded(t), Action(1)); err != nil {
		t.Fatalf("append action: %v", err)
	}
	length(t, s, 1)
}

func actionStoreFull(t *testing.T, s Store) {
	err := audit(t, s.Writer(t, faults(StoreFull))).AppendOperator(bounded(t), Action(1))
	if !errors.Is(err, journal.ErrStoreRefuses) {
		t.Errorf("action at a full store ended in %v, want ErrStoreRefuses", err)
	}
	length(t, s, 0)
}

func actionUnknown(t *testing.T, s Store) {
	ctx, plan := until(t, 2, LoseRequest)
	unknown(t, audit(t, s.Writer(t, plan)).AppendOperator(ctx, Action(1)))
	length(t, s, 0)
}
