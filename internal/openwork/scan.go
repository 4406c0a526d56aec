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
	// Subject is the payment's newest event.
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
// progress (may be nil) is told now and then how far it is, in events.
//
// While it reads, payments move on: an operation it returns may have ended.
func Scan(ctx context.Context, js jetstream.JetStream, stream string, progress func(done, total uint64)) (*Index, error) {
	s := &scan{newest: map[payment.ID]found{}}
	read, err := passage.Passage{
		Stream: stream, Subjects: events.PaymentFilters(""),
		Pull: pull, PullBytes: pullBytes, Progress: progress,
	}.Read(ctx, js, func(m jetstream.Msg, sequence uint64) error {
		s.take(m, sequence)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("scan journal: %w", err)
	}
	return s.index(read), nil
}

// scan is a pass under way.
type scan struct {
	// newest holds, by payment, what is open or wrong in its newest event.
	newest map[payment.ID]found
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
func (s *scan) take(m jetstream.Msg, sequence uint64) {
	id, err := events.PaymentOf(m.Subject())
	if err != nil {
		s.unnamed = append(s.unnamed, Damage{Subject: m.Subject(), Sequence: sequence, Reason: err.Error()})
		return
	}
	entry, err := events.DecodeEvent(events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
	if err != nil {
		s.newest[id] = found{damage: []Damage{unreadable(m.Subject(), sequence, err)}}
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
				Subject: m.Subject(), Sequence: sequence, Reason: err.Error(),
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

func (s *scan) index(read uint64) *Index {
	x := &Index{Events: read, Damaged: s.unnamed}
	for _, f := range s.newest {
		x.Operations = append(x.Operations, f.operations...)
		x.Damaged = append(x.Damaged, f.damage...)
	}
	slices.SortFunc(x.Operations, func(a, b Operation) int {
		return cmp.Or(a.Due().Compare(b.Due()), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortFunc(x.Damaged, func(a, b Damage) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Operation, b.Operation))
	})
	return x
}
