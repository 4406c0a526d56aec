package broker

import (
	"errors"
	"sync"
)

// health is what Ready is told from.
type health struct {
	mu        sync.Mutex
	running   bool
	unboundBy map[bool]error
	skew      Skew
	measured  bool // the skew was
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

// setSkew notes the largest skew and reports whether it is too large by news: it was
// not, or it is another stream's or another leader's.
func (h *health) setSkew(s Skew) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.skew
	h.skew, h.measured = s, true
	return s.Ahead.Abs() > maxSkew && (last.Ahead.Abs() <= maxSkew || last.Stream != s.Stream || last.Leader != s.Leader)
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
	case h.skew.Ahead.Abs() > maxSkew:
		return false, "the clock differs " + h.skew.String()
	default:
		return true, ""
	}
}
