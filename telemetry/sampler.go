package telemetry

import (
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// newSampler follows the command's own flag where it has a trace, and else
// takes the given share of the traces.
func newSampler(share float64) trace.Sampler {
	return trace.ParentBased(linked{trace.TraceIDRatioBased(share)})
}

// linked decides about a span without a parent. One that is linked to another
// trace (a timer to its command's) is sampled if that one is: a story with its
// end left out is of no use.
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
