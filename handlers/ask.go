package handlers

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/payment"
)

// Answer is what a provider says now, asked for an operator. It decides
// nothing and is appended nowhere.
type Answer struct {
	// Outcome is the provider's word about the operation.
	Outcome payment.Outcome
	// Reading is what it says of the payment; nil where the outcome says it all.
	Reading *payment.Reading
}

// Ask asks the provider about one open operation, within the instance's
// limits, and moves no money. It refuses (*RefusedError) what has ended, what
// was called at another account than the instance has now, and what the
// instance's limits or breaker do not let pass.
func (h *Handler) Ask(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (Answer, error) {
	rec, err := h.journal.Last(ctx, id)
	if err != nil {
		return Answer{}, fmt.Errorf("read payment: %w", err)
	}
	w, err := h.ruled(Ruling{ID: id, Op: op, Key: key, Version: rec.State.Version}, rec)
	if err != nil {
		return Answer{}, err
	}
	w.input.Resolution = nil
	open := rec.State.Operations[rec.State.Find(op, key)].Open
	if open.Account != "" && open.Account != w.instance.Account {
		return Answer{}, &RefusedError{Code: payment.CodeWaitingForReview, Last: rec}
	}
	defer w.leave()
	if w.permit(ctx) != Granted {
		return Answer{}, &RefusedError{Code: payment.CodeProviderUnavailable, Last: rec}
	}
	a := Answer{Outcome: w.query(ctx)}
	if r := a.Outcome.Result; r == payment.Succeeded || r == payment.Failed {
		return a, nil
	}
	if w.permit(ctx) == Granted {
		reading := w.readPayment(ctx)
		a.Reading = &reading
	}
	return a, nil
}
