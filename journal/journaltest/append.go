package journaltest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

func lastOfNothing(t *testing.T, s Store) {
	holds(t, s, journal.Record{}, one())
}

func freshAppend(t *testing.T, s Store) {
	e := Event(one(), 1, "a")
	sequence := append1(t, s.Writer(t, nil), 0, e)
	if sequence == 0 {
		t.Fatal("accepted append has sequence 0, which means none")
	}
	holds(t, s, record(sequence, e), one())
	length(t, s, 1)
}

func chain(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	var sequence uint64
	for version := range uint64(5) {
		e := Event(one(), version+1, "a")
		next := append1(t, j, sequence, e)
		if next <= sequence {
			t.Fatalf("version %d has sequence %d, not above %d", version+1, next, sequence)
		}
		sequence = next
		holds(t, s, record(sequence, e), one())
	}
	length(t, s, 5)
}

func expectedTooLow(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	first := Event(one(), 1, "a")
	sequence := append1(t, j, 0, first)
	other := Event(one(), 1, "b")
	other.Type = payment.EventDeferred // another subject: the guard must refuse it, not write-once
	_, err := j.Append(bounded(t), 0, other)
	conflict(t, err, record(sequence, first))
	length(t, s, 1)
}

func expectedTooHigh(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	_, err := j.Append(bounded(t), 41, Event(one(), 2, "a"))
	conflict(t, err, journal.Record{})
	first := Event(one(), 1, "a")
	sequence := append1(t, j, 0, first)
	_, err = j.Append(bounded(t), sequence+1, Event(one(), 2, "a"))
	conflict(t, err, record(sequence, first))
	length(t, s, 1)
}

func staleReader(t *testing.T, s Store) {
	fast, slow := s.Writer(t, nil), s.Writer(t, nil)
	append1(t, fast, 0, Event(one(), 1, "fast"))
	seen := last(t, slow, one())
	append1(t, fast, seen.Sequence, Event(one(), 2, "fast"))
	third := Event(one(), 3, "fast")
	newest := append1(t, fast, seen.Sequence+1, third)
	_, err := slow.Append(bounded(t), seen.Sequence, Event(one(), 2, "slow"))
	conflict(t, err, record(newest, third))
	length(t, s, 3)
}

func readsAreFresh(t *testing.T, s Store) {
	a, b := s.Writer(t, nil), s.Writer(t, nil)
	var sequence uint64
	for version := range uint64(20) {
		e := Event(one(), version+1, "a")
		sequence = append1(t, a, sequence, e)
		if got := last(t, b, one()); got.Sequence != sequence || got.State.Version != version+1 {
			t.Fatalf("after version %d (sequence %d) was accepted the other writer read version %d (sequence %d)",
				version+1, sequence, got.State.Version, got.Sequence)
		}
		a, b = b, a
	}
}

// writeOnce appends an event whose subject is taken although the payment is
// where the writer expects it: a fold that did not count on. The second net
// must hold where the first has a hole.
func writeOnce(t *testing.T, s Store) {
	first := Event(one(), 1, "a")
	sequence := append1(t, s.Writer(t, nil), 0, first)
	_, err := s.Writer(t, nil).Append(bounded(t), sequence, Event(one(), 1, "b"))
	conflict(t, err, record(sequence, first))
	length(t, s, 1)
}

func similarIdentifiers(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	var ids []payment.ID
	for _, provider := range []string{"opay", "opay-eg"} {
		for _, native := range []string{"1", "1.2", "1*", "*", ">", "1.>", "=2E", "1=2E2", "a", "A"} {
			ids = append(ids, payment.ID{Provider: provider, Native: native})
		}
	}
	want := make(map[payment.ID]journal.Record, len(ids))
	for i, id := range ids {
		e := Event(id, 1, fmt.Sprint(i))
		want[id] = record(append1(t, j, 0, e), e)
	}
	for _, id := range ids {
		holds(t, s, want[id], id)
	}
	length(t, s, len(ids))
}

// concurrentWriters races 16 writers for each of ten versions, with events of
// two types, since write-once subjects only hold identical ones apart. The
// winner of a version is whoever was told so; every loser must be shown that event.
func concurrentWriters(t *testing.T, s Store) {
	const writers, versions = 16, 10
	journals := make([]journal.Journal, writers)
	for i := range journals {
		journals[i] = s.Writer(t, nil)
	}
	var sequence uint64
	for version := uint64(1); version <= versions; version++ {
		accepted, errs := race(t, journals, sequence, version)
		winner := -1
		for i, err := range errs {
			if err != nil {
				continue
			}
			if winner >= 0 {
				t.Fatalf("version %d was accepted from writer %d and from writer %d", version, winner, i)
			}
			winner, sequence = i, accepted[i]
		}
		if winner < 0 {
			t.Fatalf("version %d was accepted from nobody: %v", version, errors.Join(errs...))
		}
		for i, err := range errs {
			if i != winner {
				conflict(t, err, record(sequence, raced(version, winner)))
			}
		}
	}
	length(t, s, versions)
}

// raced is the event a writer races with.
func raced(version uint64, writer int) payment.Event {
	e := Event(one(), version, fmt.Sprint(writer))
	if writer%2 == 1 {
		e.Type = payment.EventDeferred
	}
	return e
}

func race(t *testing.T, journals []journal.Journal, expected, version uint64) ([]uint64, []error) {
	t.Helper()
	accepted, errs := make([]uint64, len(journals)), make([]error, len(journals))
	start := make(chan struct{})
	var running sync.WaitGroup
	for i, j := range journals {
		running.Go(func() {
			<-start
			accepted[i], errs[i] = j.Append(bounded(t), expected, raced(version, i))
		})
	}
	close(start)
	running.Wait()
	return accepted, errs
}

func badIdentifier(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	for _, id := range []payment.ID{{}, {Provider: "opay-eg"}, {Native: "1"}, {Provider: "opay.eg", Native: "1"}, {Provider: "*", Native: "1"}, {Provider: "opay-eg", Native: "a b"}} {
		if _, err := j.Append(bounded(t), 0, Event(id, 1, "a")); err == nil {
			t.Errorf("append to %+v was accepted", id)
		}
		if _, err := j.Last(bounded(t), id); err == nil {
			t.Errorf("read of %+v was answered", id)
		}
	}
	length(t, s, 0)
}
