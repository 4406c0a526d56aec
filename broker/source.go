package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// source is one of the two durable consumers: a goroutine that pulls, and one
// that gives each message that had to wait in the short queue between them a slot
// and a goroutine. While there are free slots the puller does that itself, which
// saves a message a change of goroutines.
// Both sources wait for the same slots, in turn, so that neither starves.
type source struct {
	c      *Consumer
	stream string
	timer  bool
	batch  int

	// queue never blocks the puller: a pull begins only when the queue is empty
	// and asks for no more than fits. So nothing lies in the client library's
	// buffer, where nobody would keep it in hand, and one replica cannot hoard
	// what MaxAckPending allows to all.
	queue chan *inHand
	room  chan struct{}
	bound jetstream.Consumer

	mu sync.Mutex
	// unbegun is what was in hand, not begun, when the consumer was told to stop.
	unbegun []*inHand
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
// second, as a probe.
func (s *source) pull(ctx, work context.Context) {
	for ctx.Err() == nil {
		if !s.awaitRoom(ctx) {
			return
		}
		probe := s.c.gate.isShut()
		if probe && !wait(ctx, pause) {
			return
		}
		if err := s.pullBatch(ctx, work, probe); err != nil {
			s.bound = nil
			if s.c.health.unbound(s.timer, err) {
				s.c.log.Warn("cannot pull, trying on", "stream", s.stream, "consumer", s.c.topology.Consumer, "error", err)
			}
			wait(ctx, pause)
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
func (s *source) pullBatch(ctx, work context.Context, probe bool) error {
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
	if !probe && s.c.gate.isShut() {
		withdraw()
	}
	for {
		msg, err := messages.Next()
		switch {
		case err == nil:
			s.take(ctx, work, msg, probe)
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

// take begins one fetched message, puts it into the queue if it has to wait, or
// gives it back at once.
func (s *source) take(ctx, work context.Context, msg jetstream.Msg, probe bool) {
	meta, err := msg.Metadata()
	if err != nil {
		s.c.log.Error("message without a position in its stream", "stream", s.stream, "error", err)
		return
	}
	now := s.c.now()
	m := &inHand{msg: msg, meta: meta, timer: s.timer, probe: probe, taken: now}
	m.hold(now.Add(s.queueHold()))
	s.c.tracker.add(m)
	if ctx.Err() != nil {
		s.setAside(m)
		return
	}
	if !probe && s.c.gate.isShut() {
		s.handBack(m, pause)
		return
	}
	if s.beginNow(ctx, work, m) {
		return
	}
	select {
	case s.queue <- m:
	default:
		s.handBack(m, 0)
	}
}

// beginNow begins a message, or refuses it, if nothing waits before it and a slot
// is free; false: it has to wait. A free slot is never one that the other source
// waits for.
func (s *source) beginNow(ctx, work context.Context, m *inHand) bool {
	if len(s.queue) > 0 {
		return false
	}
	select {
	case s.c.slots <- struct{}{}:
	default:
		return false
	}
	s.occupy(ctx, work, m)
	return true
}

// queueHold is how long a message may wait for a slot. Slots free themselves
// within a call's timeout; if not, another replica shall have it.
func (s *source) queueHold() time.Duration { return 2 * s.c.topology.ackWait() }

// dispatch begins queued messages, as slots allow, until ctx ends.
func (s *source) dispatch(ctx, work context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.queue:
			s.signalRoom()
			s.begin(ctx, work, m)
		}
	}
}

// begin waits for a slot and gives the message a goroutine.
func (s *source) begin(ctx, work context.Context, m *inHand) {
	if s.refuse(ctx, m) {
		return
	}
	select {
	case <-ctx.Done():
		s.setAside(m)
		return
	case s.c.slots <- struct{}{}:
	}
	s.occupy(ctx, work, m) // the wait may have been long: it is refused again
}

// occupy gives a message that has a slot its goroutine, or refuses it and gives the
// slot back.
func (s *source) occupy(ctx, work context.Context, m *inHand) {
	if s.refuse(ctx, m) {
		<-s.c.slots
		return
	}
	s.c.employ(work, m)
}

// refuse gives back or sets aside what must not begin now, and reports whether it did.
func (s *source) refuse(ctx context.Context, m *inHand) bool {
	now := s.c.now()
	switch {
	case ctx.Err() != nil:
		s.setAside(m)
	case now.Sub(m.taken) > s.queueHold():
		// The signals have stopped: the server may have delivered it elsewhere.
		s.handBack(m, 0)
	case !m.probe && s.c.gate.isShut():
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

// maxEarlyDelay bounds how long an early timer is away before it is looked at
// again: delayed naks count against MaxAckPending.
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

// setAside keeps a message for handBackRest: given back while the pull is still
// being withdrawn, it would come straight back to us.
func (s *source) setAside(m *inHand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unbegun = append(s.unbegun, m)
}

// handBackRest gives back what was not begun. The puller
// and the dispatcher have ended.
func (s *source) handBackRest() {
	for len(s.queue) > 0 {
		s.setAside(<-s.queue)
	}
	for _, m := range s.unbegun {
		s.handBack(m, 0)
	}
	s.unbegun = nil
}

func (s *source) signalRoom() {
	select {
	case s.room <- struct{}{}:
	default:
	}
}
