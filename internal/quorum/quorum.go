// Package quorum tells the answer of a stream's leader from that of a server that
// only takes itself for one.
//
// A leader that its followers can no longer reach goes on to answer from what it
// has, for up to twenty seconds (nats-server 2.15.2). The others elect another one
// meanwhile and accept what the first one never sees. Its answers look like a
// stream that was set back.
package quorum

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoLeader: nobody leads the stream at the moment.
var ErrNoLeader = errors.New("the stream has no leader at the moment")

// heardWithin is how lately a leader must have heard from its followers. They answer
// once a second at least, and elect nobody within four seconds of the leader's last word.
const heardWithin = 3 * time.Second

// Led returns nil if the answer that names this cluster is one of a leader that a
// majority follows, else an error that says why it says nothing about the stream. A
// single server names no followers, and leads.
func Led(c *jetstream.ClusterInfo) error {
	switch {
	case c == nil:
		return nil
	case c.Leader == "":
		return ErrNoLeader
	}
	heard := 1 // the leader itself
	for _, r := range c.Replicas {
		switch {
		case r == nil:
		case r.Name == c.Leader: // who answers does not list itself
			return fmt.Errorf("the answer is not one of the leader %s", c.Leader)
		case r.Active > 0 && r.Active < heardWithin: // 0: never heard
			heard++
		}
	}
	if all := len(c.Replicas) + 1; heard <= all/2 {
		return fmt.Errorf("the leader %s has heard from too few of its %d followers lately", c.Leader, len(c.Replicas))
	}
	return nil
}
