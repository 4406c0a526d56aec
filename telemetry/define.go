package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace is the prefix of every name.
const namespace = "countermand"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels)
}

func oneGauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

// eventMetrics are about the events in the journal and the answers of providers.
func (m *Metrics) eventMetrics() []prometheus.Collector {
	m.commands = counter(
		"commands_total", "Events appended that say what became of a command.", "operation", "provider", "outcome",
	)
	m.age = histogram(
		"command_age_seconds", "Time from the publishing of a command to its terminal result.", ageBuckets(),
		"operation", "provider", "outcome",
	)
	m.calls = histogram(
		"provider_call_seconds", "Time a call of a provider took, by what it was and how it ended.", callBuckets(),
		"provider", "call", "result",
	)
	m.retries = counter(
		"provider_retries_total", "Attempts after an operation's first that were recorded as started.", "provider", "operation",
	)
	m.contradicted = counter(
		"contradictions_total", "Facts appended after an operation had ended that contradict its result.", "provider", "type",
	)
	m.late = counter(
		"late_looks_total", "Results that were asked about once more after a while, by what came of it.", "provider", "result",
	)
	m.unhealthy = gauge(
		"provider_unhealthy", "1 if the provider's last answer was about the instance: credentials, merchant configuration, empty balance.",
		"provider",
	)
	return []prometheus.Collector{m.commands, m.age, m.calls, m.retries, m.contradicted, m.late, m.unhealthy}
}

// workMetrics are about messages in hand and the journal.
func (m *Metrics) workMetrics() []prometheus.Collector {
	m.conflicts = counter("conflicts_total", "Appends refused because the payment had moved; each is decided anew.", "provider")
	m.redeliveries = counter("redeliveries_total", "Messages taken in hand that had been delivered before.", "stream")
	m.timerLag = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "timer_lag_seconds", Buckets: lagBuckets(),
		Help: "Time from when a timer was due to when it was taken in hand; up to a second is rounding.",
	})
	m.appends = histogram("journal_append_seconds", "Time an append to the journal took with all its tries.", appendBuckets(), "result")
	m.refusing = oneGauge("journal_refusing", "1 if the last append was refused by the journal's store.")
	m.inHand = gauge("messages_in_hand", "Messages that are being handled.", "stream")
	m.dispositions = counter("dispositions_total", "Messages handled, by what became of them.", "stream", "disposition")
	m.panics = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "panics_total", Help: "Panics that were contained while a message was handled.",
	})
	m.forged = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "forged_timers_total", Help: "Timers that were not like the command they name; none of them is carried out.",
	})
	m.rejections = counter(
		"rejections_total", "Messages answered with payment.command.rejected, by the provider that their subject names; none, or other where it is not configured.",
		"origin",
	)
	m.untold = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "rejections_not_stored_total",
		Help: "Tries to store a payment.command.rejected that failed; the message comes back, and the journal goes on.",
	})
	m.notified = counter("notifications_total", "Notifications of providers, by what became of them.", "provider", "result")
	m.pushedOut = counter("connections_pushed_out_total", "Connections that were closed to make room for newer ones, by the address they were at: admin or notifications.", "address")
	return []prometheus.Collector{
		m.notified, m.pushedOut, m.conflicts, m.redeliveries, m.timerLag, m.appends, m.refusing, m.inHand, m.dispositions, m.panics, m.forged,
		m.rejections, m.untold,
	}
}

// serverMetrics are about streams and consumers.
func (m *Metrics) serverMetrics() []prometheus.Collector {
	m.pending = gauge("consumer_pending", "Messages not delivered yet, of commands or due timers.", "consumer")
	m.ackPending = gauge("consumer_ack_pending", "Messages delivered and not acknowledged, of commands or due timers.", "consumer")
	m.streamBytes = gauge("stream_bytes", "Size of a stream.", "stream")
	m.streamMessages = gauge("stream_messages", "Messages in a stream.", "stream")
	m.topologyFault = oneGauge("topology_fault", "1 if a stream or consumer is missing or set otherwise than the service needs.")
	m.skew = oneGauge("clock_skew_seconds", "How far the local clock is ahead of the server's.")
	return []prometheus.Collector{
		m.pending, m.ackPending, m.streamBytes, m.streamMessages, m.topologyFault, m.skew,
	}
}

// buildInfo is always 1; its labels say what runs.
func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; its labels say which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
}

// ageBuckets reach from a fast call to the three days after which the service gives
// up an operation that it could not execute.
func ageBuckets() []float64 {
	return []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 259200}
}

// callBuckets reach to the longest timeout that can be configured.
func callBuckets() []float64 {
	return []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
}

func appendBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

func lagBuckets() []float64 {
	return []float64{0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600}
}
