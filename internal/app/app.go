package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/isolation"
)

// Options are the optional parts of an App; nil and zero values mean the defaults.
type Options struct {
	Logger *slog.Logger // default: discards
	// Wrap stands between the broker and the handler, for demonstrations and
	// tests that lose an acknowledgement on purpose.
	Wrap func(broker.Handler) broker.Handler
	// AckWait is how long the server waits for a sign of life. The consumers must
	// have been provisioned with the same value. Default: the topology's.
	AckWait time.Duration
	// LocalOperator may decide at the console's loopback address if the
	// configuration names nobody. Default: nobody may. Simulated providers only.
	LocalOperator string
	// Link knows why there is no connection; default: /readyz does not say why.
	Link *Link
	// Replica names this process among the others of the service, such as its host
	// and process number; default: a name that says nothing.
	Replica string
	// LookEvery is how often the server is asked for metrics; default 15 s.
	LookEvery time.Duration
}

// App is the service on one connection. New builds it.
type App struct {
	isolation *isolation.Isolation
	ready     readiness
	stages    []stage // in the order in which they start
	log       *slog.Logger
}

// Topology is the streams and consumers the configuration asks for.
func Topology(cfg *config.Config) broker.Topology {
	t := broker.DefaultTopology()
	s := cfg.Streams
	t.Commands, t.Events, t.Due, t.Refusals, t.Rejected = s.Commands, s.Events, s.Due, s.Refusals, s.Rejected
	t.CommandsBytes, t.RefusalsBytes, t.RejectedBytes = s.MaxBytes.Commands, s.MaxBytes.Refusals, s.MaxBytes.Rejected
	t.Consumer, t.Concurrency, t.Replicas = cfg.Consumer, cfg.Concurrency, cfg.NATS.Replicas
	for _, r := range cfg.Readers {
		t.Readers = append(t.Readers, broker.Reader{Name: r.Name, Filters: r.Filters, Pulls: r.Pulls, Push: r.Push})
	}
	return t
}

// Run consumes and serves until ctx is cancelled, then drains. It runs once.
//
// Start order: traces; admin address; marks of the journal, view of the pauses and
// what watches the server; then what takes work in (consumer, late queries,
// notifications, desk, status). Nothing waits for a listener: a taken address
// stops all a moment later. Stop order: the reverse. Everything that takes work in stops at once,
// and finishes or hands back what is in hand. Then the views stop, then the admin
// address, then the last spans are sent. If one service fails, the others stop in
// this order and Run returns its error.
func (a *App) Run(ctx context.Context) error { return run(ctx, a.log, a.stages...) }

// Isolation shows how the provider instances stand.
func (a *App) Isolation() *isolation.Isolation { return a.isolation }

// Ready reports whether commands are being carried out, and if not, why.
func (a *App) Ready() (ok bool, reason string) { return a.ready.report() }

// readiness is what must be ready for commands to be carried out, in the order in
// which it is reported.
type readiness []func() (ok bool, reason string)

// report returns the first reason why commands are not carried out.
func (r readiness) report() (ok bool, reason string) {
	for _, part := range r {
		if ok, reason := part(); !ok {
			return false, reason
		}
	}
	return true, ""
}
