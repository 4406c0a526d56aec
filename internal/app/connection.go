package app

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/sleep"
)

// connectionEvery is how often the connection is looked at.
const connectionEvery = 250 * time.Millisecond

// connection knows since when there is no connection to the server. It is safe for
// concurrent use.
type connection struct {
	nc *nats.Conn

	mu    sync.Mutex
	since time.Time
	first chan struct{} // closed once there is a connection
	made  bool          // there was one
}

func newConnection(nc *nats.Conn) *connection {
	c := &connection{nc: nc, first: make(chan struct{})}
	c.away()
	return c
}

// run looks until ctx ends, so that the time is known also if nobody asks.
func (c *connection) run(ctx context.Context) {
	for alive := true; alive; alive = sleep.For(ctx, connectionEvery) {
		c.away()
	}
}

// away is since when there is no connection; zero: there is one.
func (c *connection) away() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.nc.IsConnected():
		c.since = time.Time{}
		if !c.made {
			c.made = true
			close(c.first)
		}
	case c.since.IsZero():
		c.since = time.Now().UTC()
	}
	return c.since
}
