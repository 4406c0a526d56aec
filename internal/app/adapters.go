package app

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
	"github.com/countermand/countermand/telemetry"
)

// The adapters join packages that do not know each other.
var (
	_ desk.Service            = ruler{}
	_ desk.Commands           = commands{}
	_ desk.Index              = openJournal{}
	_ telemetry.Journal       = openJournal{}
	_ status.Log              = positions{}
	_ notifications.Requerier = requerier{}
)

// ruler is the handler with the timers that a ruling's call needs.
type ruler struct {
	*handlers.Handler

	timers *broker.Timers
}

// Resolve implements desk.Service.
func (r ruler) Resolve(ctx context.Context, ruling handlers.Ruling) (journal.Record, error) {
	return r.Handler.Resolve(ctx, ruling, r.timers)
}

// Requery implements desk.Service.
func (r ruler) Requery(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (handlers.Requeried, error) {
	return r.Handler.Requery(ctx, id, op, key, r.timers)
}

// commands publishes to the stream of commands.
type commands struct {
	js     jetstream.JetStream
	stream string
}

// Publish implements desk.Commands.
func (c commands) Publish(ctx context.Context, m events.Message, id string) error {
	msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	if _, err := c.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(c.stream), jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("publish command: %w", err)
	}
	return nil
}

// positions reads the journal by sequence.
type positions struct{ journal *stream.Journal }

// Newest implements status.Log.
func (p positions) Newest(ctx context.Context) (status.Message, error) {
	return message(p.journal.Newest(ctx))
}

// At implements status.Log.
func (p positions) At(ctx context.Context, sequence uint64) (status.Message, error) {
	return message(p.journal.At(ctx, sequence))
}

func message(s stream.Stored, err error) (status.Message, error) {
	return status.Message{Sequence: s.Sequence, Time: s.Time, Message: s.Message}, err
}

// maxListed is how many timers are listed at most to count what is open.
const maxListed = 100_000

// openJournal finds open operations: the timers list the payments, the journal has
// their states.
type openJournal struct {
	js      jetstream.JetStream
	due     string
	journal journal.Journal
}

// Open implements telemetry.Journal and desk.Index.
func (j openJournal) Open(ctx context.Context) ([]payment.ID, bool, error) {
	return openwork.Payments(ctx, j.js, j.due, maxListed)
}

// State implements telemetry.Journal.
func (j openJournal) State(ctx context.Context, id payment.ID) (payment.State, error) {
	record, err := j.journal.Last(ctx, id)
	return record.State, err
}

// seenWithin bounds the first read of the journal for a notification. It is shorter
// than an answer waits, so that the provider is told to come again while the
// journal is away.
const seenWithin = 3 * time.Second

// requerier brings forward the status queries that notifications are about.
type requerier struct {
	handler *handlers.Handler
	journal journal.Journal
	timers  *broker.Timers
}

// Requery implements notifications.Requerier. The handler waits while the journal is
// away, and a provider's connection must not wait with it. Therefore the journal
// is read here first.
func (l requerier) Requery(ctx context.Context, id payment.ID, reference string) (bool, error) {
	soon, cancel := context.WithTimeout(ctx, seenWithin)
	rec, err := l.journal.Last(soon, id)
	cancel()
	if err != nil {
		return false, fmt.Errorf("read payment: %w", err)
	}
	if rec.Sequence == 0 {
		return false, nil
	}
	return l.handler.Notified(ctx, id, reference, l.timers)
}
