package handlers

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/payment"
)

// Answer is what a provider says now, for an operator. It decides nothing and
// is not appended to the journal.
type Answer struct {
	// Outcome is what the provider says of the operation.
	Outcome payment.Outcome
	// Reading is what it says of the payment; nil if the outcome is final.
	Reading *payment.Reading
}

// Ask asks the provider about one open operation, within the instance's
// limits. It moves no money. It refuses (*RefusedError) in three cases: the
// operation has ended, it was called at another account than the instance has
// now, or the instance's limits or breaker let nothing pass.
func (h *Handler) Ask(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (Answer, error) {
	last, err := h.journal.Last(ctx, id)
	if err != nil {
		return Answer{}, fmt.Errorf("read payment: %w", err)
	}
	w, err := h.operatorWork(Ruling{ID: id, Op: op, Key: key, Version: last.State.Version}, last)
	if err != nil {
		return Answer{}, err
	}
	open := last.State.Operations[last.State.Find(op, key)].Open
	if open.Account != "" && open.Account != w.instance.Account {
		return Answer{}, &RefusedError{Code: payment.CodeWaitingForReview, Last: last}
	}
	defer w.access.leave()
	if w.access.permit(ctx) != Granted {
		return Answer{}, &RefusedError{Code: payment.CodeProviderUnavailable, Last: last}
	}
	s := step{journal: seenAs(last)}
	a := Answer{Outcome: w.query(ctx, s)}
	if r := a.Outcome.Result; r == payment.Succeeded || r == payment.Failed {
		return a, nil
	}
	if w.access.permit(ctx) == Granted {
		reading := w.readPayment(ctx, s)
		a.Reading = &reading
	}
	return a, nil
}
