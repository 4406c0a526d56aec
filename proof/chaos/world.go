//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/program"
)

// startFor bounds each step of starting up.
const startFor = 60 * time.Second

// shape is how large a world is and how its service is configured.
type shape struct {
	nodes, consumers int
	// ackWait is how long the server waits for a sign of life; shorter than the
	// service's own signals would be, it delivers again what is still in hand.
	ackWait time.Duration
	// timing is every provider's settings of time.
	timing string
	// direct: the providers are reached without a path that can be cut.
	direct bool
	// witness: the journal's mark is kept in a file too, outside of the servers' files.
	witness bool
	// ports are shared with the worlds beside this one; nil: there is none.
	ports *program.Ports
}

// consumerProcess is one "consumer run" and its ways to the servers.
type consumerProcess struct {
	program.Program

	// busy is held while something is being done to it.
	busy  sync.Mutex
	nats  []*path // one to each server
	admin string  // its admin address
}

// world is everything that runs. Close ends it all.
type world struct {
	dir        string
	ports      *program.Ports
	shape      shape
	servers    servers
	simulators *simulators
	consumers  []*consumerProcess
	providers  []*path // one to each kind: a merchant account is a host and a port
	nc         *nats.Conn
	js         jetstream.JetStream
	// binary is the consumer's, operatorConfig what operators give it.
	binary, operatorConfig string
}

// newWorld starts everything but the consumers.
func newWorld(ctx context.Context, dir string, bin binaries, s shape) (*world, error) {
	w := &world{dir: dir, shape: s, ports: s.ports}
	if w.ports == nil {
		w.ports = &program.Ports{}
	}
	if err := w.begin(ctx, bin); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) begin(ctx context.Context, bin binaries) error {
	ctx, cancel := context.WithTimeout(ctx, startFor)
	defer cancel()
	var err error
	if w.servers, err = program.NATSServers(w.dir, bin.server, w.shape.nodes, true, w.ports); err != nil {
		return err
	}
	for _, s := range w.servers {
		if err := s.Start(); err != nil {
			return err
		}
	}
	if w.simulators, err = newSimulators(w.dir, bin.consumer, w.ports); err != nil {
		return err
	}
	if err := w.simulators.Start(); err != nil {
		return err
	}
	if err := w.servers.ready(ctx); err != nil {
		return err
	}
	if err := w.simulators.ready(ctx); err != nil {
		return err
	}
	if w.nc, err = w.servers.connect(); err != nil {
		return err
	}
	if w.js, err = jetstream.New(w.nc); err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	if err := w.configure(bin.consumer); err != nil {
		return err
	}
	return w.provision(ctx, bin.consumer)
}

// configure opens the paths and writes a configuration for each consumer.
func (w *world) configure(binary string) error {
	proxies := newProxies()
	var providers strings.Builder
	for _, k := range kinds() {
		p, err := newPath(proxies, k.Name, w.simulators.port, w.ports)
		if err != nil {
			return err
		}
		w.providers = append(w.providers, p)
		address := p.from
		if w.shape.direct {
			address = program.Local(w.simulators.port)
		}
		fmt.Fprintf(&providers, "  - {name: %s, kind: %s, baseURL: \"http://%s/%s\", %s, %s}\n", k.Instance, k.Name, address, k.Name, settings(k), w.shape.timing)
	}
	ports, err := w.ports.Free(w.shape.consumers + 1)
	if err != nil {
		return err
	}
	for i := range w.shape.consumers {
		c := &consumerProcess{}
		var urls []string
		for _, s := range w.servers {
			p, err := newPath(proxies, fmt.Sprintf("consumer-%d to %s", i+1, s.Name), s.Port(), w.ports)
			if err != nil {
				return err
			}
			c.nats = append(c.nats, p)
			urls = append(urls, "nats://"+p.from)
		}
		c.Name, c.Path, c.Dir, c.Env = fmt.Sprintf("consumer-%d", i+1), binary, w.dir, credentials()
		c.admin = program.Local(ports[i])
		file := filepath.Join(w.dir, c.Name+".yaml")
		if err := w.writeConfig(file, strings.Join(urls, ","), c.admin, providers.String()); err != nil {
			return err
		}
		c.Args = []string{"run", "--config", file}
		w.consumers = append(w.consumers, c)
	}
	// The operators' commands take no way that is cut.
	w.binary, w.operatorConfig = binary, filepath.Join(w.dir, "operators.yaml")
	return w.writeConfig(w.operatorConfig, program.NATSURL(w.servers), program.Local(ports[w.shape.consumers]), providers.String())
}

// writeConfig writes the configuration of one process.
func (w *world) writeConfig(file, url, admin, providers string) error {
	text := fmt.Sprintf("nats: {url: %q, replicas: %d}\nadmin: {listen: %q}\ndesk: {selfAsserted: true}\n", url, w.shape.nodes, admin)
	if w.shape.witness {
		text += fmt.Sprintf("journal: {witness: {file: %q}}\n", filepath.Join(w.dir, "witness"))
	}
	text += "providers:\n" + providers
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// provision creates streams and consumers as an operator does, then gives the
// consumers the time to wait for an acknowledgement that this run wants.
func (w *world) provision(ctx context.Context, binary string) error {
	p := &program.Program{Name: "provision", Path: binary, Dir: w.dir, Env: credentials()}
	p.Args = []string{"provision", "--config", filepath.Join(w.dir, w.consumers[0].Name+".yaml")}
	again := func() bool { return p.Run() == nil } // a cluster may not have elected its leaders yet
	if err := program.Await(ctx, again); err != nil {
		return fmt.Errorf("provision (see provision.log): %w", err)
	}
	t := topology()
	for _, stream := range []string{t.Commands, t.Due} {
		c, err := w.js.Consumer(ctx, stream, t.Consumer)
		if err != nil {
			return fmt.Errorf("look at consumer: %w", err)
		}
		cfg := c.CachedInfo().Config
		cfg.AckWait = w.shape.ackWait
		if _, err := w.js.UpdateConsumer(ctx, stream, cfg); err != nil {
			return fmt.Errorf("set time to wait for acknowledgements: %w", err)
		}
	}
	return nil
}

// topology names the streams: the documented ones.
func topology() broker.Topology { return broker.DefaultTopology() }

// serve starts the consumers.
func (w *world) serve() error {
	for _, c := range w.consumers {
		if err := c.Start(); err != nil {
			return err
		}
	}
	return nil
}

// unexpected says which program has ended that nobody ended.
func (w *world) unexpected() error {
	var dead []error
	for _, p := range w.programs() {
		if !p.Alive() {
			dead = append(dead, fmt.Errorf("%s has ended by itself: see %s", p.Name, filepath.Join(w.dir, p.Name+".log")))
		}
	}
	return errors.Join(dead...)
}

func (w *world) programs() []*program.Program {
	var all []*program.Program
	for _, c := range w.consumers {
		all = append(all, &c.Program)
	}
	for _, s := range w.servers {
		all = append(all, &s.Program)
	}
	if w.simulators != nil {
		all = append(all, &w.simulators.Program)
	}
	return all
}

// close ends every program and path. What they wrote stays in the directory.
func (w *world) close() {
	for _, p := range w.programs() {
		p.Kill()
	}
	if w.nc != nil {
		w.nc.Close()
	}
	for _, p := range w.providers {
		p.close()
	}
	for _, c := range w.consumers {
		for _, p := range c.nats {
			p.close()
		}
	}
}
