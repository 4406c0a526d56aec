//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/judge"
)

// stallFor is how long no result may come before a run is given up; longer than
// the longest time a contestant waits before it takes an interrupted command again.
const stallFor = 100 * time.Second

// client publishes commands and listens for results, for every contestant alike.
type client struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stop   func()
	next   int // number of the next command
	wanted atomic.Pointer[wanted]
	late   atomic.Int64 // results that came after their run
}

// wanted is one run's commands and what came back for them.
type wanted struct {
	first, end int
	free       chan struct{} // holds a token for each command that may be on its way
	sent       []time.Time

	mu      sync.Mutex
	took    []time.Duration // by command; 0: none yet
	got     int
	results [][]byte
	last    time.Time
	more    chan struct{}
}

// listen opens the client's connection and its one subscription of results.
func listen(ctx context.Context, url, stream, filter string) (*client, error) {
	nc, err := nats.Connect(url, nats.Name("bench"), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &client{nc: nc}
	if c.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096)); err != nil {
		nc.Close()
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	results, err := c.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("listen for results: %w", err)
	}
	consuming, err := results.Consume(c.take)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("listen for results: %w", err)
	}
	c.stop = consuming.Stop
	return c, nil
}

func (c *client) close() {
	c.stop()
	c.nc.Close()
}

// take notes a result. It reads the payment from the body's bytes; all else is
// judged after the run.
func (c *client) take(m jetstream.Msg) {
	now := time.Now()
	w := c.wanted.Load()
	n, ok := job.Of(string(job.Between(m.Data(), `"orderId":"`, `"`)))
	if w == nil {
		c.late.Add(1)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results = append(w.results, m.Data())
	if !ok || n < w.first || n >= w.end || w.took[n-w.first] != 0 {
		return // the judge says what it is
	}
	w.took[n-w.first] = now.Sub(w.sent[n-w.first])
	w.got++
	w.last = now
	w.free <- struct{}{} // there is room: this command's own token was taken
	if w.got == w.end-w.first {
		close(w.more)
	}
}

// run is what one run of the load measured.
type run struct {
	InFlight int           `json:"inFlight"`
	Commands int           `json:"commands"`
	Wall     time.Duration `json:"wallNanoseconds"`
	P50      time.Duration `json:"p50Nanoseconds"`
	P99      time.Duration `json:"p99Nanoseconds"`
	Verdict  judge.Verdict `json:"verdict"`
}

// perSecond is the throughput.
func (r run) perSecond() float64 { return float64(r.Commands) / r.Wall.Seconds() }

// drive publishes n commands, never more than inFlight without a result, and
// returns once each has one. A command's time runs from its publish to its result.
// at is told how many have been answered, if it is not nil, every few milliseconds.
// settle, if not nil, waits for what may still come before it is all judged.
func (c *client) drive(ctx context.Context, n, inFlight int, at func(answered int), settle func() error) (run, error) {
	w := &wanted{
		first: c.next, end: c.next + n, free: make(chan struct{}, inFlight), more: make(chan struct{}),
		sent: make([]time.Time, n), took: make([]time.Duration, n), results: make([][]byte, 0, n), last: time.Now(),
	}
	c.next += n
	for range inFlight {
		w.free <- struct{}{}
	}
	c.wanted.Store(w)
	defer c.wanted.Store(nil)
	watch := time.NewTicker(5 * time.Millisecond)
	defer watch.Stop()
	began := time.Now()
	for i := 0; ; {
		free := w.free
		if i == n {
			free = nil
		}
		select {
		case <-free:
			w.mu.Lock()
			w.sent[i] = time.Now()
			w.mu.Unlock()
			if err := c.publish(job.Number(w.first + i)); err != nil {
				return run{}, err
			}
			i++
		case <-watch.C:
			if err := w.watch(at); err != nil {
				return w.measured(inFlight, began), err
			}
		case <-w.more:
			if settle != nil {
				if err := settle(); err != nil {
					return w.measured(inFlight, began), err
				}
			}
			return w.measured(inFlight, began), c.unsaid()
		case <-ctx.Done():
			return run{}, ctx.Err()
		}
	}
}

func (w *wanted) watch(at func(int)) error {
	w.mu.Lock()
	got, last := w.got, w.last
	w.mu.Unlock()
	if at != nil {
		at(got)
	}
	if time.Since(last) > stallFor {
		return fmt.Errorf("no result for %s: %d of %d came", stallFor, got, w.end-w.first)
	}
	return nil
}

func (w *wanted) measured(inFlight int, began time.Time) run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return run{
		InFlight: inFlight, Commands: w.end - w.first, Wall: w.last.Sub(began),
		P50: judge.Percentile(w.took, 50), P99: judge.Percentile(w.took, 99),
		Verdict: judge.Check(w.first, w.end, w.results),
	}
}

func (c *client) publish(command job.Command) error {
	m := &nats.Msg{Subject: job.CommandSubject, Data: command.Data(), Header: nats.Header{"Content-Type": {job.ContentType}}}
	if _, err := c.js.PublishMsgAsync(m, jetstream.WithStallWait(10*time.Second)); err != nil {
		return fmt.Errorf("publish %s: %w", command.ID, err)
	}
	return nil
}

// unsaid says that results came which nobody was waiting for.
func (c *client) unsaid() error {
	if n := c.late.Swap(0); n > 0 {
		return errors.New("results came after their run had ended")
	}
	return nil
}

// quietFor is how long no result may have come for nothing more to be expected.
const quietFor = 3 * time.Second

// quiet waits until no result, first or repeated, has come for a while.
func (c *client) quiet(ctx context.Context) error {
	w := c.wanted.Load()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.results)
	}
	for before := -1; before != count(); {
		before = count()
		select {
		case <-time.After(quietFor):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
