package integrity

import (
	"slices"
	"time"
)

// Replica is what one process of the service says of itself in the bucket.
type Replica struct {
	// ID names the process for people: its host and process number.
	ID string `json:"id"`
	// Instance is random for each start, so that two processes of one ID are told apart.
	Instance string `json:"instance"`
	// Version is the program's.
	Version string `json:"version,omitempty"`
	Epoch   Epoch  `json:"epoch"`
	// Standing is how the journal stands in this process.
	Standing string `json:"standing"`
	// Shut: nothing that may move money is sent, and nothing is appended.
	Shut bool `json:"shut"`
	// Found are what this process itself has found, not what it has only heard of,
	// without their texts; MoreFound is how many more there are.
	Found     []Finding `json:"found,omitempty"`
	MoreFound int       `json:"moreFound,omitempty"`
	// Known is the sequence that the journal is known to have reached, in this process.
	Known uint64 `json:"known,omitempty"`
	// Recovered is since when the journal, broken in this process, shows all that it
	// remembers, see keeper.Status. A version that does not know of it never says so.
	Recovered time.Time `json:"recovered,omitzero"`
	// Reason says why it is shut.
	Reason string `json:"reason,omitempty"`
	// InHand are the known outcomes that could not be appended yet, the oldest first,
	// and MoreInHand how many more there are.
	InHand     []InHand `json:"inHand,omitempty"`
	MoreInHand int      `json:"moreInHand,omitempty"`
	// Left: the process has ended in an orderly way.
	Left bool `json:"left,omitempty"`
	// At is when it said so, by its own clock.
	At time.Time `json:"at"`
	// WitnessFault is why this process cannot write the witness, WitnessSince since when.
	WitnessFault string    `json:"witnessFault,omitempty"`
	WitnessSince time.Time `json:"witnessSince,omitzero"`
	// WitnessSetBack is when this process last found the witness set back, and raised it
	// again.
	WitnessSetBack time.Time `json:"witnessSetBack,omitzero"`
}

// InHand names a known outcome that waits to be appended: the provider has answered
// a call, and the journal has not taken the event.
type InHand struct {
	Provider string `json:"provider"`
	// Payment is the payment's token, as in subjects.
	Payment   string `json:"payment"`
	Operation string `json:"operation"`
	// Attempt is the call's.
	Attempt int    `json:"attempt"`
	Outcome string `json:"outcome"`
	// Since is when the first append was refused.
	Since time.Time `json:"since,omitzero"`
}

// Registered is a registration as the bucket holds it. Time is the bucket's own
// time of the message, so that a process with a wrong clock is judged rightly.
type Registered struct {
	Replica

	Time time.Time `json:"time"`
}

// RegistrationFresh is how long a registration counts without being renewed.
const RegistrationFresh = 10 * time.Second

// Live returns the registrations of processes that are taken to run at a time
// of the server's clock: renewed lately, and not left.
func Live(all []Registered, now time.Time) []Registered {
	var live []Registered
	for _, r := range all {
		if !r.Left && now.Sub(r.Time) < RegistrationFresh {
			live = append(live, r)
		}
	}
	return live
}

// FoundByOthers are the findings of processes of the same epoch that have found
// something themselves. One process may know what all others have never known: where
// everything was set back, only the memory of one that ran before shows it. What a
// process has only heard does not count, or two could hold each other up.
func FoundByOthers(epoch uint64, others []Registered) []Finding {
	var all []Finding
	for _, r := range others {
		if r.Epoch.Number == epoch && (r.Standing == Broken.String() || r.Standing == Suspect.String()) && len(r.Found)+r.MoreFound > 0 {
			f := Finding{Kind: ReplicaBroken, Object: r.ID, Text: "process " + r.ID + " has found that the journal has lost something"}
			if r.Standing == Suspect.String() {
				f.Kind, f.Text = ReplicaSuspect, "process "+r.ID+" has found that the journal may have lost something"
			}
			all = append(all, f)
		}
	}
	return all
}

// Own are the findings that a process has made itself.
func Own(findings []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Kind.OfReplica() })
}

// Open returns those that do not report their gate shut.
func Open(live []Registered) []Registered {
	var open []Registered
	for _, r := range live {
		if !r.Shut {
			open = append(open, r)
		}
	}
	return open
}
