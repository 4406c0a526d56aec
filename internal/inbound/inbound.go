// Package inbound keeps what strangers connect to from taking what the service needs.
//
// A connection costs a file descriptor, and without one no provider can be called.
// Whoever may connect could keep hundreds of idle connections open; so there is a
// bound, and a new connection takes the place of another one: a probe of the platform
// gets through while somebody holds all the rest.
//
// A connection that has had no answer yet keeps its place for a moment, whoever comes
// after it. Otherwise those who only connect, as fast as they can, would push a probe out
// before its request is read. While all are that new, nobody is accepted: the next ones
// wait in the kernel's queue, in the order in which they came.
package inbound

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bound lets a server keep at most so many connections. For one more it closes, in this
// order: the one that is idle for longest since its last request; the one that has been
// without any for longest; and, where each has a request in hand, the oldest. The latter
// two keep their place for the time fresh. A header that is not whole is no request.
// closed is told each time, from the goroutine that accepts. Bound sets the server's
// ConnState and must be called before the server serves.
func Bound(s *http.Server, most int, fresh time.Duration, closed func()) {
	b := &bounded{most: most, fresh: fresh, closed: closed, places: map[net.Conn]*list.Element{}, freed: make(chan struct{}, 1)}
	s.ConnState = b.changed
}

// bounded knows a server's connections in the order in which they last became what
// they are. It is safe for concurrent use.
type bounded struct {
	most   int
	fresh  time.Duration
	closed func()
	freed  chan struct{} // holds one where a connection may have made room

	mu     sync.Mutex
	clock  time.Duration
	ticked time.Time
	silent list.List // of place: between two requests
	mute   list.List // of place: before the first one
	busy   list.List // of place: a request is in hand
	places map[net.Conn]*list.Element
}

// place is a connection, and since when, by the bound's clock, it has been what it is.
type place struct {
	net.Conn
	since time.Duration
}

// changed is called for a new connection before the server accepts the next one.
func (b *bounded) changed(c net.Conn, state http.ConnState) {
	b.move(c, state)
	if state != http.StateNew {
		return
	}
	for {
		victim, wait := b.makeRoom(c)
		switch {
		case victim != nil:
			_ = victim.Close() // its server sees that it is gone
			b.closed()
			return
		case wait <= 0:
			return
		}
		b.await(wait)
	}
}

// await waits until there may be room.
func (b *bounded) await(most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-b.freed:
	case <-t.C:
	}
}

func (b *bounded) move(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tick()
	b.forget(c)
	switch state {
	case http.StateNew:
		b.places[c] = b.mute.PushBack(place{c, b.clock})
	case http.StateIdle:
		b.places[c] = b.silent.PushBack(place{c, b.clock})
	case http.StateActive:
		b.places[c] = b.busy.PushBack(place{c, b.clock})
	case http.StateHijacked, http.StateClosed:
	}
	if state != http.StateNew {
		select {
		case b.freed <- struct{}{}:
		default: // it is said already
		}
	}
}

// tick moves the clock on, at most by a step. So a process that gets no processor for a
// while, as under a limit in a container, takes nobody's moment away: who has sent a
// request is heard first.
func (b *bounded) tick() {
	now := time.Now()
	b.clock += min(now.Sub(b.ticked), b.step())
	b.ticked = now
}

func (b *bounded) step() time.Duration { return max(b.fresh/4, 1) }

// makeRoom takes the place of who must make room for c; nil where there is room, or
// where c has to wait so long for it.
func (b *bounded) makeRoom(c net.Conn) (victim net.Conn, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, here := b.places[c]; !here || len(b.places) <= b.most {
		return nil, 0
	}
	victim, since := b.oldest(c)
	b.tick()
	if wait := since + b.fresh - b.clock; wait > 0 {
		return nil, min(wait, b.step())
	}
	b.forget(victim)
	return victim, 0
}

// oldest is who makes room for c, and since when that has needed its place. There is
// somebody, as most is at least 1.
func (b *bounded) oldest(c net.Conn) (victim net.Conn, since time.Duration) {
	if p, ok := first(&b.silent); ok {
		return p.Conn, -b.fresh
	}
	p, ok := first(&b.mute)
	if !ok || p.Conn == c { // the last of them has just come
		p, _ = first(&b.busy)
	}
	return p.Conn, p.since
}

func first(l *list.List) (place, bool) {
	if l.Len() == 0 {
		return place{}, false
	}
	p, ok := l.Front().Value.(place)
	return p, ok
}

func (b *bounded) forget(c net.Conn) {
	at, known := b.places[c]
	if !known {
		return
	}
	delete(b.places, c)
	b.silent.Remove(at) // of the three lists only its own takes it
	b.mute.Remove(at)
	b.busy.Remove(at)
}
