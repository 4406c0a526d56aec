package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
)

const (
	// followEvery is how often the journal is asked for what is new.
	followEvery = 250 * time.Millisecond
	// followBatch is how many messages are read at a time. With followEvery it bounds
	// the messages per second. Messages beyond that are skipped, and the feed says so.
	followBatch = 100
	// followSample is how many messages are read while too many arrive to show them
	// all. Reading one costs as much as a tenth of a command.
	followSample = 20
	// followBehind is how many messages before the journal's end the reading begins.
	followBehind = 1000
	// followFor bounds one round, so that the follower notices that the server is away.
	followFor = 5 * time.Second
)

// follower reads new messages of the journal for the console. It asks for the next
// message again and again, because the service may not create consumers on the
// journal: that right would also let it change a ledger's consumer.
type follower struct {
	js jetstream.JetStream
	// stream is the journal, refusals the stream of rejections.
	stream, refusals string
	feed             *console.Feed
	// changed is called when an operation needs a person, and when one has ended.
	changed func(id payment.ID, review bool)
	log     *slog.Logger
	// next is the sequence each stream goes on from.
	next map[string]uint64
}

// run follows until ctx ends. While the server is away it waits.
func (f *follower) run(ctx context.Context) {
	for alive := true; alive; alive = sleep.For(ctx, followEvery) {
		if f.js.Conn().IsConnected() {
			if err := f.round(ctx); err != nil && ctx.Err() == nil {
				f.log.Debug("the console could not read what is new", "error", err.Error())
			}
		}
	}
}

// round reads the messages that are new.
func (f *follower) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	if err := f.follow(ctx, f.stream, events.EveryPayment); err != nil {
		return err
	}
	return f.follow(ctx, f.refusals, events.RejectedFilter)
}

// follow reads what is new in one stream.
func (f *follower) follow(ctx context.Context, stream, filter string) error {
	s, err := f.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	last := s.CachedInfo().State.LastSeq
	if f.next == nil {
		f.next = map[string]uint64{}
	}
	if f.next[stream] == 0 {
		f.next[stream] = behind(last, followBehind)
	}
	if f.next[stream] > last {
		return nil
	}
	batch := followBatch
	if last-f.next[stream] > followBehind {
		f.feed.Skip()
		batch = followSample
		f.next[stream] = last - followSample
	}
	return f.read(ctx, s, cut{stream: stream, filter: filter, last: last, batch: batch})
}

// behind is the sequence n before last, and 1 at least.
func behind(last, n uint64) uint64 {
	if last <= n {
		return 1
	}
	return last - n + 1
}

// cut is what one round reads: up to batch messages that match the filter, in a
// stream that ends at last.
type cut struct {
	stream, filter string
	last           uint64
	batch          int
}

// read reads the messages of one cut and passes them on.
func (f *follower) read(ctx context.Context, s jetstream.Stream, c cut) error {
	for range c.batch {
		m, err := s.GetMsg(ctx, f.next[c.stream], jetstream.WithGetMsgSubject(c.filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			f.next[c.stream] = c.last + 1
			return nil
		}
		if err != nil {
			return err
		}
		f.take(m)
		f.next[c.stream] = m.Sequence + 1
	}
	return nil
}

// take passes one message on. It ignores a message that cannot be decoded: other
// parts report that.
func (f *follower) take(m *jetstream.RawStreamMsg) {
	message := events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}
	if token, rejected := strings.CutPrefix(m.Subject, events.RejectedSubject("")); rejected {
		if r, err := rejectionOf(message, token); err == nil {
			f.feed.TakeRejection(r)
		}
		return
	}
	e, err := events.DecodeEvent(message)
	id, unnamed := events.PaymentOf(m.Subject)
	if err != nil || unnamed != nil {
		return
	}
	d := e.Data
	amount := d.Moved
	if amount == nil {
		amount = d.Amount
	}
	review := d.Status == events.StatusReviewRequired
	if review || e.Type.Terminal() {
		f.changed(id, review)
	}
	f.feed.Take(console.Result{
		ID: id, Op: e.Op, Type: e.Type, Key: d.IdempotencyKey,
		Amount: amount, Code: d.Code, Review: review, At: d.OccurredAt.Time,
	})
}

// rejectionOf reads a payment.command.rejected in either mode.
func rejectionOf(m events.Message, token string) (console.Rejection, error) {
	type rejection struct {
		Code          payment.Code    `json:"code"`
		Faults        []payment.Fault `json:"faults"`
		Size          int             `json:"size"`
		OriginSubject string          `json:"originSubject"`
		CommandID     string          `json:"commandId"`
		OccurredAt    time.Time       `json:"occurredAt"`
	}
	var whole struct {
		Data *rejection `json:"data"`
	}
	err := json.Unmarshal(m.Data, &whole)
	if err == nil && whole.Data == nil { // binary mode: the data alone
		whole.Data = new(rejection)
		err = json.Unmarshal(m.Data, whole.Data)
	}
	if err != nil {
		return console.Rejection{}, err
	}
	d := whole.Data
	return console.Rejection{
		Token: token, Code: d.Code, Faults: d.Faults, Size: d.Size, CommandID: d.CommandID, Subject: d.OriginSubject, At: d.OccurredAt,
	}, nil
}
