package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// Put appends a message that is encoded already: one that an archive brings back,
// or an operator's action. It is guarded as Append guards an event, and its errors
// are Append's. The message keeps its token where it has one, so that the same
// message, put again, is found to be there. A message of no payment expects that
// its subject was never written, and whatever lies there is taken for it. A rejection goes
// to the stream of refusals.
func (j *Journal) Put(ctx context.Context, expected uint64, m events.Message) (uint64, error) {
	m.Header = maps.Clone(m.Header)
	a := withToken(m, expected, nats.Header(m.Header).Get(TokenHeader))
	if a.token == "" {
		var err error
		if a, err = j.newAppend(m, expected); err != nil {
			return 0, err
		}
	}
	if _, rejection := events.RejectedToken(m.Subject); rejection {
		return j.refuse(ctx, a)
	}
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		a.guard, a.rejection = m.Subject, true
		return j.commit(ctx, a)
	}
	filter, err := events.Filter(id)
	if err != nil {
		return 0, fmt.Errorf("name payment: %w", err)
	}
	if !covers(filter, m.Subject) {
		return 0, fmt.Errorf("append %s: filter %s does not cover it", m.Subject, filter)
	}
	a.guard = filter
	a.msg.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{filter}
	return j.commit(ctx, a)
}

// ErrOvertaken: something else was appended since the sequence that a message was to
// follow. The message is not there.
var ErrOvertaken = errors.New("something else was appended meanwhile")

// PutNext is Put for a message of no payment that rests on what a filter showed: its
// newest message lay at a sequence (0: it had none). The error is ErrOvertaken if
// another one lies behind that by now. The filter has to cover the message's subject.
func (j *Journal) PutNext(ctx context.Context, filter string, newest uint64, m events.Message) (uint64, error) {
	if !covers(filter, m.Subject) {
		return 0, fmt.Errorf("append %s: filter %s does not cover it", m.Subject, filter)
	}
	m.Header = maps.Clone(m.Header)
	a, err := j.newAppend(m, newest)
	if err != nil {
		return 0, err
	}
	a.guard, a.next = m.Subject, true
	a.msg.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{filter}
	return j.commit(ctx, a)
}

// On returns the message that lies on a literal subject or is the newest under a
// filter, read from the stream's leader; the zero Stored if there is none. A rejection
// is looked for in both places. It asks until somebody answers or ctx ends.
func (j *Journal) On(ctx context.Context, subject string) (Stored, error) {
	if token, rejection := events.RejectedToken(subject); rejection {
		return j.StoredRejection(ctx, token)
	}
	return j.read(ctx, subject)
}

// Next returns the first message of a filter from a sequence on, read from the
// stream's leader; the zero Stored if there is none.
func (j *Journal) Next(ctx context.Context, sequence uint64, filter string) (Stored, error) {
	return j.next(ctx, sequence, filter)
}
