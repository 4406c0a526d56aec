package isolation

import (
	"context"
	"sync"
	"time"
)

const (
	// window is the time over which headway is measured.
	window = time.Second
	// fresh is how long deliveries wait at a full instance that makes no headway.
	// In a burst every call has just begun, so that none can have ended yet.
	fresh = 250 * time.Millisecond
)

// slots bounds the deliveries under way at one instance, and those that wait for
// it. A provider that hangs keeps all its slots for as long as a call may last.
// Each message that waits for one keeps a broker's worker from messages for the
// other providers.
type slots struct {
	free chan struct{}

	mu      sync.Mutex
	waiting int
	// full is when the last free slot was taken without waiting.
	full time.Time
	// given counts the slots given back in the window that started at began, and
	// before those in the window before it.
	began         time.Time
	given, before int
}

func newSlots(n int) *slots {
	s := &slots{free: make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// take takes a slot. It waits for at most patience, and only where waiting may help.
func (s *slots) take(ctx context.Context, patience time.Duration) bool {
	select {
	case <-s.free:
		s.noteFull()
		return true
	default:
	}
	first, ok := s.queue(patience)
	if !ok {
		return false
	}
	defer s.unqueue()
	return s.await(ctx, first) || s.headway() > 0 && s.await(ctx, patience-first)
}

// queue counts one more that waits, and returns how long it may wait at first.
// ok is false if it must not wait.
func (s *slots) queue(patience time.Duration) (first time.Duration, ok bool) {
	headway := s.headway()
	s.mu.Lock()
	defer s.mu.Unlock()
	first = patience
	if s.waiting >= headway {
		if time.Since(s.full) >= fresh {
			return 0, false
		}
		first = min(patience, fresh)
	}
	s.waiting++
	return first, true
}

func (s *slots) unqueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
}

// await waits for a slot for d.
func (s *slots) await(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.free:
		return true
	case <-ctx.Done():
		return false
	case <-t.C:
		return false
	}
}

// noteFull notes the time if no slot is left.
func (s *slots) noteFull() {
	if len(s.free) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = time.Now()
}

// leave gives a slot back.
func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roll(time.Now())
	s.given++
	s.free <- struct{}{}
}

// headway is how many slots were given back in this window and the one before.
func (s *slots) headway() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roll(time.Now())
	return s.given + s.before
}

// roll begins a new window where the last has passed.
func (s *slots) roll(now time.Time) {
	switch passed := now.Sub(s.began); {
	case passed < window:
	case passed < 2*window:
		s.began, s.before, s.given = s.began.Add(window), s.given, 0
	default:
		s.began, s.before, s.given = now, 0, 0
	}
}

// underWay counts the slots taken.
func (s *slots) underWay() int { return cap(s.free) - len(s.free) }
