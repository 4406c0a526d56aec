package broker

import (
	"context"
	"sync"
)

// crew is the goroutines that carry messages out and have nothing to do right
// now, the last one to become idle first. They stay for the next message: a new
// goroutine begins with a small stack, and growing it cost a message more than
// deciding on it.
type crew struct {
	mu        sync.Mutex
	idle      []chan *inHand
	dismissed bool
}

// take returns an idle goroutine's channel, or nil if there is none.
func (c *crew) take() chan<- *inHand {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		return nil
	}
	next := c.idle[last]
	c.idle = c.idle[:last]
	return next
}

// rest makes a goroutine idle, or tells it to end.
func (c *crew) rest(next chan *inHand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dismissed {
		close(next)
		return
	}
	c.idle = append(c.idle, next)
}

// dismiss ends the idle ones now and the others once they are done. Nobody may
// take one any more.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dismissed = true
	for _, next := range c.idle {
		close(next)
	}
	c.idle = nil
}

// employ has a goroutine carry the message out. The caller holds a slot, which
// is given back after it; so there are never more goroutines than slots.
func (c *Consumer) employ(work context.Context, m *inHand) {
	if next := c.crew.take(); next != nil {
		next <- m
		return
	}
	c.handling.Go(func() {
		next := make(chan *inHand, 1)
		for ok := true; ok; m, ok = <-next {
			c.carryOut(work, m)
			c.crew.rest(next) // before the slot: whoever gets that finds an idle one
			<-c.slots
		}
	})
}
