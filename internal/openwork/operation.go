package openwork

import (
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// Operation is one open operation as the newest state of its payment has it.
type Operation struct {
	ID payment.ID
	// Operation is the state's; its Open is not nil.
	Operation payment.Operation
	// Command is the command the operation came from, rebuilt from the state. It
	// names the operation (equal key, equal fingerprint); the event's time is
	// not kept and stays zero.
	Command payment.Command
	// Subject is where the operation's timer lies (events.ScheduleSubject).
	Subject string
	// Sequence is the journal's of the payment's newest event, Version the payment's.
	Sequence, Version uint64
}

// Due is when the operation wants to be looked at: the state's own time, or the
// time of its last event where the state names none.
func (o Operation) Due() time.Time {
	if o.Operation.Open.Due.IsZero() {
		return o.Operation.Open.Changed
	}
	return o.Operation.Open.Due
}

// Overdue is for how long the operation has waited past its time; zero or less
// if it is not due yet. An overdue operation is not lost as long as it has a
// timer: while its provider is paused or another operation is in the way, it
// comes back again and again without a new event.
func (o Operation) Overdue(now time.Time) time.Duration { return now.Sub(o.Due()) }

// Settled is since when nobody can be in the middle of it: its last event, or
// the end of the call that one announced.
func (o Operation) Settled() time.Time {
	open := o.Operation.Open
	if open.CallUntil.After(open.Changed) {
		return open.CallUntil
	}
	return open.Changed
}

// Timer is the timer that brings the operation back, at its own time or now,
// whichever is later. The state does not keep where the command lay in its
// stream, and a timer must name a place: it names the journal's newest event,
// and the command's own time. Neither is used for an operation that has a state.
// It says which event it was made from. In an epoch after the first, a journal that
// has lost that event since then presumes the operation.
func (o Operation) Timer(encoder *events.Encoder, now time.Time) (handlers.Timer, error) {
	m, err := encoder.EncodeCommand(o.Command)
	if err != nil {
		return handlers.Timer{}, fmt.Errorf("encode command of %s: %w", o.Subject, err)
	}
	at := o.Due()
	if at.Before(now) {
		at = now
	}
	return handlers.Timer{
		Subject: o.Subject, Target: events.DueSubject(o.Command.Op), Message: m, At: at,
		OriginSequence: o.Sequence, OriginTime: o.Command.RequestedAt, Deliveries: 1,
		Recorded: payment.Recorded{Version: o.Version, Operation: o.Operation.Last},
	}, nil
}

// rebuild makes the operation of a state's open one. The command must name
// exactly the operation it came from, or it is not given out.
func rebuild(id payment.ID, op payment.Operation, sequence, version uint64) (Operation, error) {
	c, err := op.Command(id)
	if err != nil {
		return Operation{}, fmt.Errorf("rebuild command: %w", err)
	}
	return Operation{
		ID: id, Operation: op, Command: c, Subject: events.ScheduleSubject(c, id),
		Sequence: sequence, Version: version,
	}, nil
}
