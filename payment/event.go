package payment

import "time"

// EventType is the last word of a payment event's type, payment.<op>.<event type>.
// Statuses are event types; two facts come after the end.
type EventType string

// The event types.
const (
	EventStarted       EventType = "started"
	EventDeferred      EventType = "deferred"
	EventPending       EventType = "pending"
	EventIndeterminate EventType = "indeterminate"
	EventSucceeded     EventType = "succeeded"
	EventFailed        EventType = "failed"
	EventRejected      EventType = "rejected"
	EventReturned      EventType = "returned"      // refunds: a succeeded refund came back
	EventExecutedLate  EventType = "executed_late" // something called failed went through
)

// Terminal reports whether this is the operation's one terminal result.
func (t EventType) Terminal() bool { return Status(t).Terminal() }

// Event is one entry of a payment's journal: what happened to one operation,
// and the payment's whole state after it. Its version is State.Version.
type Event struct {
	Type    EventType
	Op      Op
	ID      ID
	Key     Key
	Payment Details
	Amount  *Money
	Full    bool

	// Outcome is what the event says of it. What Type tells counts, not Result.
	Outcome
	Attempt int

	Origin
	Trace
	RequestedAt   time.Time
	OccurredAt    time.Time
	CallUntil     time.Time
	NextAttemptAt time.Time
	Review        *Review // set: status of an indeterminate or pending is reviewRequired
	ResolvedBy    *ResolvedBy

	State State
}

// Version is the count of the payment's events up to and with this one.
func (e Event) Version() uint64 { return e.State.Version }

// ResolvedBy names the person who decided, and why.
type ResolvedBy struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
	Evidence string `json:"evidence,omitempty"`
}

// Fault is one thing wrong with a message: where (a JSON pointer, or
// "ce-<attribute>" for the envelope) and which rule, never the value unless it
// is a number or one of a closed list.
type Fault struct {
	Pointer string `json:"pointer"`
	Rule    string `json:"rule"`
	Detail  string `json:"detail,omitempty"`
}

// Rejection answers a message that is not a valid command.
type Rejection struct {
	// Token is "<origin sequence>-<12 hex of SHA-256 of the data>".
	Token string
	Code  Code
	// Faults is all that is wrong; no values but numbers and enums.
	Faults []Fault
	// Size in bytes and SHA-256 (hex) of the message's data; its stream sequence.
	Size           int
	SHA256         string
	OriginSequence uint64
	// OriginSubject is the subject the message came on.
	OriginSubject string
	// CommandID and Trace are set where they could be read.
	CommandID string
	Trace
}
