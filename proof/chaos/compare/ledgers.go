// Package compare is the judge of the chaos runs: it holds three ledgers
// against each other, one command at a time. The first is what was asked for
// (the commands that were published), the second what was said (the journal,
// read whole), the third what happened (the movements and calls that the
// simulated providers recorded themselves).
//
// It is pure: it knows nothing of processes, servers and time. Its verdict is
// complete, so a single broken promise is found among any number of kept ones;
// its tests plant each kind once.
package compare

// Claim names a movement of money, or an effect that moves none, at a provider.
// Where every operation of a payment has an amount of its own, a movement belongs to
// one operation, also if the provider takes no reference.
type Claim struct {
	Provider  string
	Payment   string
	Operation string // as the simulators name it: refund, cancel
	Amount    int64  // minor units; 0 where no money moves
}

// Command is one operation that was asked for, however often.
type Command struct {
	// Name is the operation: provider, payment, operation and key.
	Name    string
	Payment string
	// Repeat is the provider's promise for a second call: harmless, refused or unsafe.
	Repeat string
	// Claims are the movements that would be this operation's. More than one
	// entry means that the provider may choose which; together they may move once.
	Claims []Claim
	// Refused says that this service must refuse it: it may end rejected only.
	Refused bool
}

// Malformed is a message that is no command.
type Malformed struct {
	// Token names its answer and its place in the quarantine.
	Token string
	// What says what is wrong with it, for people.
	What string
}

// Event is one event of an operation, in the order of the journal.
type Event struct {
	Subject   string
	Operation string // as Command.Name
	Type      string // the last word of its type: started, succeeded, …
	Status    string
	Effect    string
	Code      string
	Moved     int64 // minor units; 0: none named
	Attempt   int
	// Version is the payment's at this event, Sequence its place in the journal.
	Version  uint64
	Sequence uint64
	// Ruled: an operator's word made it.
	Ruled bool
	// Review is why a person has to decide; empty: nobody has to.
	Review string
}

// Audit is the record of a ruling that was about to be carried out.
type Audit struct {
	Operation string // as Command.Name
	Version   uint64 // of the payment that was shown
	Ruling    string // succeeded, failed or retry
	Sequence  uint64
}

// Movement is one entry of a simulated provider's ledger.
type Movement struct {
	Claim

	Currency string
}

// Call is one request that could have moved money, as the provider saw it.
type Call struct {
	Claim

	// Refusal: it was certainly not carried out, and the caller could know.
	Refusal bool
}

// Ledgers is everything there is to judge by.
type Ledgers struct {
	Commands  []Command
	Malformed []Malformed
	// Captured is what each payment was worth, by Command.Payment.
	Captured map[string]int64

	Events []Event
	Audits []Audit
	// Answers holds the tokens of all payment.command.rejected, Quarantine those
	// of all messages that were kept.
	Answers    map[string]bool
	Quarantine map[string]bool
	// Untimed names operations that are open and have no timer.
	Untimed []string
	// Vanished holds subjects that were read from the journal during the run
	// and were not there at its end.
	Vanished []string

	Movements []Movement
	Calls     []Call
}

// The kinds of violation.
const (
	MovedTwice     = "money moved twice"
	Missing        = "result missing"
	Doubled        = "result doubled"
	Untrue         = "result untrue"
	OverCaptured   = "refunded more than captured"
	Unclaimed      = "moved without a command"
	Unasked        = "event without a command"
	WronglyTaken   = "not refused"
	Unanswered     = "malformed message without answer"
	Unkept         = "malformed message not kept"
	WronglyRefused = "command answered as malformed"
	NoTimer        = "open operation without timer"
	BlindCall      = "called again on a guess"
	Vanished       = "event vanished from the journal"
	Unaudited      = "ruling without its audit event"
)

// Violation is one broken promise.
type Violation struct {
	Kind string `json:"kind"`
	// What names the operation, payment or message.
	What string `json:"what"`
	// Says is what the ledgers say.
	Says string `json:"says"`
}

// Verdict is what the comparison found.
type Verdict struct {
	Violations []Violation `json:"violations"`
	// Ends counts operations by their last status.
	Ends map[string]int `json:"ends"`
	// Terminal counts terminal results.
	Terminal int `json:"terminalResults"`
	Review   int `json:"awaitingReview"`
	// Ruled counts the terminal results that are an operator's word.
	Ruled int `json:"ruledResults"`
	// Behind counts operations that wait for one in review, and were not called.
	Behind int `json:"waitingBehindReview"`
	// Movements counts entries of the providers' ledgers, Calls the calls that could
	// have made them.
	Movements int `json:"movements"`
	Calls     int `json:"movingCalls"`
	// Repeated counts calls beyond an operation's first, by the provider's promise;
	// AfterRefusal are those of them that followed nothing but certain refusals.
	Repeated     map[string]int `json:"repeatedCalls"`
	AfterRefusal map[string]int `json:"ofThemAfterRefusal"`
}

// Count returns the number of violations of a kind.
func (v *Verdict) Count(kind string) int {
	n := 0
	for _, violation := range v.Violations {
		if violation.Kind == kind {
			n++
		}
	}
	return n
}
