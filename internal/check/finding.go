package check

import "fmt"

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	// Error: commands are not carried out as promised, or will not be.
	Error Severity = "error"
	// Warning: it works, but not as it should be run.
	Warning Severity = "warning"
	// NotVerifiable: it could not be found out with what was given.
	NotVerifiable Severity = "not verifiable"
	// Note: nothing is wrong; it is said because it is not seen elsewhere.
	Note Severity = "note"
)

// The names of the checks, as they stand in findings. Machines may rely on them.
const (
	Connection       = "connection"
	Credentials      = "credentials"
	SecretFile       = "secret-file"
	SecretQuoted     = "secret-quoted"
	JetStream        = "jetstream"
	ServerVersion    = "server-version"
	Topology         = "topology"
	Replicas         = "replicas"
	SyncInterval     = "sync-interval"
	Storage          = "storage"
	Permission       = "permission"
	Answer           = "answer"
	Login            = "login"
	Account          = "account"
	ClockSkew        = "clock-skew"
	ProviderSettings = "provider-settings"
	ProviderAccount  = "provider-account"
	ProviderLogin    = "provider-credentials"
	ProviderProxy    = "provider-proxy"
	ProviderReach    = "provider-reachable"
	ProviderRemoved  = "provider-removed"
	ProviderPaused   = "provider-paused"
	OpenWork         = "open-work"
	Journal          = "journal"
	JournalWitness   = "journal-witness"
	JournalSequences = "journal-sequences"
	JournalCopy      = "journal-copy"
	SecondPerson     = "second-person"
)

// Finding is one thing that is not as it should be, could not be seen, or is worth
// knowing.
type Finding struct {
	Severity Severity `json:"severity"`
	// Check is one of the names above.
	Check string `json:"check"`
	// What is the object: a stream, a subject, an instance.
	What string `json:"what"`
	Is   string `json:"is"`
	Want string `json:"want"`
	// Do says why it matters and what to do.
	Do string `json:"do"`
}

// String is the finding as one line for people.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s is %s, want %s: %s", f.Severity, f.Check, f.What, f.Is, f.Want, f.Do)
}
