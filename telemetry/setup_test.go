package telemetry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/telemetry"
)

// clock is a hand-driven clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bundle is metrics in a registry of their own.
type bundle struct {
	t        *testing.T
	clock    *clock
	registry *prometheus.Registry
	metrics  *telemetry.Metrics
	standing map[string]handlers.Standing
	ready    bool
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{
		t: t, clock: &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}, registry: prometheus.NewRegistry(),
		standing: map[string]handlers.Standing{},
	}
	var err error
	b.metrics, err = telemetry.New(b.registry, telemetry.Options{
		Instances: []string{"opay-eg", "bento-uk"}, Commands: "PAYMENT_COMMANDS", Due: "PAYMENT_DUE", Version: "v1.2.3",
		Now: b.clock.Now, Ready: func() bool { return b.ready },
		Standing: func(name string) handlers.Standing { return b.standing[name] },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// value is a metric's value, or a histogram's count, under exactly these
// labels, written "name=value,…" in the order of names; false: no such series.
func (b *bundle) value(name, labels string) (float64, bool) {
	b.t.Helper()
	for _, m := range b.series(name) {
		if labelsOf(m) != labels {
			continue
		}
		switch {
		case m.GetHistogram() != nil:
			return float64(m.GetHistogram().GetSampleCount()), true
		case m.GetCounter() != nil:
			return m.GetCounter().GetValue(), true
		default:
			return m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

// want fails unless the series has the value.
func (b *bundle) want(name, labels string, want float64) {
	b.t.Helper()
	if got, there := b.value(name, labels); !there || got != want {
		b.t.Errorf("%s{%s} = %v (there: %t), want %v", name, labels, got, there, want)
	}
}

func (b *bundle) series(name string) []*dto.Metric {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "countermand_"+name {
			return f.GetMetric()
		}
	}
	return nil
}

func labelsOf(m *dto.Metric) string {
	var words []string
	for _, l := range m.GetLabel() { // Gather sorts them
		words = append(words, l.GetName()+"="+l.GetValue())
	}
	return strings.Join(words, ",")
}

// event is one of a refund of 1001 that was published a second ago.
func (b *bundle) event(typ payment.EventType) *payment.Event {
	return &payment.Event{
		Type: typ, Op: payment.Refund, ID: payment.ID{Provider: "opay-eg", Native: "1001"}, Attempt: 1,
		RequestedAt: b.clock.Now().Add(-time.Second), OccurredAt: b.clock.Now(),
	}
}

// append tells of an append that ended so.
func (b *bundle) append(e *payment.Event, result handlers.AppendResult) {
	_, end := b.metrics.Appending(context.Background(), handlers.Append{Event: e})
	end(result)
}

// call tells of a call.
func (b *bundle) call(instance string, kind handlers.CallKind, r handlers.CallResult) {
	_, end := b.metrics.Calling(context.Background(), handlers.Call{Instance: instance, Kind: kind, Op: payment.Refund, Attempt: 1})
	b.clock.advance(30 * time.Millisecond)
	end(r)
}

// everything makes every series appear that can.
func (b *bundle) everything() {
	for _, typ := range []payment.EventType{
		payment.EventStarted, payment.EventDeferred, payment.EventPending, payment.EventIndeterminate,
		payment.EventSucceeded, payment.EventFailed, payment.EventRejected, payment.EventReturned, payment.EventExecutedLate,
	} {
		e := b.event(typ)
		e.Attempt = 2
		b.append(e, handlers.AppendAccepted)
	}
	for _, result := range []handlers.AppendResult{handlers.AppendConflict, handlers.AppendRefused, handlers.AppendUnknown} {
		b.append(b.event(payment.EventStarted), result)
	}
	for _, kind := range []handlers.CallKind{"cancel", "refund", handlers.CallQuery, handlers.CallRead} {
		b.call("opay-eg", kind, handlers.CallResult{Result: payment.Succeeded.String()})
	}
	for _, timer := range []bool{false, true} {
		d := handlers.Delivery{Timer: timer, Due: b.clock.Now()}
		b.metrics.Handling(context.Background(), d, payment.Command{})
		b.metrics.Taken(timer)
		b.metrics.Disposed(timer, handlers.Ack, time.Second)
		b.metrics.HandedBack(timer)
	}
	b.metrics.Panicked()
	b.metrics.Notified("opay-eg", notifications.Accepted)
	b.metrics.SetConsumer(telemetry.ConsumerCommands, 1, 2)
	b.metrics.SetStream("PAYMENT_COMMANDS", 3, 4)
	if err := telemetry.NewSurvey(b.metrics, journalOf{}, nil).Pass(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// journalOf is a journal of open payments.
type journalOf map[payment.ID]payment.State

// Open lists the keys.
func (j journalOf) Open(context.Context) ([]payment.ID, bool, error) {
	var ids []payment.ID
	for id := range j {
		ids = append(ids, id)
	}
	return ids, true, nil
}

// State returns what is there.
func (j journalOf) State(_ context.Context, id payment.ID) (payment.State, error) {
	s, ok := j[id]
	if !ok {
		return s, fmt.Errorf("no payment %s", id.Native)
	}
	return s, nil
}
