package desk

import (
	"context"
	"errors"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// ActionLook is the audit of a look that an operator asks for.
const ActionLook = "look"

// Look names one operation to be asked about again.
type Look struct {
	Provider  string      `json:"provider"`
	Payment   string      `json:"payment"`
	Operation payment.Op  `json:"operation"`
	Key       payment.Key `json:"idempotencyKey"`
	// Reason is required: one line, at most 200 characters, no personal data.
	Reason string `json:"reason"`
}

// Looked is what came of it.
type Looked struct {
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

// Look has the provider asked once more about an operation, whether it has
// ended or not, and what that changes is appended: a refund that came back is
// told as returned, one called failed that went through as executed_late. It
// is audited first. Errors are *Error.
func (d *Desk) Look(ctx context.Context, who Operator, l Look) (*Looked, error) {
	r := Ruling{Provider: l.Provider, Payment: l.Payment, Operation: l.Operation, Key: l.Key, Reason: l.Reason}
	if err := who.check(); err != nil {
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
	a := r.audit(ActionLook, who, d.o.IDs(), d.o.Now())
	if err := d.audit(ctx, a); err != nil {
		return nil, err
	}
	out, err := d.o.Service.Look(ctx, r.ID(), r.Operation, r.Key)
	switch {
	case errors.Is(err, handlers.ErrNoHistory), errors.Is(err, payment.ErrDamaged):
		return nil, &Error{Fault: FaultRefused, Message: "the payment's events do not tell how to ask about it", err: err}
	case err != nil:
		return nil, unavailable("look at the operation", err)
	}
	looked := &Looked{Audit: a.ULID, Asked: out.Asked, Event: out.Event, Later: out.Later}
	if out.Asked {
		looked.Answer = out.Answer.String()
	}
	return looked, nil
}
