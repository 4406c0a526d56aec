package journaltest

import (
	"context"
	"errors"
	"testing"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// accepted appends the first event under a plan and fails the test unless it
// is accepted, once, with the sequence it really has.
func accepted(t *testing.T, s Store, plan Plan) {
	t.Helper()
	e := Event(one(), 1, "ours")
	holds(t, s, record(append1(t, s.Writer(t, plan), 0, e), e), one())
	length(t, s, 1)
}

func lostAnswer(t *testing.T, s Store)       { accepted(t, s, faults(LoseAnswer)) }
func lostRequest(t *testing.T, s Store)      { accepted(t, s, faults(LoseRequest, LoseRequest)) }
func spuriousInFlight(t *testing.T, s Store) { accepted(t, s, faults(InFlight, InFlight, InFlight)) }

func inFlightAfterLostAnswer(t *testing.T, s Store) {
	accepted(t, s, faults(LoseAnswer, InFlight, LoseAnswer))
}

func noRespondersForAWhile(t *testing.T, s Store) { accepted(t, s, faults(NoResponders, NoResponders)) }

func disconnectedForAWhile(t *testing.T, s Store) { accepted(t, s, faults(Disconnected, Disconnected)) }

func storeFullAfterLostAnswer(t *testing.T, s Store) {
	accepted(t, s, faults(LoseAnswer, StoreFull))
}

// rivalled appends the first event under a plan that lets a rival append as
// well before the second try, and returns what our own append ended in.
func rivalled(t *testing.T, s Store, fate Fault, expected uint64, rival payment.Event) (uint64, error) {
	t.Helper()
	other := s.Writer(t, nil)
	var sequence uint64
	ours := s.Writer(t, func(try int) Fault {
		switch try {
		case 1:
			return fate
		case 2:
			sequence = append1(t, other, expected, rival)
		}
		return None
	})
	_, err := ours.Append(bounded(t), 0, Event(one(), 1, "ours"))
	return sequence, err
}

// rivalAfterLostRequest lets the rival take the very subject ours would have
// had: only the token tells whose event it is.
func rivalAfterLostRequest(t *testing.T, s Store) {
	rival := Event(one(), 1, "rival")
	sequence, err := rivalled(t, s, LoseRequest, 0, rival)
	conflict(t, err, record(sequence, rival))
	length(t, s, 1)
}

func rivalAfterLostAnswer(t *testing.T, s Store) {
	base := append1(t, s.Writer(t, nil), 0, Event(payment.ID{Provider: "opay-eg", Native: "other"}, 1, "other"))
	rival := Event(one(), 2, "rival")
	sequence, err := rivalled(t, s, LoseAnswer, base+1, rival)
	conflict(t, err, record(sequence, rival))
	length(t, s, 3)
}

func storeFull(t *testing.T, s Store) {
	_, err := s.Writer(t, faults(StoreFull)).Append(bounded(t), 0, Event(one(), 1, "a"))
	if !errors.Is(err, journal.ErrStoreRefuses) {
		t.Errorf("append to a full store ended in %v, want ErrStoreRefuses", err)
	}
	if errors.Is(err, journal.ErrUnknown) {
		t.Errorf("a certain refusal is called unknown: %v", err)
	}
	length(t, s, 0)
}

func storeFullAfterLostRequest(t *testing.T, s Store) {
	_, err := s.Writer(t, faults(LoseRequest, StoreFull)).Append(bounded(t), 0, Event(one(), 1, "a"))
	if !errors.Is(err, journal.ErrStoreRefuses) {
		t.Errorf("append to a full store ended in %v, want ErrStoreRefuses", err)
	}
	length(t, s, 0)
}

// unknown fails the test unless err is the careful end of an append.
func unknown(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("append ended in %v, want ErrUnknown with the context's error", err)
	}
	if moved := (*journal.ConflictError)(nil); errors.As(err, &moved) {
		t.Errorf("an append of unknown fate is called a conflict: %v", err)
	}
}

func unknownAndAbsent(t *testing.T, s Store) {
	ctx, plan := until(t, 3, LoseRequest)
	_, err := s.Writer(t, plan).Append(ctx, 0, Event(one(), 1, "a"))
	unknown(t, err)
	length(t, s, 0)
}

func unknownButThere(t *testing.T, s Store) {
	ctx, plan := until(t, 1, LoseAnswer)
	e := Event(one(), 1, "a")
	_, err := s.Writer(t, plan).Append(ctx, 0, e)
	unknown(t, err)
	length(t, s, 1)
}

func disconnectedToTheEnd(t *testing.T, s Store) {
	ctx, plan := until(t, 3, Disconnected)
	_, err := s.Writer(t, plan).Append(ctx, 0, Event(one(), 1, "a"))
	unknown(t, err)
	length(t, s, 0)
}

func endedContext(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(bounded(t))
	cancel()
	_, err := s.Writer(t, nil).Append(ctx, 0, Event(one(), 1, "a"))
	unknown(t, err)
	if _, err := s.Writer(t, nil).Last(ctx, one()); !errors.Is(err, context.Canceled) {
		t.Errorf("read under an ended context ended in %v", err)
	}
	length(t, s, 0)
}
