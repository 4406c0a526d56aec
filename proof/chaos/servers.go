//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/program"
)

// servers are one nats-server, or three that replicate to each other. What is
// acknowledged is on disk, as in production.
type servers []*program.NATSServer

// connect opens our own connection, which no proxy cuts.
func (all servers) connect() (*nats.Conn, error) {
	nc, err := nats.Connect(program.NATSURL(all),
		nats.Name("chaos"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.Timeout(5*time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // lost connections are what this is about
	if err != nil {
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	return nc, nil
}

// named returns the server of that name, or nil.
func (all servers) named(name string) *program.NATSServer {
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// ready waits until every server says it is healthy: JetStream recovered, and
// in a cluster caught up.
func (all servers) ready(ctx context.Context) error {
	for _, s := range all {
		if err := program.Await(ctx, func() bool { return program.Answers(ctx, s.Health()) }); err != nil {
			return fmt.Errorf("wait for %s: %w", s.Name, err)
		}
	}
	return nil
}
