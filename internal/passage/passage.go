// Package passage reads a stream of the server's once: from its first message
// that fits to the one that is newest when the reading begins. It keeps nothing
// of what it reads, bounds how long the server may be silent, and tells how far
// it is. What a message means is left to its caller.
package passage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/sleep"
)

const (
	// defaultSilence is how long the server may take for the next message.
	defaultSilence = 30 * time.Second
	// peek is after how long a silence the server is asked whether it has more.
	peek = time.Second
	// agreeing is how many answers in a row have to say that there is no more: a
	// server that could not look says the same.
	agreeing = 2
	// heartbeat is how often the server says that a request for messages still stands.
	// Where two are missing the client asks again, well within a silence.
	heartbeat = 5 * time.Second
	// tick is after how many messages progress is told.
	tick = 256
)

// Passage is what is read, and how.
type Passage struct {
	Stream string
	// Subjects are the filters a message has to fit one of; none: every message.
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

// UnreadableError says that the server counts messages that it cannot show: it has
// given out all the others.
type UnreadableError struct {
	// Missing is how many of those that were counted have not come.
	Missing uint64
}

// Error implements error.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("the server counts %d messages that it cannot show", e.Missing)
}

// Taker is given each message, in the stream's order, with its sequence there.
// Its error ends the reading.
type Taker func(m jetstream.Msg, sequence uint64) error

// Read reads the passage and returns how many messages were taken, also with an
// error: the server's, take's, that the server was silent for too long, or an
// *UnreadableError.
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
		done, err = p.walk(ctx, js, c, total, take)
		if err != nil {
			return done, fmt.Errorf("read %s after %d of %d messages: %w", p.Stream, done, total, err)
		}
	}
	p.tell(total, total)
	return done, nil
}

func (p Passage) walk(ctx context.Context, js jetstream.JetStream, c jetstream.Consumer, total uint64, take Taker) (done uint64, err error) {
	messages, err := c.Messages(jetstream.PullMaxMessagesWithBytesLimit(p.Pull, p.PullBytes), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	var last uint64
	for done < total {
		m, err := p.next(ctx, js, messages, last)
		if errors.Is(err, errNoMore) {
			return done, &UnreadableError{total - done}
		}
		if err != nil {
			return done, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return done, err
		}
		last = meta.Sequence.Stream
		if err := take(m, last); err != nil {
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

// silentError: the server has sent nothing for so long.
type silentError time.Duration

// Error implements error.
func (e silentError) Error() string {
	return "the server has sent nothing for " + time.Duration(e).String()
}

// errNoMore: the server has given out all that it has.
var errNoMore = errors.New("the server has no more")

// next waits for the message behind a sequence, and not for ever. While the server is
// silent it is asked whether it has more: one that counts messages which it cannot
// show sends none. The wait is a single one, so that the client notices by the missing
// heartbeats that its request was lost, and asks again.
func (p Passage) next(ctx context.Context, js jetstream.JetStream, messages jetstream.MessagesContext, last uint64) (jetstream.Msg, error) {
	if ctx.Err() != nil { // what has arrived already would be given out all the same
		return nil, context.Cause(ctx)
	}
	silence := cmp.Or(p.Silence, defaultSilence)
	ctx, cancel := context.WithTimeoutCause(ctx, silence, silentError(silence))
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	quiet := time.AfterFunc(peek, func() {
		if p.noMore(ctx, js, last) {
			end(errNoMore)
		}
	})
	defer quiet.Stop()
	m, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return m, err
}

// noMore asks now and then until answers agree that there is nothing behind a
// sequence; false: ctx has ended before.
func (p Passage) noMore(ctx context.Context, js jetstream.JetStream, last uint64) bool {
	for agreed := 0; ; {
		if agreed++; !p.nothingBehind(ctx, js, last) {
			agreed = 0
		}
		if agreed == agreeing {
			return true
		}
		if !sleep.For(ctx, peek) {
			return false
		}
	}
}

// nothingBehind reports whether the stream's leader says that it has no message
// behind a sequence that fits. Without an answer it is not known.
func (p Passage) nothingBehind(ctx context.Context, js jetstream.JetStream, last uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Silence, defaultSilence))
	defer cancel()
	s, err := js.Stream(ctx, p.Stream)
	if err != nil {
		return false
	}
	subjects := p.Subjects
	if len(subjects) == 0 {
		subjects = []string{">"}
	}
	for _, subject := range subjects {
		if _, err := s.GetMsg(ctx, last+1, jetstream.WithGetMsgSubject(subject)); !errors.Is(err, jetstream.ErrMsgNotFound) {
			return false
		}
	}
	return true
}

func (p Passage) tell(done, total uint64) {
	if p.Progress != nil {
		p.Progress(done, total)
	}
}
