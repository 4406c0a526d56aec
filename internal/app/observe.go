package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/telemetry"
)

// tracesGrace bounds the sending of the last spans.
const tracesGrace = 3 * time.Second

// observers are the metrics and traces of what the service does.
type observers struct {
	registry *prometheus.Registry
	metrics  *telemetry.Metrics
	traces   *telemetry.Traces // nil: no traces are made
}

// observe builds metrics and traces; no I/O. Each scrape calls standing.
func observe(cfg *config.Config, set *providers.Set, standing func(string) handlers.Standing, log *slog.Logger) (observers, error) {
	o := observers{registry: prometheus.NewRegistry()}
	var err error
	o.metrics, err = telemetry.New(o.registry, telemetry.Names{
		Providers: set.Names(), Commands: cfg.Streams.Commands, Due: cfg.Streams.Due,
	}, &telemetry.Options{Version: Version(), Standing: standing})
	if err != nil || cfg.Tracing.Endpoint == "" {
		return o, err
	}
	o.traces, err = telemetry.OpenTraces(context.Background(), cfg.Tracing.Endpoint, &telemetry.TraceOptions{
		Sample: cfg.Tracing.Sample, Version: Version(), Logger: log,
	})
	return o, err
}

// all is whom the handler tells what it does.
func (o observers) all() handlers.Observer {
	if o.traces == nil {
		return o.metrics
	}
	return telemetry.Observers(o.metrics, o.traces)
}

// traceService sends the last spans when it is stopped. A failure is logged and
// nothing more.
func (o observers) traceService(log *slog.Logger) service {
	return when(o.traces != nil, background("traces", func(ctx context.Context) {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesGrace)
		defer cancel()
		if err := o.traces.Close(ctx); err != nil {
			log.Warn("last traces may not have been sent", "error", err.Error())
		}
	}))
}
