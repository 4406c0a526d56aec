//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/program"
)

// world is what every contestant meets: the broker with the streams as production
// has them, and the provider. Close ends it all and removes its files.
type world struct {
	dir      string
	bin      binaries
	opts     options
	ports    program.Ports
	brokers  []*program.Program
	url      string // of the brokers, for clients
	healthy  string // the first broker's address that tells its health
	provider *program.Program
	address  string // of the provider
	delay    time.Duration
}

// newWorld starts brokers with an empty store and a provider that takes so long.
func newWorld(ctx context.Context, bin binaries, opts options, delay time.Duration) (*world, error) {
	dir, err := os.MkdirTemp(opts.dir, "countermand-bench-")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	w := &world{dir: dir, bin: bin, opts: opts, delay: delay}
	err = os.Chmod(dir, 0o711) // PostgreSQL runs as another user
	for _, step := range []func(context.Context) error{w.startBrokers, w.startProvider, w.provision} {
		if err == nil {
			err = step(ctx)
		}
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	for _, p := range append(w.brokers, w.provider) {
		if p != nil {
			p.Kill()
		}
	}
	if !w.opts.keep {
		_ = os.RemoveAll(w.dir) // a leftover in the system's temporary directory
	}
}

// startBrokers starts one nats-server, or three that replicate to each other.
func (w *world) startBrokers(ctx context.Context) error {
	servers, err := program.NATSServers(w.dir, w.bin.server, w.opts.replicas, w.opts.sync == "always", &w.ports)
	if err != nil {
		return err
	}
	w.url, w.healthy = program.NATSURL(servers), servers[0].Health()
	for _, s := range servers {
		w.brokers = append(w.brokers, &s.Program)
		if err := s.Start(); err != nil {
			return err
		}
	}
	for _, s := range servers {
		if err := answers(ctx, &s.Program, s.Health()); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) startProvider(ctx context.Context) error {
	free, err := w.ports.Free(1)
	if err != nil {
		return err
	}
	w.address = "http://" + program.Local(free[0])
	w.provider = &program.Program{
		Name: "provider", Path: w.bin.provider, Dir: w.dir,
		Args: []string{"--listen", program.Local(free[0]), "--delay", w.delay.String()},
	}
	if err := w.provider.Start(); err != nil {
		return err
	}
	return answers(ctx, w.provider, w.address+job.CallsPath)
}

// calls asks the provider what it counted.
func (w *world) calls(ctx context.Context) (job.Calls, error) {
	var c job.Calls
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.address+job.CallsPath, http.NoBody)
	if err != nil {
		return c, fmt.Errorf("ask provider: %w", err)
	}
	answer, err := new(http.Client).Do(r)
	if err != nil {
		return c, fmt.Errorf("ask provider: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&c); err != nil {
		return c, fmt.Errorf("ask provider: %w", err)
	}
	return c, nil
}

// topology is Countermand's with its defaults; the floor shares it.
func (w *world) topology() broker.Topology {
	t := broker.DefaultTopology()
	t.Replicas = w.opts.replicas
	t.CommandsBytes = 8 << 30 // a full queue would refuse the largest runs
	return t
}

// provision creates Countermand's streams, and one for the results of peers.
func (w *world) provision(ctx context.Context) error {
	nc, js, err := w.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	// A cluster may not have elected its leaders yet.
	ready := func() bool { _, err = broker.Provision(ctx, js, w.topology()); return err == nil }
	if failed := await(ctx, w.brokers[0], ready); failed != nil {
		return fmt.Errorf("%w (%w)", failed, err)
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: job.ResultStream, Subjects: []string{job.ResultPrefix + ">"}, Storage: jetstream.FileStorage, Replicas: w.opts.replicas,
	})
	if err != nil {
		return fmt.Errorf("create stream of results: %w", err)
	}
	return nil
}

func (w *world) connect() (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(w.url, nats.Name("bench"))
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("use jetstream: %w", err)
	}
	return nc, js, nil
}

// stored is how many messages a stream holds.
func (*world) stored(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("look at stream: %w", err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// pending is how many commands a durable consumer has not had acknowledged. It is
// looked up among all, because one kind of them is not found by its name.
func pending(ctx context.Context, js jetstream.JetStream, durable string) (int, error) {
	s, err := js.Stream(ctx, job.CommandStream)
	if err != nil {
		return 0, fmt.Errorf("look at stream: %w", err)
	}
	all := s.ListConsumers(ctx)
	for info := range all.Info() {
		if info.Name == durable {
			return info.NumAckPending + int(info.NumPending), nil
		}
	}
	if err := all.Err(); err != nil {
		return 0, fmt.Errorf("look at consumers: %w", err)
	}
	return 0, fmt.Errorf("look at consumers: there is no %q", durable)
}
