package crash_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/providers"
)

// life is one consumer process: a handler and the broker's consumer with fresh
// memory, over the streams and simulators that all share.
type life struct {
	cell     *cell
	dead     atomic.Bool
	commands chan *delivery
	due      chan *delivery
	disposed chan struct{}
	desk     *desk.Desk
	cancel   context.CancelFunc
	ended    chan error
	// inHand is what it was given last.
	inHand *message
	// appendLost: it was told that nothing is known of an append; what it had in
	// hand may be lost with it.
	appendLost bool
	// onWire is what the journal's next request to the server meets.
	onWire fault
}

// begin starts a process.
func (c *cell) begin() *life {
	w := c.world
	l := &life{
		cell: c, commands: make(chan *delivery), due: make(chan *delivery),
		disposed: make(chan struct{}, 1), ended: make(chan error, 1),
	}
	instance := c.bench.instance
	tapped := tappedProvider{life: l, real: c.bench.provider}
	if c.path.unreachable {
		tapped.unreachable = c.bench.unreachable
	}
	instance.Provider = tapped
	set, err := providers.NewSet(instance)
	c.must(err)
	quarantine := tappedQuarantine{life: l, real: broker.NewQuarantine(w.js, w.topology)}
	now := c.bench.clock.Now
	encoder := events.NewEncoder(nil)
	j, err := stream.New(wire{l, w.js.Conn()}, encoder, &stream.Options{Now: now})
	c.must(err)
	h, err := handlers.New(tappedJournal{life: l, real: j}, set, quarantine, encoder, &handlers.Options{Now: now})
	c.must(err)
	g := gateway{life: l, real: w.js}
	timers := broker.NewTimers(g, w.topology)
	l.desk, err = l.newDesk(set, j, ruler{h, timers})
	c.must(err)
	consumer, err := broker.New(g, w.topology, h, timers, &broker.Options{
		Now: now, Observer: l, DrainTimeout: time.Millisecond,
	})
	c.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	go func() { l.ended <- consumer.Run(ctx) }()
	return l
}

// die ends the process as SIGKILL would: from here on nothing it does reaches
// anything. What it had in hand is delivered again at once, or after AckWait.
func (l *life) die(slow bool) {
	l.dead.Store(true)
	if l.inHand != nil && !l.inHand.done {
		l.inHand.ready = l.cell.bench.clock.Now()
		if slow {
			l.inHand.ready = l.inHand.ready.Add(broker.DefaultAckWait)
		}
	}
	l.cancel()
}

// end stops the process and waits for all of it.
func (l *life) end() {
	l.cancel()
	if err := <-l.ended; err != nil {
		l.cell.fault("consumer did not stop: %v", err)
	}
}

// give delivers a message and waits until the consumer is done with it, or dead.
func (l *life) give(m *message) {
	m.deliveries++
	// Without a word of the consumer's it comes back after AckWait.
	m.ready = l.cell.bench.clock.Now().Add(broker.DefaultAckWait)
	l.inHand = m
	in := l.commands
	if m.timer {
		in = l.due
	}
	in <- &delivery{message: m, life: l, count: m.deliveries}
	<-l.disposed
	l.inHand = nil
}

// Taken implements broker.Observer.
func (l *life) Taken(bool) {}

// Disposed implements broker.Observer.
func (l *life) Disposed(bool, handlers.DispositionKind, time.Duration) { l.disposed <- struct{}{} }

// HandedBack implements broker.Observer.
func (l *life) HandedBack(bool) { l.disposed <- struct{}{} }

// Panicked implements broker.Observer.
func (l *life) Panicked() { l.cell.fault("the handler panicked") }
