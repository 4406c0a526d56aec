package crash_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/stream"
)

// world is what outlives every process: one server with the five streams, for
// the whole matrix.
type world struct {
	js       jetstream.JetStream
	topology broker.Topology
	journal  *stream.Journal
	events   jetstream.Stream
	due      jetstream.Stream
	refusals jetstream.Stream
	rejected jetstream.Stream
	decoder  *events.Decoder
	ulids    atomic.Int64
}

// ulid names an audit event: like no other of the matrix.
func (w *world) ulid() string { return fmt.Sprintf("%026d", w.ulids.Add(1)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	conn := natstest.Start(t, nil).Connect(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{js: js, topology: broker.DefaultTopology()}
	for _, cfg := range w.topology.Streams() {
		natstest.CreateStream(t, js, cfg)
	}
	for name, s := range map[string]*jetstream.Stream{
		w.topology.Events: &w.events, w.topology.Due: &w.due, w.topology.Refusals: &w.refusals, w.topology.Rejected: &w.rejected,
	} {
		if *s, err = js.Stream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if w.journal, err = stream.New(conn, events.NewEncoder(nil), nil); err != nil {
		t.Fatal(err)
	}
	if w.decoder, err = events.NewDecoder(); err != nil {
		t.Fatal(err)
	}
	return w
}

// publish puts a command into its stream, as an order service does.
func (w *world) publish(ctx context.Context, subject string, data []byte) (uint64, error) {
	ack, err := w.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// timer returns the schedule that lies on a subject, nil if none does.
func (w *world) timer(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	m, err := w.due.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}

// subjects lists what a stream holds, with how many messages lie on each subject.
func subjects(ctx context.Context, s jetstream.Stream) (map[string]uint64, error) {
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, err
	}
	return info.State.Subjects, nil
}

// clock is the matrix's own time; nothing waits for it. It starts far ahead of
// the server's, so that the server fires no schedule by itself.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC)} }

// Now is the current time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advanceTo moves the clock forward, never back.
func (c *clock) advanceTo(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t
	}
}
