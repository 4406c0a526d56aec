// Package journal is the payment journal: one append-only list of events for
// each payment, in which the result event is the commit. An append is accepted
// only if the payment has not moved since it was looked at, so that state and
// event exist together or not at all.
//
// There are two implementations, one over JetStream (package journal/stream) and
// one in memory (package journal/memory), and one conformance suite for both (package
// journal/journaltest). Deciding is left to package payment, calling to handlers.
package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Journal keeps the events of payments. Implementations are safe for
// concurrent use by many goroutines and many processes.
type Journal interface {
	// Last returns the payment's newest record as its leader knows it (never a
	// stale replica's), or the zero Record if the payment has no events.
	Last(ctx context.Context, id payment.ID) (Record, error)

	// Append adds one event if the payment's newest record still has the
	// sequence expected (0: no event yet), and returns the new record's sequence.
	// It repeats the very same append while the answer is unknown (timeout, no
	// responders, disconnected, a spurious "in flight") until ctx ends. Errors:
	// *ConflictError if a rival moved the payment (its Last is what is there now);
	// ErrStoreRefuses if the store takes nothing more; ErrUnknown (wrapped, with
	// ctx's error) if ctx ended before the fate of the append was known — it may
	// then be there or not, and a caller must not act as if either were so.
	Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error)

	// AppendRejection adds payment.command.rejected for a message that is no
	// command of any payment, beside the journal. A rejection already there is success:
	// it has been said. ErrRefusalNotTaken, never ErrStoreRefuses, if it cannot be
	// stored; otherwise the errors of Append.
	AppendRejection(ctx context.Context, r payment.Rejection) error
}

// Audit keeps what operators do, beside the payments' events. Implementations are
// safe for concurrent use by many goroutines and many processes.
type Audit interface {
	// AppendOperator adds an operator's action under its ULID, once. One already
	// there is success: it is this one, repeated. It repeats the very same append
	// while the answer is unknown, as Journal.Append does, with its errors.
	AppendOperator(ctx context.Context, a payment.OperatorAction) error
}

// Record is a payment's newest event as it lies in the journal.
type Record struct {
	// Sequence is the journal's position of the event; 0 means there is none.
	Sequence uint64
	// Type and Op name the event.
	Type payment.EventType
	Op   payment.Op
	// State is the payment's whole state after the event.
	State payment.State
}

// ConflictError says that the payment has moved since it was looked at.
type ConflictError struct {
	// Last is the payment's newest record, read from the leader.
	Last Record
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("append: the payment has moved to version %d (sequence %d)", e.Last.State.Version, e.Last.Sequence)
}

var (
	// ErrStoreRefuses: the store takes nothing more (full?). Stop pulling, alert,
	// keep known outcomes in hand.
	ErrStoreRefuses = errors.New("journal store refuses appends")
	// ErrRefusalNotTaken: the store of rejections does not take this one. The journal
	// goes on; the message comes back.
	ErrRefusalNotTaken = errors.New("the store of rejections does not take it")
	// ErrUnknown: whether the append is there is not known.
	ErrUnknown = errors.New("append of unknown fate")
	// ErrNewerFormat: the newest state was written by a newer version; it is
	// never guessed at and never rejected, but comes back later with an alert.
	ErrNewerFormat = events.ErrNewerFormat
)
