// Package passage reads a stream of the server's once: from its first message
// that fits to the one that is newest when the reading begins. It keeps nothing
// of what it reads, bounds how long the server may be silent, and tells how far
// it is. What a message means is left to its caller.
package passage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// defaultSilence is how long the server may take for the next message.
	defaultSilence = 30 * time.Second
	// tick is after how many messages progress is told.
	tick = 256
)

// Passage is what is read, and how.
type Passage struct {
	Stream string
	// Subjects are the filters a message has to fit one of.
	Subjects []string
	// Since leaves out messages that the stream took before it; zero: none. A server
	// that has no later message sends its last one all the same.
	Since time.Time
	// Pull is how many messages are under way at a time, PullBytes how much.
	Pull, PullBytes int
	// Silence is how long the server may take for the next message; 0: 30 s.
	Silence time.Duration
	// Progress (may be nil) is told how far it is, in messages: at the beginning,
	// now and then, and at the end.
	Progress func(done, total uint64)
}

// Taker is given each message, in the stream's order, with its sequence there.
// Its error ends the reading.
type Taker func(m jetstream.Msg, sequence uint64) error

// Read reads the passage and returns how many messages were taken, also with an
// error: the server's, take's, or that the server was silent for too long.
func (p Passage) Read(ctx context.Context, js jetstream.JetStream, take Taker) (done uint64, err error) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: p.Subjects, DeliverPolicy: jetstream.DeliverAllPolicy}
	if !p.Since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.Since
	}
	c, err := js.OrderedConsumer(ctx, p.Stream, config)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", p.Stream, err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", p.Stream, err)
	}
	total := info.NumPending
	p.tell(0, total)
	if total > 0 {
		done, err = p.walk(ctx, c, total, take)
		if err != nil {
			return done, fmt.Errorf("read %s after %d of %d messages: %w", p.Stream, done, total, err)
		}
	}
	p.tell(total, total)
	return done, nil
}

func (p Passage) walk(ctx context.Context, c jetstream.Consumer, total uint64, take Taker) (done uint64, err error) {
	messages, err := c.Messages(jetstream.PullMaxMessagesWithBytesLimit(p.Pull, p.PullBytes))
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	for done < total {
		m, err := p.next(ctx, messages)
		if err != nil {
			return done, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return done, err
		}
		if err := take(m, meta.Sequence.Stream); err != nil {
			return done, err
		}
		done++
		if done%tick == 0 {
			p.tell(done, total)
		}
		if meta.NumPending == 0 {
			return done, nil // some were deleted meanwhile: no more will come
		}
	}
	return done, nil
}

// next waits for one message, and not for ever.
func (p Passage) next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	if ctx.Err() != nil { // what has arrived already would be given out all the same
		return nil, context.Cause(ctx)
	}
	silence := p.Silence
	if silence == 0 {
		silence = defaultSilence
	}
	ctx, cancel := context.WithTimeoutCause(ctx, silence, errors.New("the server has sent nothing for "+silence.String()))
	defer cancel()
	m, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return m, err
}

func (p Passage) tell(done, total uint64) {
	if p.Progress != nil {
		p.Progress(done, total)
	}
}
