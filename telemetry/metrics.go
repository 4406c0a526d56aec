package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
)

// unknown is the label of every name that is not configured.
const unknown = "unknown"

// Names are the configured names that labels may take.
type Names struct {
	// Providers are the instances. The label provider is one of them, or "unknown".
	Providers []string
	// Commands and Due are the streams that messages are taken from.
	Commands, Due string
}

// Options are the optional parts of a Metrics; nil and zero values mean the
// defaults.
type Options struct {
	// Version of the program; default: empty.
	Version string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Standing is called on each scrape and says what holds an instance back.
	// Default: nothing does.
	Standing func(instance string) handlers.Standing
}

// Metrics is all metrics of the service. It implements handlers.Observer and
// broker.Observer and is safe for concurrent use.
type Metrics struct {
	now       func() time.Time
	instances map[string]bool
	streams   [2]string // commands, timers

	commands     *prometheus.CounterVec
	age          *prometheus.HistogramVec
	calls        *prometheus.HistogramVec
	retries      *prometheus.CounterVec
	conflicts    *prometheus.CounterVec
	contradicted *prometheus.CounterVec
	late         *prometheus.CounterVec
	redeliveries *prometheus.CounterVec
	timerLag     prometheus.Histogram
	appends      *prometheus.HistogramVec
	refusing     prometheus.Gauge
	unhealthy    *prometheus.GaugeVec
	inHand       *prometheus.GaugeVec
	dispositions *prometheus.CounterVec
	panics       prometheus.Counter
	forged       prometheus.Counter
	rejections   *prometheus.CounterVec
	untold       prometheus.Counter
	notified     *prometheus.CounterVec
	pushedOut    *prometheus.CounterVec

	pending, ackPending         *prometheus.GaugeVec
	streamBytes, streamMessages *prometheus.GaugeVec
	topologyFault               prometheus.Gauge
	skew                        prometheus.Gauge

	open *openGauges
}

// New builds the metrics and registers them, together with those of the Go
// runtime and of the process. It fails if one of them is already registered.
func New(registry prometheus.Registerer, n Names, o *Options) (*Metrics, error) {
	if o == nil {
		o = &Options{}
	}
	m := &Metrics{now: o.Now, instances: map[string]bool{}, streams: [2]string{n.Commands, n.Due}}
	if m.now == nil {
		m.now = time.Now
	}
	for _, name := range n.Providers {
		m.instances[name] = true
	}
	var all []prometheus.Collector
	all = append(all, m.eventMetrics()...)
	all = append(all, m.workMetrics()...)
	all = append(all, m.serverMetrics()...)
	m.open = newOpenGauges(m.names(), m.now)
	all = append(
		all, m.open, newSwitches(m.names(), o.Standing), buildInfo(o.Version),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	var faults []error
	for _, c := range all {
		faults = append(faults, registry.Register(c))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	m.begin()
	return m, nil
}

// RegisterReady registers the metric that shows whether commands are being
// carried out. It calls ready on each scrape.
func RegisterReady(registry prometheus.Registerer, ready func() bool) error {
	gauge := prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: namespace, Name: "ready", Help: "1 if commands are being carried out (/readyz)."},
		func() float64 { return yes(ready()) },
	)
	if err := registry.Register(gauge); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// names are the configured instances in order.
func (m *Metrics) names() []string { return slices.Sorted(maps.Keys(m.instances)) }

// provider is the label of an instance: its name if it is configured. Any other
// name is text that a publisher wrote.
func (m *Metrics) provider(name string) string {
	if m.instances[name] {
		return name
	}
	return unknown
}

// operation is the label of an operation.
func operation(op payment.Op) string {
	if op.Known() {
		return string(op)
	}
	return unknown
}

// stream is the label of the stream a message came from.
func (m *Metrics) stream(timer bool) string {
	if timer {
		return m.streams[1]
	}
	return m.streams[0]
}

const (
	outcomeReview  = "review_required"
	outcomeInvalid = "invalid"
)

// The values of the label origin beside the names of configured instances: the subject
// names no provider, or one that is not configured.
const (
	originNone  = "none"
	originOther = "other"
)

// outcomes are the values of the label outcome.
func outcomes() []string {
	return []string{
		string(payment.EventSucceeded), string(payment.EventFailed), string(payment.EventRejected),
		string(payment.EventDeferred), string(payment.EventPending), string(payment.EventIndeterminate),
		outcomeReview,
	}
}

// facts are the events that contradict a result.
func facts() []string {
	return []string{string(payment.EventReturned), string(payment.EventExecutedLate)}
}

// begin makes the counters start at zero. Prometheus sees no increase in the first
// event of a counter that appears with that event.
func (m *Metrics) begin() {
	for _, name := range m.names() {
		for _, op := range payment.Ops() {
			for _, outcome := range outcomes() {
				m.commands.WithLabelValues(string(op), name, outcome)
			}
			m.retries.WithLabelValues(name, string(op))
		}
		for _, fact := range facts() {
			m.contradicted.WithLabelValues(name, fact)
		}
		for _, result := range handlers.LateResults() {
			m.late.WithLabelValues(name, result)
		}
		m.conflicts.WithLabelValues(name)
		for _, r := range notifications.Results() {
			m.notified.WithLabelValues(name, string(r))
		}
		m.rejections.WithLabelValues(name)
		m.unhealthy.WithLabelValues(name)
	}
	m.commands.WithLabelValues(unknown, unknown, outcomeInvalid)
	m.rejections.WithLabelValues(originNone)
	m.rejections.WithLabelValues(originOther)
	for _, timer := range []bool{false, true} {
		m.redeliveries.WithLabelValues(m.stream(timer))
		m.inHand.WithLabelValues(m.stream(timer))
	}
}
