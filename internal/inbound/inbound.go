// Package inbound keeps what strangers connect to from taking what the service needs.
//
// A connection costs a file descriptor, and without one no provider can be called.
// Whoever may connect could keep hundreds of idle connections open; so there is a
// bound, and a new connection takes the place of another one instead of waiting: a
// probe of the platform gets through while somebody holds all the rest.
package inbound

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// Bound lets a server keep at most so many connections. For one more it closes the
// one that has been without a request for longest, or, where each has one, the
// oldest. It sets the server's ConnState and must be called before the server serves.
func Bound(s *http.Server, most int) {
	b := &bounded{most: most, places: map[net.Conn]*list.Element{}}
	s.ConnState = b.changed
}

// bounded knows a server's connections in the order in which they last became what
// they are. It is safe for concurrent use.
type bounded struct {
	most int

	mu     sync.Mutex
	silent list.List // of net.Conn: new ones, and those between two requests
	busy   list.List // of net.Conn: a request is in hand
	places map[net.Conn]*list.Element
}

func (b *bounded) changed(c net.Conn, state http.ConnState) {
	b.mu.Lock()
	b.forget(c)
	switch state {
	case http.StateNew, http.StateIdle:
		b.places[c] = b.silent.PushBack(c)
	case http.StateActive:
		b.places[c] = b.busy.PushBack(c)
	case http.StateHijacked, http.StateClosed:
	}
	var victim net.Conn
	if state == http.StateNew && len(b.places) > b.most {
		victim = b.oldest(c)
		b.forget(victim)
	}
	b.mu.Unlock()
	if victim != nil {
		_ = victim.Close() // its server sees that it is gone
	}
}

// oldest is who gives its place to c.
func (b *bounded) oldest(c net.Conn) net.Conn {
	first := b.silent.Front()
	if first.Value == c && b.busy.Len() > 0 { // the only silent one has just come
		first = b.busy.Front()
	}
	victim, _ := first.Value.(net.Conn)
	return victim
}

func (b *bounded) forget(c net.Conn) {
	place, known := b.places[c]
	if !known {
		return
	}
	delete(b.places, c)
	b.silent.Remove(place) // of the two lists only its own takes it
	b.busy.Remove(place)
}
