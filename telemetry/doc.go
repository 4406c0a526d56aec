// Package telemetry makes what the service does visible: metrics for
// Prometheus and, where an endpoint is configured, traces for OpenTelemetry.
//
// Both listen through the same small interface (handlers.Observer), so that
// the packages that decide and carry out know neither library. What is counted
// is told by whoever did it, at the moment it was done; what is a state (open
// operations, streams, readiness) is looked at, now and then or on a scrape.
//
// It guarantees that labels come from closed sets: a provider that is not
// configured counts as "unknown", and no identifier, amount or text from
// outside ever becomes a label. There is no global registry and no global
// tracer; both are handed in or returned. A metric or a trace that cannot be
// had never holds a command up.
//
// Every metric stands in docs/observability.md; a test compares the two.
package telemetry
