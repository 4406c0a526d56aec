package crash_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// The taps spell out every method and embed nothing that works, so a method
// added to one of these interfaces does not compile, or panics, until it has a
// tap of its own.
var (
	_ journal.Journal     = tappedJournal{}
	_ handlers.Quarantine = tappedQuarantine{}
	_ providers.Provider  = tappedProvider{}
	_ jetstream.Msg       = (*delivery)(nil)
)

// tappedJournal breaks as the journal does: an append without an answer is of
// unknown fate.
type tappedJournal struct {
	life *life
	real journal.Journal
}

func (j tappedJournal) Last(ctx context.Context, id payment.ID) (rec journal.Record, err error) {
	h, lost := j.life.take(step{kind: journalLast}, func() { rec, err = j.real.Last(ctx, id) })
	if h == heardNothing {
		return journal.Record{}, fmt.Errorf("read: %w", lost)
	}
	return rec, err
}

func (j tappedJournal) Append(ctx context.Context, expected uint64, e payment.Event) (sequence uint64, err error) {
	what := string(e.Type)
	if e.Review != nil {
		what += " (review)"
	}
	h, lost := j.life.take(step{kind: journalAppend, what: what}, func() {
		if sequence, err = j.real.Append(ctx, expected, e); err == nil {
			j.life.cell.holdRuling(j.life, e)
			j.life.cell.accepted(e, sequence)
		}
	})
	if h == heardNothing {
		j.life.appendLost = true
		return 0, fmt.Errorf("append: %w: %w", journal.ErrUnknown, lost)
	}
	return sequence, err
}

func (j tappedJournal) AppendRejection(ctx context.Context, r payment.Rejection) (err error) {
	h, lost := j.life.take(step{kind: journalReject, what: string(r.Code)}, func() {
		if err = j.real.AppendRejection(ctx, r); err == nil {
			j.life.cell.said[r.Token] = true
		}
	})
	if h == heardNothing {
		return fmt.Errorf("append rejection: %w: %w", journal.ErrUnknown, lost)
	}
	return err
}

// wire is what lies between the journal and the server.
type wire struct {
	life *life
	conn *nats.Conn
}

var _ stream.Requester = wire{}

// RequestMsgWithContext loses what the life's fault asks for, once.
func (w wire) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	lose := w.life.onWire
	w.life.onWire = ""
	if lose == wireRequestLost {
		return nil, nats.ErrTimeout
	}
	answer, err := w.conn.RequestMsgWithContext(ctx, m)
	if lose == wireAnswerLost {
		return nil, nats.ErrTimeout
	}
	return answer, err
}

// tappedQuarantine breaks as a publish does.
type tappedQuarantine struct {
	life *life
	real handlers.Quarantine
}

func (q tappedQuarantine) Keep(ctx context.Context, o handlers.Original) (err error) {
	h, lost := q.life.take(step{kind: keepBytes}, func() {
		if err = q.real.Keep(ctx, o); err == nil {
			q.life.cell.kept[o.Rejection.Token] = true
		}
	})
	if h == heardNothing {
		return fmt.Errorf("keep: %w: %w", nats.ErrTimeout, lost)
	}
	return err
}

// tappedProvider breaks as a call does: without an answer its outcome is
// indeterminate, the zero value.
type tappedProvider struct {
	life *life
	// real is the adapter before its simulator. unreachable, if set, takes the
	// cell's first call: it has no connection.
	real, unreachable providers.Provider
}

func (p tappedProvider) Traits() payment.Traits { return p.real.Traits() }

// Call is a step that can move money.
func (p tappedProvider) Call(ctx context.Context, r providers.Request) payment.Outcome {
	c := p.life.cell
	told := call{by: p.life, op: r.Op, key: r.Key, attempt: r.Attempt}
	adapter := p.real
	if p.unreachable != nil && len(c.calls) == 0 {
		adapter = p.unreachable
	}
	h, _ := p.life.take(step{kind: callOf(r.Op), what: fmt.Sprintf("attempt %d", r.Attempt)}, func() {
		told.sent = true
		told.truth = adapter.Call(ctx, r)
	})
	if h == heardAnswer {
		told.heard, told.told = true, told.truth
	}
	c.calls = append(c.calls, told)
	c.deafen()
	return told.told
}

func (p tappedProvider) QueryStatus(ctx context.Context, r providers.Request) (out payment.Outcome) {
	h, _ := p.life.take(step{kind: askStatus}, func() {
		out = p.real.QueryStatus(ctx, r)
		p.life.cell.looked()
	})
	if h == heardNothing {
		return payment.Outcome{}
	}
	p.life.cell.answers = append(p.life.cell.answers, answer{r.Op, r.Key, out.Result})
	return out
}

func (p tappedProvider) Read(ctx context.Context, r providers.Request) (reading payment.Reading) {
	h, _ := p.life.take(step{kind: readPayment}, func() {
		reading = p.real.Read(ctx, r)
		p.life.cell.looked()
	})
	if h == heardNothing {
		return payment.Reading{}
	}
	return reading
}

// gateway is the broker's JetStream: publishes of timers pass the tap, the two
// durable consumers are the harness's. Whatever else is asked of it panics.
type gateway struct {
	jetstream.JetStream // nil
	life                *life
	real                jetstream.JetStream
}

func (g gateway) Conn() *nats.Conn { return g.real.Conn() }

func (g gateway) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (ack *jetstream.PubAck, err error) {
	h, lost := g.life.take(step{kind: publishTimer}, func() {
		ack, err = g.real.PublishMsg(ctx, m, opts...)
		delete(g.life.cell.timers, m.Subject)
	})
	if h == heardNothing {
		return nil, fmt.Errorf("%w: %w", nats.ErrTimeout, lost)
	}
	return ack, err
}

func (g gateway) Consumer(_ context.Context, stream, _ string) (jetstream.Consumer, error) {
	return inbox{life: g.life, timers: stream == g.life.cell.world.topology.Due}, nil
}

// Stream is asked for the time of its leader only.
func (g gateway) Stream(context.Context, string) (jetstream.Stream, error) {
	return leader{now: g.life.cell.bench.clock.Now()}, nil
}

// leader is a stream of which nothing but its leader's time is known.
type leader struct {
	jetstream.Stream // nil
	now              time.Time
}

func (l leader) CachedInfo() *jetstream.StreamInfo { return &jetstream.StreamInfo{TimeStamp: l.now} }

// inbox is one of the two durable consumers.
type inbox struct {
	jetstream.Consumer // nil
	life               *life
	timers             bool
}

func (i inbox) Messages(...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	in := i.life.commands
	if i.timers {
		in = i.life.due
	}
	ctx, stop := context.WithCancel(context.Background())
	return &pull{in: in, ended: ctx.Done(), end: stop}, nil
}

// pull hands out what the harness delivers, until it is withdrawn.
type pull struct {
	in    <-chan *delivery
	ended <-chan struct{}
	end   func()
}

func (p *pull) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	select {
	case d := <-p.in:
		return d, nil
	case <-p.ended:
		return nil, jetstream.ErrMsgIteratorClosed
	}
}

func (p *pull) Stop()  { p.end() }
func (p *pull) Drain() { p.end() }

// delivery is one delivery of a message to one consumer.
type delivery struct {
	*message
	life *life
	// count is which delivery of the message this is, from 1.
	count int
}

func (d *delivery) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair{Stream: d.sequence, Consumer: uint64(d.count)},
		NumDelivered: uint64(d.count), Timestamp: d.stored,
	}, nil
}

func (d *delivery) Data() []byte         { return d.data }
func (d *delivery) Headers() nats.Header { return d.header }
func (d *delivery) Subject() string      { return d.subject }
func (d *delivery) Reply() string        { return "" }

func (d *delivery) Ack() error { return d.say(messageAck, func() { d.done = true }) }

// DoubleAck is not what the broker does; if it began to, it would need a tap.
func (d *delivery) DoubleAck(context.Context) error { panic("DoubleAck has no tap") }

func (d *delivery) Nak() error { return d.NakWithDelay(0) }

func (d *delivery) NakWithDelay(delay time.Duration) error {
	return d.say(messageNak, func() { d.ready = d.life.cell.bench.clock.Now().Add(delay) })
}

// InProgress has no effect of its own: the harness decides when to redeliver.
func (d *delivery) InProgress() error { return nil }

func (d *delivery) Term() error { return d.TermWithReason("") }

func (d *delivery) TermWithReason(string) error {
	return d.say(messageTerm, func() { d.done = true })
}

func (d *delivery) say(k kind, do func()) error {
	_, err := d.life.take(step{kind: k}, do)
	return err
}
