package payment

import "time"

// Testimony is what a person says an operation did: its effect where that is to
// be said, and what moved, with the provider's own reference.
type Testimony struct {
	Effect            Effect `json:"effect,omitzero"`
	Moved             *Money `json:"moved,omitzero"`
	ProviderReference string `json:"providerReference,omitzero"`
}

// OperatorAction is the audit of one thing an operator does or is shown. It is
// appended before the thing is done; Outcome tells of what came to nothing.
type OperatorAction struct {
	// ULID is the event's own name; Action the last word of its type
	// (payment.operator.<action>), of a to z, 0 to 9, _ and -.
	ULID   string
	Action string
	// Operator is who acts, Identity how that is known (nats, asserted, token, proxy).
	Operator string
	Identity string
	// Login is what has been authenticated: nats:<account>/<nkey>, token:<name> or
	// proxy:<name>. Empty where nothing says it.
	Login    string
	Reason   string
	Evidence string
	// What it is about: an operation of a payment on the version that was shown,
	// or a message that was rejected, by its token.
	ID      ID
	Op      Op
	Key     Key
	Version uint64
	Token   string
	// Ruling is what was ruled (succeeded, failed, retry), Testimony what was
	// said of it.
	Ruling string
	Testimony
	// AtRisk is what would be paid twice, or what the command moves; nil: not known.
	// Content is the fingerprint of what the ruling is about.
	AtRisk  *Money
	Content string
	// Bulk: the ruling is one of a file's.
	Bulk bool
	// Outcome is empty for what was about to be done; refused or unknown, with
	// Follows the ULID of that event, for what came to nothing or may have. Without an
	// outcome Follows is the proposal of another person that this one confirms.
	Outcome string
	Follows string
	At      time.Time
	// Sequence is where the event lies in the journal that it was read from; it is not
	// written.
	Sequence uint64 `json:"-"`
}

const (
	// ProposalFor is how long a proposal waits for another person.
	ProposalFor = 24 * time.Hour
	// ClockSkew is how much later than now something may have been made: another
	// process's clock has said when, and a process with a larger skew is not ready.
	ClockSkew = 2 * time.Second
)

// ProposalLapsed reports whether a proposal waits no more. One that was made later than
// now is nobody's.
func ProposalLapsed(made, now time.Time) bool {
	age := now.Sub(made)
	return age >= ProposalFor || age < -ClockSkew
}
