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
	a.mark = j.opts.Integrity.Mark()
	var wait backoff
	var past tries
	for {
		if err := ctx.Err(); err != nil {
			return 0, unknown(a, err, past.cause)
		}
		if err := j.opts.Integrity.Open(); err != nil {
			return j.storeRefuses(ctx, a, !past.maybe, err)
		}
		began := time.Now()
		got := j.try(ctx, a.msg, past.patience(j.opts.RefuseAfter))
		sequence, err := j.conclude(ctx, a, &past, got)
		if !errors.Is(err, errAgain) {
			return sequence, err
		}
		past.add(began, got)
		switch {
		case past.silentFor() >= j.opts.RefuseAfter && ctx.Err() == nil:
			return j.storeRefuses(ctx, a, false, fmt.Errorf("no answer for %s: %w", j.opts.RefuseAfter, got.err))
		case errors.Is(got.err, nats.ErrConnectionClosed):
			return 0, unknown(a, got.err, nil)
		case !got.timedOut: // else it has waited long enough
			wait.pause(ctx)
		}
	}
}

// errAgain: the very same append is to be sent again.
var errAgain = errors.New("send the same append again")

// conclude says what one try's answer means for the append; errAgain where it
// leaves its fate open.
func (j *Journal) conclude(ctx context.Context, a *pending, past *tries, got answer) (uint64, error) {
	switch got.verdict {
	case accepted:
		j.opts.Integrity.Accepted(a.mark, got.sequence, a.token)
		return got.sequence, nil
	case refused:
		return j.whose(ctx, a, past, got)
	case storeRefuses:
		return j.storeRefuses(ctx, a, got.certain && !past.maybe, got.err)
	case impossible:
		return 0, fmt.Errorf("append %s: %w", a.msg.Subject, got.err)
	case inFlight, unanswered:
	}
	return 0, errAgain
}

// tries is what the tries of one append have come to so far.
type tries struct {
	// maybe: one of them may have been, or may yet be, accepted.
	maybe bool
	// cause is why the last one did not settle the append.
	cause error
	// silent is when the first of the last tries began that nobody has answered,
	// although there was a connection; zero: the last one was answered.
	silent time.Time
	// hidden is since when the subject is taken without a message there.
	hidden time.Time
}

// add takes in a try that did not settle the append.
func (t *tries) add(began time.Time, got answer) {
	t.cause = got.err
	t.maybe = t.maybe || got.verdict == unanswered
	switch {
	case !got.timedOut:
		t.silent = time.Time{}
	case t.silent.IsZero():
		t.silent = began
	}
}

func (t *tries) silentFor() time.Duration {
	if t.silent.IsZero() {
		return 0
	}
	return time.Since(t.silent)
}

// patience is how long the next try may go without an answer.
func (t *tries) patience(most time.Duration) time.Duration { return most - t.silentFor() }

// try sends the append once.
func (j *Journal) try(ctx context.Context, msg *nats.Msg, patience time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
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

// hiddenFor is how long a subject may be taken without a message there. An append
// that is in flight on three replicas takes its subject some milliseconds before
// it can be read; a record that the leader cannot read stays hidden.
const hiddenFor = time.Second

// errHidden: the store says that the subject is written, and shows nothing there.
var errHidden = errors.New("the subject is taken, and the journal's leader shows no message there")

// whose reads what is in the way of a refused append: our own earlier try is
// success, a rejection of the same message as well, anything else a conflict.
// If nothing is, the very same append may be accepted in a moment.
func (j *Journal) whose(ctx context.Context, a *pending, past *tries, got answer) (uint64, error) {
	stored, err := j.read(ctx, a.guard)
	switch {
	case err != nil:
		return 0, unknown(a, err, nil)
	case j.holds(a, stored):
		return stored.Sequence, nil
	case a.next:
		return 0, fmt.Errorf("append %s: %w", a.msg.Subject, ErrOvertaken)
	case stored.Sequence == a.expected && !got.subjectTaken:
		return 0, errAgain
	case stored.Sequence == a.expected && stored.Message.Subject != a.msg.Subject:
		return j.hidden(ctx, a, past, stored)
	}
	record, err := stored.record()
	if err != nil {
		return 0, fmt.Errorf("append %s: read what is in its way: %w", a.msg.Subject, err)
	}
	return 0, &journal.ConflictError{Last: record}
}

// hidden is an append whose subject is taken, and last is not what lies there.
// Write once is the second net: it catches a record that the leader has lost.
func (j *Journal) hidden(ctx context.Context, a *pending, past *tries, last Stored) (uint64, error) {
	if past.hidden.IsZero() {
		past.hidden = time.Now()
	}
	if time.Since(past.hidden) < hiddenFor {
		return 0, errAgain
	}
	taken, err := j.read(ctx, a.msg.Subject)
	switch {
	case err != nil:
		return 0, unknown(a, err, nil)
	case j.holds(a, taken):
		return taken.Sequence, nil
	case taken.Sequence > 0 && taken.Sequence < last.Sequence:
		return j.forked(a, taken, last)
	}
	object := a.msg.Subject
	if taken.Sequence > 0 {
		object = a.guard // its subject can be read, so that a later one of the payment cannot
	}
	j.opts.Integrity.Unreadable(object)
	return j.storeRefuses(ctx, a, !past.maybe, errHidden)
}

// forked is an append whose version an older event of the payment has. Somebody
// wrote that payment's first versions a second time while a replica led that did not
// have them. The payment goes on from its last event, above the versions of both.
func (j *Journal) forked(a *pending, taken, last Stored) (uint64, error) {
	older, err := taken.record()
	if err != nil {
		return 0, fmt.Errorf("append %s: read what has its version: %w", a.msg.Subject, err)
	}
	record, err := last.record()
	if err != nil {
		return 0, fmt.Errorf("append %s: read what is in its way: %w", a.msg.Subject, err)
	}
	record.State.Version = max(record.State.Version, older.State.Version)
	return 0, &journal.ConflictError{Last: record}
}

// storeRefuses is the end of an append that the store refuses, or that must not be
// sent. Unless it is certainly not there, it looks before it says so.
func (j *Journal) storeRefuses(ctx context.Context, a *pending, certain bool, cause error) (uint64, error) {
	if certain {
		return 0, fmt.Errorf("append %s: %w: %w", a.msg.Subject, journal.ErrStoreRefuses, cause)
	}
	ctx, cancel := context.WithTimeout(ctx, j.opts.RefuseAfter)
	defer cancel()
	stored, err := j.read(ctx, a.guard)
	if err == nil && j.holds(a, stored) {
		return stored.Sequence, nil
	}
	return 0, fmt.Errorf("append %s: %w, %w: %w", a.msg.Subject, journal.ErrStoreRefuses, journal.ErrUnknown, errors.Join(cause, err))
}

// holds reports whether the append is what is stored. A rejection's subject
// names its message, so any message there has said it.
func (j *Journal) holds(a *pending, m Stored) bool {
	if m.Sequence != 0 && m.Token() == a.token {
		j.opts.Integrity.Accepted(a.mark, m.Sequence, a.token)
		return true
	}
	return m.Sequence != 0 && a.rejection
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
