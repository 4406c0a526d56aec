package check

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/internal/app"
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
	if v.JetStream.Config != nil {
		c.share(what, v.JetStream.Config.MaxStore)
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

// share looks whether the bounds of the other streams leave the journal and the timers,
// which have none, at least half of what a server stores.
func (c *checker) share(what string, store int64) {
	var bounds int64
	for _, s := range app.Topology(c.cfg).Streams() {
		bounds += max(s.MaxBytes, 0)
	}
	if store <= 0 || bounds <= store/2 {
		return
	}
	c.report(Warning, Storage, what+", max_file_store", Finding{
		Is:   fmt.Sprintf("%d bytes, of which streams.maxBytes gives %d to commands, refusals and quarantine", store, bounds),
		Want: fmt.Sprintf("%d or more: the journal has no bound, and half of the store is its share", 2*bounds),
		Do:   "junk could take the room in which results are recorded: lower streams.maxBytes and run provision, or give the servers more storage",
	})
}

// copyOfJournal compares what the monitored server holds of the journal with what
// its leader does. A copy that lags is none the worse; one that lacks messages in the
// middle, or has some that the leader lacks, is a loss that waits for an election.
func (c *checker) copyOfJournal(ctx context.Context) {
	if c.cfg.NATS.Monitor == "" || c.refused[streamInfo(c.cfg.Streams.Events)] || c.beyond[streamInfo(c.cfg.Streams.Events)] {
		return
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	held, found, err := monitor.CopyOf(ctx, c.cfg.NATS.Monitor, c.cfg.Streams.Events)
	if err != nil || !found || held.Leads {
		return // durability has said what is wrong with the address
	}
	stream, err := c.js.Stream(ctx, c.cfg.Streams.Events) // after the copy: it only grows
	if err != nil {
		return // topology says so
	}
	leader := stream.CachedInfo().State
	lacks, leaderLacks := held.Last-held.Messages, leader.LastSeq-leader.Msgs
	is := fmt.Sprintf("%d messages up to %d; the leader has %d up to %d", held.Messages, held.Last, leader.Msgs, leader.LastSeq)
	what := fmt.Sprintf("copy of %s at server %s", c.cfg.Streams.Events, held.Server)
	switch {
	case lacks > leaderLacks:
		c.report(Error, JournalCopy, what, Finding{
			Is: is, Want: "nothing missing that the leader has",
			Do: "the journal loses them once this server leads: rebuild the copy from the leader (remove the peer; the server fetches all again)",
		})
	case held.Last > leader.LastSeq || lacks < leaderLacks && held.Last >= leader.LastSeq:
		c.report(Error, JournalCopy, what, Finding{
			Is: is, Want: "nothing that the leader lacks",
			Do: "the leader has lost something: look at consumer journal status, and make this server lead before anything is accepted",
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
