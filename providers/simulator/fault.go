package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Mode is a way to misbehave. Simulators may add modes of their own
// (Options.Modes).
type Mode string

// The modes every simulator has. "Executes" says whether the business rule
// runs, and so whether the ledger may grow.
const (
	CutBefore      Mode = "cut_before"      // closes the connection, never executes
	CutAfter       Mode = "cut_after"       // executes, then closes the connection without an answer
	Late           Mode = "late"            // closes the connection; executes at Release, or after Delay
	Delay          Mode = "delay"           // waits for Delay or Release, then executes and answers
	HangAfter      Mode = "hang_after"      // executes, then never answers: the caller gives up, or Release cuts
	StatusBefore   Mode = "status_before"   // answers Status, does not execute
	StatusAfter    Mode = "status_after"    // executes, answers Status
	GarbageBefore  Mode = "garbage_before"  // answers 200 with bytes that mean nothing, does not execute
	GarbageAfter   Mode = "garbage_after"   // executes, answers as above
	OversizedAfter Mode = "oversized_after" // executes, answers a body far over any limit
	RedirectBefore Mode = "redirect_before" // answers 307 to the same place, does not execute
	RateLimit      Mode = "rate_limit"      // answers 429 with RetryAfter, does not execute

	// The next two are carried out by the simulated provider's own rules.
	Lag     Mode = "lag"     // a query finds nothing, though there is something
	Decline Mode = "decline" // a definite no in the provider's own form, with Code where set
)

// Fault asks for misbehaviour. Empty fields match every call; the first fault
// that matches a call is used, and only that one.
type Fault struct {
	Operation string `json:"operation,omitempty"` // refund, cancel, query, read
	Payment   string `json:"payment,omitempty"`
	Reference string `json:"reference,omitempty"`
	// Times is how many calls it strikes; 0: until cleared.
	Times int  `json:"times,omitempty"`
	Mode  Mode `json:"mode"`
	// Status is the HTTP status of status_before and status_after, default 500.
	Status int `json:"status,omitempty"`
	// RetryAfter in seconds, sent where it is set.
	RetryAfter int `json:"retryAfter,omitempty"`
	// Delay of late and delay; 0: until Release.
	Delay Wait `json:"delay,omitempty"`
	// Code is for the simulated provider: the code of a decline.
	Code string `json:"code,omitempty"`
}

// Wait is a duration that JSON writes as Go does ("1.5s").
type Wait time.Duration

// MarshalText writes the duration.
func (w Wait) MarshalText() ([]byte, error) { return []byte(time.Duration(w).String()), nil }

// UnmarshalText reads a duration.
func (w *Wait) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 {
		return errors.New("delay is not a duration such as 1.5s")
	}
	*w = Wait(d)
	return nil
}

func commonModes() []Mode {
	return []Mode{
		CutBefore, CutAfter, Late, Delay, HangAfter, StatusBefore, StatusAfter, GarbageBefore, GarbageAfter,
		OversizedAfter, RedirectBefore, RateLimit, Lag, Decline,
	}
}

// matches reports whether the fault strikes the call.
func (f Fault) matches(c Call) bool {
	return (f.Operation == "" || f.Operation == c.Operation) &&
		(f.Payment == "" || f.Payment == c.Payment) &&
		(f.Reference == "" || f.Reference == c.Reference)
}

// Fault adds faults behind those already set. A mode the simulator does not
// know refuses them all: a misspelt fault must not become a passing test.
func (b *Base) Fault(faults ...Fault) error {
	for _, f := range faults {
		if !slices.Contains(b.modes, f.Mode) {
			return fmt.Errorf("add fault: unknown mode %q", f.Mode)
		}
		if f.Times < 0 || (f.Status != 0 && (f.Status < 200 || f.Status > 599)) {
			return fmt.Errorf("add fault %s: times or status out of range", f.Mode)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, faults...)
	return nil
}

// ClearFaults forgets all faults. What they already hold back stays held.
func (b *Base) ClearFaults() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

// take returns the first fault for the call and counts it down.
func (b *Base) take(c Call) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range b.faults {
		if !f.matches(c) {
			continue
		}
		switch f.Times {
		case 0:
		case 1:
			b.faults = slices.Delete(b.faults, i, i+1)
		default:
			b.faults[i].Times--
		}
		return f
	}
	return Fault{}
}

func decodeFaults(body []byte) ([]Fault, error) {
	var faults []Fault
	if err := Decode(body, &faults); err != nil {
		return nil, fmt.Errorf("decode faults: %w", err)
	}
	return faults, nil
}

// JSONReply is a Reply of a status and a value as JSON.
func JSONReply(status int, v any) Reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a simulator's own types encode
	}
	return Reply{Status: status, ContentType: "application/json", Body: body}
}
