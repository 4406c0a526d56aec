package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
)

// due takes the next message off the stream of due timers by hand.
func (b *bundle) due() jetstream.Msg {
	b.t.Helper()
	var c jetstream.Consumer
	// A request just after a restart may go unanswered.
	eventually(b.t, "the consumer of timers", func() bool {
		ctx, cancel := context.WithTimeout(b.ctx(), time.Second)
		defer cancel()
		var err error
		c, err = b.js.Consumer(ctx, b.topology.Due, b.topology.Consumer)
		return err == nil
	})
	msg, err := c.Next(jetstream.FetchMaxWait(patience))
	if err != nil {
		b.t.Fatalf("next due timer: %v", err)
	}
	return msg
}

func (b *bundle) schedule(tm handlers.Timer) {
	b.t.Helper()
	if err := broker.NewTimers(b.js, b.topology).Schedule(b.ctx(), tm); err != nil {
		b.t.Fatalf("schedule: %v", err)
	}
}

func TestATimerComesBackAsItWasAndNotBeforeItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Now().Add(1100 * time.Millisecond).UTC()
	tm := timer("key", at)
	tm.Message.Header["Nats-Rollup"] = []string{"all"}
	tm.Message.Header["Nats-Msg-Id"] = []string{"same"}
	tm.Message.Header["countermand-panics"] = []string{"99"}
	tm.Recorded = payment.Recorded{Epoch: 2, Version: 5, Operation: 4}
	b.schedule(tm)

	msg := b.due()
	if early := time.Until(at); early > 0 {
		t.Errorf("timer came %s early", early)
	}
	if msg.Subject() != "payment.due.refund" || string(msg.Data()) != "key" {
		t.Errorf("timer = %s %q", msg.Subject(), msg.Data())
	}
	want := nats.Header{
		"ce-type":                     {"payment.refund.requested"},
		"Countermand-Origin-Sequence": {"7"},
		"Countermand-Origin-Time":     {"2026-11-01T10:00:00.123456789Z"},
		"Countermand-Deliveries":      {"3"},
		"Countermand-Panics":          {"1"},
		"Countermand-Due":             {at.Format(time.RFC3339Nano)},
		"Countermand-Version":         {"5"},
		"Countermand-Epoch":           {"2"},
		// Of the operation's newest event.
		"Countermand-Operation-Version": {"4"},
		// What the server adds to a schedule that has fired.
		"Nats-Rollup":        nil,
		"Nats-Scheduler":     {tm.Subject},
		"Nats-Schedule-Next": {"purge"},
	}
	delete(want, "Nats-Rollup")
	if diff := cmp.Diff(want, msg.Headers()); diff != "" {
		t.Error(diff)
	}
}

func TestATimerOfThePastIsDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.schedule(timer("past", time.Now().Add(-time.Hour)))
	if got := string(b.due().Data()); got != "past" {
		t.Errorf("due = %q", got)
	}
}

func TestANewerTimerOnTheSameSubjectTakesTheOlderOnesPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	older := timer("same", time.Now().Add(time.Second))
	older.Message.Data = []byte("older")
	b.schedule(older)
	newer := timer("same", time.Now().Add(2*time.Second))
	newer.Message.Data = []byte("newer")
	b.schedule(newer)
	if n := natstest.Messages(t, b.js, b.topology.Due); n != 1 {
		t.Errorf("%d schedules stored, want 1", n)
	}
	msg := b.due()
	if got := string(msg.Data()); got != "newer" {
		t.Errorf("due = %q, want the newer", got)
	}
	if err := msg.DoubleAck(b.ctx()); err != nil {
		t.Fatal(err)
	}
	// Nothing is left: neither the older, nor a schedule, nor the acked message.
	if n := natstest.Messages(t, b.js, b.topology.Due); n != 0 {
		t.Errorf("%d messages left, want 0", n)
	}
}

func TestAnEarlierTimerReplacesALaterOneToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.schedule(timer("same", time.Now().Add(time.Hour)))
	b.schedule(timer("same", time.Now().Add(-time.Second)))
	b.due()
}

func TestTimersSurviveARestartOfTheServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.schedule(timer("over", time.Now().Add(2*time.Second)))
	b.server.Restart(t)
	eventually(t, "the connection to come back", b.js.Conn().IsConnected)
	if got := string(b.due().Data()); got != "over" {
		t.Errorf("due = %q", got)
	}
}

func TestATimerThatCannotBeStoredIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	timers := broker.NewTimers(b.js, b.topology)
	good := timer("k", time.Now())
	outside, target, never := good, good, good
	outside.Subject = "payment.refund.requested"
	target.Target = "payment.refund.requested"
	never.At = time.Time{}
	for name, tm := range map[string]handlers.Timer{"subject of another stream": outside, "target in another stream": target, "no time": never} {
		if err := timers.Schedule(b.ctx(), tm); err == nil {
			t.Errorf("%s: scheduled", name)
		}
	}
	if err := b.js.DeleteStream(b.ctx(), b.topology.Due); err != nil {
		t.Fatal(err)
	}
	if err := timers.Schedule(b.ctx(), good); err == nil {
		t.Error("scheduled without a stream")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := timers.Schedule(ctx, good); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the context's", err)
	}
}

func TestATimerWhoseWordOnTheJournalCannotBeReadSaysNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header nats.Header
		want   payment.Recorded
	}{
		"an earlier version":     {nats.Header{}, payment.Recorded{}},
		"all of it":              {nats.Header{"Countermand-Version": {"5"}, "Countermand-Operation-Version": {"4"}, "Countermand-Epoch": {"2"}}, payment.Recorded{Epoch: 2, Version: 5, Operation: 4}},
		"of the payment alone":   {nats.Header{"Countermand-Version": {"5"}}, payment.Recorded{Version: 5}},
		"no number":              {nats.Header{"Countermand-Version": {"five"}, "Countermand-Operation-Version": {"4"}}, payment.Recorded{}},
		"an epoch of no number":  {nats.Header{"Countermand-Version": {"5"}, "Countermand-Epoch": {"-1"}}, payment.Recorded{}},
		"newer than its payment": {nats.Header{"Countermand-Version": {"3"}, "Countermand-Operation-Version": {"4"}}, payment.Recorded{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			seen := make(chan handlers.Delivery, 1)
			b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
				seen <- d
				return ack()
			})
			if _, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: "payment.due.refund", Header: c.header}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, receive(t, seen, "the timer").Recorded); diff != "" {
				t.Error(diff)
			}
		})
	}
}
