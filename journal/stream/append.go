package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal"
)

// commit sends one append until its fate is known or ctx has ended. It never
// takes anything but an acknowledgement or the token, read from the leader, for
// success.
func (j *Journal) commit(ctx context.Context, a *pending) (uint64, error) {
	var wait backoff
	var cause error
	maybe := false // an earlier try may have been, or may yet be, accepted
	for {
		if err := ctx.Err(); err != nil {
			return 0, unknown(a, err, cause)
		}
		got := j.try(ctx, a.msg)
		switch got.verdict {
		case accepted:
			return got.sequence, nil
		case refused:
			sequence, err := j.whose(ctx, a, got)
			if !errors.Is(err, errNotMoved) {
				return sequence, err
			}
		case storeRefuses:
			if maybe || !got.certain {
				return j.refusedAfterDoubt(ctx, a, got.err)
			}
			return 0, fmt.Errorf("append %s: %w: %w", a.msg.Subject, journal.ErrStoreRefuses, got.err)
		case impossible:
			return 0, fmt.Errorf("append %s: %w", a.msg.Subject, got.err)
		case inFlight, unanswered:
			maybe = maybe || got.verdict == unanswered
		}
		cause = got.err
		switch {
		case errors.Is(got.err, nats.ErrConnectionClosed):
			return 0, unknown(a, got.err, nil)
		case !got.timedOut: // else it has waited long enough
			wait.pause(ctx)
		}
	}
}

// try sends the append once.
func (j *Journal) try(ctx context.Context, msg *nats.Msg) answer {
	reply, err := j.request(ctx, msg)
	if err != nil {
		return judgeError(err)
	}
	return judge(reply.Data, j.opts.Stream)
}

// request is one try of any request under its own timeout.
func (j *Journal) request(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	if j.link != nil && !j.link.IsConnected() {
		if j.link.IsClosed() {
			return nil, nats.ErrConnectionClosed
		}
		return nil, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, j.opts.TryTimeout)
	defer cancel()
	return j.conn.RequestMsgWithContext(ctx, msg)
}

// errNotMoved: the payment is where the append expects it, although it was
// refused; the very same append may be accepted in a moment.
var errNotMoved = errors.New("payment has not moved")

// whose reads what is in the way of a refused append: our own earlier try is
// success, a rejection of the same message as well, anything else a conflict.
func (j *Journal) whose(ctx context.Context, a *pending, got answer) (uint64, error) {
	stored, err := j.read(ctx, a.guard)
	switch {
	case err != nil:
		return 0, unknown(a, err, nil)
	case a.holds(stored):
		return stored.Sequence, nil
	case stored.Sequence == a.expected && !got.subjectTaken:
		return 0, errNotMoved
	}
	record, err := stored.record()
	if err != nil {
		return 0, fmt.Errorf("append %s: read what is in its way: %w", a.msg.Subject, err)
	}
	return 0, &journal.ConflictError{Last: record}
}

// refusedAfterDoubt is a store's refusal of an append that may be there all the
// same: it looks before it says so.
func (j *Journal) refusedAfterDoubt(ctx context.Context, a *pending, cause error) (uint64, error) {
	stored, err := j.read(ctx, a.guard)
	if err == nil && a.holds(stored) {
		return stored.Sequence, nil
	}
	return 0, fmt.Errorf("append %s: %w, %w: %w", a.msg.Subject, journal.ErrStoreRefuses, journal.ErrUnknown, errors.Join(cause, err))
}

// holds reports whether the append is what is stored. A rejection's subject
// names its message, so any message there has said it.
func (a *pending) holds(m Stored) bool {
	return m.Sequence != 0 && (a.rejection || m.Token() == a.token)
}

// unknown is how an append ends whose fate was not found out in time.
func unknown(a *pending, ended, cause error) error {
	if cause == nil {
		return fmt.Errorf("append %s: %w: %w", a.msg.Subject, journal.ErrUnknown, ended)
	}
	return fmt.Errorf("append %s: %w: %w (last try: %w)", a.msg.Subject, journal.ErrUnknown, ended, cause)
}

// The pauses between tries that were answered at once.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// backoff waits twice as long each time, up to lastPause.
type backoff struct{ next time.Duration }

// pause waits, or returns early when ctx ends.
func (b *backoff) pause(ctx context.Context) {
	b.next = min(max(2*b.next, firstPause), lastPause)
	sleep.For(ctx, b.next)
}
