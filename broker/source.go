package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/sleep"
)

// source is one of the two durable consumers. One goroutine pulls its messages
// into a short queue, from which the consumer's workers take them.
type source struct {
	c      *Consumer
	stream string
	timer  bool
	batch  int

	// queue never blocks the puller: a pull begins only when the queue is empty,
	// and asks for no more than fits. So no message lies in the client library's
	// buffer, where nobody would keep it in hand. And one replica cannot hoard
	// what MaxAckPending allows to all replicas.
	queue chan *inHand
	// room has a token once a worker has taken a message from the queue.
	room  chan struct{}
	bound jetstream.Consumer
}

func newSource(c *Consumer, stream string, timer bool) *source {
	batch := min(max(c.topology.concurrency()/2, minBatch), maxBatch)
	return &source{
		c: c, stream: stream, timer: timer, batch: batch,
		queue: make(chan *inHand, batch),
		room:  make(chan struct{}, 1),
	}
}

// pull fetches until ctx ends. While the gate is shut it fetches one message a
// second, as a probe; while the journal is not whole it fetches nothing.
func (s *source) pull(ctx context.Context) {
	for ctx.Err() == nil {
		if !s.awaitRoom(ctx) || !await(ctx, s.c.journal) {
			return
		}
		probe := s.c.gate.isShut()
		if probe && !sleep.For(ctx, pause) {
			return
		}
		if err := s.pullBatch(ctx, probe); err != nil {
			s.bound = nil
			if s.c.health.unbound(s.timer, err) {
				s.c.log.Warn("cannot pull, trying on", "stream", s.stream, "consumer", s.c.topology.Consumer, "error", err)
			}
			sleep.For(ctx, pause)
		}
	}
}

// awaitRoom waits until the queue is empty.
func (s *source) awaitRoom(ctx context.Context) bool {
	for len(s.queue) > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-s.room:
		}
	}
	return true
}

// heartbeat of a pull; the server counts as gone when two are missed.
const heartbeat = 5 * time.Second

// bind looks the durable consumer up by name. It is never created here.
func (s *source) bind(ctx context.Context) error {
	if s.bound != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	bound, err := s.c.js.Consumer(ctx, s.stream, s.c.topology.Consumer)
	if err != nil {
		return fmt.Errorf("bind consumer %s on %s: %w", s.c.topology.Consumer, s.stream, err)
	}
	s.bound = bound
	s.c.health.bound(s.timer)
	return nil
}

// pullBatch takes one batch, however long that needs, or until ctx ends or the
// gate shuts: the pull is then withdrawn, and what was on its way is given back.
func (s *source) pullBatch(ctx context.Context, probe bool) error {
	if err := s.bind(ctx); err != nil {
		return err
	}
	n := s.batch
	if probe {
		n = 1
	}
	messages, err := s.bound.Messages(jetstream.PullMaxMessages(n), jetstream.StopAfter(n), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	withdraw := func() { s.withdraw(messages) }
	defer context.AfterFunc(ctx, withdraw)()
	defer s.c.gate.watch(withdraw)()
	if !s.c.mayBegin(probe) {
		withdraw()
	}
	for {
		msg, err := messages.Next()
		switch {
		case err == nil:
			s.take(ctx, msg, probe)
		case errors.Is(err, jetstream.ErrMsgIteratorClosed) && !errors.Is(err, jetstream.ErrConnectionClosed):
			return nil
		default:
			// A missed heartbeat too: a consumer deleted between two pulls answers
			// nothing, and the library would go on pulling from it for ever.
			messages.Stop()
			return fmt.Errorf("pull: %w", err)
		}
	}
}

// withdraw ends a pull. Draining reads what was already on its way; without a
// connection there is nothing to read, and draining would wait for one.
func (s *source) withdraw(messages jetstream.MessagesContext) {
	if s.c.js.Conn().IsConnected() {
		messages.Drain()
		return
	}
	messages.Stop()
}

// take queues one fetched message, or gives it back if none may begin. A
// message that arrives after ctx has ended stays in the queue until the pull is
// withdrawn.
func (s *source) take(ctx context.Context, msg jetstream.Msg, probe bool) {
	meta, err := msg.Metadata()
	if err != nil {
		s.c.log.Error("message without a position in its stream", "stream", s.stream, "error", err)
		return
	}
	s.c.journal.Pulled(s.stream, meta.Sequence.Stream, meta.Timestamp)
	now := s.c.now()
	m := &inHand{msg: msg, meta: meta, timer: s.timer, probe: probe, taken: now}
	m.hold(now.Add(s.queueHold()))
	s.c.tracker.add(m)
	if ctx.Err() == nil && !s.c.mayBegin(probe) {
		s.handBack(m, pause)
		return
	}
	select {
	case s.queue <- m:
	default:
		s.handBack(m, 0)
	}
}

// queueHold is how long a message may wait for a worker. A worker is free again
// within a call's timeout; otherwise another replica shall have the message.
func (s *source) queueHold() time.Duration { return 2 * s.c.topology.ackWait() }

// begin carries out a message that a worker took from the queue, or refuses it.
func (s *source) begin(ctx, handling context.Context, m *inHand) {
	select {
	case s.room <- struct{}{}:
	default:
	}
	if !s.refuse(ctx, m) {
		s.c.carryOut(handling, m)
	}
}

// refuse gives back a message that must not begin now, and reports whether it did.
func (s *source) refuse(ctx context.Context, m *inHand) bool {
	now := s.c.now()
	switch {
	case ctx.Err() != nil:
		<-s.c.withdrawn
		s.handBack(m, 0)
	case now.Sub(m.taken) > s.queueHold():
		// The signals have stopped: the server may have delivered it elsewhere.
		s.handBack(m, 0)
	case !s.c.mayBegin(m.probe):
		s.handBack(m, pause)
	default:
		early := m.early(now)
		if early <= 0 {
			return false
		}
		s.handBack(m, min(early, maxEarlyDelay))
	}
	return true
}

// maxEarlyDelay bounds how long an early timer is away before the server delivers
// it again: delayed naks count against MaxAckPending.
const maxEarlyDelay = 30 * time.Second

// early is how long before its time a timer came.
func (m *inHand) early(now time.Time) time.Duration {
	if !m.timer {
		return 0
	}
	due, ok := readTime(m.msg.Headers().Get(headerDue))
	if !ok {
		return 0
	}
	return due.Sub(now)
}

func (s *source) handBack(m *inHand, delay time.Duration) {
	if err := m.settle(giveBack(delay)); err != nil {
		s.c.log.Debug("message not given back, AckWait brings it", "stream", s.stream, "error", err)
	}
	s.c.tracker.remove(m)
	s.c.observer.HandedBack(s.timer)
}

// handBackRest gives back the messages that no worker has taken, once ctx has
// ended and the pull is withdrawn.
func (s *source) handBackRest() {
	for {
		select {
		case m := <-s.queue:
			s.handBack(m, 0)
		default:
			return
		}
	}
}
