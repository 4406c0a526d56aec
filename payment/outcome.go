package payment

import "time"

// Result is how a call to a provider, or a status query, ended. Its zero value
// is the careful one: an answer nobody classified is Indeterminate, never a no.
type Result int

// The results. Which of them may come from a call, and which from a query, is
// said behind each.
const (
	// Indeterminate: may or may not have been executed (call); the provider's
	// word could not be had or read (query).
	Indeterminate Result = iota
	// Succeeded: the provider says so about this operation, unambiguously.
	Succeeded
	// Failed: the provider says it definitively did not do it.
	Failed
	// Pending: accepted, to be decided later.
	Pending
	// NotExecuted: certainly nothing was done by this call: no connection was
	// ever had for it, rate limited, a documented "not processed",
	// authentication, merchant configuration, empty balance. Calls only.
	NotExecuted
	// Duplicate: the provider already knows our reference and did not act
	// again. It says nothing of the first attempt: ask. Calls only.
	Duplicate
	// NotFound: the provider does not know the operation (yet). Proves
	// nothing: a call may run late. Queries only.
	NotFound
	// Ambiguous: more than one candidate fits; only a person can tell. Queries only.
	Ambiguous
)

// String returns the result's name as logs and tables show it.
func (r Result) String() string {
	names := [...]string{"indeterminate", "succeeded", "failed", "pending", "not_executed", "duplicate", "not_found", "ambiguous"}
	if r < 0 || int(r) >= len(names) {
		return "indeterminate"
	}
	return names[r]
}

// Effect is what a success did to the payment.
type Effect string

// The effects.
const (
	EffectRefunded Effect = "refunded"
	EffectVoided   Effect = "voided" // a hold was released
	EffectClosed   Effect = "closed" // was unpaid, can no longer be paid
	EffectNone     Effect = "none"   // no money will be taken anyway; the code says why
)

// Basis is how an outcome came to be known.
type Basis string

// The bases.
const (
	BasisAnswer   Basis = "answer"   // the provider's answer to the call
	BasisQuery    Basis = "query"    // the provider's answer to a question about this operation
	BasisInferred Basis = "inferred" // exactly one new movement of this amount was seen
	BasisOperator Basis = "operator" // a named person decided
	BasisArchive  Basis = "archive"  // an archive of the journal holds the result, which the journal had lost
)

// Outcome is what one call or one status query ended in, classified by the
// adapter. The zero value is an indeterminate outcome.
//
// Events embed it: a field with a JSON name is published under that name, in
// this order, and needs no further code. A free text must also be masked, in
// package events.
type Outcome struct {
	Result Result `json:"-"`
	// Moved is what the provider says moved, if it says. Books are kept by
	// Moved and Effect.
	Moved *Money `json:"moved,omitzero"`
	Fee   *Money `json:"fee,omitzero"`
	// Refundable is what could still be refunded, where more was asked for: what was
	// captured without what other refunds took, open ones included. The core fills it in.
	Refundable *Money `json:"refundable,omitzero"`
	// Status is the status that is published. Only the encoder of events sets it.
	Status string `json:"status"`
	Effect Effect `json:"effect,omitzero"` // successes only
	Code   Code   `json:"code,omitzero"`
	// Message says in plain words what was seen, for the log and the event.
	// It never contains a secret.
	Message string `json:"message,omitzero"`
	// Basis is filled in by the core (answer for calls, query for queries)
	// unless the adapter knows better (inferred).
	Basis Basis `json:"basis,omitzero"`
	// ClientReference is the reference that was sent to the provider. The core
	// fills it in.
	ClientReference   string    `json:"clientReference,omitzero"`
	ProviderReference string    `json:"providerReference,omitzero"`
	ProviderCode      string    `json:"providerCode,omitzero"`
	ProviderMessage   string    `json:"providerMessage,omitzero"` // masked and cut by whoever publishes it
	ProviderTime      time.Time `json:"providerTime,omitzero"`
	// RetryAfter is how long the provider asked us to stay away; zero: it did not.
	RetryAfter time.Duration `json:"-"`
	// Unhealthy marks an outcome that speaks of the instance, not of the
	// payment: credentials, merchant configuration, empty balance.
	Unhealthy bool `json:"-"`
}

// PaymentStatus is what a provider says a payment is in. The zero value means
// that it did not say anything we know.
type PaymentStatus string

// The payment statuses.
const (
	PaymentUnknown           PaymentStatus = ""
	PaymentUnpaid            PaymentStatus = "unpaid"
	PaymentPending           PaymentStatus = "pending" // being paid, authorised or captured just now
	PaymentAuthorized        PaymentStatus = "authorized"
	PaymentPaid              PaymentStatus = "paid"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentCancelled         PaymentStatus = "cancelled"
	PaymentFailed            PaymentStatus = "failed"
	PaymentExpired           PaymentStatus = "expired"
	PaymentDisputed          PaymentStatus = "disputed"
	PaymentAbsent            PaymentStatus = "absent" // the provider says there is no such payment
	// PaymentNotRefundable: it was paid, and the one refund its provider takes
	// is used up: made in part, under way or failed.
	PaymentNotRefundable PaymentStatus = "not_refundable"
)

// Reading is the preparing read: what the provider says of the payment before
// the first call. For kinds that compare, it is frozen in the started event
// as the before-snapshot. The zero value is a failed reading.
type Reading struct {
	// OK is true when the provider answered and the answer was understood.
	OK       bool          `json:"ok,omitempty"`
	Status   PaymentStatus `json:"status,omitempty"`
	Captured *Money        `json:"captured,omitempty"`
	Refunded *Money        `json:"refunded,omitempty"`
	// Movements lists the provider's own references of the operations seen,
	// each with its amount, for kinds that list them.
	Movements []Movement `json:"movements,omitempty"`
	At        time.Time  `json:"at,omitzero"`

	// The rest describes a reading that is not OK; it is not frozen.
	Code       Code          `json:"-"` // the cause to show
	RetryAfter time.Duration `json:"-"`
	Unhealthy  bool          `json:"-"`
	Message    string        `json:"-"`
}

// Movement is one operation the provider lists for a payment.
type Movement struct {
	Reference string `json:"ref"`
	Amount    *Money `json:"amount,omitempty"`
}
