package telemetry

import "github.com/countermand/countermand/notifications"

var _ notifications.Observer = (*Metrics)(nil)

// Notified implements notifications.Observer.
func (m *Metrics) Notified(provider string, r notifications.Result) {
	m.notified.WithLabelValues(m.provider(provider), string(r)).Inc()
}
