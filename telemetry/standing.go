package telemetry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// RegisterStanding registers the metric that shows whether the journal has lost
// something. It calls standing on each scrape.
func RegisterStanding(registry prometheus.Registerer, standing func() string) error {
	err := registry.Register(standingGauge{
		desc: prometheus.NewDesc(
			namespace+"_journal_standing",
			"1 for how the journal stands: unread, whole, suspect (it may have lost something) or broken (it has).",
			[]string{"standing"}, nil,
		),
		standing: standing,
	})
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// standingGauge shows one of the standings as 1 and the others as 0.
type standingGauge struct {
	desc     *prometheus.Desc
	standing func() string
}

var _ prometheus.Collector = standingGauge{}

// Describe implements prometheus.Collector.
func (g standingGauge) Describe(to chan<- *prometheus.Desc) { to <- g.desc }

// Collect implements prometheus.Collector.
func (g standingGauge) Collect(to chan<- prometheus.Metric) {
	now := g.standing()
	for _, word := range []string{"unread", "whole", "suspect", "broken"} {
		to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, yes(now == word), word)
	}
}
