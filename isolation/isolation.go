package isolation

import (
	"context"
	"log/slog"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// Limits are those of one instance. Zero fields mean the defaults.
type Limits struct {
	// Concurrent bounds the calls and questions under way at once; default 32.
	Concurrent int
	// Rate bounds them per second; default unlimited. They are spaced evenly,
	// because a burst would exceed the rate at the provider.
	Rate float64
	// Failures is how many failures in a row open the breaker; default 5. One
	// unhealthy answer opens it at once.
	Failures int
	// OpenFor is how long the breaker stays open at first; it doubles with each
	// probe that fails, up to OpenMax. Defaults: 1 s and 30 s.
	OpenFor, OpenMax time.Duration
}

// The defaults.
const (
	defaultConcurrent = 32
	defaultFailures   = 5
	defaultOpenFor    = time.Second
	defaultOpenMax    = 30 * time.Second
	// maxAway bounds a provider's Retry-After: a mistaken one must not stop an
	// instance for a day.
	maxAway = time.Hour
)

// State is the state of an instance, for metrics and people.
type State struct {
	Paused  bool
	Breaker payment.Breaker
	// Until is when the next call may be made at the earliest, while the breaker
	// is open; zero otherwise.
	Until time.Time
	// UnderWay counts the deliveries that have a slot.
	UnderWay int
}

// Isolation isolates all instances from each other. It is safe for concurrent
// use. It reads the process's own clock, because gobreaker does, and two clocks
// in one breaker would disagree.
type Isolation struct {
	instances map[string]*instance
}

var _ handlers.Isolation = (*Isolation)(nil)

// Options are the optional parts of an Isolation; nil and zero values mean the
// defaults.
type Options struct {
	Logger *slog.Logger // default: discards
}

// New returns an isolation of the named instances, none of them paused.
func New(limits map[string]Limits, o *Options) *Isolation {
	log := slog.New(slog.DiscardHandler)
	if o != nil && o.Logger != nil {
		log = o.Logger
	}
	i := &Isolation{instances: make(map[string]*instance, len(limits))}
	for name, l := range limits {
		i.instances[name] = newInstance(l.withDefaults(), log.With("provider", name))
	}
	return i
}

func (l Limits) withDefaults() Limits {
	if l.Concurrent <= 0 {
		l.Concurrent = defaultConcurrent
	}
	if l.Failures <= 0 {
		l.Failures = defaultFailures
	}
	if l.OpenFor <= 0 {
		l.OpenFor = defaultOpenFor
	}
	if l.OpenMax <= 0 {
		l.OpenMax = defaultOpenMax
	}
	l.OpenMax = max(l.OpenMax, l.OpenFor)
	return l
}

// SetPaused pauses an instance, or ends its pause. Calls under way go on; no
// further call that can move money is sent. An unknown name is ignored.
func (i *Isolation) SetPaused(name string, paused bool) {
	if in := i.instances[name]; in != nil {
		in.setPaused(paused)
	}
}

// State returns whether the instance is paused and what its breaker lets pass.
// An unknown instance lets nothing pass.
func (i *Isolation) State(name string) handlers.Standing {
	in := i.instances[name]
	if in == nil {
		return handlers.Standing{Breaker: payment.BreakerOpen}
	}
	s := in.state()
	return handlers.Standing{Paused: s.Paused, Breaker: s.Breaker}
}

// States returns the state of every instance, by name.
func (i *Isolation) States() map[string]State {
	all := make(map[string]State, len(i.instances))
	for name, in := range i.instances {
		all[name] = in.state()
	}
	return all
}

// Enter takes a slot at the instance. If all are taken, it waits for at most
// patience. It does not wait at all if more deliveries wait than slots were given
// back in the last second: the wait would only keep a worker from other messages.
func (i *Isolation) Enter(ctx context.Context, name string, patience time.Duration) (handlers.Place, bool) {
	in := i.instances[name]
	if in == nil || !in.slots.take(ctx, patience) {
		return nil, false
	}
	return &slot{instance: in}, true
}
