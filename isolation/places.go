package isolation

import (
	"context"
	"sync"
	"time"
)

const (
	// window is what headway is measured over.
	window = time.Second
	// fresh is how long an instance may be full without any headway before
	// nobody waits for it: a burst finds every call just begun.
	fresh = 250 * time.Millisecond
)

// places bounds what is under way at one instance, and who waits for it. A
// provider that hangs has all its places taken for as long as a call may last;
// every message that waits for one holds a place in hand that another
// provider's could have.
type places struct {
	free chan struct{}

	mu      sync.Mutex
	waiting int
	// full is when the last free place was taken by somebody who had not waited.
	full time.Time
	// given counts places given back in the window that began at began, and
	// before in the one before it.
	began         time.Time
	given, before int
}

func newPlaces(n int) *places {
	p := &places{free: make(chan struct{}, n)}
	for range n {
		p.free <- struct{}{}
	}
	return p
}

// take takes a place, waiting for at most patience where that may help.
func (p *places) take(ctx context.Context, patience time.Duration) bool {
	select {
	case <-p.free:
		p.noteFull()
		return true
	default:
	}
	first, ok := p.queue(patience)
	if !ok {
		return false
	}
	defer p.unqueue()
	return p.await(ctx, first) || p.headway() > 0 && p.await(ctx, patience-first)
}

// queue counts one more waiting and returns how long it may wait at first; ok
// is false where it should not.
func (p *places) queue(patience time.Duration) (first time.Duration, ok bool) {
	headway := p.headway()
	p.mu.Lock()
	defer p.mu.Unlock()
	first = patience
	if p.waiting >= headway {
		if time.Since(p.full) >= fresh {
			return 0, false
		}
		first = min(patience, fresh)
	}
	p.waiting++
	return first, true
}

func (p *places) unqueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
}

// await waits for a place for d.
func (p *places) await(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.free:
		return true
	case <-ctx.Done():
		return false
	case <-t.C:
		return false
	}
}

// noteFull notes when the last place was taken.
func (p *places) noteFull() {
	if len(p.free) > 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = time.Now()
}

// leave gives a place back.
func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(time.Now())
	p.given++
	p.free <- struct{}{}
}

// headway is how many places were given back in the last window or so.
func (p *places) headway() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(time.Now())
	return p.given + p.before
}

// roll begins a new window where the last has passed.
func (p *places) roll(now time.Time) {
	switch passed := now.Sub(p.began); {
	case passed < window:
	case passed < 2*window:
		p.began, p.before, p.given = p.began.Add(window), p.given, 0
	default:
		p.began, p.before, p.given = now, 0, 0
	}
}

// underWay counts the places taken.
func (p *places) underWay() int { return cap(p.free) - len(p.free) }
