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
