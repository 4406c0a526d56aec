package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// TraceOptions are the optional parts of a Traces; nil and zero values mean the
// defaults.
type TraceOptions struct {
	// Sample is the share of commands without a trace of their own that get
	// one, from 0 (the default) to 1. A command that brings a trace decides by its
	// sampled flag.
	Sample float64
	// Version of the program, for the resource.
	Version string
	Logger  *slog.Logger // default: discards
}

// Traces turns what the handler does into spans. It is a handlers.Observer and
// is safe for concurrent use. A goroutine of its own exports the spans in batches.
// While the collector is away spans are dropped, and nothing waits.
type Traces struct {
	provider   *trace.TracerProvider
	tracer     api.Tracer
	propagator propagation.TraceContext
}

var _ handlers.Observer = (*Traces)(nil)

const (
	service = "countermand"
	// tracesPath is where a collector takes traces over HTTP (OTLP 1.x).
	tracesPath = "/v1/traces"
)

// OpenTraces sends traces to an OTLP collector over HTTP. endpoint is its address
// with scheme and host; the default path is /v1/traces. No connection is made before
// the first span is sent. The exporter reads headers for the collector from the
// environment variable OTEL_EXPORTER_OTLP_HEADERS.
func OpenTraces(ctx context.Context, endpoint string, o *TraceOptions) (*Traces, error) {
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" {
		return nil, errors.New("open traces: the endpoint is not a URL with scheme and host")
	}
	if address.Path == "" || address.Path == "/" {
		address.Path = tracesPath
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address.String()))
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}
	return NewTraces(exporter, o), nil
}

// NewTraces sends traces to an exporter. Close also shuts the exporter down.
func NewTraces(exporter trace.SpanExporter, o *TraceOptions) *Traces {
	if o == nil {
		o = &TraceOptions{}
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(&export{SpanExporter: exporter, log: log}),
		trace.WithSampler(newSampler(o.Sample)),
		trace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service), attribute.String("service.version", o.Version),
		)),
	)
	return &Traces{provider: provider, tracer: provider.Tracer("github.com/countermand/countermand/telemetry")}
}

// Close sends the spans that are left, as long as ctx allows, and ends the export.
func (t *Traces) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("close traces: %w", err)
	}
	return nil
}

// Handling implements handlers.Observer. A command is handled in its own trace,
// as a child of the span that published it. A timer may come days later. It begins
// a trace of its own with a link to the command's trace, because collectors close a
// trace minutes after its last span.
func (t *Traces) Handling(
	ctx context.Context, d handlers.Delivery, c payment.Command,
) (inner context.Context, traceID string, end func(handlers.Disposition)) {
	remote := t.propagator.Extract(context.WithoutCancel(ctx), propagation.MapCarrier{
		"traceparent": c.TraceParent, "tracestate": c.TraceState,
	})
	sender := api.SpanContextFromContext(remote)
	opts := []api.SpanStartOption{
		api.WithSpanKind(api.SpanKindConsumer),
		api.WithAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.message.id", events.Mask(c.CommandID)),
			attribute.Int("countermand.deliveries", d.Deliveries),
			attribute.Bool("countermand.timer", d.Timer),
		),
	}
	switch {
	case !sender.IsValid():
	case d.Timer:
		opts = append(opts, api.WithLinks(api.Link{SpanContext: sender}))
	default:
		ctx = api.ContextWithRemoteSpanContext(ctx, sender)
	}
	name := "handle a message that is no command"
	if c.Op != "" {
		name = "handle payment." + operation(c.Op) + ".requested"
		opts = append(opts, api.WithAttributes(attribute.String("countermand.operation", string(c.Op)), attribute.String("countermand.provider", c.Provider)))
	}
	ctx, span := t.tracer.Start(ctx, name, opts...)
	if span.IsRecording() { // otherwise the log names the command's own trace
		traceID = span.SpanContext().TraceID().String()
	}
	return ctx, traceID, func(out handlers.Disposition) {
		span.SetAttributes(attribute.String("countermand.disposition", out.Kind.String()))
		if out.Kind == handlers.Later {
			span.SetAttributes(attribute.String("countermand.due", out.Timer.At.UTC().Format(time.RFC3339)))
		}
		span.End()
	}
}

// Appending implements handlers.Observer.
func (t *Traces) Appending(ctx context.Context, a handlers.Append) (inner context.Context, end func(handlers.AppendResult)) {
	name := "journal append payment.command.rejected"
	var attributes []attribute.KeyValue
	if e := a.Event; e != nil {
		name = "journal append payment." + operation(e.Op) + "." + string(e.Type)
		attributes = []attribute.KeyValue{
			attribute.String("countermand.provider", e.ID.Provider),
			attribute.String("countermand.payment", events.Token(e.ID.Native)),
			attribute.Int64("countermand.version", int64(e.Version())),
			attribute.Int("countermand.attempt", e.Attempt),
			attribute.String("countermand.code", string(e.Code)),
			attribute.Bool("countermand.review_required", e.Review != nil),
		}
	}
	ctx, span := t.tracer.Start(ctx, name, api.WithSpanKind(api.SpanKindProducer), api.WithAttributes(attributes...))
	return ctx, func(result handlers.AppendResult) {
		span.SetAttributes(attribute.String("countermand.append", string(result)))
		if result == handlers.AppendRefused || result == handlers.AppendUnknown {
			span.SetStatus(codes.Error, "append "+string(result))
		}
		span.End()
	}
}

// Calling implements handlers.Observer. The span's context goes no further than
// the adapter: providers do not learn our traces.
func (t *Traces) Calling(ctx context.Context, c handlers.Call) (inner context.Context, end func(handlers.CallResult)) {
	ctx, span := t.tracer.Start(
		ctx, "provider "+string(c.Kind)+" "+c.Instance, api.WithSpanKind(api.SpanKindClient),
		api.WithAttributes(
			attribute.String("countermand.provider", c.Instance), attribute.String("countermand.call", string(c.Kind)),
			attribute.String("countermand.operation", string(c.Op)), attribute.Int("countermand.attempt", c.Attempt),
		),
	)
	return ctx, func(r handlers.CallResult) {
		span.SetAttributes(attribute.String("countermand.result", r.Result), attribute.String("countermand.code", string(r.Code)))
		if r.Unhealthy || r.Result == payment.Indeterminate.String() {
			span.SetStatus(codes.Error, r.Result)
		}
		span.End()
	}
}

// Panicked implements handlers.Observer; the span's disposition shows it.
func (t *Traces) Panicked() {}

// Forged implements handlers.Observer; the span's disposition shows it.
func (t *Traces) Forged() {}

// newSampler follows the command's sampled flag if the command has a trace.
// Otherwise it samples the given share of the traces.
func newSampler(share float64) trace.Sampler {
	return trace.ParentBased(linked{trace.TraceIDRatioBased(share)})
}

// linked decides about a span without a parent. If the span has a link to another
// trace (a timer to its command's), it is sampled if that trace is: a trace without
// its end is of no use.
type linked struct{ other trace.Sampler }

// ShouldSample implements trace.Sampler.
func (s linked) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	for _, link := range p.Links {
		if !link.SpanContext.IsValid() {
			continue
		}
		decision := trace.Drop
		if link.SpanContext.IsSampled() {
			decision = trace.RecordAndSample
		}
		return trace.SamplingResult{Decision: decision, Tracestate: api.SpanContextFromContext(p.ParentContext).TraceState()}
	}
	return s.other.ShouldSample(p)
}

// Description implements trace.Sampler.
func (s linked) Description() string { return "Linked{" + s.other.Description() + "}" }

// export passes spans on and logs failures instead of returning them. A returned
// error would go to the library's global handler, which writes plain text beside the
// log. One line says that exporting fails, one that it works again.
type export struct {
	trace.SpanExporter

	log     *slog.Logger
	failing atomic.Bool
}

var _ trace.SpanExporter = (*export)(nil)

// ExportSpans implements trace.SpanExporter.
func (e *export) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch failed := err != nil; {
	case failed && !e.failing.Swap(true):
		e.log.Warn("traces cannot be sent; they are dropped", "error", err.Error())
	case !failed && e.failing.Swap(false):
		e.log.Info("traces are sent again")
	}
	return nil //nolint:nilerr // see above
}
