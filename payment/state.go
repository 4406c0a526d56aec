package payment

import "time"

// StateFormat is the newest format of the folded state that this version reads.
// A newer one is never guessed at (ErrNewerFormat in events). A state is written
// in the oldest format that holds it, so that versions side by side stop at as
// few payments as possible.
const StateFormat = 2

// The formats.
const (
	formatFirst    = 1
	formatPresumed = 2 // has operations that are presumed after a loss
)

// WrittenFormat is the oldest format that holds the state.
func (s State) WrittenFormat() int {
	for i := range s.Operations {
		if open := s.Operations[i].Open; open != nil && open.Presumed {
			return formatPresumed
		}
	}
	return formatFirst
}

// Status is where one operation stands.
type Status string

// The statuses; the last three are terminal.
const (
	StatusStarted       Status = "started"
	StatusDeferred      Status = "deferred"
	StatusPending       Status = "pending"
	StatusIndeterminate Status = "indeterminate"
	StatusSucceeded     Status = "succeeded"
	StatusFailed        Status = "failed"
	StatusRejected      Status = "rejected"
)

// Terminal reports whether no further result follows.
func (s Status) Terminal() bool {
	return s == StatusSucceeded || s == StatusFailed || s == StatusRejected
}

// State is all that is known of one payment, folded from its events: it is
// carried whole by each of them. The zero value is a payment never seen.
type State struct {
	Format  int    `json:"format"`
	Version uint64 `json:"version"` // the count of the payment's events
	// Captured is the latest accepted captured amount.
	Captured   *Money      `json:"captured,omitempty"`
	Operations []Operation `json:"operations,omitempty"`
}

// Operation is one cancel or refund of the payment under one idempotency key.
// Once terminal it is compact: Open is nil.
type Operation struct {
	Op          Op     `json:"op"`
	KeyHash     string `json:"key"`
	Fingerprint string `json:"fp"`
	Status      Status `json:"status"`
	First       uint64 `json:"first"` // version of its first event
	Last        uint64 `json:"last"`  // version of its last event
	// Amount is what was asked, or what was resolved for a full refund once
	// started; nil with Full where the kind leaves it out.
	Amount            *Money `json:"amount,omitempty"`
	Full              bool   `json:"full,omitempty"`
	Moved             *Money `json:"moved,omitempty"`
	Effect            Effect `json:"effect,omitempty"`
	Code              Code   `json:"code,omitempty"`
	Basis             Basis  `json:"basis,omitempty"`
	Attempt           int    `json:"attempt,omitempty"` // the last attempt, or the one that ended it
	ProviderReference string `json:"pref,omitempty"`
	// Contradicted: a fact (returned, executed_late) has gone out after the end.
	Contradicted bool  `json:"contradicted,omitempty"`
	Open         *Open `json:"open,omitempty"`
}

// Open is what is needed to go on with an operation that has not ended.
type Open struct {
	Key     Key     `json:"key"`
	Payment Details `json:"payment"`
	Reason  string  `json:"reason,omitempty"`
	Origin
	Trace
	Expiry      time.Time `json:"expiry,omitzero"`
	RequestedAt time.Time `json:"requestedAt"`

	// Account is the hash of the account the operation was first called at.
	Account string `json:"account,omitempty"`
	// Reference is the provider-facing reference, frozen with the first attempt.
	Reference string   `json:"ref,omitempty"`
	Snapshot  *Reading `json:"snapshot,omitempty"`

	CallUntil time.Time `json:"callUntil,omitzero"`
	// Doubt lists the attempts of unknown fate. While it is not empty the
	// operation is in doubt.
	Doubt []int `json:"doubt,omitempty"`
	// DoubtSince is when the operation first came into doubt.
	DoubtSince time.Time `json:"doubtSince,omitzero"`
	// Presumed: the journal has lost what it knew of the operation, which may have
	// been called before. The program never calls it.
	Presumed bool `json:"presumed,omitempty"`
	// Refused: the provider refused a repeat, as a duplicate or otherwise; there is no
	// further repeat.
	Refused bool `json:"refused,omitempty"`
	// NotFoundSince is when a query since the last attempt first answered "not found".
	NotFoundSince time.Time `json:"notFoundSince,omitzero"`
	// WaitingSince is where giveUpAfter counts from; a pause's end resets it.
	WaitingSince time.Time `json:"waitingSince,omitzero"`
	// Changed is when the last event was appended; polls are spaced from it.
	Changed time.Time `json:"changed"`
	// Due is the state's own time: when the operation wants to be looked at next.
	Due    time.Time `json:"due,omitzero"`
	Review *Review   `json:"review,omitempty"`
}

// Review is what a person needs in order to decide what a machine cannot.
type Review struct {
	Reason      string    `json:"reason"`
	Since       time.Time `json:"since"`
	LastAsked   time.Time `json:"lastAsked,omitzero"`
	Question    string    `json:"question"`
	SafeActions []string  `json:"safeActions"`
}

// InDoubt reports whether any attempt may have left without its fate being known.
func (o Operation) InDoubt() bool {
	return o.Open != nil && (len(o.Open.Doubt) > 0 || o.Status == StatusStarted)
}

// Find returns the index of the operation with this op and key, or −1.
func (s State) Find(op Op, key Key) int {
	if len(s.Operations) == 0 {
		return -1 // a first command asks several times, and hashing costs more than the rest
	}
	hash := key.Hash()
	for i := range s.Operations {
		if s.Operations[i].Op == op && s.Operations[i].KeyHash == hash {
			return i
		}
	}
	return -1
}
