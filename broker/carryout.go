package broker

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/handlers"
)

const (
	minPanicDelay    = time.Second
	maxPanicDelay    = time.Minute
	minScheduleDelay = 100 * time.Millisecond
	maxScheduleDelay = 5 * time.Second
)

// carryOut hands one message to the handler and does what it says.
func (c *Consumer) carryOut(ctx context.Context, m *inHand) {
	began := c.now()
	ticket := c.gate.ticket()
	m.hold(began.Add(c.topology.ackWait() + c.margin()))
	d, faults := m.delivery(c.margin())
	if len(faults) > 0 {
		c.log.Error("timer with missing or broken headers", "headers", faults, "sequence", m.meta.Sequence.Stream)
	}
	c.observer.Taken(m.timer)
	disposition := c.handle(ctx, d)
	c.turnGate(disposition.StopPulling, ticket)
	kind := c.dispose(ctx, m, disposition)
	c.tracker.remove(m)
	c.observer.Disposed(m.timer, kind, c.now().Sub(began))
}

// margin is how long signals go on after the time a handler asked for.
func (c *Consumer) margin() time.Duration { return c.topology.ackWait() / 3 }

// handle calls the handler. A panic is the handler's to answer; this is the
// second net, which keeps the process and the queue going: the message comes
// back, ever more slowly, and nobody is told anything about its payment. The
// panic's value is not logged unless it is the runtime's own, as it may hold
// what must not be in a log.
func (c *Consumer) handle(ctx context.Context, d handlers.Delivery) (disposition handlers.Disposition) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		c.observer.Panicked()
		what := fmt.Sprintf("%T", value)
		if err, ok := value.(runtime.Error); ok {
			what = err.Error()
		}
		c.log.Error("handler panicked; the message comes back", "panic", what,
			"origin_sequence", d.OriginSequence, "deliveries", d.Deliveries, "stack", string(debug.Stack()))
		disposition = handlers.Disposition{Kind: handlers.Redeliver, Delay: panicDelay(d.Deliveries)}
	}()
	return c.handler.Handle(ctx, d)
}

// panicDelay doubles with each delivery.
func panicDelay(deliveries int) time.Duration {
	return min(minPanicDelay<<min(max(deliveries-1, 0), 10), maxPanicDelay)
}

// turnGate shuts the gate when the store refuses appends and opens it when a
// delivery that began later came through.
func (c *Consumer) turnGate(stop bool, ticket uint64) {
	if stop {
		// A journal that is not whole refuses as well: that is not the store's doing,
		// and needs no probe.
		if c.journal.Open() == nil && c.gate.close() {
			c.log.Error("the journal's store refuses appends: no more messages are pulled")
		}
		return
	}
	if c.gate.open(ticket) {
		c.log.Info("the journal's store accepts again: messages are pulled")
	}
}

// dispose does what the handler said, and returns what came of it.
func (c *Consumer) dispose(ctx context.Context, m *inHand, d handlers.Disposition) handlers.DispositionKind {
	var say func(jetstream.Msg) error
	switch d.Kind {
	case handlers.Ack:
		say = sayAck
	case handlers.Terminate:
		say = terminate(d.Reason)
	case handlers.Later:
		// The ack comes only after the server has confirmed the timer: in
		// between, a crash delivers the message again, and no timer is lost.
		if !c.schedule(ctx, m, d.Timer) {
			_ = m.settle(sayNothing)
			return handlers.Redeliver
		}
		say = sayAck
	default:
		say = giveBack(d.Delay)
	}
	if err := m.settle(say); err != nil {
		c.log.Warn("disposition not sent, the message comes back", "disposition", d.Kind.String(), "error", err)
	}
	return d.Kind
}

// schedule stores the timer, for as long as that takes, and reports whether it
// is stored. The message stays in hand meanwhile.
func (c *Consumer) schedule(ctx context.Context, m *inHand, timer handlers.Timer) bool {
	failing := false
	defer func() {
		if failing {
			c.health.timersRecovered()
		}
	}()
	try := func() (struct{}, error) {
		m.hold(c.now().Add(c.topology.ackWait()))
		return struct{}{}, c.timers.Schedule(ctx, timer)
	}
	tell := func(err error, _ time.Duration) {
		if !failing {
			failing = true
			c.health.timersFailing(err)
			c.log.Error("timer not scheduled, trying on", "error", err)
		}
	}
	_, err := backoff.Retry(ctx, try, backoff.WithNotify(tell),
		backoff.WithMaxElapsedTime(0), // no limit; the default is a quarter of an hour
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval: minScheduleDelay, Multiplier: 2, MaxInterval: maxScheduleDelay,
		}))
	return err == nil
}
