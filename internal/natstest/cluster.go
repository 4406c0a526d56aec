package natstest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// clusterSize is what production runs: three servers, one may be away.
const clusterSize = 3

// Cluster is three embedded servers that replicate to each other. It takes
// seconds to start and to elect its leaders; a single server is enough where
// replication is not what is tested.
type Cluster struct {
	servers [clusterSize]*Server
}

// StartCluster starts three servers and stops them when the test ends.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	first := FreePorts(t, clusterSize)
	var routes []*url.URL
	for i := range clusterSize {
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: loopback(first + i)})
	}
	c := &Cluster{}
	for i := range c.servers {
		s := newServer(t, &Options{})
		s.opts.ServerName = fmt.Sprintf("natstest-%d", i+1)
		s.opts.Cluster = server.ClusterOpts{Name: "natstest", Host: "127.0.0.1", Port: first + i}
		s.opts.Routes = routes
		t.Cleanup(s.stop)
		s.begin(t)
		c.servers[i] = s
	}
	for _, s := range c.servers {
		s.await(t)
	}
	return c
}

// Connect opens a connection as the program does, to any of the servers.
func (c *Cluster) Connect(t testing.TB) *nats.Conn {
	t.Helper()
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.URL())
	}
	return connect(t, strings.Join(urls, ","))
}

// JetStream returns a JetStream client on a connection of its own.
func (c *Cluster) JetStream(t testing.TB) jetstream.JetStream {
	t.Helper()
	return jetStream(t, c.Connect(t))
}

// CreateStream creates a stream once the cluster has elected who may.
func (c *Cluster) CreateStream(t testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		try, end := context.WithTimeout(ctx, 2*time.Second)
		_, err := js.CreateStream(try, cfg)
		end()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("create stream %s: %v", cfg.Name, err)
		case <-again.C:
		}
	}
}

// RestartLeader stops the server that leads a stream, once there is one, and
// starts it again; it does not wait until the others have elected another.
func (c *Cluster) RestartLeader(t testing.TB, stream string) {
	t.Helper()
	look, end := time.NewTicker(5*time.Millisecond), time.NewTimer(ready)
	defer look.Stop()
	defer end.Stop()
	for {
		for _, s := range c.servers {
			if s.running.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				s.Restart(t)
				return
			}
		}
		select {
		case <-look.C:
		case <-end.C:
			t.Fatalf("stream %s had no leader for %s", stream, ready)
		}
	}
}

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
