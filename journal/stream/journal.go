package stream

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// TokenHeader carries the random token that tells whose append a message is.
const TokenHeader = "Countermand-Append" //nolint:gosec // the name of a header, no secret

const (
	defaultStream      = "PAYMENT_EVENTS"
	defaultRefusals    = "PAYMENT_REFUSALS"
	defaultTryTimeout  = 2 * time.Second
	defaultRefuseAfter = 5 * time.Second
)

// Requester sends a request and waits for its one answer; *nats.Conn is one.
// It must be safe for concurrent use, must not change the message, and must not
// send it after the call has returned an error (see New).
type Requester interface {
	RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error)
}

// link is what a Requester may tell of its connection. Without a connection
// nothing is sent at all: the client library keeps a little memory for each
// request it refuses, until it is connected again.
type link interface {
	IsConnected() bool
	IsClosed() bool
}

// Options are the choices a journal has; nil and the zero value mean the defaults.
type Options struct {
	// Stream is the name of the journal's stream. Default: PAYMENT_EVENTS.
	Stream string
	// Refusals is the name of the stream of rejections. Default: PAYMENT_REFUSALS.
	Refusals string
	// TryTimeout is how long one try waits for its answer before the same bytes
	// are sent again. Default: 2 s.
	TryTimeout time.Duration
	// Random is where the 128-bit tokens come from; safe for concurrent use.
	// Default: crypto/rand.
	Random io.Reader
	// Now is the time a rejection's event is given. Default: time.Now.
	Now func() time.Time
	// RefuseAfter is how long an append may stay without any answer while there is
	// a connection, before the store counts as refusing it: a full disk answers
	// nothing. Default: 5 s.
	RefuseAfter time.Duration
	// Integrity is told of every append to the journal and may shut it; while it is shut,
	// no rejection is appended either. Default: none.
	Integrity Integrity
}

// Integrity keeps how far the journal is known to have come. Implementations are
// safe for concurrent use and do not block.
type Integrity interface {
	// Open returns nil while appends may be sent, else why not. The append then
	// ends in journal.ErrStoreRefuses.
	Open() error
	// Mark is the sequence that the journal is known to reach. It is asked before
	// an append's first try.
	Mark() uint64
	// Accepted: an append was accepted at a sequence, with its token. before is what
	// Mark said before its first try.
	Accepted(before, sequence uint64, token string)
	// Unreadable: a subject is taken, and the leader shows no message there.
	Unreadable(subject string)
}

// noIntegrity is the default: appends are always sent.
type noIntegrity struct{}

func (noIntegrity) Open() error                     { return nil }
func (noIntegrity) Mark() uint64                    { return 0 }
func (noIntegrity) Accepted(uint64, uint64, string) {}
func (noIntegrity) Unreadable(string)               {}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Stream == "" {
		out.Stream = defaultStream
	}
	if out.Refusals == "" {
		out.Refusals = defaultRefusals
	}
	if out.TryTimeout <= 0 {
		out.TryTimeout = defaultTryTimeout
	}
	if out.Random == nil {
		out.Random = rand.Reader
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.RefuseAfter <= 0 {
		out.RefuseAfter = defaultRefuseAfter
	}
	if out.Integrity == nil {
		out.Integrity = noIntegrity{}
	}
	return out
}

// Journal is the payment journal over one stream. It is safe for concurrent
// use; appends to different payments share the connection and do not wait for
// each other.
type Journal struct {
	conn    Requester
	link    link // nil: not known
	encoder *events.Encoder
	opts    Options
	getLast string // the subject that asks the stream's leader for a message
	// refusals appends to the stream of refusals and reads it; nil: this is the one that does.
	refusals *Journal
}

var (
	_ journal.Journal = (*Journal)(nil)
	_ journal.Audit   = (*Journal)(nil)
)

// New returns a journal over a connection and an encoder. It sends nothing. A
// *nats.Conn that would buffer while disconnected is refused: it must be opened
// with nats.ReconnectBufSize(-1).
func New(conn Requester, encoder *events.Encoder, opts *Options) (*Journal, error) {
	if conn == nil || encoder == nil {
		return nil, errors.New("open journal: a connection and an encoder are needed")
	}
	if c, ok := conn.(*nats.Conn); ok && c.Opts.ReconnectBufSize >= 0 {
		return nil, errors.New("open journal: the connection buffers while disconnected; open it with nats.ReconnectBufSize(-1)")
	}
	o := opts.withDefaults()
	apart := o
	apart.Stream, apart.Integrity = o.Refusals, gateOnly{journal: o.Integrity}
	j := over(conn, encoder, o)
	j.refusals = over(conn, encoder, apart)
	return j, nil
}

// over is a journal over one stream.
func over(conn Requester, encoder *events.Encoder, o Options) *Journal {
	j := &Journal{conn: conn, encoder: encoder, opts: o, getLast: "$JS.API.STREAM.MSG.GET." + o.Stream}
	j.link, _ = conn.(link)
	return j
}

// Last implements journal.Journal. It asks the stream's leader, again until ctx
// ends if nobody answers; the error then wraps ctx's. A closed connection ends it at once.
func (j *Journal) Last(ctx context.Context, id payment.ID) (journal.Record, error) {
	filter, err := events.Filter(id)
	if err != nil {
		return journal.Record{}, fmt.Errorf("name payment: %w", err)
	}
	stored, err := j.read(ctx, filter)
	if err != nil {
		return journal.Record{}, err
	}
	return stored.record()
}

// Append implements journal.Journal. A closed connection ends it in ErrUnknown
// at once, since no further try could be sent. An ErrStoreRefuses that wraps ErrUnknown as
// well may have been preceded by a try that is still on its way.
func (j *Journal) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	filter, err := events.Filter(e.ID)
	if err != nil {
		return 0, fmt.Errorf("name payment: %w", err)
	}
	m, err := j.encoder.EncodeEvent(e)
	if err != nil {
		return 0, fmt.Errorf("encode event: %w", err)
	}
	// The server accepts any filter; one that does not cover the event's own
	// subject guards nothing, so it is never sent.
	if !covers(filter, m.Subject) {
		return 0, fmt.Errorf("append %s: filter %s does not cover it", m.Subject, filter)
	}
	a, err := j.newAppend(m, expected)
	if err != nil {
		return 0, err
	}
	a.guard = filter
	a.msg.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{filter}
	return j.commit(ctx, a)
}

// pending is one append on its way: the bytes that every try sends alike.
type pending struct {
	msg      *nats.Msg
	token    string
	expected uint64
	// guard is what the sequence is expected of: the payment's filter, or a
	// rejection's own subject.
	guard     string
	rejection bool
	// next: it is expected to be the next one of a filter. What lies on its own subject
	// is its own earlier try.
	next bool
	// mark is how far the journal was known to reach before the first try.
	mark uint64
}

func (j *Journal) newAppend(m events.Message, expected uint64) (*pending, error) {
	var raw [16]byte
	if _, err := io.ReadFull(j.opts.Random, raw[:]); err != nil {
		return nil, fmt.Errorf("append %s: draw token: %w", m.Subject, err)
	}
	return withToken(m, expected, hex.EncodeToString(raw[:])), nil
}

// withToken is an append whose token is known.
func withToken(m events.Message, expected uint64, token string) *pending {
	a := &pending{token: token, expected: expected}
	header := nats.Header(m.Header)
	if header == nil {
		header = make(nats.Header, 3)
	}
	header[TokenHeader] = []string{a.token}
	header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expected, 10)}
	a.msg = &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}
	return a
}
