package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/quorum"
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

// sink is told what is new in the two streams (*console.Feed).
type sink interface {
	Take(r console.Result)
	TakeRejection(r console.Rejection)
	// Skip: messages came too fast and were passed over.
	Skip()
	// ForgetResults and ForgetRejections: the stream was made anew or has lost its end.
	// What it holds now is told from the beginning.
	ForgetResults()
	ForgetRejections()
}

// follower reads new messages of the journal and of the refusals for the console. It
// asks for the next message again and again, because the service may not create
// consumers on the journal: that right would also let it change a ledger's consumer.
// It hands each message on once.
type follower struct {
	js jetstream.JetStream
	// stream is the journal, refusals the stream of rejections.
	stream, refusals string
	feed             sink
	// changed is called when an operation needs a person, and when one has ended.
	changed func(id payment.ID, review bool)
	log     *slog.Logger

	journal, rejected cursor // how far the two streams are read
}

// cursor is how far one stream is read. The zero value has not begun.
type cursor struct {
	// created tells the stream from one that is made anew under its name.
	created time.Time
	// next is the sequence that is read next. It never falls while the stream is the same.
	next uint64
	// short counts the answers in a row by which the stream ends before what was read.
	short int
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

// round reads the messages that are new. One stream that cannot be read does not hold
// up the other.
func (f *follower) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	return errors.Join(
		f.follow(ctx, f.stream, &f.journal, f.takeEvent, f.feed.ForgetResults),
		f.follow(ctx, f.refusals, &f.rejected, f.takeRejection, f.feed.ForgetRejections),
	)
}

// follow reads what is new in one stream. It calls forget before it begins anew.
func (f *follower) follow(ctx context.Context, stream string, at *cursor, take func(*jetstream.RawStreamMsg), forget func()) error {
	s, err := f.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	if err := quorum.Led(info.Cluster); err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	last := info.State.LastSeq
	if again, anew := at.look(info.Created, last); anew {
		if again {
			forget()
		}
		*at = cursor{created: info.Created, next: behind(last, followBehind)}
	}
	if at.next > last {
		return nil
	}
	batch := followBatch
	if last-at.next > followBehind {
		f.feed.Skip()
		batch = followSample
		at.next = last - followSample
	}
	return read(ctx, s, at, batch, take)
}

// look takes in an answer about the stream. anew: the reading has to begin; again: it
// had begun before, in a stream that is no longer the same. A stream that ends before
// what was read has lost its end, if a second answer in a row says so.
func (c *cursor) look(created time.Time, last uint64) (again, anew bool) {
	if last+1 >= c.next {
		c.short = 0
	} else {
		c.short++
	}
	again = !c.created.IsZero()
	return again, !c.created.Equal(created) || c.short > 1
}

// behind is the first sequence of the last n, and 1 at least.
func behind(last, n uint64) uint64 {
	if last <= n {
		return 1
	}
	return last - n + 1
}

// read reads up to batch messages and passes them on. It asks for the next message of
// any subject, and goes on from what it was given. "Not found" says nothing about where
// to go on: the stream may have grown since it was asked where it ends, and a leader
// that was elected a moment ago may not show its newest message yet.
func read(ctx context.Context, s jetstream.Stream, at *cursor, batch int, take func(*jetstream.RawStreamMsg)) error {
	for range batch {
		m, err := s.GetMsg(ctx, at.next, jetstream.WithGetMsgSubject(anySubject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		take(m)
		at.next = m.Sequence + 1
	}
	return nil
}

// anySubject matches every message.
const anySubject = ">"

// takeRejection passes a rejection on. Like takeEvent it ignores what cannot be
// decoded: other parts report that.
func (f *follower) takeRejection(m *jetstream.RawStreamMsg) {
	token, rejected := events.RejectedToken(m.Subject)
	if !rejected {
		return
	}
	if r, err := rejectionOf(messageOf(m), token); err == nil {
		f.feed.TakeRejection(r)
	}
}

func messageOf(m *jetstream.RawStreamMsg) events.Message {
	return events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}
}

// takeEvent passes an event of a payment on.
func (f *follower) takeEvent(m *jetstream.RawStreamMsg) {
	id, unnamed := events.PaymentOf(m.Subject)
	if unnamed != nil {
		return // an operator's action, or a rejection of an earlier version
	}
	e, err := events.DecodeEvent(messageOf(m))
	if err != nil {
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
