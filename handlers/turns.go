package handlers

import (
	"context"
	"sync"
	"time"
)

// turns lets one message of a payment be worked on at a time, without holding
// up other payments. It only saves work: two processes may still meet, and
// then the journal decides.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

// turn is one payment's place: whoever holds the token in free may work.
type turn struct {
	free  chan struct{}
	users int // holders and waiters; the entry goes with the last
}

func newTurns() *turns { return &turns{taken: map[string]*turn{}} }

// take waits for the turn of key, at most for patience. ok is false if it did
// not come; otherwise release must be called.
func (t *turns) take(ctx context.Context, key string, patience time.Duration) (release func(), ok bool) {
	t.mu.Lock()
	e := t.taken[key]
	if e == nil {
		e = &turn{free: make(chan struct{}, 1)}
		e.free <- struct{}{}
		t.taken[key] = e
	}
	e.users++
	t.mu.Unlock()
	if !receive(ctx, e.free, patience) {
		t.drop(key, e)
		return nil, false
	}
	return func() {
		e.free <- struct{}{}
		t.drop(key, e)
	}, true
}

func (t *turns) drop(key string, e *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.users--; e.users == 0 {
		delete(t.taken, key)
	}
}

// slots bounds the calls under way at one instance: a buffered channel of tokens.
type slots chan struct{}

// defaultSlots is used where the configuration names no bound.
const defaultSlots = 32

func newSlots(n int) slots {
	if n <= 0 {
		n = defaultSlots
	}
	s := make(slots, n)
	for range n {
		s <- struct{}{}
	}
	return s
}

// take waits for a slot, at most for patience.
func (s slots) take(ctx context.Context, patience time.Duration) bool {
	return receive(ctx, s, patience)
}

func (s slots) release() { s <- struct{}{} }

// receive takes a token from c; without one at hand it waits.
func receive(ctx context.Context, c chan struct{}, patience time.Duration) bool {
	select {
	case <-c:
		return true
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	case <-t.C:
		return false
	}
}
