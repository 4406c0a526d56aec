package status

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Journal is what is read. Implementations are safe for concurrent use.
type Journal interface {
	// Last returns a payment's newest record as its leader knows it.
	Last(ctx context.Context, id payment.ID) (journal.Record, error)
	// EventAt returns the event of a payment that has a version, the zero Entry if
	// there is none.
	EventAt(ctx context.Context, id payment.ID, version uint64) (events.Entry, error)
}

const (
	// readsEach and readsAtOnce bound the reads beyond each request's first, per
	// second and in a burst: asking must not take the journal from those who work.
	readsEach   = 2000
	readsAtOnce = 20_000
)

// Options are the optional parts of a Reader; nil and zero values mean the defaults.
type Options struct {
	// Recent bounds the operations that are remembered by the ids of their
	// commands; 0: a command's id alone finds nothing.
	Recent int
}

// Reader answers. It is safe for concurrent use.
type Reader struct {
	journal Journal
	pace    *rate.Limiter
	recent  *recent
}

// NewReader returns a reader; no I/O.
func NewReader(j Journal, l Log, o *Options) (*Reader, error) {
	if o == nil {
		o = &Options{}
	}
	if j == nil || l == nil || o.Recent < 0 {
		return nil, errors.New("open status: journal, log and a number of recent operations are needed")
	}
	pace := rate.NewLimiter(readsEach, readsAtOnce)
	return &Reader{journal: j, pace: pace, recent: newRecent(l, o.Recent, pace)}, nil
}

// Ask answers a query that DecodeQuery found no fault in. Every error is an *Error.
func (r *Reader) Ask(ctx context.Context, q Query) (Answer, error) {
	if q.Payment == "" {
		return r.byCommand(ctx, q)
	}
	record, err := r.last(ctx, q.ID())
	if err != nil {
		return Answer{}, err
	}
	switch {
	case q.CommandID != "":
		return r.within(ctx, q, record.State)
	case q.Key == "":
		return answer(q.ID(), record.State, -1), nil
	}
	i := record.State.Find(q.Operation, q.Key)
	if i < 0 {
		return Answer{}, noOperation()
	}
	a := answer(q.ID(), record.State, i)
	a.Operations[0].Key = q.Key
	return a, nil
}

// last reads a payment that has events.
func (r *Reader) last(ctx context.Context, id payment.ID) (journal.Record, error) {
	record, err := r.journal.Last(ctx, id)
	if err != nil {
		return journal.Record{}, unavailable(err)
	}
	if record.Sequence == 0 {
		return journal.Record{}, &Error{Code: CodeNotFound, Message: "the payment has no event, yet"}
	}
	return record, nil
}

// within finds the operation of a payment that a command began: open ones keep
// its id, and of ended ones the first event has it. The newest come first.
func (r *Reader) within(ctx context.Context, q Query, s payment.State) (Answer, error) {
	for i := len(s.Operations) - 1; i >= 0; i-- {
		var key payment.Key
		var origin payment.Origin
		if open := s.Operations[i].Open; open != nil {
			key, origin = open.Key, open.Origin
		} else {
			e, err := r.first(ctx, q.ID(), s.Operations[i])
			if err != nil {
				return Answer{}, err
			}
			key, origin = e.Data.IdempotencyKey, e.Data.Origin
		}
		if origin == q.origin() {
			return one(q.ID(), s, i, key, origin), nil
		}
	}
	return Answer{}, noOperation()
}

// first reads an operation's first event.
func (r *Reader) first(ctx context.Context, id payment.ID, o payment.Operation) (events.Entry, error) {
	if err := r.pace.Wait(ctx); err != nil {
		return events.Entry{}, tooMany()
	}
	e, err := r.journal.EventAt(ctx, id, o.First)
	if err != nil {
		return events.Entry{}, unavailable(err)
	}
	return e, nil
}

// byCommand finds an operation by its command alone, among the newest events.
// What it finds there is only a name: the payment itself is read like any other.
func (r *Reader) byCommand(ctx context.Context, q Query) (Answer, error) {
	found, searched, err := r.recent.find(ctx, q.origin())
	if err != nil {
		return Answer{}, err
	}
	if found.key == "" || q.Provider != "" && found.id.Provider != q.Provider {
		return Answer{}, &Error{
			Code: CodeNotFound, Searched: &searched,
			Message: "no operation of this command began in what was searched: ask by provider and payment, which is exact",
		}
	}
	record, err := r.last(ctx, found.id)
	if err != nil {
		return Answer{}, err
	}
	i := record.State.Find(found.op, found.key)
	if i < 0 {
		return Answer{}, unavailable(errors.New("the payment's newest event does not hold an older one's operation"))
	}
	return one(found.id, record.State, i, found.key, q.origin()), nil
}

func (q Query) origin() payment.Origin {
	return payment.Origin{CommandID: q.CommandID, CommandSource: q.CommandSource}
}

// one is the answer of one operation whose key and command are known.
func one(id payment.ID, s payment.State, i int, key payment.Key, o payment.Origin) Answer {
	a := answer(id, s, i)
	a.Operations[0].Key, a.Operations[0].CommandID, a.Operations[0].CommandSource = key, o.CommandID, o.CommandSource
	return a
}

func noOperation() *Error {
	return &Error{Code: CodeNotFound, Message: "the payment has no such operation, yet"}
}

func tooMany() *Error {
	return &Error{Code: CodeTooMany, Message: "too many requests: ask again, more slowly"}
}

// unavailable keeps the cause for the log; who asks learns what to do.
func unavailable(err error) *Error {
	message := "the journal could not be read: ask again"
	if errors.Is(err, journal.ErrNewerFormat) {
		message = "the payment was written by a newer version of this service: ask again"
	}
	return &Error{Code: CodeUnavailable, Message: message, err: fmt.Errorf("read journal: %w", err)}
}
