package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/trace"
)

// export hands spans on and keeps failures to itself and the log: returned,
// they would go to the library's global handler, which writes plain text beside
// the log. One line says that it fails, one that it works again.
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
