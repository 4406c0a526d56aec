package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/handlers"
)

// Handler takes one message in hand and says what becomes of it.
//
// It is called from many goroutines at once, and with the same message again
// after a redelivery; the consumer retries, the handler need not. The context is
// not cancelled when the consumer is told to stop, only when the drain's time is
// up: a handler then returns soon, and what it had not appended is delivered again.
type Handler interface {
	Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition
}

// Observer counts what the consumer does, for metrics. Implementations are safe
// for concurrent use and do not block. Taken minus Disposed is what is in hand.
type Observer interface {
	// Taken: a handler begins with a message.
	Taken(timer bool)
	// Disposed: the handler is done with it, after took.
	Disposed(timer bool, kind handlers.DispositionKind, took time.Duration)
	// HandedBack: a message was fetched and given back unhandled.
	HandedBack(timer bool)
	// Panicked: a handler panicked and the panic was caught.
	Panicked()
}

// Journal says whether the journal is known to be whole. While it is not, nothing
// is pulled, not even as a probe. Implementations are safe for concurrent use and
// do not block.
type Journal interface {
	// Open returns nil while messages may be taken in hand, else why not.
	Open() error
	// Changed is closed when Open may have another answer. It is taken before Open.
	Changed() <-chan struct{}
	// Pulled takes in that a stream holds a message at a sequence. It is told of each
	// message, and does not block.
	Pulled(stream string, sequence uint64, at time.Time)
}

// Options are the optional parts of a Consumer; nil and zero mean the default.
type Options struct {
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Logger; default none.
	Logger *slog.Logger
	// Observer; default none.
	Observer Observer
	// Journal says whether anything may be taken in hand; default: it always may.
	Journal Journal
	// DrainTimeout is how long handlers may go on after Run was told to stop;
	// default 20 s, which fits into Kubernetes' 30.
	DrainTimeout time.Duration
}

const (
	defaultDrainTimeout = 20 * time.Second
	// cancelGrace is what handlers get to return once their context is cancelled.
	cancelGrace = 3 * time.Second
	// pause between two tries of anything that does not work at the moment.
	pause = time.Second
	// A pull asks for half the concurrency, within these bounds: tiny pulls cost
	// most of the throughput, huge ones keep messages from other replicas.
	minBatch = 100
	maxBatch = 500
)

// Consumer pulls commands and due timers, hands them to the handler and carries
// out what it says. Build one with New, run it once.
type Consumer struct {
	js       jetstream.JetStream
	topology Topology
	handler  Handler
	timers   *Timers
	journal  Journal

	now          func() time.Time
	log          *slog.Logger
	observer     Observer
	drainTimeout time.Duration

	// withdrawn is closed once no pull is open any more. A message that was given
	// back earlier would come straight back to this consumer.
	withdrawn chan struct{}
	tracker   tracker
	gate      gate
	health    health
	started   atomic.Bool
}

// New returns a consumer on the topology's two durable consumers. It does no I/O:
// the consumers are bound, never created, when it runs.
func New(js jetstream.JetStream, t Topology, handler Handler, timers *Timers, o *Options) (*Consumer, error) {
	if js == nil || handler == nil || timers == nil {
		return nil, errors.New("new consumer: connection, handler and timers are required")
	}
	if t.Commands == "" || t.Due == "" || t.Consumer == "" {
		return nil, errors.New("new consumer: topology names no streams or no consumer")
	}
	c := &Consumer{
		js: js, topology: t, handler: handler, timers: timers, journal: noJournal{},
		now: time.Now, log: slog.New(slog.DiscardHandler), observer: noObserver{},
		drainTimeout: defaultDrainTimeout,
		withdrawn:    make(chan struct{}),
	}
	if o != nil {
		c.apply(*o)
	}
	return c, nil
}

func (c *Consumer) apply(o Options) {
	if o.Now != nil {
		c.now = o.Now
	}
	if o.Logger != nil {
		c.log = o.Logger
	}
	if o.Observer != nil {
		c.observer = o.Observer
	}
	if o.Journal != nil {
		c.journal = o.Journal
	}
	if o.DrainTimeout > 0 {
		c.drainTimeout = o.DrainTimeout
	}
}

// Run consumes until ctx is cancelled and then drains: it stops pulling, gives
// back what was fetched but not begun, lets handlers finish for DrainTimeout,
// and returns nil. It outlives every outage of the server. An error means that it
// was run twice, or that handlers did not return even with their context
// cancelled; their messages are delivered again.
func (c *Consumer) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errors.New("run consumer: it runs once only")
	}
	handling, cancelHandling := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelHandling()
	keep, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()

	var upkeep, pulling sync.WaitGroup
	upkeep.Go(func() { c.signalLife(keep) })
	upkeep.Go(func() { c.watchSkew(keep) })
	upkeep.Go(func() { c.watchJournal(keep) })
	commands, due := newSource(c, c.topology.Commands, false), newSource(c, c.topology.Due, true)
	c.health.start()
	w := &workers{commands: commands, due: due, most: int32(c.topology.concurrency())}
	w.start(ctx, handling)
	pulling.Go(func() { commands.pull(ctx) })
	pulling.Go(func() { due.pull(ctx) })
	pulling.Wait()
	c.health.stop()
	close(c.withdrawn)
	commands.handBackRest()
	due.handBackRest()
	err := c.drain(w, cancelHandling)
	stopKeeping()
	upkeep.Wait()
	c.flush()
	return err
}

// drain waits for the handlers, with their context cancelled if it takes too long.
func (c *Consumer) drain(w *workers, cancelHandling func()) error {
	done := make(chan struct{})
	go func() { w.ended.Wait(); close(done) }()
	for _, wait := range []time.Duration{c.drainTimeout, cancelGrace} {
		timer := time.NewTimer(wait)
		select {
		case <-done:
			timer.Stop()
			return nil
		case <-timer.C:
			c.log.Warn("handlers take longer than the drain", "in_hand", c.tracker.len())
			cancelHandling()
		}
	}
	return fmt.Errorf("drain consumer: %d messages are still in hand", c.tracker.len())
}

// flush sends the last acknowledgements before the connection is closed. What
// does not get through is delivered again.
func (c *Consumer) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), pause)
	defer cancel()
	if err := c.js.Conn().FlushWithContext(ctx); err != nil {
		c.log.Warn("last acknowledgements may not have been sent", "error", err)
	}
}

// signalLife tells the server three times per AckWait what is still in hand: one
// ticker for all messages.
func (c *Consumer) signalLife(ctx context.Context) {
	ticker := time.NewTicker(c.topology.ackWait() / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.tracker.signal(c.now())
		}
	}
}

// noJournal is the default journal: it is always open.
type noJournal struct{}

func (noJournal) Open() error                      { return nil }
func (noJournal) Changed() <-chan struct{}         { return nil }
func (noJournal) Pulled(string, uint64, time.Time) {}

// noObserver is the default observer.
type noObserver struct{}

func (noObserver) Taken(bool)                                             {}
func (noObserver) Disposed(bool, handlers.DispositionKind, time.Duration) {}
func (noObserver) HandedBack(bool)                                        {}
func (noObserver) Panicked()                                              {}
