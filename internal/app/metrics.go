package app

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/telemetry"
)

const (
	// defaultLook is how often streams and consumers are asked what they hold.
	// Their settings are compared, and open operations counted, a few looks apart.
	defaultLook = 15 * time.Second
	looksApart  = 4
	// maxListed is how many timers are listed at most to count what is open.
	maxListed = 100_000
	// tracesGrace bounds the sending of the last spans.
	tracesGrace = 3 * time.Second
)

// observation is what the service is seen by.
type observation struct {
	registry *prometheus.Registry
	metrics  *telemetry.Metrics
	traces   *telemetry.Traces // nil: no traces are made
	survey   *telemetry.Survey
	log      *slog.Logger

	js       jetstream.JetStream
	topology broker.Topology
	// skew measures the clock; set once the consumer is built.
	skew  func(context.Context) (time.Duration, error)
	every time.Duration // between two looks
	// monitor is the server's monitoring address, if it may be asked; unsynced is
	// what it said last: acknowledged before it is on disk.
	monitor  string
	unsynced bool
}

// observe builds what metrics and traces need; no I/O. ready and standing are
// asked on each scrape.
func observe(
	cfg *config.Config, set *providers.Set, ready func() bool, standing func(string) handlers.Standing, log *slog.Logger,
) (*observation, error) {
	o := &observation{registry: prometheus.NewRegistry(), log: log, every: defaultLook, monitor: cfg.NATS.Monitor}
	var err error
	o.metrics, err = telemetry.New(o.registry, telemetry.Options{
		Instances: set.Names(), Commands: cfg.Streams.Commands, Due: cfg.Streams.Due, Version: Version(),
		Ready: ready, Standing: standing,
	})
	if err != nil || cfg.Tracing.Endpoint == "" {
		return o, err
	}
	o.traces, err = telemetry.OpenTraces(context.Background(), cfg.Tracing.Endpoint, telemetry.TraceOptions{
		Sample: cfg.Tracing.Sample, Version: Version(), Logger: log,
	})
	return o, err
}

// observer is who the handler tells.
func (o *observation) observer() handlers.Observer {
	if o.traces == nil {
		return o.metrics
	}
	return telemetry.Observers(o.metrics, o.traces)
}

// reading completes it with what is looked at from time to time.
func (o *observation) reading(js jetstream.JetStream, t broker.Topology, j journal.Journal, skew func(context.Context) (time.Duration, error)) {
	o.js, o.topology, o.skew = js, t, skew
	o.survey = telemetry.NewSurvey(o.metrics, openJournal{js: js, due: t.Due, journal: j}, &telemetry.SurveyOptions{
		Logger: o.log, Every: looksApart * o.every,
	})
}

// watch looks at the server from time to time until ctx ends. What cannot be
// looked at keeps its last value; that the server is away is told by itself.
func (o *observation) watch(ctx context.Context) {
	for look := 0; ; look++ {
		if o.js.Conn().IsConnected() {
			o.look(ctx, look%looksApart == 0)
		}
		if !sleep.For(ctx, o.every) {
			return
		}
	}
}

// close sends the last spans. That they cannot be sent is logged and nothing more.
func (o *observation) close() {
	if o.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tracesGrace)
	defer cancel()
	if err := o.traces.Close(ctx); err != nil {
		o.log.Warn("last traces may not have been sent", "error", err.Error())
	}
}

// handler answers /metrics.
func (o *observation) handler() http.Handler {
	return promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{Registry: o.registry, EnableOpenMetrics: true})
}

// look asks once; settings too, if verify is true. Each question has the
// client's own five seconds, so that one that is not answered hides no other.
func (o *observation) look(ctx context.Context, verify bool) {
	t := o.topology
	for _, name := range []string{t.Commands, t.Events, t.Due, t.Rejected} {
		if s, err := o.js.Stream(ctx, name); err == nil {
			o.metrics.SetStream(name, s.CachedInfo().State.Bytes, s.CachedInfo().State.Msgs)
		}
	}
	o.consumer(ctx, telemetry.ConsumerDue, t.Due)
	o.consumer(ctx, telemetry.ConsumerCommands, t.Commands)
	if skew, err := o.skew(ctx); err == nil {
		o.metrics.SetClockSkew(skew)
	}
	if !verify {
		return
	}
	findings, err := broker.Verify(ctx, o.js, t)
	if err != nil {
		return
	}
	if o.monitor != "" {
		if always, err := syncsAlways(ctx, o.monitor); err == nil {
			o.unsynced = !always
		}
	}
	o.metrics.SetTopologyFault(len(findings) > 0 || o.unsynced)
}

// consumer shows what waits at a consumer.
func (o *observation) consumer(ctx context.Context, which telemetry.Consumer, stream string) {
	if c, err := o.js.Consumer(ctx, stream, o.topology.Consumer); err == nil {
		info := c.CachedInfo()
		o.metrics.SetConsumer(which, info.NumPending, uint64(max(info.NumAckPending, 0)))
	}
}

// openJournal is where a survey finds open operations: the timers list the
// payments, the journal has their states.
type openJournal struct {
	js      jetstream.JetStream
	due     string
	journal journal.Journal
}

var _ telemetry.Journal = openJournal{}

// Open implements telemetry.Journal.
func (j openJournal) Open(ctx context.Context) ([]payment.ID, bool, error) {
	return openwork.Payments(ctx, j.js, j.due, maxListed)
}

// State implements telemetry.Journal.
func (j openJournal) State(ctx context.Context, id payment.ID) (payment.State, error) {
	record, err := j.journal.Last(ctx, id)
	return record.State, err
}

// Version is the program's, as the go command stamped it into the binary:
// a tag, a pseudo-version or "(devel)"; "unknown" without a stamp.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
