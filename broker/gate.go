package broker

import (
	"context"
	"sync"
)

// gate is shut while the journal's store refuses appends: what is pulled then
// could only be given back. (Whether the journal is whole says Journal.) Deliveries that began after the last shutting and
// came through open it again; those that began before say nothing about now.
type gate struct {
	mu        sync.Mutex
	shut      bool
	shuttings uint64
	watchers  map[int]func()
	next      int
}

// ticket marks the beginning of a delivery, for open.
func (g *gate) ticket() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shuttings
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

// close shuts the gate, calls the watchers, and reports whether it was open.
func (g *gate) close() bool {
	g.mu.Lock()
	was := !g.shut
	g.shut = true
	g.shuttings++
	g.mu.Unlock()
	g.alarm()
	return was
}

// alarm calls the watchers.
func (g *gate) alarm() {
	g.mu.Lock()
	watchers := make([]func(), 0, len(g.watchers))
	for _, w := range g.watchers {
		watchers = append(watchers, w)
	}
	g.mu.Unlock()
	for _, w := range watchers {
		w()
	}
}

// open opens the gate if nothing shut it after the ticket was taken, and
// reports whether it was shut.
func (g *gate) open(ticket uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shut || ticket != g.shuttings {
		return false
	}
	g.shut = false
	return true
}

// watch calls f each time the gate is shut, or the journal is, until the returned function is called.
func (g *gate) watch(f func()) (unwatch func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watchers == nil {
		g.watchers = make(map[int]func())
	}
	id := g.next
	g.next++
	g.watchers[id] = f
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watchers, id)
	}
}

// watchJournal withdraws what is being pulled when the journal is shut.
func (c *Consumer) watchJournal(ctx context.Context) {
	for {
		changed := c.journal.Changed()
		if c.journal.Open() != nil {
			c.gate.alarm()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// await waits until the journal is open, and reports whether ctx is alive.
func await(ctx context.Context, j Journal) bool {
	for {
		changed := j.Changed()
		if j.Open() == nil {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// mayBegin reports whether a message may be taken in hand now. A probe asks the
// store whether it takes appends again; it does not ask for a journal that is not whole.
func (c *Consumer) mayBegin(probe bool) bool {
	return c.journal.Open() == nil && (probe || !c.gate.isShut())
}
