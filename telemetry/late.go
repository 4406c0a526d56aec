package telemetry

// LateLooked counts a result that was looked at once more, by what came of it
// (handlers.LateResults).
func (m *Metrics) LateLooked(provider, result string) {
	m.late.WithLabelValues(m.provider(provider), result).Inc()
}
