// Package telemetry makes what the service does visible: metrics for
// Prometheus and, where an endpoint is configured, traces for OpenTelemetry.
//
// Both implement the same small interface (handlers.Observer), so that the packages
// that decide and carry out know neither library. Events are counted when they
// happen. States (open operations, streams, readiness) are read on a schedule or on
// a scrape.
//
// It guarantees that labels come from closed sets: a provider that is not
// configured counts as "unknown", and no identifier, amount or text from outside
// becomes a label. There is no global registry and no global tracer; both are
// handed in or returned. A failure of metrics or traces never delays a command.
//
// docs/observability.md describes every metric; a test compares the two.
package telemetry
