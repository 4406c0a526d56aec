package handlers

import (
	"context"
	"time"

	"github.com/countermand/countermand/payment"
)

// Isolation keeps a provider instance's trouble away from the other instances.
// It limits how many calls may be under way and how many may begin in a second,
// and says whether any may be sent at all. It decides nothing about payments.
// Implementations are safe for concurrent use. A panic of an implementation is
// contained and counts as "not now".
type Isolation interface {
	// State is the instance's standing now. It is asked for at every decision.
	State(instance string) Standing
	// Enter waits for a place among the calls under way, at most for patience. It
	// waits less if waiting is of no use. If ok is true, the caller must call the
	// place's Leave; if it is false, there was no place.
	Enter(ctx context.Context, instance string, patience time.Duration) (place Place, ok bool)
}

// Place is one delivery's place at an instance. One goroutine uses it. The
// delivery holds it from its first question to its last call, so that it does
// not lose what it has read at the provider because it gets no second place.
type Place interface {
	// Permit asks to send one question or call. It waits for the instance's rate,
	// at most for patience. A permit lasts until Report is called; until then
	// another call of Permit returns the same one.
	Permit(ctx context.Context, patience time.Duration) Permit
	// Report says how the permitted question or call ended.
	Report(r Report)
	// Leave gives the place back, with a permit that was not used.
	Leave()
}

// Standing is an instance's state: whether it is paused, and what its breaker allows.
type Standing struct {
	Paused  bool
	Breaker payment.Breaker
}

// Permit is an answer of Place.Permit. The zero value is the careful one.
type Permit int

// The answers.
const (
	Refused Permit = iota // not within patience: come back later
	Barred                // the breaker is open, or another call is its probe
	Granted               // send it, then report
)

// Report is what one question or call says of its instance. The zero value is
// an answer. A refusal of the operation is an answer too: it comes from a
// healthy provider.
type Report struct {
	// Call is true for what can move money, false for questions.
	Call bool
	// Failed: no answer, or none of the provider's own (connection, timeout, 5xx, 429).
	Failed bool
	// Unhealthy: the answer is about the instance (credentials, settings, balance).
	Unhealthy bool
	// Unused: it says nothing about the instance, because the fault was ours.
	Unused bool
	// RetryAfter is how long the provider asked us to stay away; zero: it did not.
	RetryAfter time.Duration
}
