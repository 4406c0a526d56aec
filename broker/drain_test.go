package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
)

// passed waits until what a stream has delivered has reached the client. The
// server counts a message as delivered when it queues it; one that is still in
// the queue when a pull is withdrawn goes nowhere, and AckWait brings it. Answers
// to publishes go through the same queue, refusals too.
func (b *bundle) passed(stream string) {
	b.t.Helper()
	_, err := b.js.Publish(b.ctx(), "payment.refund.requested", nil, jetstream.WithExpectStream(stream), jetstream.WithExpectLastSequence(1<<40))
	if err == nil {
		b.t.Fatal("a publish that expects what is not there was accepted")
	}
}

func TestDrainFinishesWhatIsInHandAndGivesBackTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.Concurrency = 4 // MaxAckPending 16: all are fetched, 4 begun
	b.provision()
	began := make(chan context.Context, 20)
	release := make(chan struct{})
	observer := &counter{}
	r := b.run(&broker.Options{Observer: observer}, func(ctx context.Context, _ handlers.Delivery) handlers.Disposition {
		began <- ctx
		<-release
		if ctx.Err() != nil {
			t.Error("the drain cancelled a handler's context")
		}
		return ack()
	})
	for i := range 12 {
		b.command(fmt.Sprint(i), nil)
	}
	for range 4 {
		receive(t, began, "four messages in hand")
	}
	// Not "none pending": the server counts that up a moment after a publish.
	eventually(t, "the rest to be fetched", func() bool { _, n := b.pending(b.topology.Commands); return n == 12 })
	b.passed(b.topology.Commands)
	r.cancel()
	eventually(t, "the rest to be given back", func() bool { return observer.handedBack.Load() == 8 })
	if ok, _ := r.consumer.Ready(); ok {
		t.Error("ready while draining")
	}
	close(release)
	if err := r.stop(); err != nil {
		t.Fatalf("run: %v", err)
	}
	if len(began) != 0 || observer.taken.Load() != 4 || observer.disposed.Load() != 4 {
		t.Errorf("%d more begun, %d taken, %d disposed", len(began), observer.taken.Load(), observer.disposed.Load())
	}
	// AckWait is 30 s: only what was given back can be fetched now.
	c, err := b.js.Consumer(b.ctx(), b.topology.Commands, b.topology.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(8, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	given := 0
	for msg := range batch.Messages() {
		given++
		_ = msg.Ack()
	}
	if given != 8 {
		t.Errorf("%d messages at once, want 8", given)
	}
}

func TestDrainCancelsHandlersThatTakeTooLong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := make(chan struct{}, 1)
	r := b.run(&broker.Options{DrainTimeout: 50 * time.Millisecond}, func(ctx context.Context, _ handlers.Delivery) handlers.Disposition {
		began <- struct{}{}
		<-ctx.Done()
		return handlers.Disposition{}
	})
	b.command("slow", nil)
	receive(t, began, "the message")
	if err := r.stop(); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestDrainNamesHandlersThatNeverReturn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := make(chan struct{}, 1)
	stuck := make(chan struct{})
	defer close(stuck)
	r := b.run(&broker.Options{DrainTimeout: time.Millisecond}, func(context.Context, handlers.Delivery) handlers.Disposition {
		began <- struct{}{}
		<-stuck
		return handlers.Disposition{}
	})
	b.command("stuck", nil)
	receive(t, began, "the message")
	if err := r.stop(); err == nil {
		t.Error("no error")
	}
}

func TestDrainEndsWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition { return ack() })
	eventually(t, "readiness", func() bool { ok, _ := r.consumer.Ready(); return ok })
	b.server.Shutdown(t)
	eventually(t, "the disconnect", func() bool { return !b.js.Conn().IsConnected() })
	started := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if took := time.Since(started); took > 8*time.Second {
		t.Errorf("drain took %s", took)
	}
}

func TestAMessageWhoseTimerIsNotStoredWhenTheDrainEndsStaysUnacknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	began := make(chan struct{}, 1)
	bad := timer("k", time.Now())
	bad.Subject = "payment.elsewhere"
	r := b.run(&broker.Options{DrainTimeout: 50 * time.Millisecond}, func(context.Context, handlers.Delivery) handlers.Disposition {
		began <- struct{}{}
		return handlers.Disposition{Kind: handlers.Later, Timer: bad}
	})
	b.command("k", nil)
	receive(t, began, "the message")
	if err := r.stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if _, unacked := b.pending(b.topology.Commands); unacked != 1 {
		t.Errorf("%d unacknowledged, want 1", unacked)
	}
}

func TestARunConsumerCannotBeRunAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition { return ack() })
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.consumer.Run(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestNothingIsPulledWhileTheStoreRefusesAppends(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.Concurrency = 2
	b.provision()
	type begun struct {
		data string
		at   time.Time
	}
	began := make(chan begun, 100)
	accepts := make(chan struct{})
	r := b.run(nil, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		began <- begun{string(d.Message.Data), time.Now()}
		select {
		case <-accepts:
			return ack()
		default:
			return handlers.Disposition{Kind: handlers.Redeliver, StopPulling: true}
		}
	})
	for i := range 8 {
		b.command(fmt.Sprint(i), nil)
	}
	eventually(t, "not ready", func() bool {
		ok, reason := r.consumer.Ready()
		return !ok && reason == "the journal's store refuses appends"
	})
	// At most the two in hand were begun at once; then one probe a second.
	var times []time.Time
	for range 5 {
		times = append(times, receive(t, began, "a probe").at)
	}
	if took := times[4].Sub(times[1]); took < 2*time.Second {
		t.Errorf("three probes within %s", took)
	}
	close(accepts)
	b.allDone(b.topology.Commands)
	eventually(t, "readiness", func() bool { ok, _ := r.consumer.Ready(); return ok })
}

// standing is a journal that a test shuts and opens.
type standing struct {
	mu      sync.Mutex
	shut    error
	changed chan struct{}
}

func (s *standing) Open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut
}

func (s *standing) Pulled(string, uint64, time.Time) {}

func (s *standing) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *standing) turn(shut error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = shut
	close(s.changed)
	s.changed = make(chan struct{})
}

func TestNothingIsPulledWhileTheJournalIsNotWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const why = "the journal ends at 563; it was known to reach 1958"
	j := &standing{shut: errors.New(why), changed: make(chan struct{})}
	began := make(chan string, 100)
	r := b.run(&broker.Options{Journal: j}, func(_ context.Context, d handlers.Delivery) handlers.Disposition {
		began <- string(d.Message.Data)
		return ack()
	})
	delivered := func() uint64 {
		info, err := b.js.Consumer(b.ctx(), b.topology.Commands, b.topology.Consumer)
		if err != nil {
			t.Fatal(err)
		}
		return info.CachedInfo().Delivered.Consumer
	}
	pulls := func() int {
		info, err := b.js.Consumer(b.ctx(), b.topology.Commands, b.topology.Consumer)
		if err != nil {
			t.Fatal(err)
		}
		return info.CachedInfo().NumWaiting
	}
	b.command("first", nil)
	eventually(t, "the reason", func() bool { ok, reason := r.consumer.Ready(); return !ok && reason == why })
	if n := delivered(); n != 0 || pulls() != 0 {
		t.Errorf("%d messages were pulled from a journal that is not whole", n)
	}
	j.turn(nil)
	if got := receive(t, began, "the first command"); got != "first" {
		t.Errorf("began with %s", got)
	}
	eventually(t, "a pull", func() bool { return pulls() == 1 })
	j.turn(errors.New(why))
	eventually(t, "the pull to be withdrawn", func() bool { return pulls() == 0 })
	b.command("second", nil)
	j.turn(nil)
	if got := receive(t, began, "the second command"); got != "second" {
		t.Errorf("began with %s", got)
	}
	b.allDone(b.topology.Commands)
}

func TestDrainLosesNothingThatWasOnItsWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.topology.AckWait = 10 * time.Minute // a lost message stays lost to this test
	b.provision()
	const n = 20_000
	b.commands(n)
	// Stopped in the middle again and again, a consumer leaves nothing behind.
	for range 16 {
		enough := make(chan struct{}, n)
		var handled int
		var mu sync.Mutex
		r := b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition {
			mu.Lock()
			defer mu.Unlock()
			if handled++; handled == 300 {
				enough <- struct{}{}
			}
			return ack()
		})
		receive(t, enough, "300 messages")
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	b.run(nil, func(context.Context, handlers.Delivery) handlers.Disposition { return ack() })
	b.allDone(b.topology.Commands)
}
