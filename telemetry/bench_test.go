package telemetry_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/telemetry"
)

// BenchmarkOneCommand is what being watched adds to a command that is carried
// out with two appends and one call.
func BenchmarkOneCommand(b *testing.B) {
	metrics, err := telemetry.New(prometheus.NewRegistry(), telemetry.Names{Providers: []string{"opay-eg"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	traces := telemetry.NewTraces(tracetest.NewNoopExporter(), &telemetry.TraceOptions{Sample: 1})
	b.Cleanup(func() { _ = traces.Close(context.Background()) })
	for name, o := range map[string]handlers.Observer{
		"metrics": metrics, "metrics and traces": telemetry.Observers(metrics, traces),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				oneCommand(o)
			}
		})
	}
}

func oneCommand(o handlers.Observer) {
	id := payment.ID{Provider: "opay-eg", Native: "1001"}
	ctx, _, end := o.Handling(context.Background(), handlers.Delivery{}, refund(sampled))
	for _, typ := range []payment.EventType{payment.EventStarted, payment.EventSucceeded} {
		_, appended := o.Appending(ctx, handlers.Append{Event: &payment.Event{Type: typ, Op: payment.Refund, ID: id, Attempt: 1}})
		appended(handlers.AppendAccepted)
	}
	_, called := o.Calling(ctx, handlers.Call{Instance: "opay-eg", Kind: "refund", Op: payment.Refund, Attempt: 1})
	called(handlers.CallResult{Result: "succeeded"})
	end(handlers.Disposition{Kind: handlers.Ack})
}
