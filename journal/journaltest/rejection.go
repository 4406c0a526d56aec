package journaltest

import (
	"errors"
	"testing"

	"github.com/countermand/countermand/journal"
)

// reject appends a rejection and fails the test if that is not accepted.
func reject(t *testing.T, j journal.Journal, origin uint64) {
	t.Helper()
	if err := j.AppendRejection(bounded(t), Rejection(origin)); err != nil {
		t.Fatalf("append rejection: %v", err)
	}
}

func rejection(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	reject(t, j, 1)
	reject(t, j, 2)
	e := Event(one(), 1, "a")
	holds(t, s, record(append1(t, j, 0, e), e), one())
	length(t, s, 3)
}

func rejectionTwice(t *testing.T, s Store) {
	reject(t, s.Writer(t, nil), 1)
	reject(t, s.Writer(t, nil), 1)
	length(t, s, 1)
}

func rejectionLostAnswer(t *testing.T, s Store) {
	reject(t, s.Writer(t, faults(LoseAnswer, InFlight)), 1)
	length(t, s, 1)
}

func rejectionStoreFull(t *testing.T, s Store) {
	err := s.Writer(t, faults(StoreFull)).AppendRejection(bounded(t), Rejection(1))
	if !errors.Is(err, journal.ErrRefusalNotTaken) || errors.Is(err, journal.ErrStoreRefuses) {
		t.Errorf("rejection at a full store ended in %v, want ErrRefusalNotTaken, which shuts nothing", err)
	}
	length(t, s, 0)
}

func rejectionUnknown(t *testing.T, s Store) {
	ctx, plan := until(t, 2, LoseRequest)
	unknown(t, s.Writer(t, plan).AppendRejection(ctx, Rejection(1)))
	length(t, s, 0)
}
