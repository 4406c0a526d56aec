package broker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/natstest"
)

// patience is how long a test waits for something the server or the consumer
// signals before it gives up.
const patience = 20 * time.Second

// bundle is a provisioned server and what the tests do with it.
type bundle struct {
	t        *testing.T
	server   *natstest.Server
	js       jetstream.JetStream
	topology broker.Topology
}

func setup(t *testing.T) *bundle {
	t.Helper()
	server := natstest.Start(t, nil)
	b := &bundle{t: t, server: server, js: server.JetStream(t), topology: broker.DefaultTopology()}
	b.provision()
	return b
}

func (b *bundle) provision() {
	b.t.Helper()
	if _, err := broker.Provision(b.ctx(), b.js, b.topology); err != nil {
		b.t.Fatalf("provision: %v", err)
	}
}

func (b *bundle) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.t.Cleanup(cancel)
	return ctx
}

// command publishes a message to the stream of commands and returns its sequence.
func (b *bundle) command(data string, header nats.Header) uint64 {
	b.t.Helper()
	ack, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: "payment.refund.requested", Header: header, Data: []byte(data)})
	if err != nil {
		b.t.Fatalf("publish command: %v", err)
	}
	return ack.Sequence
}

// commands publishes n messages, numbered from 0, with a bounded number on the way.
func (b *bundle) commands(n int) {
	b.t.Helper()
	for i := range n {
		if _, err := b.js.PublishAsync("payment.refund.requested", fmt.Append(nil, i)); err != nil {
			b.t.Fatalf("publish command %d: %v", i, err)
		}
		if i%1000 == 999 {
			receive(b.t, b.js.PublishAsyncComplete(), "the publishes")
		}
	}
	receive(b.t, b.js.PublishAsyncComplete(), "the publishes")
}

// handlerFunc makes a handler of a function.
type handlerFunc func(context.Context, handlers.Delivery) handlers.Disposition

func (f handlerFunc) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	return f(ctx, d)
}

// running is a consumer at work.
type running struct {
	consumer *broker.Consumer
	cancel   func()
	done     chan error
	t        *testing.T
	once     sync.Once
	err      error
}

// run starts a consumer that is stopped when the test ends.
func (b *bundle) run(o *broker.Options, h handlerFunc) *running {
	b.t.Helper()
	c, err := broker.New(b.js, b.topology, h, broker.NewTimers(b.js, b.topology), o)
	if err != nil {
		b.t.Fatalf("new consumer: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{consumer: c, cancel: cancel, done: make(chan error, 1), t: b.t}
	go func() { r.done <- c.Run(ctx) }()
	b.t.Cleanup(func() { r.stop() })
	return r
}

// stop tells the consumer to drain and returns what Run returned.
func (r *running) stop() error {
	r.t.Helper()
	r.once.Do(func() {
		r.cancel()
		r.err = receive(r.t, r.done, "the consumer to drain")
	})
	return r.err
}

// receive waits for a value on a channel.
func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
		panic("unreachable")
	}
}

// eventually asks a condition of the server or the consumer again and again.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// pending returns what the durable consumer of a stream still has to do:
// messages not delivered and messages not acknowledged.
func (b *bundle) pending(stream string) (undelivered, unacked int) {
	b.t.Helper()
	c, err := b.js.Consumer(b.ctx(), stream, b.topology.Consumer)
	if err != nil {
		b.t.Fatalf("look up consumer: %v", err)
	}
	return int(c.CachedInfo().NumPending), c.CachedInfo().NumAckPending
}

// allDone waits until a durable consumer has nothing left to do.
func (b *bundle) allDone(stream string) {
	b.t.Helper()
	eventually(b.t, "everything to be acknowledged", func() bool {
		undelivered, unacked := b.pending(stream)
		return undelivered == 0 && unacked == 0
	})
}

// timer returns a timer of the operation named by key, due at the given time.
func timer(key string, at time.Time) handlers.Timer {
	tm := handlers.Timer{
		Subject:        "payment.schedule.refund.opay-eg.1001000." + key,
		Target:         "payment.due.refund",
		At:             at,
		OriginSequence: 7,
		OriginTime:     time.Date(2026, 11, 1, 10, 0, 0, 123456789, time.UTC),
		Deliveries:     3,
		Panics:         1,
	}
	tm.Message.Header = map[string][]string{"ce-type": {"payment.refund.requested"}}
	tm.Message.Data = []byte(key)
	return tm
}

func ack() handlers.Disposition { return handlers.Disposition{Kind: handlers.Ack} }
