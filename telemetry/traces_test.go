package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/telemetry"
)

const (
	commandTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	commandSpan  = "00f067aa0ba902b7"
	sampled      = "00-" + commandTrace + "-" + commandSpan + "-01"
	unsampled    = "00-" + commandTrace + "-" + commandSpan + "-00"
)

// kept keeps spans also after the end of the export.
type kept struct {
	*tracetest.InMemoryExporter
}

// Shutdown keeps what there is.
func (kept) Shutdown(context.Context) error { return nil }

// traced tells of one handling with an append and a call, and returns the spans.
func traced(t *testing.T, sample float64, d handlers.Delivery, c payment.Command) (spans tracetest.SpanStubs, forLog string) {
	t.Helper()
	out := kept{tracetest.NewInMemoryExporter()}
	traces := telemetry.NewTraces(out, &telemetry.TraceOptions{Sample: sample, Version: "v1"})
	ctx, forLog, end := traces.Handling(context.Background(), d, c)
	_, appended := traces.Appending(ctx, handlers.Append{Event: &payment.Event{Type: payment.EventStarted, Op: c.Op}})
	appended(handlers.AppendAccepted)
	_, called := traces.Calling(ctx, handlers.Call{Instance: "opay-eg", Kind: "refund", Op: c.Op, Attempt: 1})
	called(handlers.CallResult{Result: "indeterminate"})
	end(handlers.Disposition{Kind: handlers.Ack})
	if err := traces.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.GetSpans(), forLog
}

func refund(traceparent string) payment.Command {
	return payment.Command{Op: payment.Refund, Provider: "opay-eg", Origin: payment.Origin{CommandID: "e-1"}, Trace: payment.Trace{TraceParent: traceparent, TraceState: "shop=1"}}
}

// byName finds a span.
func byName(t *testing.T, spans tracetest.SpanStubs, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %q among %d", name, len(spans))
	return tracetest.SpanStub{}
}

func TestACommandIsHandledInTheTraceItCameWith(t *testing.T) {
	t.Parallel()
	spans, forLog := traced(t, 0, handlers.Delivery{}, refund(sampled))
	handled := byName(t, spans, "handle payment.refund.requested")
	if got := handled.SpanContext.TraceID().String(); got != commandTrace || forLog != commandTrace {
		t.Errorf("trace %s, for the log %s", got, forLog)
	}
	if handled.Parent.SpanID().String() != commandSpan || handled.SpanKind != api.SpanKindConsumer || handled.SpanContext.TraceState().String() != "shop=1" {
		t.Errorf("parent %s, kind %s, state %s", handled.Parent.SpanID(), handled.SpanKind, handled.SpanContext.TraceState())
	}
	for name, kind := range map[string]api.SpanKind{
		"journal append payment.refund.started": api.SpanKindProducer, "provider refund opay-eg": api.SpanKindClient,
	} {
		if s := byName(t, spans, name); s.Parent.SpanID() != handled.SpanContext.SpanID() || s.SpanKind != kind {
			t.Errorf("%s: kind %s, not a child of the handling", name, s.SpanKind)
		}
	}
}

// A timer comes back up to days later: a trace of its own, linked to the command's.
func TestATimerBeginsATraceOfItsOwnLinkedToItsCommands(t *testing.T) {
	t.Parallel()
	spans, forLog := traced(t, 0, handlers.Delivery{Timer: true}, refund(sampled))
	handled := byName(t, spans, "handle payment.refund.requested")
	if own := handled.SpanContext.TraceID().String(); own == commandTrace || own != forLog || handled.Parent.IsValid() {
		t.Errorf("trace %s, for the log %s, parent %s", own, forLog, handled.Parent.SpanID())
	}
	if len(handled.Links) != 1 || handled.Links[0].SpanContext.SpanID().String() != commandSpan {
		t.Errorf("links %+v", handled.Links)
	}
}

func TestWhatIsSampledIsTheCommandsWordFirstAndTheSettingElse(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		sample      float64
		timer       bool
		traceparent string
		spans       int
	}{
		{"a sampled command", 0, false, sampled, 3},
		{"a command that says no", 1, false, unsampled, 0},
		{"its timer", 1, true, unsampled, 0},
		{"a sampled command's timer", 0, true, sampled, 3},
		{"no trace, all wanted", 1, false, "", 3},
		{"no trace, none wanted", 0, false, "", 0},
		{"a timer without a trace", 1, true, "", 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			spans, forLog := traced(t, row.sample, handlers.Delivery{Timer: row.timer}, refund(row.traceparent))
			if len(spans) != row.spans {
				t.Errorf("%d spans, want %d", len(spans), row.spans)
			}
			if (len(forLog) == 32) != (row.spans > 0) {
				t.Errorf("for the log: %q", forLog)
			}
		})
	}
}

func TestAMessageThatIsNoCommandIsTracedWithoutWhatItClaims(t *testing.T) {
	t.Parallel()
	spans, _ := traced(t, 1, handlers.Delivery{}, payment.Command{Origin: payment.Origin{CommandID: "card 4111111111111111"}})
	for _, s := range spans {
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.String(), "4111111111111111") {
				t.Errorf("%s has %s=%s", s.Name, a.Key, a.Value.String())
			}
		}
	}
	byName(t, spans, "handle a message that is no command")
}

func TestMetricsAndTracesAreToldOfTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out := kept{tracetest.NewInMemoryExporter()}
	traces := telemetry.NewTraces(out, &telemetry.TraceOptions{Sample: 1})
	both := telemetry.Observers(b.metrics, traces)
	ctx, forLog, end := both.Handling(context.Background(), handlers.Delivery{Redelivered: true}, refund(sampled))
	_, appended := both.Appending(ctx, handlers.Append{Event: b.event(payment.EventSucceeded)})
	appended(handlers.AppendAccepted)
	_, called := both.Calling(ctx, handlers.Call{Instance: "opay-eg", Kind: "refund"})
	called(handlers.CallResult{Result: "succeeded"})
	both.Panicked()
	both.Forged()
	end(handlers.Disposition{})
	if err := traces.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want("redeliveries_total", "stream=PAYMENT_COMMANDS", 1)
	b.want("commands_total", "operation=refund,outcome=succeeded,provider=opay-eg", 1)
	b.want("provider_call_seconds", "call=refund,provider=opay-eg,result=succeeded", 1)
	b.want("panics_total", "", 1)
	b.want("forged_timers_total", "", 1)
	if n := len(out.GetSpans()); n != 3 || forLog != commandTrace {
		t.Errorf("%d spans, trace %q", n, forLog)
	}
}

// deaf is a collector that is away.
type deaf struct{}

func (deaf) ExportSpans(context.Context, []trace.ReadOnlySpan) error { return errors.New("away") }
func (deaf) Shutdown(context.Context) error                          { return nil }

func TestACollectorThatIsAwayCostsOneLineAndNothingElse(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	traces := telemetry.NewTraces(deaf{}, &telemetry.TraceOptions{Sample: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	for range 2000 { // more than one batch
		_, _, end := traces.Handling(context.Background(), handlers.Delivery{}, refund(""))
		end(handlers.Disposition{})
	}
	if err := traces.Close(t.Context()); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines: %s", n, log.String())
	}
}

func TestAnEndpointThatIsNoAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "collector:4318", "http://", "://x"} {
		if _, err := telemetry.OpenTraces(t.Context(), endpoint, nil); err == nil {
			t.Errorf("%q was accepted", endpoint)
		}
	}
}
