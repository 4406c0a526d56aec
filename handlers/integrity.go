package handlers

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Integrity knows whether the journal has lost something. Implementations are
// safe for concurrent use.
type Integrity interface {
	// Open returns nil while anything that may move money may be sent, else why
	// not. It does not block.
	Open() error
	// Sure waits until the append at a sequence is remembered outside of the
	// journal, and the journal has been found whole after it. It returns ctx's error
	// if that ends first.
	Sure(ctx context.Context, sequence uint64) error
}

// unsent is why a call is not sent after all; ok is true if it may be. It is
// asked last thing before the provider is called, so that certainly nothing has
// left. sequence is the journal's position of the attempt's started event.
func (w *work) unsent(ctx context.Context, sequence uint64, started *payment.Event, r providers.Request) (out payment.Outcome, ok bool) {
	if err := w.sure(ctx, sequence, started, r); err != nil {
		return incomplete(err), false
	}
	if !w.h.now().Before(started.CallUntil) {
		return payment.Outcome{
			Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable,
			Message: "the time for this call had passed before it was sent",
		}, false
	}
	if w.access.paused() {
		return payment.Outcome{
			Result: payment.NotExecuted, Code: payment.CodePaused, Message: "the provider was paused before the call was sent",
		}, false
	}
	if w.h.integrity != nil {
		if err := w.h.integrity.Open(); err != nil {
			return incomplete(err), false
		}
	}
	return payment.Outcome{}, true
}

// sure waits before a call whose repeat nothing at the provider stops: if the
// journal lost its started event, this operation would be called again. The call
// still has its whole timeout before callUntil.
func (w *work) sure(ctx context.Context, sequence uint64, started *payment.Event, r providers.Request) error {
	if w.h.integrity == nil || w.base.Traits.For(r.Op, r.Full).Repeat != payment.RepeatUnsafe {
		return nil
	}
	left := started.CallUntil.Sub(w.h.now()) - w.instance.Policy.CallTimeout
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return w.h.integrity.Sure(ctx, sequence)
}

// sureOfRefusal waits before the end of an operation in which no money moved is
// told. Where the journal has lost the operation's success, its repeat is refused
// by a guard or by the provider, and the loss may not have been noticed yet.
func (w *work) sureOfRefusal(ctx context.Context, e payment.Event) error {
	if w.h.integrity == nil || e.Type != payment.EventRejected && e.Type != payment.EventFailed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, appendFor)
	defer cancel()
	if err := w.h.integrity.Sure(ctx, 0); err != nil {
		return fmt.Errorf("tell that no money moved: %w: %w", journal.ErrStoreRefuses, err)
	}
	return nil
}

// incomplete is the outcome of a call that was not sent because the journal is
// not known to be whole.
func incomplete(why error) payment.Outcome {
	return payment.Outcome{
		Result: payment.NotExecuted, Code: payment.CodeJournalIncomplete, Message: "nothing was sent: " + why.Error(),
	}
}
