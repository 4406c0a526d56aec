package telemetry

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RegisterWitness registers the metric that shows for how long the witness could not be
// written. It calls since on each scrape, which returns the zero time while it can.
func RegisterWitness(registry prometheus.Registerer, since func() time.Time, now func() time.Time) error {
	err := registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: namespace + "_witness_failing_seconds",
		Help: "For how long the witness of the journal could not be written; 0: it can, or there is none.",
	}, func() float64 {
		if began := since(); !began.IsZero() {
			return max(now().Sub(began).Seconds(), 0)
		}
		return 0
	}))
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}
