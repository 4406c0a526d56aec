package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/countermand/countermand/isolation"
	"github.com/countermand/countermand/providers"
)

// longestOpen bounds how long a breaker stays open before its next probe: how
// late a provider's recovery is noticed.
const longestOpen = 30 * time.Second

// newIsolation bounds every instance as configured. A breaker is open for as
// long as a first retry waits.
func newIsolation(instances []providers.Instance, log *slog.Logger) *isolation.Isolation {
	limits := make(map[string]isolation.Limits, len(instances))
	for _, in := range instances {
		limits[in.Name] = isolation.Limits{
			Concurrent: in.MaxConcurrent, Rate: in.RateLimit,
			OpenFor: in.Policy.RetryInitial, OpenMax: min(in.Policy.RetryMax, longestOpen),
		}
	}
	return isolation.New(limits, log)
}

// Isolation is how the provider instances stand and are kept apart.
func (a *App) Isolation() *isolation.Isolation { return a.isolation }

// awaitControl waits until it is known which instances are paused: before that
// none may be called. ok is false if ctx ended first.
func (a *App) awaitControl(ctx context.Context) (ok bool) {
	select {
	case <-a.control.First():
		return true
	case <-ctx.Done():
		return false
	}
}
