package telemetry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	b.metrics, err = telemetry.New(b.registry, telemetry.Names{
		Providers: []string{"opay-eg", "bento-uk"}, Commands: "PAYMENT_COMMANDS", Due: "PAYMENT_DUE",
	}, &telemetry.Options{
		Version: "v1.2.3", Now: b.clock.Now,
		Standing: func(name string) handlers.Standing { return b.standing[name] },
	})
	if err == nil {
		err = telemetry.RegisterReady(b.registry, func() bool { return b.ready })
	}
	if err == nil {
		err = telemetry.RegisterStanding(b.registry, func() string { return "whole" })
	}
	if err == nil {
		failing := time.Now()
		err = telemetry.RegisterWitness(b.registry, func() time.Time { return failing }, func() time.Time { return failing.Add(90 * time.Second) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// series is one series of a metric: a histogram's value is its count.
type series struct {
	labels string // "name=value,…" in the order of names
	value  float64
	sum    float64 // histograms
}

// value is a metric's value, or a histogram's count, under exactly these
// labels; false: no such series.
func (b *bundle) value(name, labels string) (float64, bool) {
	b.t.Helper()
	for _, s := range b.series(name) {
		if s.labels == labels {
			return s.value, true
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

func (b *bundle) series(name string) []series {
	b.t.Helper()
	return b.gather()["countermand_"+name]
}

// gather reads all series there are, by the metric's full name.
func (b *bundle) gather() map[string][]series {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string][]series{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() { // Gather sorts them
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			s := series{labels: strings.Join(labels, ","), value: m.GetCounter().GetValue() + m.GetGauge().GetValue()}
			if h := m.GetHistogram(); h != nil {
				s.value, s.sum = float64(h.GetSampleCount()), h.GetSampleSum()
			}
			all[f.GetName()] = append(all[f.GetName()], s)
		}
	}
	return all
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
	b.metrics.Forged()
	b.metrics.PushedOut("admin")()
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
