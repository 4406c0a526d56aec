//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/witness"
	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
)

// ward is one server, or three that reach each other by paths only, with the
// processes that are watched.
type ward struct {
	dir      string
	topology broker.Topology
	servers  servers
	// routes are the paths between servers, by the numbers of the two.
	routes map[[2]int]*path
	nc     *nats.Conn
	js     jetstream.JetStream

	mu        sync.Mutex
	processes []*patient
	// left are those that were killed; what they saw counts.
	left []*patient
	// shared is the witness of every second process, as a Lease is shared.
	shared keeper.Store
	// sideErrs counts what failed of the traffic beside the journal: nothing depends on it.
	sideErrs int
	traffic  sync.WaitGroup
	stop     context.CancelFunc
}

func newWard(ctx context.Context, dir string, bin binaries, nodes int) (*ward, error) {
	w := &ward{
		dir: filepath.Join(dir, fmt.Sprintf("healthy-%d", nodes)), topology: topology(),
		routes: map[[2]int]*path{}, stop: func() {},
	}
	w.topology.Replicas = nodes
	w.shared = witness.NewFile(filepath.Join(w.dir, "shared.witness"))
	if err := w.begin(ctx, bin, nodes); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *ward) begin(ctx context.Context, bin binaries, nodes int) (err error) {
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startFor)
	defer cancel()
	var ports program.Ports
	if nodes == 1 {
		w.servers, err = program.NATSServers(w.dir, bin.server, 1, true, &ports)
	} else {
		proxies := newProxies()
		w.servers, err = program.NATSCluster(w.dir, bin.server, &ports, func(from, to, port int) (string, error) {
			p, err := newPath(proxies, fmt.Sprintf("nats-%d to nats-%d", from+1, to+1), port, &ports)
			if err != nil {
				return "", err
			}
			w.routes[[2]int{from, to}] = p
			return p.from, nil
		})
	}
	if err != nil {
		return err
	}
	for _, s := range w.servers {
		if err := s.Start(); err != nil {
			return err
		}
	}
	if err := w.servers.ready(ctx); err != nil {
		return err
	}
	if w.nc, err = w.servers.connect(); err != nil {
		return err
	}
	if w.js, err = jetstream.New(w.nc); err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	return program.Await(ctx, func() bool { // a cluster may not have elected its leaders yet
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err := broker.Provision(try, w.js, w.topology)
		return err == nil
	})
}

// admit starts the processes, and then traffic on the streams beside the journal.
func (w *ward) admit(ctx context.Context, n int, random *rand.Rand) error {
	for i := range n {
		p, err := newPatient(ctx, w, i, lagOf(i, random))
		if err != nil {
			return err
		}
		w.processes = append(w.processes, p)
	}
	// Like the service, nobody takes a command before a first mark is stored: an empty
	// journal beside commands that were delivered looks like a loss.
	started, end := context.WithTimeout(ctx, startFor)
	defer end()
	if err := program.Await(started, w.whole); err != nil {
		return fmt.Errorf("the processes do not find the journal whole: %w", err)
	}
	traffic, cancel := context.WithCancel(ctx)
	w.stop = cancel
	w.traffic.Go(func() { w.publish(traffic) })
	for _, stream := range []string{w.topology.Commands, w.topology.Due} {
		w.traffic.Go(func() { w.consume(traffic, stream) })
	}
	return nil
}

// sideEvery is how often a command and a timer are published.
const sideEvery = 20 * time.Millisecond

// publish publishes commands and timers that are due in a moment.
func (w *ward) publish(ctx context.Context) {
	timers := broker.NewTimers(w.js, w.topology)
	for n := 0; sleep.For(ctx, sideEvery); n++ {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := w.js.Publish(try, events.CommandSubject(payment.Refund, ""), []byte("{}"))
		timed := timers.Schedule(try, handlers.Timer{
			Subject: fmt.Sprintf("payment.schedule.refund.opay-eg.side-%d.%032x", n, n), Target: events.DueSubject(payment.Refund),
			At: time.Now().Add(time.Second), OriginTime: time.Now(), Message: events.Message{Data: []byte("{}")},
		})
		cancel()
		w.aside(cmp.Or(err, timed))
	}
}

// consume takes what a stream's durable consumer is sent, and acknowledges it.
func (w *ward) consume(ctx context.Context, stream string) {
	for ctx.Err() == nil {
		w.aside(w.consumeOn(ctx, stream))
		sleep.For(ctx, 200*time.Millisecond)
	}
}

func (w *ward) consumeOn(ctx context.Context, stream string) error {
	try, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := w.js.Consumer(try, stream, w.topology.Consumer)
	if err != nil {
		return err
	}
	batch, err := c.Fetch(100, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		if err := m.Ack(); err != nil {
			return err
		}
	}
	return batch.Error()
}

func (w *ward) aside(err error) {
	if err != nil {
		w.mu.Lock()
		w.sideErrs++
		w.mu.Unlock()
	}
}

// any returns one of the processes.
func (w *ward) any(i int) *patient {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.processes[i%len(w.processes)]
}

// all returns every process that ever ran.
func (w *ward) all() []*patient {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(append([]*patient(nil), w.left...), w.processes...)
}

// whole reports whether every process finds the journal whole.
func (w *ward) whole() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.processes {
		if p.keeper.Open() != nil {
			return false
		}
	}
	return true
}

// kill ends a process without a last word, and starts another in its place.
func (w *ward) kill(ctx context.Context, i int) error {
	old := w.any(i)
	old.die()
	p, err := newPatient(ctx, w, old.number, old.lag)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = append(w.left, old)
	w.processes[i%len(w.processes)] = p
	return nil
}

// close ends everything.
func (w *ward) close() {
	w.stop()
	w.traffic.Wait()
	for _, p := range w.processes {
		p.die()
	}
	if w.nc != nil {
		w.nc.Close()
	}
	for _, s := range w.servers {
		s.Kill()
	}
	for _, p := range w.routes {
		p.close()
	}
}
