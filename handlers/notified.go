package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// maxNotified bounds how many operations one notification is about.
const maxNotified = 10

// Notified asks the provider about the operations that its notification may be
// about. Those are the ones that were called under our reference. If the
// reference is empty, or names the payment, they are the open operations and
// then the newest ended ones. found reports whether there was any. What the
// notification says is not believed.
func (h *Handler) Notified(ctx context.Context, id payment.ID, reference string, timers Scheduler) (found bool, err error) {
	last, err := h.journal.Last(ctx, id)
	if err != nil {
		return false, fmt.Errorf("read payment: %w", err)
	}
	if last.Sequence == 0 {
		return false, nil
	}
	names, err := h.meant(ctx, id, last, reference)
	if err != nil {
		return false, err
	}
	var all error
	for _, n := range names {
		_, err := h.Requery(ctx, id, n.op, n.key, timers)
		all = errors.Join(all, err)
	}
	return len(names) > 0, all
}

// meant lists the operations that a reference may mean, the open ones first.
func (h *Handler) meant(ctx context.Context, id payment.ID, last journal.Record, reference string) ([]operationName, error) {
	whole := reference == "" || reference == id.Native
	var open, ended []operationName
	for _, op := range last.State.Operations {
		if op.Open != nil && (whole || op.Open.Reference == reference) {
			open = append(open, operationName{op.Op, op.Open.Key})
		}
	}
	if h.history != nil && (whole || len(open) == 0) {
		history, _, err := h.history.History(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read payment's events: %w", err)
		}
		for _, e := range slices.Backward(history) {
			n := operationName{e.Op, e.Data.IdempotencyKey}
			if e.Type.Terminal() && e.Data.Attempt > 0 && (whole || e.Data.ClientReference == reference) {
				ended = append(ended, n)
			}
		}
	}
	all := slices.Concat(open, ended)
	return all[:min(len(all), maxNotified)], nil
}
