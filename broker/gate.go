package broker

import "sync"

// gate is shut while the journal's store refuses appends: what is pulled then
// could only be given back. Deliveries that began after the last shutting and
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
	watchers := make([]func(), 0, len(g.watchers))
	for _, w := range g.watchers {
		watchers = append(watchers, w)
	}
	g.mu.Unlock()
	for _, w := range watchers {
		w()
	}
	return was
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

// watch calls f each time the gate is shut, until the returned function is called.
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
