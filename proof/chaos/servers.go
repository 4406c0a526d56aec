//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// server is one nats-server process with a store of its own.
type server struct {
	process

	client, monitor int // ports
}

// servers are one nats-server, or three that replicate to each other.
type servers []*server

// newServers writes the configurations. What is acknowledged is on disk:
// sync_interval is always, as in production. The servers of a cluster do not
// tell clients of each other, or these would find a way around the proxies.
func newServers(dir, binary string, n int) (servers, error) {
	ports, err := freePorts(3 * n)
	if err != nil {
		return nil, err
	}
	var routes []string
	for i := range n {
		routes = append(routes, "nats-route://"+local(ports[3*i+2]))
	}
	var all servers
	for i := range n {
		name := fmt.Sprintf("nats-%d", i+1)
		own := filepath.Join(dir, name)
		if err := os.MkdirAll(own, 0o700); err != nil {
			return nil, fmt.Errorf("make directory of %s: %w", name, err)
		}
		client, monitor, route := ports[3*i], ports[3*i+1], ports[3*i+2]
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\njetstream { store_dir: %q, sync_interval: always }\n",
			name, local(client), local(monitor), own)
		if n > 1 {
			text += fmt.Sprintf("cluster { name: chaos, listen: %q, no_advertise: true, routes: [%s] }\n", local(route), strings.Join(routes, ", "))
		}
		file := filepath.Join(own, "nats.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write configuration of %s: %w", name, err)
		}
		s := &server{client: client, monitor: monitor}
		s.name, s.path, s.args, s.dir = name, binary, []string{"--config", file}, dir
		all = append(all, s)
	}
	return all, nil
}

// urls are the servers' own addresses, which no proxy cuts off.
func (all servers) urls() []string {
	var urls []string
	for _, s := range all {
		urls = append(urls, "nats://"+local(s.client))
	}
	return urls
}

// connect opens our own connection, which no proxy cuts.
func (all servers) connect() (*nats.Conn, error) {
	nc, err := nats.Connect(strings.Join(all.urls(), ","),
		nats.Name("chaos"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1), nats.Timeout(5*time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // lost connections are what this is about
	if err != nil {
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	return nc, nil
}

// named returns the server of that name, or nil.
func (all servers) named(name string) *server {
	for _, s := range all {
		if s.name == name {
			return s
		}
	}
	return nil
}

// ready waits until every server says it is healthy: JetStream recovered, and
// in a cluster caught up.
func (all servers) ready(ctx context.Context) error {
	for _, s := range all {
		if err := await(ctx, func() bool { return s.healthy(ctx) }); err != nil {
			return fmt.Errorf("wait for %s: %w", s.name, err)
		}
	}
	return nil
}

func (s *server) healthy(ctx context.Context) bool {
	return answers(ctx, fmt.Sprintf("http://%s/healthz", local(s.monitor)))
}

// answers reports whether an address answers 200.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

// await asks again and again until it is so, or the context ends.
func await(ctx context.Context, so func() bool) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
