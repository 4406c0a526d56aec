package desk

import (
	"context"
	"errors"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// ActionRequery is the audit of a requery that an operator asks for.
const ActionRequery = "look"

// Requery names one operation to be asked about again.
type Requery struct {
	Provider  string      `json:"provider"`
	Payment   string      `json:"payment"`
	Operation payment.Op  `json:"operation"`
	Key       payment.Key `json:"idempotencyKey"`
	// Reason is required: one line, at most 200 characters, no personal data.
	Reason string `json:"reason"`
}

// Requeried is the result of a requery.
type Requeried struct {
	Audit string `json:"audit"`
	// Asked is false where there was nothing to ask: it was never called, has been
	// told already, or its kind cannot tell of what has ended.
	Asked bool `json:"asked"`
	// Answer is the provider's, in the words of results; empty if it was not asked.
	Answer string `json:"answer,omitempty"`
	// Event is what was appended, such as returned or executed_late; empty: nothing was.
	Event payment.EventType `json:"event,omitempty"`
	// Later: it has to be tried again, since the provider could not be asked or
	// did not answer.
	Later bool `json:"later,omitempty"`
}

// Requery asks the provider again about an operation, open or ended, and appends
// what the answer changes: returned for a refund that came back, executed_late
// for a failed one that went through. It is audited first. Errors are *Error.
func (d *Desk) Requery(ctx context.Context, who Operator, q Requery) (*Requeried, error) {
	r := Ruling{Provider: q.Provider, Payment: q.Payment, Operation: q.Operation, Key: q.Key, Reason: q.Reason}
	who, err := d.Who(who)
	if err != nil {
		return nil, err
	}
	if _, err := events.Filter(r.ID()); err != nil {
		return nil, invalid("%v", err)
	}
	for _, err := range []error{r.checkName(), line("reason", r.Reason, longestText)} {
		if err != nil {
			return nil, err
		}
	}
	rec, err := d.o.Journal.Last(ctx, r.ID())
	if err != nil {
		return nil, unavailable("read the payment", err)
	}
	if rec.State.Find(r.Operation, r.Key) < 0 {
		return nil, &Error{Fault: FaultNotFound, Message: "the payment has no such operation under this key"}
	}
	r.Version = rec.State.Version
	a := r.audit(ActionRequery, who, d.o.IDs(), d.o.Now())
	if err := d.audit(ctx, a); err != nil {
		return nil, err
	}
	out, err := d.o.Service.Requery(ctx, r.ID(), r.Operation, r.Key)
	switch {
	case errors.Is(err, handlers.ErrNoHistory), errors.Is(err, payment.ErrDamaged):
		return nil, &Error{Fault: FaultRefused, Message: "the payment's events do not tell how to ask about it", err: err}
	case err != nil:
		return nil, unavailable("look at the operation", err)
	}
	requeried := &Requeried{Audit: a.ULID, Asked: out.Asked, Event: out.Event, Later: out.Later}
	if out.Asked {
		requeried.Answer = out.Answer.String()
	}
	return requeried, nil
}
