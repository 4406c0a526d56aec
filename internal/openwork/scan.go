package openwork

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/passage"
	"github.com/countermand/countermand/payment"
)

// Index is what one pass over the journal found.
type Index struct {
	// Operations are the open ones, the longest due first.
	Operations []Operation
	// Damaged is what could not be read or rebuilt, in the order of subjects.
	Damaged []Damage
	// Events is how many events were read.
	Events uint64
}

// Damage is one thing that has to be looked at by a person.
type Damage struct {
	// Subject is the payment's newest event; empty where the journal's leader cannot
	// show what lies at the sequence.
	Subject string
	// Sequence is the journal's.
	Sequence uint64
	// Operation is the operation's name and the first digits of the key's hash;
	// empty where the whole event cannot be read.
	Operation string
	// Reason says what is wrong; without anything from the event.
	Reason string
	// Newer is true where the event was written by a newer version of the
	// program: not damaged, only not to be read by this one.
	Newer bool
}

const (
	// pull is how many messages are under way at a time, and pullBytes how much:
	// states grow with their payment's operations.
	pull      = 5000
	pullBytes = 32 << 20
)

// Scan reads the journal once, from its first event to the one that is newest
// when it begins, and returns what is open by then. It keeps no more than the
// open operations: a payment whose newest state has none is forgotten.
// progress (may be nil) is told now and then how far it is, in messages.
//
// A message that the leader counts and cannot show is Damage: nobody knows whose
// event it was. What the server lists as deleted is none: the marks judge that.
//
// While it reads, payments move on: an operation it returns may have ended.
func Scan(ctx context.Context, js jetstream.JetStream, stream string, progress func(done, total uint64)) (*Index, error) {
	journal, err := open(ctx, js, stream)
	if err != nil {
		return nil, fmt.Errorf("scan journal: %w", err)
	}
	state := journal.CachedInfo().State
	s := &scan{newest: map[payment.ID]found{}, journal: journal, last: max(state.FirstSeq, 1) - 1, end: state.LastSeq}
	// Without a filter: what does not come is then what cannot be shown.
	_, err = passage.Passage{
		Stream: stream, Pull: pull, PullBytes: pullBytes, Progress: progress,
	}.Read(ctx, js, func(m jetstream.Msg, sequence uint64) error {
		if err := s.passedOver(ctx, sequence); err != nil {
			return err
		}
		s.take(events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, sequence)
		return nil
	})
	if _, some := errors.AsType[*passage.UnreadableError](err); err == nil || some {
		err = s.passedOver(ctx, s.end+1)
	}
	if err != nil {
		return nil, fmt.Errorf("scan journal: %w", err)
	}
	return s.index(), nil
}

// scan is a pass under way.
type scan struct {
	// newest holds, by payment, what is open or wrong in its newest event.
	newest map[payment.ID]found
	// events counts the events of payments.
	events uint64

	journal jetstream.Stream
	// last is the sequence that was taken last, end the journal's when it began.
	last, end uint64
	// deleted are the sequences that the server lists as deleted; nil: not asked for yet.
	deleted map[uint64]bool
	// hidden is what the journal's leader cannot show.
	hidden []Damage
	// unnamed are the events whose subject names no payment. We write none.
	unnamed []Damage
}

// found is what is known of one payment.
type found struct {
	operations []Operation
	damage     []Damage
}

// take notes what one event says. It is its payment's newest so far, so it
// takes the place of everything known of the payment.
func (s *scan) take(m events.Message, sequence uint64) {
	s.last = sequence
	if _, rejection := events.RejectedToken(m.Subject); rejection || events.IsAudit(m.Subject) {
		return
	}
	s.events++
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		s.unnamed = append(s.unnamed, Damage{Subject: m.Subject, Sequence: sequence, Reason: err.Error()})
		return
	}
	entry, err := events.DecodeEvent(m)
	if err != nil {
		s.newest[id] = found{damage: []Damage{unreadable(m.Subject, sequence, err)}}
		return
	}
	var f found
	for _, op := range entry.State.Operations {
		if op.Status.Terminal() {
			continue
		}
		o, err := rebuild(id, op, sequence, entry.State.Version)
		if err != nil {
			f.damage = append(f.damage, Damage{
				Subject: m.Subject, Sequence: sequence, Reason: err.Error(),
				Operation: string(op.Op) + " " + op.KeyHash[:min(8, len(op.KeyHash))],
			})
			continue
		}
		f.operations = append(f.operations, o)
	}
	if len(f.operations) == 0 && len(f.damage) == 0 {
		delete(s.newest, id)
		return
	}
	s.newest[id] = f
}

// unreadable says that an event cannot be read, without quoting any of it.
func unreadable(subject string, sequence uint64, err error) Damage {
	d := Damage{Subject: subject, Sequence: sequence, Reason: "the event cannot be read"}
	if errors.Is(err, events.ErrNewerFormat) {
		d.Newer, d.Reason = true, events.ErrNewerFormat.Error()
	}
	return d
}

func (s *scan) index() *Index {
	x := &Index{Events: s.events, Damaged: slices.Concat(s.hidden, s.unnamed)}
	for _, f := range s.newest {
		x.Operations = append(x.Operations, f.operations...)
		x.Damaged = append(x.Damaged, f.damage...)
	}
	slices.SortFunc(x.Operations, func(a, b Operation) int {
		return cmp.Or(a.Due().Compare(b.Due()), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortFunc(x.Damaged, func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Operation, b.Operation))
	})
	return x
}
