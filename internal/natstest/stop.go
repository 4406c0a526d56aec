package natstest

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// StopFollower stops one server that does not lead a stream, for the rest of
// the test, and returns its name. It returns "" while the stream has no leader.
func (c *Cluster) StopFollower(t testing.TB, stream string) string {
	t.Helper()
	leader := -1
	for i, s := range c.servers {
		if s.running.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			leader = i
		}
	}
	if leader < 0 {
		return ""
	}
	follower := c.servers[(leader+1)%clusterSize]
	name := follower.opts.ServerName
	follower.Shutdown(t)
	return name
}
