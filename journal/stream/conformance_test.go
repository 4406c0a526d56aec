package stream_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

func TestJournalOverJetStreamKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	for name, binary := range map[string]bool{"structured": false, "binary": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journaltest.Run(t, func(t *testing.T) journaltest.Store {
				t.Parallel()
				return &store{bench: setup(t), binary: binary}
			})
		})
	}
}

var id = payment.ID{Provider: "opay-eg", Native: "1001000"}

// bench is a server with the journal's stream on it.
type bench struct {
	*natstest.Server
	js jetstream.JetStream
}

func setup(t testing.TB) bench {
	t.Helper()
	return setupWith(t, natstest.EventsConfig(1))
}

func setupWith(t testing.TB, cfg jetstream.StreamConfig) bench {
	t.Helper()
	s := natstest.Start(t, nil)
	js := s.JetStream(t)
	natstest.CreateStream(t, js, cfg)
	natstest.CreateStream(t, js, natstest.RefusalsConfig(max(cfg.Replicas, 1)))
	return bench{Server: s, js: js}
}

// messages counts what the journal's stream holds, and that of the rejections.
func (b bench) messages(t testing.TB) int {
	t.Helper()
	return natstest.Messages(t, b.js, natstest.EventsStream) + natstest.Messages(t, b.js, natstest.RefusalsStream)
}

// open returns a journal over a requester.
func open(t testing.TB, conn stream.Requester, opts *stream.Options) *stream.Journal {
	t.Helper()
	j, err := stream.New(conn, events.NewEncoder(nil), opts)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// store lends a stream to the conformance suite.
type store struct {
	bench
	binary bool
}

// writer opens a journal on which appends go wrong as planned.
func writer(t *testing.T, conn stream.Requester, plan journaltest.Plan, binary bool) journal.Journal {
	t.Helper()
	if plan != nil {
		conn = &faulty{conn: conn, plan: plan}
	}
	j, err := stream.New(conn, events.NewEncoder(&events.EncoderOptions{Binary: binary}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (s *store) Writer(t *testing.T, plan journaltest.Plan) journal.Journal {
	t.Helper()
	return writer(t, s.Connect(t), plan, s.binary)
}

func (s *store) Len(t *testing.T) int {
	t.Helper()
	return s.messages(t)
}

// faulty is a connection on which appends go wrong as planned.
type faulty struct {
	conn  stream.Requester
	plan  journaltest.Plan
	tries atomic.Int64
}

func (f *faulty) RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if strings.HasPrefix(msg.Subject, "$JS.API.") {
		return f.conn.RequestMsgWithContext(ctx, msg)
	}
	switch f.plan(int(f.tries.Add(1))) {
	case journaltest.LoseRequest:
		return nil, nats.ErrTimeout
	case journaltest.LoseAnswer:
		// Without the caller's end: what left, left.
		if _, err := f.conn.RequestMsgWithContext(context.WithoutCancel(ctx), msg); err != nil {
			return nil, err
		}
		return nil, nats.ErrTimeout
	case journaltest.InFlight:
		return refusal(10164, "wrong last sequence"), nil
	case journaltest.NoResponders:
		return nil, nats.ErrNoResponders
	case journaltest.Disconnected:
		return nil, nats.ErrReconnectBufExceeded
	case journaltest.StoreFull:
		return refusal(10077, "maximum messages exceeded"), nil
	default:
		return f.conn.RequestMsgWithContext(ctx, msg)
	}
}
