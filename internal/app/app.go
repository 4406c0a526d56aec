package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/isolation"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/status"
)

// Options are the optional parts of an App; nil and zero values mean the defaults.
type Options struct {
	Logger *slog.Logger // default: discards
	// Wrap stands between the broker and the handler, for demonstrations and
	// tests that lose an acknowledgement on purpose.
	Wrap func(broker.Handler) broker.Handler
	// AckWait is how long the server waits for a sign of life; the consumers must
	// have been provisioned with the same. Default: the topology's.
	AckWait time.Duration
	// LocalOperator is who decides at the console's loopback address where the
	// configuration names nobody; empty: nobody does. Simulated providers only.
	LocalOperator string
	// LookEvery is how often the server is looked at for metrics; default 15 s.
	LookEvery time.Duration
}

// App is the service on one connection.
type App struct {
	consumer  *broker.Consumer
	isolation *isolation.Isolation
	control   *broker.ControlView
	streams   *streams
	seen      *observation
	admin     string
	log       *slog.Logger
	nc        *nats.Conn
	desk      *desk.Desk
	console   *console.Console
	feed      *console.Feed
	follower  *follower
	replayer  remote.Replayer
	// selfAsserted: the desk takes operators' names as they are typed.
	selfAsserted bool
	notified     string                  // the address notifications come in at
	receiver     *notifications.Receiver // nil: none are taken in
	late         *broker.LateLooks       // nil: results are not looked at again
	status       *status.Reader
	statusRate   float64
	schemaPrefix string
}

// Topology is the streams and consumers the configuration asks for.
func Topology(cfg *config.Config) broker.Topology {
	t := broker.DefaultTopology()
	t.Commands, t.Events, t.Due, t.Rejected = cfg.Streams.Commands, cfg.Streams.Events, cfg.Streams.Due, cfg.Streams.Rejected
	t.Consumer, t.Concurrency, t.Replicas = cfg.Consumer, cfg.Concurrency, cfg.NATS.Replicas
	return t
}

// New builds the service; no I/O. The connection must have been opened with
// broker.ConnectOptions. It stays the caller's to close, after Run.
func New(nc *nats.Conn, cfg *config.Config, instances []providers.Instance, o *Options) (*App, error) {
	if o == nil {
		o = &Options{}
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	set, err := providers.NewSet(instances...)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	topology := Topology(cfg)
	if o.AckWait > 0 {
		topology.AckWait = o.AckWait
	}
	encoder := events.NewEncoder(events.EncoderOptions{
		Source: cfg.Source, SchemaPrefix: cfg.Results.SchemaPrefix, Binary: cfg.Results.Mode == "binary",
	})
	journal, err := stream.New(nc, encoder, &stream.Options{Stream: cfg.Streams.Events})
	if err != nil {
		return nil, err
	}
	isolated := newIsolation(instances, log)
	a := &App{isolation: isolated, admin: cfg.Admin.Listen, log: log}
	a.seen, err = observe(cfg, set, func() bool { ok, _ := a.Ready(); return ok }, isolated.State, log)
	if err != nil {
		return nil, err
	}
	handler, err := handlers.New(journal, set, broker.NewQuarantine(js, topology), encoder, &handlers.Options{
		Logger: log, Isolation: isolated, Observer: a.seen.observer(), Stories: journal,
	})
	if err != nil {
		return nil, err
	}
	timers := broker.NewTimers(js, topology)
	a.nc, a.selfAsserted = nc, cfg.Desk.SelfAsserted
	a.desk, err = newDesk(cfg.Desk, deskParts{
		journal: journal, handler: handler, timers: timers, set: set, log: log,
		open: openJournal{js: js, due: topology.Due, journal: journal},
	})
	if err != nil {
		return nil, err
	}
	a.replayer, err = newReplayer(replayParts{js: js, topology: topology, desk: a.desk, journal: journal, encoder: encoder, set: set})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(newConsole(a, cfg, set, o.LocalOperator), newStatus(a, cfg, journal)); err != nil {
		return nil, err
	}
	newNotifications(a, cfg.Notifications, set, looker{handler, journal, timers})
	if after := cfg.LateLook.After; after > 0 {
		a.late = broker.NewLateLooks(js, topology, handler, after, &broker.LateOptions{
			Logger: log, Looked: a.seen.metrics.LateLooked,
		})
	}
	a.follower = newFollower(a, js, topology.Events)
	var h broker.Handler = handler
	if o.Wrap != nil {
		h = o.Wrap(h)
	}
	a.consumer, err = broker.New(js, topology, h, timers, &broker.Options{Logger: log, Observer: a.seen.metrics})
	if err != nil {
		return nil, err
	}
	a.control = broker.NewControlView(
		broker.NewControl(js, topology), set.Names(), isolated.SetPaused,
		&broker.ControlOptions{StartPaused: cfg.StartPaused, Logger: log},
	)
	a.streams = &streams{js: js, topology: topology, log: log}
	if o.LookEvery > 0 {
		a.seen.every = o.LookEvery
	}
	a.seen.reading(js, topology, journal, a.consumer.Skew)
	return a, nil
}

// Run consumes and serves health until ctx is cancelled, then drains. Start
// order: admin address, view of the pauses, notifications, consumer. Stop order: consumer and notifications (stop
// pulling, finish or hand back what is in hand), view, admin address, traces.
func (a *App) Run(ctx context.Context) error {
	stop, err := a.serveAdmin()
	if err != nil {
		return err
	}
	keep, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	var keeping sync.WaitGroup
	keeping.Go(func() { a.control.Run(keep) })
	keeping.Go(func() { a.streams.run(keep) })
	keeping.Go(func() { a.seen.watch(keep) })
	keeping.Go(func() { a.seen.survey.Run(keep) })
	if a.admin != "" {
		keeping.Go(func() { a.follower.run(keep) })
	}
	stopDesk, stopStatus := a.serveDesk(ctx), a.serveStatus(ctx)
	if a.awaitControl(ctx) {
		err = a.besideNotifications(ctx, a.besideLateLooks(a.consumer.Run))
	}
	stopDesk()
	stopStatus()
	stopKeeping()
	keeping.Wait()
	err = errors.Join(err, stop())
	a.seen.close()
	return err
}

// besideLateLooks has results looked at again while run runs, if they are.
func (a *App) besideLateLooks(run func(context.Context) error) func(context.Context) error {
	if a.late == nil {
		return run
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		var looking sync.WaitGroup
		looking.Go(func() { a.late.Run(ctx) })
		defer looking.Wait()
		defer cancel()
		return run(ctx)
	}
}

// Ready reports whether commands are being carried out, and if not, why.
func (a *App) Ready() (bool, string) {
	if ok, reason := a.control.Ready(); !ok {
		return false, reason
	}
	if ok, reason := a.consumer.Ready(); !ok {
		return false, reason
	}
	return a.streams.ready()
}
