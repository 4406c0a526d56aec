package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countermand/countermand/internal/sleep"
)

const (
	// maxSkew is the difference to the server's clock above which due times and
	// deadlines mean nothing any more.
	maxSkew = 2 * time.Second
	// skewInterval is the time between two measurements.
	skewInterval = time.Minute
)

// health is what Ready is told from.
type health struct {
	mu        sync.Mutex
	running   bool
	unboundBy map[bool]error
	skew      time.Duration
	// failing counts messages whose timer cannot be scheduled, lastErr is why.
	failing int
	lastErr error
}

var errNotBound = errors.New("not connected to it yet")

func (h *health) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
	h.unboundBy = map[bool]error{false: errNotBound, true: errNotBound}
}

func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
}

func (h *health) bound(timer bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.unboundBy, timer)
}

// unbound notes why a source does not pull and reports whether that is news.
func (h *health) unbound(timer bool, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.unboundBy[timer]
	h.unboundBy[timer] = err
	return last == nil || last.Error() != err.Error()
}

func (h *health) timersFailing(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing++
	h.lastErr = err
}

func (h *health) timersRecovered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing--
}

func (h *health) setSkew(skew time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.skew = skew
}

// Ready reports whether the consumer takes messages in hand and can do
// everything it must, and if not, the first reason why not.
func (c *Consumer) Ready() (ok bool, reason string) {
	h := &c.health
	journal := c.journal.Open()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.running:
		return false, "not running"
	case !c.js.Conn().IsConnected():
		return false, "not connected to nats"
	case journal != nil:
		return false, journal.Error()
	case h.unboundBy[false] != nil:
		return false, "commands are not pulled: " + h.unboundBy[false].Error()
	case h.unboundBy[true] != nil:
		return false, "timers are not pulled: " + h.unboundBy[true].Error()
	case c.gate.isShut():
		return false, "the journal's store refuses appends"
	case h.failing > 0:
		return false, "timers cannot be scheduled: " + h.lastErr.Error()
	case h.skew.Abs() > maxSkew:
		return false, fmt.Sprintf("the clock differs from the server's by %s", h.skew.Round(time.Millisecond))
	default:
		return true, ""
	}
}

// Skew measures how far the local clock is ahead of the server's (behind:
// negative), from the time in one answer of the server and half the round trip.
func (c *Consumer) Skew(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	asked := c.now()
	consumer, err := c.js.Consumer(ctx, c.topology.Commands, c.topology.Consumer)
	if err != nil {
		return 0, fmt.Errorf("measure clock skew: %w", err)
	}
	answered := c.now()
	stamp := consumer.CachedInfo().TimeStamp
	if stamp.IsZero() {
		return 0, errors.New("measure clock skew: the server's answer has no time")
	}
	return asked.Add(answered.Sub(asked) / 2).Sub(stamp), nil
}

// watchSkew measures the skew now and then. A measurement that fails changes
// nothing: being disconnected is reported by itself.
func (c *Consumer) watchSkew(ctx context.Context) {
	for {
		skew, err := c.Skew(ctx)
		next := skewInterval
		switch {
		case err != nil:
			next = pause
		case skew.Abs() > maxSkew:
			c.log.Error("the clock differs from the server's", "ahead_by", skew.String())
			fallthrough
		default:
			c.health.setSkew(skew)
		}
		if !sleep.For(ctx, next) {
			return
		}
	}
}
