package status

import (
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Answer is where a payment's operations stand, by its newest event.
type Answer struct {
	Provider string `json:"provider"`
	// Payment is the identifier that names it there.
	Payment string `json:"payment"`
	// Version counts the payment's events.
	Version uint64 `json:"version"`
	// Captured is the newest word on what was captured, and Refundable what a further
	// refund could give back beside all others, open ones included. Nil: not known.
	Captured   *payment.Money `json:"captured,omitzero"`
	Refundable *payment.Money `json:"refundable,omitzero"`
	// Operations are all of the payment, in the order they began, or the one that
	// was asked for.
	Operations []Operation `json:"operations"`
}

// Operation is one operation, with the fields its newest event has and the state
// keeps. What an ended one no longer keeps is in its event, which Version names.
type Operation struct {
	Operation payment.Op `json:"operation"`
	// Key and the command are known of open operations, and as they were asked for.
	Key           payment.Key `json:"idempotencyKey,omitzero"`
	CommandID     string      `json:"commandId,omitzero"`
	CommandSource string      `json:"commandSource,omitzero"`
	// Status is events.Result's: the last word of the event's type, or reviewRequired.
	Status string `json:"status"`
	// Version is that of the operation's newest event.
	Version           uint64         `json:"version"`
	Amount            *payment.Money `json:"amount,omitzero"`
	Full              bool           `json:"full,omitzero"`
	Moved             *payment.Money `json:"moved,omitzero"`
	Effect            payment.Effect `json:"effect,omitzero"`
	Code              payment.Code   `json:"code,omitzero"`
	Basis             payment.Basis  `json:"basis,omitzero"`
	Attempt           int            `json:"attempt,omitzero"`
	ProviderReference string         `json:"providerReference,omitzero"`
	// Contradicted: a fact (returned, executed_late) followed the end; Version is its.
	Contradicted  bool         `json:"contradicted,omitzero"`
	RequestedAt   events.Stamp `json:"requestedAt,omitzero"`
	CallUntil     events.Stamp `json:"callUntil,omitzero"`
	NextAttemptAt events.Stamp `json:"nextAttemptAt,omitzero"`
	Review        *Review      `json:"review,omitzero"`
}

// Review is why a person is asked, and since when.
type Review struct {
	Reason string       `json:"reason"`
	Since  events.Stamp `json:"since"`
}

// answer lays out a payment's state; only, if it is not negative, is the index
// of the one operation that was asked for.
func answer(id payment.ID, s payment.State, only int) Answer {
	a := Answer{Provider: id.Provider, Payment: id.Native, Version: s.Version, Captured: s.Captured, Refundable: s.Left(), Operations: []Operation{}}
	for i, o := range s.Operations {
		if only < 0 || i == only {
			a.Operations = append(a.Operations, operation(o))
		}
	}
	return a
}

func operation(o payment.Operation) Operation {
	out := Operation{
		Operation: o.Op, Status: string(o.Status), Version: o.Last, Amount: o.Amount, Full: o.Full, Moved: o.Moved,
		Effect: o.Effect, Code: o.Code, Basis: o.Basis, Attempt: o.Attempt, ProviderReference: o.ProviderReference,
		Contradicted: o.Contradicted,
	}
	if o.Full {
		out.Amount = nil // what a full refund resolved to is told by moved, as in events
	}
	open := o.Open
	if open == nil {
		return out
	}
	out.Key, out.CommandID, out.CommandSource = open.Key, open.CommandID, open.CommandSource
	out.RequestedAt = events.Stamp{Time: open.RequestedAt}
	if o.Status == payment.StatusStarted {
		out.CallUntil = events.Stamp{Time: open.CallUntil}
	} else {
		out.NextAttemptAt = events.Stamp{Time: open.Due}
	}
	if r := open.Review; r != nil && (o.Status == payment.StatusPending || o.Status == payment.StatusIndeterminate) {
		out.Status = events.StatusReviewRequired
		out.Review = &Review{Reason: r.Reason, Since: events.Stamp{Time: r.Since}}
	}
	return out
}

// Code is why there is no answer.
type Code string

// The codes, and after HTTP's what a NATS service calls them.
const (
	CodeInvalid       Code = "invalid_request"   // 400: the request is wrong; Faults say where
	CodeWrongProvider Code = "wrong_provider"    // 403: another provider than the subject's
	CodeNotFound      Code = "not_found"         // 404: no event of it, yet or within what was searched
	CodeTooMany       Code = "too_many_requests" // 429: ask again, more slowly
	CodeUnavailable   Code = "unavailable"       // 503: the journal could not be read; ask again
)

// Error is a request without an answer.
type Error struct {
	Code    Code            `json:"code"`
	Message string          `json:"message"`
	Faults  []payment.Fault `json:"faults,omitzero"`
	// Searched is how far the id of a command alone was looked for.
	Searched *Searched `json:"searched,omitzero"`
	err      error
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.err }

// Searched is a part of the journal: an operation that began in it, by the time
// the stream took its first event, would have been found.
type Searched struct {
	Since events.Stamp `json:"since,omitzero"`
	Until events.Stamp `json:"until,omitzero"`
	// Whole: it is the whole journal up to Until.
	Whole bool `json:"whole,omitzero"`
}
