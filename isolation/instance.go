package isolation

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// How the breaker is told that a call ended; nil stands for any answer of the
// provider, a refusal included.
var (
	errNoAnswer = errors.New("no answer of the provider's own")
	errUnused   = errors.New("the call says nothing about the instance")
)

// instance is one provider instance. The breaker is gobreaker's. This type adds
// what gobreaker lacks: a breaker that stays open longer each time, the
// provider's Retry-After, and answers that do not prove that it is healthy.
type instance struct {
	log     *slog.Logger
	slots   *slots
	limiter *rate.Limiter

	// mu guards the fields below. It is held around every call of the breaker,
	// because the breaker's callbacks read and change them.
	mu      sync.Mutex
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	paused  bool
	probing bool // the one call that an open breaker lets pass is under way
	// away is the time before which nothing is sent at all.
	away time.Time
	// openFor doubles with each probe that fails.
	openFor backoff.ExponentialBackOff
	// openings counts how often the breaker opened since it was last closed.
	openings int
	// last is the newest report to the breaker.
	last handlers.Report
	// needsCall is true if a call opened the breaker, for example because the
	// balance was empty: an answered question then proves nothing.
	needsCall bool
}

func newInstance(l Limits, log *slog.Logger) *instance {
	i := &instance{log: log, slots: newSlots(l.Concurrent), limiter: rate.NewLimiter(rate.Inf, 1)}
	i.openFor = backoff.ExponentialBackOff{InitialInterval: l.OpenFor, Multiplier: 2, MaxInterval: l.OpenMax}
	if l.Rate > 0 {
		i.limiter.SetLimit(rate.Limit(l.Rate))
	}
	i.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1, // probes at a time
		Timeout:     l.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return i.last.Unhealthy || c.ConsecutiveFailures >= uint32(l.Failures)
		},
		IsExcluded:    func(err error) bool { return errors.Is(err, errUnused) },
		OnStateChange: func(_ string, _, to gobreaker.State) { i.changed(to) },
	})
	return i
}

// changed follows the breaker's change to a new state. It runs under mu.
func (i *instance) changed(to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		i.openings++
		i.needsCall = i.last.Unhealthy && i.last.Call
		i.stayAway(i.openFor.NextBackOff())
		i.log.Warn("breaker of the provider instance is open", "openings", i.openings,
			"unhealthy", i.last.Unhealthy, "next_attempt_at", i.away.UTC().Format(time.RFC3339Nano))
	case gobreaker.StateClosed:
		i.openings, i.needsCall = 0, false
		i.openFor.Reset()
		i.log.Info("breaker of the provider instance is closed")
	case gobreaker.StateHalfOpen:
	}
}

func (i *instance) stayAway(d time.Duration) {
	if until := time.Now().Add(d); until.After(i.away) {
		i.away = until
	}
}

func (i *instance) setPaused(paused bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.paused = paused
}

func (i *instance) state() State {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := State{Paused: i.paused, Breaker: i.standing(), UnderWay: i.slots.underWay()}
	if s.Breaker == payment.BreakerOpen && i.away.After(time.Now()) {
		s.Until = i.away
	}
	return s
}

// standing is what the breaker lets pass. It runs under mu.
func (i *instance) standing() payment.Breaker {
	switch state := i.breaker.State(); {
	case time.Now().Before(i.away):
		return payment.BreakerOpen
	case state == gobreaker.StateClosed:
		return payment.BreakerClosed
	case state == gobreaker.StateHalfOpen && !i.probing:
		return payment.BreakerProbe
	default:
		return payment.BreakerOpen
	}
}

// allow asks the breaker for one call, and returns nil if it refuses.
func (i *instance) allow() *permit {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.standing()
	if now == payment.BreakerOpen {
		return nil
	}
	done, err := i.breaker.Allow()
	if err != nil {
		return nil
	}
	p := &permit{done: done, probe: now == payment.BreakerProbe}
	i.probing = i.probing || p.probe
	return p
}

// settle tells the breaker how a permitted call has ended.
func (i *instance) settle(p *permit, r handlers.Report) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if p.probe {
		i.probing = false
	}
	if r.RetryAfter > 0 {
		i.stayAway(min(r.RetryAfter, maxAway))
	}
	i.last = r
	switch {
	case r.Unhealthy, r.Failed:
		p.done(errNoAnswer)
	case r.Unused, i.needsCall && !r.Call:
		p.done(errUnused)
	default:
		p.done(nil)
	}
}

// permit is one call that the breaker has allowed.
type permit struct {
	done  func(error)
	probe bool
}
