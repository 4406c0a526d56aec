// Package providers is the contract between Countermand and a payment
// provider: what an adapter is asked, what it must answer, and what it must
// never do. One folder per kind holds the adapter with its simulator beside
// it; package providertest is the suite every adapter passes.
//
// The package guarantees: one HTTP client that follows no redirect, retries
// nothing, limits bodies and never prints a secret. It leaves the decision
// when to call, and what an outcome means for a payment, to package payment.
package providers

import (
	"context"
	"time"

	"github.com/countermand/countermand/payment"
)

// Provider is one configured instance of a provider kind. Implementations are
// safe for concurrent use. They never retry a call that can move money, never
// return an error for a business answer, and classify what they cannot read as
// payment.Indeterminate. A cancelled context or a passed deadline after the
// request may have left is Indeterminate too. What must never happen twice:
// one Call sends at most one request that can move money.
type Provider interface {
	// Traits says what the kind promises; constant for an instance.
	Traits() payment.Traits
	// Call carries the operation out, by the request's Op. One that the kind does
	// not have ends as Unsupported, before anything is sent.
	Call(ctx context.Context, r Request) payment.Outcome
	// QueryStatus asks what became of this operation; it moves no money. Of one
	// that the kind does not have it says Unanswerable.
	QueryStatus(ctx context.Context, r Request) payment.Outcome
	// Read asks what the payment is in, before a first call; it moves no money.
	Read(ctx context.Context, r Request) payment.Reading
}

// Request is one operation as an adapter sees it. Identifiers are printable
// ASCII without space; country and currency are resolved.
type Request struct {
	Op      payment.Op
	Payment payment.Details
	// Amount in minor units: what is refunded. For a full refund it is set only
	// where the kind needs an amount; Full stays true.
	Amount *payment.Money
	Full   bool
	// Reference is the provider-facing reference of the operation, the same on
	// every attempt.
	Reference string
	// Key is the order service's idempotency key, for kinds with a free-text field.
	Key    payment.Key
	Reason string
	// Attempt counts calls from 1; it is the last attempt on a query.
	Attempt int
	// InDoubt is true when an earlier attempt of this operation may have left.
	InDoubt bool
	// Snapshot is the frozen reading from before the first attempt, or nil.
	Snapshot *payment.Reading
	// SendBefore is the attempt's callUntil: the last byte of a request that can
	// move money must not start to leave at or after it. Zero: no limit (reads).
	SendBefore time.Time
}

// Partial reports whether the operation is about a part of the payment alone,
// which Amount names.
func (r Request) Partial() bool { return r.Op.TakesAmount() && !r.Full }

// Unsupported is the outcome of a call of an operation that a kind does not
// have: nothing was sent.
func Unsupported(kind string, op payment.Op) payment.Outcome {
	return payment.Outcome{
		Result: payment.Failed, Code: payment.CodeUnsupportedOperation, Message: "not sent: " + kind + " has no " + string(op),
	}
}

// Unanswerable is the outcome of a status query for an operation that a kind
// does not have: nothing was asked, and nothing is known.
func Unanswerable(kind string, op payment.Op) payment.Outcome {
	return payment.Outcome{Code: payment.CodeUnsupportedOperation, Message: "not asked: " + kind + " has no " + string(op)}
}
