package recovery

import (
	"context"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// bounded is a journal each of whose questions and appends ends in time. The service
// asks until it is answered. A person at a terminal wants to know that nobody answers,
// and can run the command again: what was appended is there.
type bounded struct {
	Journal

	patience time.Duration
}

// On implements Journal.
func (b bounded) On(ctx context.Context, subject string) (stream.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	return b.Journal.On(ctx, subject)
}

// At implements Journal. The journal asks once; this asks again while nobody answers.
func (b bounded) At(ctx context.Context, sequence uint64) (stream.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	for {
		stored, err := b.Journal.At(ctx, sequence)
		if err == nil || !sleep.For(ctx, askAgain) {
			return stored, err
		}
	}
}

// askAgain is how long after a question that was not answered the next one follows.
const askAgain = 50 * time.Millisecond

// Put implements Journal.
func (b bounded) Put(ctx context.Context, expected uint64, m events.Message) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	return b.Journal.Put(ctx, expected, m)
}

// Last implements Journal.
func (b bounded) Last(ctx context.Context, id payment.ID) (journal.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	return b.Journal.Last(ctx, id)
}
