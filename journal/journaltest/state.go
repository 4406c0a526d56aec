package journaltest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

func roundTrip(t *testing.T, s Store) {
	e := FullEvent(one())
	holds(t, s, record(append1(t, s.Writer(t, nil), 0, e), e), one())
}

func bigState(t *testing.T, s Store) {
	e := BigEvent(one())
	data, err := json.Marshal(e.State)
	if err != nil {
		t.Fatalf("encode state: %v", err)
	}
	if len(data) < 590_000 || len(data) > 650_000 {
		t.Fatalf("the big state has %d bytes: mend the fixture", len(data))
	}
	holds(t, s, record(append1(t, s.Writer(t, nil), 0, e), e), one())
}

// noAliasing changes an event after it was appended and a state after it was
// read: neither may be seen by anybody else.
func noAliasing(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	e := Event(one(), 1, "a")
	want := record(append1(t, j, 0, e), Event(one(), 1, "a"))
	e.State.Operations[0].Open.CommandID = "changed after the append"
	e.Amount.Value++
	holds(t, s, want, one())
	read := last(t, j, one())
	read.State.Operations[0].Open.CommandID = "changed after the read"
	holds(t, s, want, one())
}

func newerFormat(t *testing.T, s Store) {
	j := s.Writer(t, nil)
	newer := Event(one(), 1, "newer version")
	newer.State.Format = payment.StateFormat + 1
	append1(t, j, 0, newer)
	if _, err := j.Last(bounded(t), one()); !errors.Is(err, journal.ErrNewerFormat) {
		t.Errorf("read of a newer format ended in %v, want ErrNewerFormat", err)
	}
	other := Event(one(), 1, "older version")
	other.Type = payment.EventDeferred
	_, err := j.Append(bounded(t), 0, other)
	if !errors.Is(err, journal.ErrNewerFormat) {
		t.Errorf("append against a newer format ended in %v, want ErrNewerFormat", err)
	}
	if moved := (*journal.ConflictError)(nil); errors.As(err, &moved) {
		t.Error("a state that cannot be read was handed out in a conflict")
	}
	length(t, s, 1)
}
