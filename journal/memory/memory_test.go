package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
)

// store lends a journal in memory to the conformance suite.
type store struct{ root *memory.Journal }

func (s store) Writer(_ *testing.T, plan journaltest.Plan) journal.Journal {
	if plan == nil {
		return s.root.Writer(nil)
	}
	return s.root.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		switch plan(try.Number) {
		case journaltest.None:
			return memory.None
		case journaltest.LoseAnswer:
			return memory.LoseAnswer
		case journaltest.InFlight:
			return memory.InFlight
		case journaltest.StoreFull:
			return memory.Refuse
		default: // lost, nobody answers, no connection: nothing arrives
			return memory.LoseRequest
		}
	}})
}

func (s store) Len(t *testing.T) int {
	t.Helper()
	appended, err := s.root.Events()
	if err != nil {
		t.Fatal(err)
	}
	rejections, err := s.root.Rejections()
	if err != nil {
		t.Fatal(err)
	}
	actions, err := s.root.Actions()
	if err != nil {
		t.Fatal(err)
	}
	return len(appended) + len(rejections) + len(actions)
}

func TestJournalInMemoryKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T) journaltest.Store {
		t.Parallel()
		return store{root: memory.New(nil)}
	})
}

var id = payment.ID{Provider: "opay-eg", Native: "1001000"}

func TestEventsAndRejectionsAreReadBackInOrder(t *testing.T) {
	t.Parallel()
	j := memory.New(nil)
	first, second := journaltest.FullEvent(id), journaltest.Event(id, 8, "b")
	for i, e := range []payment.Event{first, second} {
		if _, err := j.Append(t.Context(), uint64(i), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.AppendRejection(t.Context(), journaltest.Rejection(3)); err != nil {
		t.Fatal(err)
	}
	appended, err := j.Events()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]payment.Event{first, second}, appended); diff != "" {
		t.Errorf("events (-appended +read):\n%s", diff)
	}
	rejections, err := j.Rejections()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]payment.Rejection{journaltest.Rejection(3)}, rejections); diff != "" {
		t.Errorf("rejections (-appended +read):\n%s", diff)
	}
}

func TestGivingUpIsOfUnknownFateWhetherStoredOrNot(t *testing.T) {
	t.Parallel()
	for fault, stored := range map[memory.Fault]int{memory.GiveUpAbsent: 0, memory.GiveUpStored: 1} {
		j := memory.New(&memory.Options{Fault: func(memory.Try) memory.Fault { return fault }})
		_, err := j.Append(t.Context(), 0, journaltest.Event(id, 1, "a"))
		if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("append ended in %v, want ErrUnknown with the deadline", err)
		}
		if appended, _ := j.Events(); len(appended) != stored {
			t.Errorf("fault %d left %d events, want %d", fault, len(appended), stored)
		}
	}
}

func TestHooksSeeWhatIsAppendedAndMayAppendThemselves(t *testing.T) {
	t.Parallel()
	root := memory.New(nil)
	rival := journaltest.Event(id, 1, "rival")
	j := root.Writer(&memory.Options{Fault: func(try memory.Try) memory.Fault {
		if try.Event == nil || try.Event.CommandID != "ours" || try.Number != 1 {
			t.Errorf("hook was shown %+v", try)
		}
		if _, err := root.Append(t.Context(), 0, rival); err != nil {
			t.Errorf("rival: %v", err)
		}
		return memory.None
	}})
	_, err := j.Append(t.Context(), 0, journaltest.Event(id, 1, "ours"))
	var moved *journal.ConflictError
	if !errors.As(err, &moved) || journaltest.Writer(moved.Last.State) != "rival" {
		t.Errorf("append ended in %v, want a conflict with the rival", err)
	}
}

func TestReadFaultsAreWhatLastEndsIn(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	j := memory.New(&memory.Options{ReadFault: func(payment.ID) error { return away }})
	if _, err := j.Last(t.Context(), id); !errors.Is(err, away) {
		t.Errorf("read ended in %v, want the hook's error", err)
	}
}
