package check

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/internal/monitor"
)

// durability asks the monitoring address whether the server writes to disk
// before it acknowledges. Clients cannot be told: no API of the server's says it.
func (c *checker) durability(ctx context.Context) {
	if c.cfg.NATS.Monitor == "" {
		c.report(NotVerifiable, SyncInterval, "sync_interval of the servers", Finding{
			Is: "unknown", Want: "always", Do: "only the monitoring address can tell: set nats.monitor (http://HOST:8222)",
		})
		return
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	v, err := monitor.Ask(ctx, c.cfg.NATS.Monitor)
	if err != nil {
		c.report(NotVerifiable, SyncInterval, "sync_interval of the servers", Finding{
			Is: "unknown (" + err.Error() + ")", Want: "always", Do: "check nats.monitor and that the server's monitoring port is on",
		})
		return
	}
	what := "server " + v.Name
	switch config := v.JetStream.Config; {
	case !c.sameSystem(v):
		c.report(Warning, SyncInterval, what, Finding{
			Is: "another server than nats.url's " + c.nc.ConnectedServerName(), Want: "the same one or one of its cluster",
			Do: "what it says is of no use here: correct nats.monitor",
		})
		return
	case config == nil:
		c.report(Error, SyncInterval, what, Finding{Is: "without JetStream", Want: "with JetStream", Do: "enable JetStream on the server"})
	case !config.SyncAlways:
		c.report(Error, SyncInterval, what+", sync_interval", Finding{
			Is: config.SyncInterval.String(), Want: "always",
			Do: "acknowledged events are lost with the power: set sync_interval to always in the jetstream block of every server",
		})
	}
	if m := v.JetStream.Meta; m != nil {
		c.servers = max(c.servers, m.ClusterSize)
	}
	if c.servers > 1 {
		c.report(NotVerifiable, SyncInterval, fmt.Sprintf("sync_interval of the other %d servers", c.servers-1), Finding{
			Is: "unknown, only " + v.Name + " was asked", Want: "always", Do: "check again with nats.monitor set to each of them",
		})
	}
}

// sameSystem reports whether the monitored server belongs to the connection's.
func (c *checker) sameSystem(v monitor.Page) bool {
	if v.ID == c.nc.ConnectedServerId() {
		return true
	}
	return v.Cluster.Name != "" && v.Cluster.Name == c.nc.ConnectedClusterName()
}
