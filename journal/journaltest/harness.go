package journaltest

import (
	"context"
	"testing"
	"time"

	"github.com/countermand/countermand/journal"
)

// Fault is what goes wrong with one try of one append, between the writer and
// its store.
type Fault int

// The faults.
const (
	// None: the try arrives and its answer comes back.
	None Fault = iota
	// LoseRequest: the try never arrives, and the writer is not told.
	LoseRequest
	// LoseAnswer: the try arrives and is decided, but the answer is lost.
	LoseAnswer
	// InFlight: the store answers that an append to the payment is in flight,
	// although there is none. Nothing is stored.
	InFlight
	// NoResponders: the writer is told that nobody answers for the store just now.
	NoResponders
	// Disconnected: the writer has no connection, so that nothing leaves it.
	Disconnected
	// StoreFull: the store answers that it takes nothing more.
	StoreFull
)

// Plan decides the fault of each try of each append of one writer. Tries count
// from 1 over the writer's life. It runs before the try leaves, on the
// appending goroutine, and may itself use another writer: that is how a rival
// comes in between. Reads have no faults.
type Plan func(try int) Fault

// Store is one store that nothing has been appended to, open to many writers.
type Store interface {
	// Writer opens one more writer, as another process would; a nil plan means
	// that nothing goes wrong.
	Writer(t *testing.T, plan Plan) journal.Journal
	// Len counts all that is stored: events, rejections and operators' actions.
	Len(t *testing.T) int
}

// faults returns a plan of the given faults in turn, and None from then on.
func faults(list ...Fault) Plan {
	return func(try int) Fault {
		if try <= len(list) {
			return list[try-1]
		}
		return None
	}
}

// bounded returns a context that ends a call a broken journal would never
// return from; a sound one never comes near it.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until returns a context and a plan under which every try has the fault, and
// the context ends at the given try: the writer gives up without a clock.
func until(t *testing.T, end int, fault Fault) (context.Context, Plan) {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	t.Cleanup(cancel)
	return ctx, func(try int) Fault {
		if try >= end {
			cancel()
		}
		return fault
	}
}
