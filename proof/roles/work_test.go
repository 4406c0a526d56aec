package roles_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A server's refusals of headers, by number.
const (
	rollupRefused   = 10111
	scheduleRefused = jetstream.JSErrCodeMessageSchedulesDisabled
	lifeRefused     = 10166
)

func TestAnOrderServiceErasesAndSchedulesNothingByHeader(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	w := start(t, dir, byKey(t))
	js := w.stream(ordersEG())
	const subject = "payment.refund.requested.opay-eg"
	if _, err := js.Publish(w.ctx(), subject, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	before := w.held()
	for name, c := range map[string]struct {
		header nats.Header
		code   jetstream.ErrorCode
	}{
		"roll-up of the subject":           {nats.Header{"Nats-Rollup": {"sub"}}, rollupRefused},
		"roll-up of the stream":            {nats.Header{"Nats-Rollup": {"all"}}, rollupRefused},
		"a schedule":                       {nats.Header{"Nats-Schedule": {"@at 2030-01-01T00:00:00Z"}, "Nats-Schedule-Target": {"payment.due.refund"}}, scheduleRefused},
		"a schedule that repeats":          {nats.Header{"Nats-Schedule": {"@every 1s"}, "Nats-Schedule-Target": {subject}}, scheduleRefused},
		"a schedule that purges a subject": {nats.Header{"Nats-Schedule-Next": {"purge"}, "Nats-Scheduler": {subject}}, 0},
		"a time to live":                   {nats.Header{"Nats-TTL": {"1s"}}, lifeRefused},
	} {
		_, err := js.PublishMsg(w.ctx(), &nats.Msg{Subject: subject, Header: c.header, Data: []byte("{}")})
		var refused *jetstream.APIError
		if c.code != 0 && (!errors.As(err, &refused) || refused.ErrorCode != c.code) {
			t.Errorf("%s: answered %v, want %d", name, err, c.code)
		}
		if after := w.held(); c.code != 0 && !maps.Equal(before, after) {
			t.Errorf("%s: the streams have changed: %v", name, after)
		}
	}
	s, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.FirstSeq != 1 || state.NumDeleted != 0 {
		t.Errorf("commands were erased: first %d, %d deleted", state.FirstSeq, state.NumDeleted)
	}
}

// events are what a journal may hold, for those who read it.
func (w *world) events() {
	w.t.Helper()
	js := w.stream(consumer())
	for _, subject := range []string{
		"payment.refund.started.opay-eg.1.1", "payment.refund.succeeded.opay-eg.1.2", "payment.refund.succeeded.tranzzo-ua.9.1",
		"payment.refund.returned.opay-eg.1.3", "payment.refund.indeterminate.opay-eg.2.1", "payment.command.rejected.1-0",
	} {
		if _, err := js.Publish(w.ctx(), subject, []byte("{}")); err != nil {
			w.t.Fatalf("publish %s as the consumer: %v", subject, err)
		}
	}
	if _, err := js.Publish(w.ctx(), "payment.quarantine.1-0", []byte("{}")); err != nil {
		w.t.Fatal(err)
	}
}

// take reads n messages of a consumer, acknowledging each, and returns their subjects.
func (w *world) take(c jetstream.Consumer, n int) []string {
	w.t.Helper()
	batch, err := c.Fetch(n+1, jetstream.FetchMaxWait(time.Second)) // one more than there are
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for m := range batch.Messages() {
		all = append(all, m.Subject())
		if err := m.DoubleAck(w.ctx()); c.CachedInfo().Config.AckPolicy != jetstream.AckNonePolicy && err != nil {
			w.t.Errorf("acknowledge %s: %v", m.Subject(), err)
		}
	}
	if err := batch.Error(); err != nil {
		w.t.Errorf("fetch: %v", err)
	}
	slices.Sort(all)
	return all
}

func TestEachRoleCanDoItsWork(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			w.events()
			w.ordersWork()
			w.reads(ledger(), "PAYMENT_EVENTS", []string{
				"payment.refund.returned.opay-eg.1.3", "payment.refund.succeeded.opay-eg.1.2", "payment.refund.succeeded.tranzzo-ua.9.1",
			})
		})
	}
}

// ordersWork: an order service publishes, and reads its provider's events and
// the rejections.
func (w *world) ordersWork() {
	w.t.Helper()
	js := w.stream(ordersEG())
	for _, op := range []string{"refund", "cancel"} {
		ack, err := js.Publish(w.ctx(), "payment."+op+".requested.opay-eg", []byte("{}"), jetstream.WithExpectStream("PAYMENT_COMMANDS"))
		if err != nil || ack.Stream != "PAYMENT_COMMANDS" {
			w.t.Errorf("publish a %s: %v, %v", op, ack, err)
		}
	}
	want := []string{
		"payment.refund.indeterminate.opay-eg.2.1", "payment.refund.returned.opay-eg.1.3",
		"payment.refund.started.opay-eg.1.1", "payment.refund.succeeded.opay-eg.1.2",
	}
	w.reads(ordersEGRead(), "PAYMENT_EVENTS", want)
	w.reads(ordersEGRead(), "PAYMENT_REFUSALS", []string{"payment.command.rejected.1-0"})
}

// reads binds the consumer that was made for a party on a stream, and reads it.
func (w *world) reads(p party, stream string, want []string) {
	w.t.Helper()
	c, err := w.stream(p).Consumer(w.ctx(), stream, p.durable())
	if err != nil {
		w.t.Fatalf("bind the consumer of %s: %v", p.name, err)
	}
	if got := w.take(c, len(want)); !slices.Equal(got, want) {
		w.t.Errorf("%s sees %v, want %v", p.name, got, want)
	}
}
