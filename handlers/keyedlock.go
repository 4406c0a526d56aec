package handlers

import (
	"context"
	"sync"
	"time"
)

// keyedLock is one lock for each key; the keys are payments. It lets one
// message of a payment be worked on at a time and does not delay other
// payments. It only saves work: two processes may still work on one payment,
// and then the journal decides. It is safe for concurrent use.
type keyedLock struct {
	mu    sync.Mutex
	locks map[string]*lock
}

// lock is the lock of one key. It is held by whoever took the token from free.
type lock struct {
	free  chan struct{}
	users int // holders and waiters; the last one removes the lock
}

func newKeyedLock() *keyedLock { return &keyedLock{locks: map[string]*lock{}} }

// take waits for the lock of key, at most for patience. If ok is true, the
// caller must call release; if it is false, the lock was not obtained.
func (k *keyedLock) take(ctx context.Context, key string, patience time.Duration) (release func(), ok bool) {
	k.mu.Lock()
	l := k.locks[key]
	if l == nil {
		l = &lock{free: make(chan struct{}, 1)}
		l.free <- struct{}{}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	if !receive(ctx, l.free, patience) {
		k.drop(key, l)
		return nil, false
	}
	return func() {
		l.free <- struct{}{}
		k.drop(key, l)
	}, true
}

func (k *keyedLock) drop(key string, l *lock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.locks, key)
	}
}

// receive takes a token from c. It waits for one at most for patience.
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
