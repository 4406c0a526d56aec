// Package memory is the payment journal in memory: the twin of package
// journal/stream for tests, simulations and the decisions above it. It keeps
// every promise of journal.Journal, proved by the same conformance suite, except
// that it forgets everything with the process.
//
// It is deterministic: no goroutines, no clock, no randomness. What can go
// wrong between a writer and a real store is put in by a hook, try by try
// (Options.Fault). Events are kept as JSON and decoded anew for each reader, so
// that a change to a shared pointer cannot pass for a change to the journal.
package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// Fault is what goes wrong with one try of one append.
type Fault int

// The faults. After those that say "repeated" the journal tries the very same
// append again, as it would over a network, until its context ends.
const (
	// None: the try is decided and its answer comes back.
	None Fault = iota
	// LoseRequest: the try never arrives; repeated.
	LoseRequest
	// LoseAnswer: the try is decided, but nobody hears of it; repeated.
	LoseAnswer
	// InFlight: the store says that an append is in flight; nothing is stored; repeated.
	InFlight
	// Refuse: the store takes nothing more: ErrStoreRefuses, of a rejection ErrRefusalNotTaken.
	Refuse
	// GiveUpAbsent: the try never arrives and the writer's time ends: ErrUnknown.
	GiveUpAbsent
	// GiveUpStored: the try is decided and the writer's time ends before it
	// hears of it: ErrUnknown, although the event may be there.
	GiveUpStored
)

// Try names one try of one append to a Fault hook.
type Try struct {
	// Number counts the tries of this writer from 1.
	Number int
	// Event is the event to be appended, nil for a rejection. It is the caller's: read only.
	Event *payment.Event
	// Rejection is set instead of Event for a rejection.
	Rejection *payment.Rejection
	// Action is set instead of both for an operator's action.
	Action *payment.OperatorAction
}

// Options are the hooks of one writer; nil means none of them.
type Options struct {
	// Fault decides what goes wrong with a try. It runs before the try, without
	// any lock held: it may append through another writer, as a rival would.
	Fault func(Try) Fault
	// ReadFault is what Last ends in instead of reading, if it is not nil.
	ReadFault func(payment.ID) error
}

// Journal is one writer and reader of a store in memory. It is safe for
// concurrent use if its hooks are.
type Journal struct {
	store *store
	opts  Options
	tries *counter
}

var (
	_ journal.Journal = (*Journal)(nil)
	_ journal.Audit   = (*Journal)(nil)
)

// New returns a journal over a new, empty store.
func New(opts *Options) *Journal { return newWriter(newStore(), opts) }

// Writer returns another journal over the same store with hooks of its own, as
// another process would have it.
func (j *Journal) Writer(opts *Options) *Journal { return newWriter(j.store, opts) }

func newWriter(s *store, opts *Options) *Journal {
	if opts == nil {
		opts = &Options{}
	}
	return &Journal{store: s, opts: *opts, tries: &counter{}}
}

// Last implements journal.Journal.
func (j *Journal) Last(ctx context.Context, id payment.ID) (journal.Record, error) {
	filter, err := events.Filter(id)
	if err != nil {
		return journal.Record{}, fmt.Errorf("name payment: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return journal.Record{}, fmt.Errorf("read %s: %w", filter, err)
	}
	if j.opts.ReadFault != nil {
		if err := j.opts.ReadFault(id); err != nil {
			return journal.Record{}, fmt.Errorf("read %s: %w", filter, err)
		}
	}
	return decodeRecord(j.store.last(filter))
}

// Append implements journal.Journal.
func (j *Journal) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	filter, err := events.Filter(e.ID)
	if err != nil {
		return 0, fmt.Errorf("name payment: %w", err)
	}
	subject, err := events.EventSubject(e.Op, e.Type, e.ID, e.Version())
	if err != nil {
		return 0, fmt.Errorf("name event: %w", err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("encode event %s: %w", subject, err)
	}
	return j.commit(ctx, Try{Event: &e}, entry{
		token: j.store.nextToken(), filter: filter, subject: subject, data: data,
	}, expected)
}

// AppendRejection implements journal.Journal.
func (j *Journal) AppendRejection(ctx context.Context, r payment.Rejection) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode rejection %s: %w", r.Token, err)
	}
	subject := events.RejectedSubject(r.Token)
	_, err = j.commit(ctx, Try{Rejection: &r}, entry{
		token: j.store.nextToken(), filter: subject, subject: subject, rejection: true, data: data,
	}, 0)
	if errors.Is(err, errTaken) {
		return nil // already said
	}
	return err
}

// errTaken is a rejection's conflict: its subject holds one already.
var errTaken = errors.New("rejection is already there")

// commit tries until the append's fate is known or ctx has ended.
func (j *Journal) commit(ctx context.Context, try Try, e entry, expected uint64) (uint64, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, unknown(e.subject, err)
		}
		switch fault := j.fault(try); fault {
		case None:
			return j.decide(e, expected)
		case Refuse:
			return j.refuse(e)
		case GiveUpStored, GiveUpAbsent:
			if fault == GiveUpStored {
				j.store.append(e, expected)
			}
			return 0, unknown(e.subject, context.DeadlineExceeded)
		case LoseAnswer:
			j.store.append(e, expected)
		case LoseRequest, InFlight:
		}
	}
}

func (j *Journal) fault(try Try) Fault {
	if j.opts.Fault == nil {
		return None
	}
	try.Number = j.tries.next()
	return j.opts.Fault(try)
}

// decide appends, or says whose event is in the way: an earlier try's of this
// very append, known by its token, is success.
func (j *Journal) decide(e entry, expected uint64) (uint64, error) {
	stored, accepted := j.store.append(e, expected)
	switch {
	case accepted || stored.token == e.token:
		return stored.sequence, nil
	case e.rejection:
		return 0, errTaken
	}
	record, err := decodeRecord(stored)
	if err != nil {
		return 0, err
	}
	return 0, &journal.ConflictError{Last: record}
}

// refuse is what a full store answers, unless an earlier try is in it.
func (j *Journal) refuse(e entry) (uint64, error) {
	if stored := j.store.last(e.filter); stored.token == e.token {
		return stored.sequence, nil
	}
	if e.rejection && !e.action {
		return 0, fmt.Errorf("append %s: %w", e.subject, journal.ErrRefusalNotTaken)
	}
	return 0, fmt.Errorf("append %s: %w", e.subject, journal.ErrStoreRefuses)
}

func unknown(subject string, cause error) error {
	return fmt.Errorf("append %s: %w: %w", subject, journal.ErrUnknown, cause)
}
