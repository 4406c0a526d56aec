package telemetry

import (
	"context"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
)

var (
	_ handlers.Observer      = (*Metrics)(nil)
	_ notifications.Observer = (*Metrics)(nil)
)

// Handling implements handlers.Observer: it counts redeliveries and how late
// timers are. Only the first delivery of a timer counts: a redelivery says nothing
// about the schedule.
func (m *Metrics) Handling(
	ctx context.Context, d handlers.Delivery, _ payment.Command,
) (inner context.Context, trace string, end func(handlers.Disposition)) {
	switch {
	case d.Redelivered:
		m.redeliveries.WithLabelValues(m.stream(d.Timer)).Inc()
	case d.Timer && !d.Due.IsZero():
		m.timerLag.Observe(max(m.now().Sub(d.Due), 0).Seconds())
	}
	return ctx, "", func(handlers.Disposition) {}
}

// Appending implements handlers.Observer: it times an append to the journal and, once it
// is accepted, counts its event. Of a rejection, which lies beside the journal, it counts
// where the message came from.
func (m *Metrics) Appending(ctx context.Context, a handlers.Append) (inner context.Context, end func(handlers.AppendResult)) {
	if a.Rejection != nil {
		return ctx, func(result handlers.AppendResult) { m.rejected(a.Rejection, result) }
	}
	began := m.now()
	return ctx, func(result handlers.AppendResult) {
		m.appends.WithLabelValues(string(result)).Observe(m.now().Sub(began).Seconds())
		switch result {
		case handlers.AppendAccepted:
			m.refusing.Set(0)
			m.appended(a)
		case handlers.AppendRefused:
			m.refusing.Set(1)
		case handlers.AppendConflict:
			m.conflicted(a)
		case handlers.AppendUnknown:
		}
	}
}

func (m *Metrics) appended(a handlers.Append) {
	e := a.Event
	op, provider := operation(e.Op), m.provider(e.ID.Provider)
	switch e.Type {
	case payment.EventStarted:
		if e.Attempt > 1 {
			m.retries.WithLabelValues(provider, op).Inc()
		}
	case payment.EventReturned, payment.EventExecutedLate:
		m.contradicted.WithLabelValues(provider, string(e.Type)).Inc()
	default:
		m.concluded(e, op, provider)
	}
}

// rejected counts the answer to a message that is no command. It lies beside the journal,
// so it says nothing about whether the journal takes appends.
func (m *Metrics) rejected(r *payment.Rejection, result handlers.AppendResult) {
	if result != handlers.AppendAccepted {
		m.untold.Inc()
		return
	}
	m.commands.WithLabelValues(unknown, unknown, outcomeInvalid).Inc()
	m.rejections.WithLabelValues(m.origin(r.OriginSubject)).Inc()
}

// origin is the label of the subject on which a message came: the provider it names, if
// that is configured. Any other name is text that a publisher wrote.
func (m *Metrics) origin(subject string) string {
	name := events.CommandProvider(subject)
	switch {
	case name == "":
		return originNone
	case m.instances[name]:
		return name
	default:
		return originOther
	}
}

// concluded counts an event that is an outcome of a command.
func (m *Metrics) concluded(e *payment.Event, op, provider string) {
	outcome := string(e.Type)
	if e.Review != nil {
		outcome = outcomeReview
	}
	m.commands.WithLabelValues(op, provider, outcome).Inc()
	if e.Type.Terminal() {
		m.age.WithLabelValues(op, provider, outcome).Observe(max(e.OccurredAt.Sub(e.RequestedAt), 0).Seconds())
	}
}

func (m *Metrics) conflicted(a handlers.Append) {
	m.conflicts.WithLabelValues(m.provider(a.Event.ID.Provider)).Inc()
}

// Calling implements handlers.Observer: it times the call and notes whether the
// instance is healthy.
func (m *Metrics) Calling(ctx context.Context, c handlers.Call) (inner context.Context, end func(handlers.CallResult)) {
	began := m.now()
	return ctx, func(r handlers.CallResult) {
		provider := m.provider(c.Instance)
		m.calls.WithLabelValues(provider, string(c.Kind), r.Result).Observe(m.now().Sub(began).Seconds())
		m.unhealthy.WithLabelValues(provider).Set(yes(r.Unhealthy))
	}
}

// Panicked implements handlers.Observer and broker.Observer.
func (m *Metrics) Panicked() { m.panics.Inc() }

// Forged implements handlers.Observer.
func (m *Metrics) Forged() { m.forged.Inc() }

// PushedOut returns what counts the connections at an address that were closed to make
// room for newer ones: "admin" or "notifications".
func (m *Metrics) PushedOut(address string) func() { return m.pushedOut.WithLabelValues(address).Inc }

// Taken implements broker.Observer.
func (m *Metrics) Taken(timer bool) { m.inHand.WithLabelValues(m.stream(timer)).Inc() }

// Disposed implements broker.Observer.
func (m *Metrics) Disposed(timer bool, kind handlers.DispositionKind, _ time.Duration) {
	m.inHand.WithLabelValues(m.stream(timer)).Dec()
	m.dispositions.WithLabelValues(m.stream(timer), kind.String()).Inc()
}

// HandedBack implements broker.Observer.
func (m *Metrics) HandedBack(timer bool) {
	m.dispositions.WithLabelValues(m.stream(timer), "handed_back").Inc()
}

// Notified implements notifications.Observer.
func (m *Metrics) Notified(provider string, r notifications.Result) {
	m.notified.WithLabelValues(m.provider(provider), string(r)).Inc()
}

// LateRequeried counts a result that the provider was asked about again. The result
// is one of handlers.LateResults.
func (m *Metrics) LateRequeried(provider, result string) {
	m.late.WithLabelValues(m.provider(provider), result).Inc()
}

// Consumer is the label of one of the two durable consumers. Both have the same
// durable name, on two streams.
type Consumer string

// The consumers.
const (
	ConsumerCommands Consumer = "commands"
	ConsumerDue      Consumer = "due"
)

// SetConsumer sets how many messages a consumer has not delivered, and how many are
// not acknowledged.
func (m *Metrics) SetConsumer(c Consumer, pending, ackPending uint64) {
	m.pending.WithLabelValues(string(c)).Set(float64(pending))
	m.ackPending.WithLabelValues(string(c)).Set(float64(ackPending))
}

// SetStream sets the size of a stream. The name must be one of the configured
// streams.
func (m *Metrics) SetStream(name string, bytes, messages uint64) {
	m.streamBytes.WithLabelValues(name).Set(float64(bytes))
	m.streamMessages.WithLabelValues(name).Set(float64(messages))
}

// SetTopologyFault sets whether a stream or a consumer is not as it must be.
func (m *Metrics) SetTopologyFault(fault bool) { m.topologyFault.Set(yes(fault)) }

// SetClockSkew sets how far the local clock is ahead of the server's.
func (m *Metrics) SetClockSkew(ahead time.Duration) { m.skew.Set(ahead.Seconds()) }
