package simulation

import (
	"context"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// weather is how one instance stands.
type weather int

const (
	fair    weather = iota
	paused          // by an operator, for all processes
	open            // the breaker is
	probing         // the breaker lets one through
	barred          // the breaker opens between a decision and its permit
	crowded         // no place, or no room in the rate
)

// change gives an instance other weather, if one of the payments is there.
func (w *world) change(instance string) {
	if !w.provider.has(instance) {
		return
	}
	w.weather[instance] = weather(w.choose.of(int(crowded) + 1))
	w.note(nil, "%s has weather %d", instance, w.weather[instance])
}

// gate is the isolation of instances as one process has it.
type gate struct {
	p        *process
	instance string // of a place
}

var (
	_ handlers.Isolation = gate{}
	_ handlers.Place     = gate{}
)

// State implements handlers.Isolation.
func (g gate) State(instance string) handlers.Standing {
	switch g.p.engine.world.weather[instance] {
	case paused:
		return handlers.Standing{Paused: true}
	case open:
		return handlers.Standing{Breaker: payment.BreakerOpen}
	case probing:
		return handlers.Standing{Breaker: payment.BreakerProbe}
	default:
		return handlers.Standing{}
	}
}

// Enter implements handlers.Isolation.
func (g gate) Enter(_ context.Context, instance string, _ time.Duration) (handlers.Place, bool) {
	g.instance = instance
	return g, g.p.engine.world.weather[instance] != crowded
}

// Permit implements handlers.Place.
func (g gate) Permit(context.Context, time.Duration) handlers.Permit {
	switch g.p.engine.world.weather[g.instance] {
	case barred:
		return handlers.Barred
	case crowded:
		return handlers.Refused
	default:
		return handlers.Granted
	}
}

// Report implements handlers.Place.
func (gate) Report(handlers.Report) {}

// Leave implements handlers.Place.
func (gate) Leave() {}
