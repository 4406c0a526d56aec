package app

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/isolation"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/status"
	"github.com/countermand/countermand/telemetry"
)

// New builds the service; no I/O but for opening the witness. The connection must have been opened with
// broker.ConnectOptions. It stays the caller's to close, after Run.
func New(nc *nats.Conn, cfg *config.Config, instances []providers.Instance, o *Options) (*App, error) {
	if o == nil {
		o = &Options{}
	}
	c, err := newCore(nc, cfg, instances, o)
	if err != nil {
		return nil, err
	}
	log, open := c.log, openJournal{js: c.js, due: c.topology.Due, journal: c.journal}
	ready := readiness{c.whole, c.pauses.Ready, c.consumer.Ready, c.streams.ready}
	if o.Link != nil {
		ready = append(readiness{func() (bool, string) { return o.Link.ready(nc) }}, ready...)
	}
	if err := telemetry.RegisterReady(c.seen.registry, func() bool { ok, _ := ready.report(); return ok }); err != nil {
		return nil, err
	}
	if err := telemetry.RegisterWitness(c.seen.registry, func() time.Time { return c.keeper.Status().WitnessSince }, time.Now); err != nil {
		return nil, err
	}
	if err := telemetry.RegisterStanding(c.seen.registry, func() string { return c.keeper.Status().Watch.Standing.String() }); err != nil {
		return nil, err
	}
	every := cmp.Or(o.LookEvery, defaultLook)
	watch := serverWatch{
		js: c.js, topology: c.topology, metrics: c.seen.metrics, skew: c.consumer.Skew, every: every, monitor: cfg.NATS.Monitor,
	}
	survey := telemetry.NewSurvey(c.seen.metrics, open, &telemetry.SurveyOptions{Logger: log, Every: looksApart * every})
	persons, err := People(cfg.People)
	if err != nil {
		return nil, err
	}
	operators, err := desk.New(c.journal, open, ruler{c.handler, c.timers}, c.set, &desk.Options{
		SecondPersonAbove: Amounts(cfg.Desk.SecondPersonAbove), People: persons, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	replayer, err := desk.NewReplayer(operators, c.journal, commands{c.js, c.topology.Commands}, c.encoder, nil)
	if err != nil {
		return nil, err
	}
	reader, err := status.NewReader(c.journal, positions{c.journal}, &status.Options{Recent: cfg.Status.Recent})
	if err != nil {
		return nil, err
	}
	feed := console.NewFeed(time.Now)
	follower := &follower{js: c.js, stream: c.topology.Events, refusals: c.topology.Refusals, feed: feed, changed: survey.Changed, log: log}
	connected := newConnection(nc)
	pages, err := console.New(operators, feed, console.Service{
		Ready: ready.report, Away: connected.away, Standing: func() []console.Standing { return standings(c.isolation, c.set) },
	}, &console.Options{Access: access(cfg.Console, o.LocalOperator), Logger: log})
	if err != nil {
		return nil, err
	}
	admin := adminPages{log: log, ready: ready, metrics: c.seen.registry, pushedOut: c.seen.metrics.PushedOut("admin"), console: pages, feed: feed}
	return &App{isolation: c.isolation, ready: ready, log: log, stages: []stage{
		{c.seen.traceService(log)},
		{adminService(cfg.Admin.Listen, admin)},
		{
			// Without a connection each of these would only say that there is none.
			c.keeperService(nc, connected.first), after(connected.first, c.registrationService()), after(connected.first, background("pauses", c.pauses.Run)), background("wakes", c.waker.Run), background("streams", c.streams.run), background("server watch", watch.run),
			after(connected.first, background("survey", survey.Run)), when(cfg.Admin.Listen != "", background("follower", follower.run)),
			background("connection", connected.run),
		},
		{
			deskService(nc, operators, cfg.Desk, &remote.Options{History: c.history(), Rejected: c.rejected(operators, replayer), Control: c.controls(operators, c.losses(nc, cfg)), Logger: log}), statusService(nc, reader, cfg, log),
			after(c.pauses.First(), c.notificationService(cfg.Notifications)),
			after(c.pauses.First(), c.lateService(cfg.LateLook.After)),
			after(c.pauses.First(), service{"consumer", c.consumer.Run}),
		},
	}}, nil
}

// core is what carries commands out.
type core struct {
	log          *slog.Logger
	set          *providers.Set
	js           jetstream.JetStream
	topology     broker.Topology
	encoder      *events.Encoder
	keeper       *keeper.Keeper
	registration *replicas.Registration
	journal      *stream.Journal
	isolation    *isolation.Isolation
	seen         observers
	handler      *handlers.Handler
	timers       *broker.Timers
	consumer     *broker.Consumer
	pauses       *broker.ControlView
	waker        *broker.Waker
	streams      *streams
	// witness is nil where there is none. closeWitness is called after the keeper has
	// stopped.
	witness      keeper.Store
	closeWitness func()
}

// newCore builds the core; no I/O.
func newCore(nc *nats.Conn, cfg *config.Config, instances []providers.Instance, o *Options) (c core, err error) {
	c.log = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if c.set, err = providers.NewSet(instances...); err != nil {
		return c, err
	}
	if c.js, err = jetstream.New(nc); err != nil {
		return c, fmt.Errorf("use jetstream: %w", err)
	}
	c.topology = Topology(cfg)
	c.topology.AckWait = cmp.Or(o.AckWait, c.topology.AckWait)
	if err := c.newKeeper(nc, cfg, o.Replica); err != nil {
		return c, err
	}
	c.encoder = events.NewEncoder(&events.EncoderOptions{
		Source: cfg.Source, Epoch: losses{c.keeper}.Epoch, SchemaPrefix: cfg.Results.SchemaPrefix, Binary: cfg.Results.Mode == "binary",
	})
	if c.journal, err = stream.New(nc, c.encoder, &stream.Options{Stream: cfg.Streams.Events, Refusals: cfg.Streams.Refusals, Integrity: c.keeper}); err != nil {
		return c, err
	}
	c.isolation = isolation.New(limits(instances), &isolation.Options{Logger: c.log})
	if c.seen, err = observe(cfg, c.set, c.isolation.State, c.log); err != nil {
		return c, err
	}
	c.handler, err = handlers.New(c.journal, c.set, broker.NewQuarantine(c.js, c.topology), c.encoder, &handlers.Options{
		Logger: c.log, Isolation: c.isolation, Observer: c.seen.all(), History: c.journal, Integrity: c.keeper,
		Losses: losses{c.keeper}, Originals: broker.NewOriginals(c.js, c.topology),
	})
	if err != nil {
		return c, err
	}
	var handler broker.Handler = c.handler
	if o.Wrap != nil {
		handler = o.Wrap(handler)
	}
	c.timers = broker.NewTimers(c.js, c.topology)
	c.consumer, err = broker.New(c.js, c.topology, handler, c.timers, &broker.Options{
		Logger: c.log, Observer: c.seen.metrics, Journal: c.keeper,
	})
	if err != nil {
		return c, err
	}
	c.waker = broker.NewWaker(c.js, c.topology, &broker.WakerOptions{PerSecond: rates(instances), Logger: c.log, Journal: c.keeper})
	c.pauses = broker.NewControlView(
		broker.NewControl(c.js, c.topology), c.set.Names(), func(provider string, paused bool) {
			c.isolation.SetPaused(provider, paused)
			c.waker.Paused(provider, paused) // after it: what is brought forward must meet the new standing
		},
		&broker.ControlOptions{
			StartPaused: cfg.StartPaused, Logger: c.log,
			Reached: func() uint64 { return c.keeper.Reaches(c.topology.ControlStream()) },
			Known:   c.keeper.Decisions, Decided: c.keeper.Decided,
		},
	)
	c.streams = &streams{js: c.js, topology: c.topology, log: c.log}
	return c, nil
}

// notificationService takes providers' notifications in, if the configuration says
// where.
func (c core) notificationService(cfg config.Notifications) service {
	r := notifications.New(c.set, requerier{c.handler, c.journal, c.timers}, &notifications.Options{
		Logger: c.log, Observer: c.seen.metrics, MaxBody: int64(cfg.MaxBody),
		RatePerSecond: cfg.RatePerSecond, MaxAge: cfg.MaxAge, Remember: cfg.Remember,
	})
	return when(cfg.Listen != "", receiving(cfg.Listen, r, c.seen.metrics.PushedOut("notifications"), c.log))
}

// lateService asks once more about results of that age; 0: it does not.
func (c core) lateService(age time.Duration) service {
	late := broker.NewLateRequeries(c.js, c.topology, c.handler, age, &broker.LateOptions{
		Logger: c.log, Requeried: c.seen.metrics.LateRequeried, Journal: c.keeper,
	})
	return when(age > 0, background("late queries", late.Run))
}
