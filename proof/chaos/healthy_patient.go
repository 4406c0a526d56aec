//go:build unix

package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/replicas"
	marks "github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/integrity/witness"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal/stream"
)

// patient is what a process of the service has of the journal: a connection, a
// keeper of marks, the journal, and the view of pauses.
type patient struct {
	number  int
	lag     lag
	nc      *nats.Conn
	keeper  *keeper.Keeper
	journal *stream.Journal

	cancel context.CancelFunc
	ended  sync.WaitGroup
	log    *os.File
	once   sync.Once

	mu sync.Mutex
	// suspects are how long the journal was suspect, each time.
	suspects []time.Duration
	since    time.Time // of the suspicion that lasts; zero: none
	broken   []integrity.Finding
	// paused are the providers that were taken for paused. Nobody pauses any.
	paused []string
}

// lag is how late stores answer: up to so long, one time of how many.
type lag struct {
	bucket, witness time.Duration
	often           int
}

// lagOf is the lag of a process: a third has none, a third a slow bucket, a third a
// slow witness.
func lagOf(i int, random *rand.Rand) lag {
	upTo := time.Second + time.Duration(random.IntN(3))*time.Second
	switch i % 3 {
	case 1:
		return lag{bucket: upTo, witness: upTo / 2, often: 4}
	case 2:
		return lag{witness: upTo, often: 2}
	default:
		return lag{}
	}
}

// newPatient starts a process. Process i prefers server i, so that each server has
// some that believe it.
func newPatient(ctx context.Context, w *ward, i int, l lag) (p *patient, err error) {
	p = &patient{number: i, lag: l}
	name := fmt.Sprintf("process-%d", i+1)
	p.log, err = os.OpenFile(filepath.Join(w.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	log := slog.New(slog.NewTextHandler(p.log, nil))
	if p.nc, err = w.connect(name, i); err != nil {
		return nil, err
	}
	js, err := jetstream.New(p.nc)
	if err != nil {
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	registration := replicas.New(js, w.topology.Control, name, &replicas.Options{Logger: log})
	seen := w.shared
	if i%2 == 1 {
		seen = witness.NewFile(filepath.Join(w.dir, name+".witness"))
	}
	p.keeper = keeper.New(
		marks.NewReader(p.nc, app.ReadingPlan(w.topology)),
		&laggard{marks.NewBucket(p.nc, w.topology.Control), l.bucket, l.often},
		&keeper.Options{
			Journal: w.topology.Events, BucketStream: w.topology.ControlStream(), Logger: log, Changed: p.changed, Others: registration.Others,
			Witness: &laggard{seen, l.witness, l.often},
		},
	)
	p.journal, err = stream.New(p.nc, events.NewEncoder(nil), &stream.Options{Stream: w.topology.Events, Integrity: p.keeper})
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	ctx, p.cancel = context.WithCancel(ctx)
	view := broker.NewControlView(broker.NewControl(js, w.topology), []string{"opay-eg"}, p.tellPaused, &broker.ControlOptions{
		Logger: log, Reached: func() uint64 { return p.keeper.Reaches(w.topology.ControlStream()) },
		Known: p.keeper.Decisions, Decided: p.keeper.Decided,
	})
	p.ended.Go(func() { _ = p.keeper.Run(ctx) }) // it returns no error
	p.ended.Go(func() { view.Run(ctx) })
	p.ended.Go(func() { registration.Run(ctx, p.keeper) })
	return p, nil
}

// connect opens a process's connection, first to server i and then to the others.
func (w *ward) connect(name string, i int) (*nats.Conn, error) {
	n := i % len(w.servers)
	order := append(append([]*program.NATSServer(nil), w.servers[n:]...), w.servers[:n]...)
	nc, err := nats.Connect(program.NATSURL(order),
		nats.Name(name), nats.DontRandomize(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond), nats.ReconnectBufSize(-1), nats.Timeout(2*time.Second),
		nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // lost connections are what this is about
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", name, err)
	}
	return nc, nil
}

// die ends it as a kill does: without a connection there is no last word.
func (p *patient) die() {
	p.once.Do(func() {
		p.nc.Close()
		p.cancel()
		p.ended.Wait()
		p.log.Close()
	})
}

// changed takes in what the keeper says.
func (p *patient) changed(s keeper.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	suspect := s.Watch.Standing == integrity.Suspect
	switch {
	case s.Watch.Standing == integrity.Broken && p.broken == nil:
		p.broken = s.Watch.Findings
	case suspect && p.since.IsZero():
		p.since = now
	}
	if !suspect && !p.since.IsZero() {
		p.suspects = append(p.suspects, now.Sub(p.since))
		p.since = time.Time{}
	}
}

func (p *patient) tellPaused(provider string, paused bool) {
	if paused {
		p.mu.Lock()
		p.paused = append(p.paused, provider)
		p.mu.Unlock()
	}
}

// laggard is a store that answers late now and then, also after the question's
// time, when what it was to store is stored all the same.
type laggard struct {
	keeper.Store

	upTo  time.Duration
	often int
}

func (l *laggard) Load(ctx context.Context) (integrity.Record, error) {
	r, err := l.Store.Load(ctx)
	return l.late(ctx, r, err)
}

func (l *laggard) Raise(ctx context.Context, want integrity.Record) (integrity.Record, error) {
	r, err := l.Store.Raise(ctx, want)
	return l.late(ctx, r, err)
}

func (l *laggard) late(ctx context.Context, r integrity.Record, err error) (integrity.Record, error) {
	if l.upTo > 0 && rand.IntN(l.often) == 0 { //nolint:gosec // no secret
		if !sleep.For(ctx, rand.N(l.upTo)) { //nolint:gosec // no secret
			return integrity.Record{}, ctx.Err()
		}
	}
	return r, err
}
