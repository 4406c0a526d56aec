package broker

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/handlers"
)

// inHand is one message between its fetch and its disposition.
type inHand struct {
	msg   jetstream.Msg
	meta  *jetstream.MsgMetadata
	timer bool
	// probe: pulled alone, to find out whether the store takes appends again.
	probe bool
	taken time.Time

	mu sync.Mutex
	// keepUntil is when the signals of life stop.
	keepUntil time.Time
	settled   bool
}

// hold keeps the message in hand until the given time at least.
func (m *inHand) hold(until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until.After(m.keepUntil) {
		m.keepUntil = until
	}
}

// signal tells the server that the message is still in hand. It holds the lock
// over the publish: a signal sent after a nak with delay would replace the delay
// by the whole AckWait.
func (m *inHand) signal(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled || now.After(m.keepUntil) {
		return
	}
	// A signal that cannot be sent costs a redelivery at worst.
	_ = m.msg.InProgress()
}

// settle says the last word on the message; a second one is ignored.
func (m *inHand) settle(say func(jetstream.Msg) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled {
		return nil
	}
	m.settled = true
	return say(m.msg)
}

// sayNothing leaves the message unacknowledged: AckWait brings it back.
func sayNothing(jetstream.Msg) error { return nil }

func sayAck(msg jetstream.Msg) error { return msg.Ack() }

// giveBack has the message delivered again after the delay, at once if zero.
func giveBack(delay time.Duration) func(jetstream.Msg) error {
	return func(msg jetstream.Msg) error {
		if delay <= 0 {
			return msg.Nak()
		}
		return msg.NakWithDelay(delay)
	}
}

// terminate has the message never delivered again.
func terminate(reason string) func(jetstream.Msg) error {
	return func(msg jetstream.Msg) error {
		if reason == "" {
			return msg.Term()
		}
		return msg.TermWithReason(reason[:min(len(reason), maxReason)])
	}
}

// maxReason limits what goes into the server's advisory.
const maxReason = 200

// delivery is the message as handlers see it. The faults are headers of a timer
// that are missing or broken; in their place stands what is known for certain.
func (m *inHand) delivery(margin time.Duration) (d handlers.Delivery, faults []string) {
	header := m.msg.Headers()
	d.Message.Subject = m.msg.Subject()
	d.Message.Header = withoutReserved(header)
	d.Message.Data = m.msg.Data()
	d.Header = header
	d.Timer = m.timer
	d.OriginSequence = m.meta.Sequence.Stream
	d.OriginTime = m.meta.Timestamp.UTC()
	d.Deliveries = int(m.meta.NumDelivered)
	d.Redelivered = m.meta.NumDelivered > 1
	d.Hold = func(until time.Time) { m.hold(until.Add(margin)) }
	if m.timer {
		var c carried
		c, faults = readCarried(header, d.OriginSequence, d.OriginTime)
		d.OriginSequence, d.OriginTime, d.Nameless, d.Original = c.originSequence, c.originTime, c.nameless, c.original
		d.Deliveries += c.deliveries
		d.Panics = c.panics
		d.Due = c.due
		d.Recorded = c.recorded
	}
	return d, faults
}

// tracker knows every message in hand, so that one ticker keeps them all.
type tracker struct {
	mu   sync.Mutex
	msgs map[*inHand]struct{}
}

func (t *tracker) add(m *inHand) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.msgs == nil {
		t.msgs = make(map[*inHand]struct{})
	}
	t.msgs[m] = struct{}{}
}

func (t *tracker) remove(m *inHand) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.msgs, m)
}

func (t *tracker) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.msgs)
}

// signal tells the server that everything in hand still is.
func (t *tracker) signal(now time.Time) {
	t.mu.Lock()
	msgs := make([]*inHand, 0, len(t.msgs))
	for m := range t.msgs {
		msgs = append(msgs, m)
	}
	t.mu.Unlock()
	for _, m := range msgs {
		m.signal(now)
	}
}
