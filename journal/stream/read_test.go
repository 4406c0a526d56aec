package stream_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

func TestEventsAreFoundByVersionAndByPositionAndWhatIsNotThereIsNone(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	natstest.CreateStream(t, s.JetStream(t), natstest.EventsConfig(1))
	natstest.CreateStream(t, s.JetStream(t), natstest.RefusalsConfig(1))
	j := open(t, s.Connect(t), nil)
	if m, err := j.Newest(t.Context()); err != nil || m.Sequence != 0 {
		t.Fatalf("the newest of an empty journal: %+v, %v", m, err)
	}
	before := time.Now()
	one := id
	two := one
	two.Native += "0" // the same with a digit behind it
	var last uint64
	for version := uint64(1); version <= 11; version++ {
		var err error
		if last, err = j.Append(t.Context(), last, journaltest.Event(one, version, "w"+strings.Repeat("x", int(version)))); err != nil {
			t.Fatal(err)
		}
		if version == 1 {
			if _, err := j.Append(t.Context(), 0, journaltest.Event(two, 1, "other")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for version := uint64(1); version <= 11; version++ {
		e, err := j.EventAt(t.Context(), one, version)
		if err != nil || e.State.Version != version || e.Data.CommandID != "w"+strings.Repeat("x", int(version)) {
			t.Errorf("version %d is %s, %v", version, e.ID, err)
		}
	}
	if e, err := j.EventAt(t.Context(), one, 12); err != nil || e.ID != "" {
		t.Errorf("version 12 is %+v, %v", e, err)
	}
	if err := j.AppendRejection(t.Context(), journaltest.Rejection(7)); err != nil { // lies elsewhere
		t.Fatal(err)
	}
	if err := j.AppendOperator(t.Context(), journaltest.Action(1)); err != nil {
		t.Fatal(err)
	}
	newest, err := j.Newest(t.Context())
	if err != nil || newest.Sequence != 13 || !strings.HasPrefix(newest.Message.Subject, "payment.operator.") {
		t.Errorf("the newest is %+v, %v", newest, err)
	}
	if newest.Time.Before(before.Add(-time.Second)) || newest.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("it was taken at %s", newest.Time)
	}
	m, err := j.At(t.Context(), 2)
	if err != nil || m.Sequence != 2 {
		t.Fatalf("position 2 is %+v, %v", m, err)
	}
	if o, err := events.DecodeOrigin(m.Message); err != nil || o != (payment.Origin{CommandID: "other", CommandSource: "/orders"}) {
		t.Errorf("its command is %+v, %v", o, err)
	}
	if m, err := j.At(t.Context(), 14); err != nil || m.Sequence != 0 {
		t.Errorf("position 14 is %+v, %v", m, err)
	}
}

func TestAnEventThatLiesUnderAnothersVersionIsNotTold(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	js := s.JetStream(t)
	natstest.CreateStream(t, js, natstest.EventsConfig(1))
	j := open(t, s.Connect(t), nil)
	m, err := events.NewEncoder(nil).EncodeEvent(journaltest.Event(id, 1, "w"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.TrimSuffix(m.Subject, "1") + "2"
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: wrong, Header: m.Header, Data: m.Data}); err != nil {
		t.Fatal(err)
	}
	if e, err := j.EventAt(t.Context(), id, 2); err == nil {
		t.Errorf("it is told as %s", e.ID)
	}
}

func TestAJournalWhoseStreamDoesNotExistIsSaidSo(t *testing.T) {
	t.Parallel()
	j := open(t, natstest.Start(t, nil).Connect(t), &stream.Options{Stream: "WRONG"})
	reads := map[string]func() error{
		"the newest event of a payment": func() error { _, err := j.Last(t.Context(), id); return err },
		"what lies on a subject":        func() error { _, err := j.On(t.Context(), "payment.operator.x.y"); return err },
		"the next of a filter":          func() error { _, err := j.Next(t.Context(), 1, events.OperatorFilter("resolve")); return err },
		"a position":                    func() error { _, err := j.At(t.Context(), 1); return err },
		"the history of a payment":      func() error { _, _, err := j.History(t.Context(), id); return err },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := read(); err == nil || !strings.Contains(err.Error(), "stream WRONG does not exist") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// startingUp answers as a server that has just begun to lead the cluster: at first it
// knows of no stream, then the stream has no leader.
type startingUp struct {
	*nats.Conn

	answers atomic.Int64
}

func (s *startingUp) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	switch n := s.answers.Add(1); {
	case n < 4:
		return &nats.Msg{Data: []byte(`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`)}, nil
	case n < 8:
		return &nats.Msg{Data: []byte(`{"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`)}, nil
	default:
		return s.Conn.RequestMsgWithContext(ctx, m)
	}
}

func TestAnElectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	natstest.CreateStream(t, s.JetStream(t), natstest.EventsConfig(1))
	nc := &startingUp{Conn: s.Connect(t)}
	if record, err := open(t, nc, nil).Last(t.Context(), id); err != nil || record.Sequence != 0 {
		t.Errorf("%+v, %v", record, err)
	}
	if n := nc.answers.Load(); n != 8 {
		t.Errorf("it was asked %d times, want 8", n)
	}
}
