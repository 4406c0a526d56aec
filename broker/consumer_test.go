package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
)

func TestAThousandMessagesAreHandledOnceEachAndAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = 1000
	b.commands(n)
	var mu sync.Mutex
	seen := map[string]int{}
	b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		mu.Lock()
		defer mu.Unlock()
		seen[string(d.Message.Data)]++
		return ack()
	})
	b.allDone(b.topology.Commands)
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		if seen[fmt.Sprint(i)] != 1 {
			t.Errorf("message %d was handled %d times", i, seen[fmt.Sprint(i)])
		}
	}
}

func TestADeliverySaysWhereTheCommandLay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := make(chan handlers.Delivery, 1)
	b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		seen <- d
		return ack()
	})
	before := time.Now()
	b.command("first", nil)
	receive(t, seen, "the first command")
	b.command("second", nats.Header{"ce-id": {"2"}})
	got := receive(t, seen, "the second command")
	want := handlers.Delivery{
		Message:        events.Message{Subject: "payment.refund.requested", Header: map[string][]string{"ce-id": {"2"}}, Data: []byte("second")},
		Header:         map[string][]string{"ce-id": {"2"}},
		OriginSequence: 2,
		Deliveries:     1,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(handlers.Delivery{}, "Hold", "OriginTime")); diff != "" {
		t.Error(diff)
	}
	if got.OriginTime.Before(before.Add(-time.Second)) || got.OriginTime.After(time.Now().Add(time.Second)) || got.Hold == nil {
		t.Errorf("origin time %s, hold set %t", got.OriginTime, got.Hold != nil)
	}
}

func TestATimerIsDeliveredWithWhatItCarries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := make(chan handlers.Delivery, 1)
	b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		seen <- d
		return ack()
	})
	at := time.Now().Add(-time.Second).UTC()
	b.schedule(timer("k", at))
	got := receive(t, seen, "the timer")
	want := handlers.Delivery{
		Message: events.Message{
			Subject: "payment.due.refund",
			Header:  map[string][]string{"ce-type": {"payment.refund.requested"}},
			Data:    []byte("k"),
		},
		Timer:          true,
		OriginSequence: 7,
		OriginTime:     time.Date(2026, 11, 1, 10, 0, 0, 123456789, time.UTC),
		Deliveries:     4,
		Panics:         1,
		Due:            at,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(handlers.Delivery{}, "Hold", "Header")); diff != "" {
		t.Error(diff)
	}
	b.allDone(b.topology.Due)
}

func TestATimerWithBrokenHeadersIsItsOwnOriginAndLogged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	log := &syncBuffer{}
	seen := make(chan handlers.Delivery, 1)
	b.run(&broker.Options{Logger: slog.New(slog.NewTextHandler(log, nil))}, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		seen <- d
		return ack()
	})
	// A sequence alone, without its time, would name another message.
	header := nats.Header{"Countermand-Origin-Sequence": {"3"}, "Countermand-Deliveries": {"-4"}, "Countermand-Due": {"soon"}}
	published, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: "payment.due.cancel", Header: header})
	if err != nil {
		t.Fatal(err)
	}
	d := receive(t, seen, "the timer")
	if d.OriginSequence != published.Sequence || d.OriginTime.IsZero() || d.Deliveries != 1 || d.Panics != 0 || !d.Due.IsZero() {
		t.Errorf("delivery = %+v", d)
	}
	if got := log.String(); !strings.Contains(got, "Countermand-Origin-Time") || !strings.Contains(got, "Countermand-Due") {
		t.Errorf("log = %q", got)
	}
}

func TestEachDispositionIsCarriedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	advisories := make(chan *nats.Msg, 1)
	if _, err := b.js.Conn().ChanSubscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>", advisories); err != nil {
		t.Fatal(err)
	}
	type seen struct {
		data       string
		deliveries int
		timer      bool
	}
	deliveries := make(chan seen, 10)
	b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		deliveries <- seen{string(d.Message.Data), d.Deliveries, d.Timer}
		if d.Redelivered != (d.Deliveries > 1 && !d.Timer) {
			t.Errorf("redelivered = %t at delivery %d", d.Redelivered, d.Deliveries)
		}
		if d.Deliveries > 1 {
			return ack()
		}
		switch string(d.Message.Data) {
		case "back":
			return handlers.Disposition{}
		case "delayed":
			return handlers.Disposition{Kind: handlers.Redeliver, Delay: 100 * time.Millisecond}
		case "never":
			return handlers.Disposition{Kind: handlers.Terminate, Reason: "junk " + strings.Repeat("x", 300)}
		case "later":
			tm := timer("later", time.Now())
			tm.Deliveries = d.Deliveries
			return handlers.Disposition{Kind: handlers.Later, Timer: tm}
		default:
			return ack()
		}
	})
	cases := []struct {
		data string
		want []seen
	}{
		{"done", []seen{{"done", 1, false}}},
		{"back", []seen{{"back", 1, false}, {"back", 2, false}}},
		{"delayed", []seen{{"delayed", 1, false}, {"delayed", 2, false}}},
		{"never", []seen{{"never", 1, false}}},
		{"later", []seen{{"later", 1, false}, {"later", 2, true}}},
	}
	for _, tc := range cases {
		b.command(tc.data, nil)
		for _, want := range tc.want {
			if got := receive(t, deliveries, tc.data); got != want {
				t.Errorf("%s: delivery = %+v, want %+v", tc.data, got, want)
			}
		}
		b.allDone(b.topology.Commands)
		b.allDone(b.topology.Due)
	}
	if got := string(receive(t, advisories, "the advisory").Data); !strings.Contains(got, "junk x") || strings.Contains(got, strings.Repeat("x", 200)) {
		t.Errorf("advisory = %s", got)
	}
	if len(deliveries) != 0 {
		t.Errorf("%d more deliveries", len(deliveries))
	}
}

func TestAMessageIsAcknowledgedOnlyAfterItsTimerIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := make(chan struct{}, 10)
	r := b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		if d.Timer {
			return ack()
		}
		began <- struct{}{}
		return handlers.Disposition{Kind: handlers.Later, Timer: timer("k", time.Now().Add(time.Hour))}
	})
	eventually(t, "readiness", func() bool { ok, _ := r.consumer.Ready(); return ok })
	if err := b.js.DeleteStream(b.ctx(), b.topology.Due); err != nil {
		t.Fatal(err)
	}
	b.command("k", nil)
	receive(t, began, "the delivery")
	eventually(t, "the failing timer to show", func() bool {
		_, reason := r.consumer.Ready()
		return reason != ""
	})
	if _, unacked := b.pending(b.topology.Commands); unacked != 1 {
		t.Errorf("%d messages unacknowledged while the timer cannot be stored, want 1", unacked)
	}
	b.provision()
	b.allDone(b.topology.Commands)
	eventually(t, "readiness to come back", func() bool { ok, _ := r.consumer.Ready(); return ok })
	if len(began) != 0 {
		t.Error("the message was delivered again")
	}
}

func TestNoMoreThanTheConcurrencyIsHandledAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.Concurrency = 3
	var now, most atomic.Int32
	release := make(chan struct{})
	full := make(chan struct{}, 50)
	b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		full <- struct{}{}
		<-release
		return ack()
	})
	for i := range 20 {
		b.command(fmt.Sprint(i), nil)
		b.schedule(timer(fmt.Sprint(i), time.Now()))
	}
	for range 3 {
		receive(t, full, "three handlers at work")
	}
	eventually(t, "all messages to be fetched", func() bool { n, _ := b.pending(b.topology.Commands); return n == 0 })
	close(release)
	b.allDone(b.topology.Commands)
	b.allDone(b.topology.Due)
	if most.Load() != 3 {
		t.Errorf("%d at a time, want 3", most.Load())
	}
}

// goroutineOf names the goroutine that calls it.
func goroutineOf() string {
	stack := make([]byte, 64)
	name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack, false)]), " [")
	return name
}

func TestWorkersAreKeptForTheMessagesToCome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handled := make(chan string, 100)
	b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition {
		handled <- goroutineOf()
		return ack()
	})
	seen := map[string]bool{}
	for range 50 { // one after the other
		b.command("{}", nil)
		seen[receive(t, handled, "a message")] = true
	}
	if len(seen) > 10 {
		t.Errorf("50 messages, one after the other, took %d goroutines", len(seen))
	}
}

func TestSignalsKeepAMessageInHandUntilItsHoldEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.AckWait = time.Second
	b.provision()
	type begun struct {
		name string
		at   time.Time
	}
	deliveries := make(chan begun, 20)
	release := make(chan struct{})
	b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		name := string(d.Message.Data)
		deliveries <- begun{name, time.Now()}
		if d.Redelivered {
			return ack()
		}
		if name == "held" {
			d.Hold(time.Now().Add(time.Hour))
		}
		<-release
		return ack()
	})
	b.command("held", nil)
	first := receive(t, deliveries, "the held message")
	b.command("forgotten", nil)
	receive(t, deliveries, "the forgotten message")
	// The forgotten one is delivered again once its default hold is over; by
	// then the held one would have been as well, had nothing kept it.
	again := receive(t, deliveries, "the redelivery")
	if again.name != "forgotten" || again.at.Sub(first.at) < 3*b.topology.AckWait/2 {
		t.Errorf("%s was delivered again after %s", again.name, again.at.Sub(first.at))
	}
	close(release)
	b.allDone(b.topology.Commands)
	for len(deliveries) > 0 {
		if d := <-deliveries; d.name == "held" {
			t.Error("the held message was delivered again")
		}
	}
}

func TestASecondNetCatchesAHandlersPanic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	log := &syncBuffer{}
	observer := &counter{}
	seen := make(chan int, 10)
	b.run(&broker.Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Observer: observer}, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		seen <- d.Deliveries
		if d.Deliveries == 1 {
			panic("secret in " + string(d.Message.Data))
		}
		return ack()
	})
	b.command("hand", nil)
	if n := receive(t, seen, "the delivery"); n != 1 {
		t.Errorf("first delivery is number %d", n)
	}
	if n := receive(t, seen, "the redelivery"); n != 2 {
		t.Errorf("second delivery is number %d", n)
	}
	b.allDone(b.topology.Commands)
	if got := log.String(); !strings.Contains(got, "panicked") || !strings.Contains(got, "consumer_test.go") || strings.Contains(got, "secret in") {
		t.Errorf("log = %q", got)
	}
	if observer.panics.Load() != 1 {
		t.Errorf("%d panics counted", observer.panics.Load())
	}
}

func TestAnEarlyTimerIsGivenBackUntilItIsDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	observer := &counter{}
	seen := make(chan time.Time, 1)
	b.run(&broker.Options{Observer: observer}, func(context.Context, handlers.Delivery) handlers.Disposition {
		seen <- time.Now()
		return ack()
	})
	at := time.Now().Add(700 * time.Millisecond)
	header := nats.Header{"Countermand-Due": {at.UTC().Format(time.RFC3339Nano)}}
	if _, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: "payment.due.refund", Header: header}); err != nil {
		t.Fatal(err)
	}
	if handled := receive(t, seen, "the timer"); handled.Before(at) {
		t.Errorf("handled %s early", at.Sub(handled))
	}
	if observer.handedBack.Load() == 0 {
		t.Error("the early copy was not given back")
	}
}

func TestAWorkerThatRefusesAMessageTakesTheNextOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.Concurrency = 1 // an early timer must not keep the only worker
	b.provision()
	observer := &counter{}
	seen := make(chan bool, 2)
	b.run(&broker.Options{Observer: observer}, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		seen <- d.Timer
		return ack()
	})
	header := nats.Header{"Countermand-Due": {time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)}}
	if _, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: "payment.due.refund", Header: header}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the early timer is given back", func() bool { return observer.handedBack.Load() > 0 })
	b.command("after it", nil)
	if receive(t, seen, "the command behind it") {
		t.Error("the timer was handled an hour early")
	}
}

func TestTwoConsumersShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// MaxAckPending is 256; one consumer can hold 64 in hand and 100 queued, so
	// that some are left for the other even if nothing is ever acknowledged.
	b.topology.Concurrency = 64
	b.provision()
	const n = 300
	var handled atomic.Int32
	var first [2]sync.Once
	began := make(chan int, 2)
	release := make(chan struct{})
	for i := range n {
		b.command(fmt.Sprint(i), nil)
	}
	for i := range first {
		b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition {
			first[i].Do(func() { began <- i })
			<-release
			handled.Add(1)
			return ack()
		})
	}
	receive(t, began, "one consumer")
	receive(t, began, "the other consumer")
	close(release)
	b.allDone(b.topology.Commands)
	if handled.Load() != n {
		t.Errorf("handled %d, want %d", handled.Load(), n)
	}
}

func TestAConsumerIsBoundAndNeverCreated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.js.DeleteConsumer(b.ctx(), b.topology.Commands, b.topology.Consumer); err != nil {
		t.Fatal(err)
	}
	r := b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition { return ack() })
	eventually(t, "not ready", func() bool {
		ok, reason := r.consumer.Ready()
		return !ok && strings.Contains(reason, "consumer not found")
	})
	if _, err := b.js.Consumer(b.ctx(), b.topology.Commands, b.topology.Consumer); err == nil {
		t.Error("the consumer was created")
	}
	b.provision()
	eventually(t, "readiness", func() bool { ok, _ := r.consumer.Ready(); return ok })
	// Deleted under our feet and provisioned anew: the consumer goes on.
	if err := b.js.DeleteConsumer(b.ctx(), b.topology.Commands, b.topology.Consumer); err != nil {
		t.Fatal(err)
	}
	eventually(t, "not ready", func() bool { ok, _ := r.consumer.Ready(); return !ok })
	b.provision()
	b.command("after", nil)
	b.allDone(b.topology.Commands)
}

func TestAConsumerGoesOnAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := make(chan string, 10)
	r := b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		seen <- string(d.Message.Data)
		return ack()
	})
	b.command("before", nil)
	receive(t, seen, "the first message")
	b.allDone(b.topology.Commands)
	b.server.Shutdown(t)
	eventually(t, "not ready", func() bool { ok, _ := r.consumer.Ready(); return !ok })
	b.server.Restart(t)
	eventually(t, "readiness", func() bool { ok, _ := r.consumer.Ready(); return ok })
	b.command("after", nil)
	if got := receive(t, seen, "the second message"); got != "after" {
		t.Errorf("message = %q", got)
	}
}

func TestReadinessNamesAClockThatIsOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, off := range []time.Duration{5 * time.Second, -5 * time.Second} {
		r := b.run(&broker.Options{Now: func() time.Time { return time.Now().Add(off) }}, func(context.Context, handlers.Delivery) handlers.Disposition { return ack() })
		eventually(t, "the skew to show", func() bool {
			_, reason := r.consumer.Ready()
			return strings.Contains(reason, "the clock differs by ")
		})
		if skew, ok := r.consumer.Skew(); !ok || (skew.Ahead-off).Abs() > 2*time.Second {
			t.Errorf("skew = %s, %v; want about %s", skew, ok, off)
		}
		_ = r.stop()
	}
}

func TestNewRefusesWhatItCannotRunWith(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := handlerFunc(func(context.Context, handlers.Delivery) handlers.Disposition { return ack() })
	timers := broker.NewTimers(b.js, b.topology)
	for name, build := range map[string]func() (*broker.Consumer, error){
		"no connection": func() (*broker.Consumer, error) { return broker.New(nil, b.topology, h, timers, nil) },
		"no handler":    func() (*broker.Consumer, error) { return broker.New(b.js, b.topology, nil, timers, nil) },
		"no timers":     func() (*broker.Consumer, error) { return broker.New(b.js, b.topology, h, nil, nil) },
		"no topology":   func() (*broker.Consumer, error) { return broker.New(b.js, broker.Topology{}, h, timers, nil) },
	} {
		if _, err := build(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// counter is an observer that counts.
type counter struct {
	taken, disposed, handedBack, panics atomic.Int32
}

var _ broker.Observer = (*counter)(nil)

func (c *counter) Taken(bool)                                             { c.taken.Add(1) }
func (c *counter) Disposed(bool, handlers.DispositionKind, time.Duration) { c.disposed.Add(1) }
func (c *counter) HandedBack(bool)                                        { c.handedBack.Add(1) }
func (c *counter) Panicked()                                              { c.panics.Add(1) }

// syncBuffer is a log that a test reads while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}
