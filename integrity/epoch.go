package integrity

import "time"

// Phase is what may be done within an epoch. The zero value is Held, the
// careful one: an epoch whose phase is not known lets nothing be pulled.
type Phase int

// The phases, in the order in which an epoch goes through them.
const (
	Held     Phase = iota // accepted; nothing is pulled or called, recover runs
	Doubting              // work goes on; what the journal cannot know is asked before it is called
	Trusted               // the journal is taken for complete
)

// String returns the word that commands and status lines use.
func (p Phase) String() string {
	switch p {
	case Doubting:
		return "doubting"
	case Trusted:
		return "trusted"
	default:
		return "held"
	}
}

// MarshalText implements encoding.TextMarshaler.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown word is Held.
func (p *Phase) UnmarshalText(text []byte) error {
	switch string(text) {
	case "doubting":
		*p = Doubting
	case "trusted":
		*p = Trusted
	default:
		*p = Held
	}
	return nil
}

// Epoch is the time between two accepted losses. Epoch 0 is the first one: it
// is trusted from the start, since nothing was lost yet.
type Epoch struct {
	Number uint64 `json:"number"`
	Phase  Phase  `json:"phase"`
	// AcceptedAt is when the loss was accepted; zero in epoch 0.
	AcceptedAt time.Time `json:"acceptedAt,omitzero"`
	// CommandsLost counts the commands that are lost for good, by this acceptance and
	// by earlier ones that were not followed by trust. Nobody can walk over them, so
	// their repeats look like new commands.
	CommandsLost uint64 `json:"commandsLost,omitempty"`
}

// FirstEpoch is the epoch of a journal that never lost anything.
func FirstEpoch() Epoch { return Epoch{Phase: Trusted} }

// Later returns the later of two epochs. Epoch and phase are kept in several
// places, and the highest counts: a copy that was restored must not bring an
// earlier phase back, nor end a later one.
func (e Epoch) Later(o Epoch) Epoch {
	if o.Number > e.Number || o.Number == e.Number && o.Phase > e.Phase {
		return o
	}
	return e
}

// Doubted reports whether what the journal does not know may have happened.
func (e Epoch) Doubted() bool { return e.Phase != Trusted }
