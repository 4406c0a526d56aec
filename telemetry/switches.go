package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// switches shows, on each scrape, what holds instances back.
type switches struct {
	names   []string
	ask     func(instance string) handlers.Standing
	breaker *prometheus.Desc
	paused  *prometheus.Desc
}

var _ prometheus.Collector = (*switches)(nil)

func newSwitches(names []string, ask func(string) handlers.Standing) *switches {
	if ask == nil {
		ask = func(string) handlers.Standing { return handlers.Standing{} }
	}
	return &switches{
		names: names, ask: ask,
		breaker: describe("breaker_state", "The provider's breaker: 0 closed, 1 half-open (one call to see), 2 open.", "provider"),
		paused:  describe("instance_paused", "1 if the provider is paused.", "provider"),
	}
}

// Describe implements prometheus.Collector.
func (s *switches) Describe(out chan<- *prometheus.Desc) {
	out <- s.breaker
	out <- s.paused
}

// Collect implements prometheus.Collector.
func (s *switches) Collect(out chan<- prometheus.Metric) {
	for _, name := range s.names {
		now := s.ask(name)
		out <- prometheus.MustNewConstMetric(s.breaker, prometheus.GaugeValue, position(now.Breaker), name)
		out <- prometheus.MustNewConstMetric(s.paused, prometheus.GaugeValue, yes(now.Paused), name)
	}
}

// position is the metric's value for a state of the breaker.
func position(b payment.Breaker) float64 {
	switch b {
	case payment.BreakerOpen:
		return 2
	case payment.BreakerProbe:
		return 1
	default:
		return 0
	}
}

// yes is 1 for true and 0 for false.
func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
