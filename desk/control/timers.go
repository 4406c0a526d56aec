package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/openwork"
)

const (
	// timersAtOnce is how many timers are read before the time is looked at.
	timersAtOnce = 500
	// listings is how often the timers are listed at most: one that becomes due while they
	// are read is in hand, and met once more if it stays.
	listings = 2
)

// timers are the timers that wait, as far as a request has read them.
type timers struct {
	listed int
	set    *openwork.TimerSet
	rest   []string // subjects that are still to be read
	// moved: one of them has become due or was handled since the list was made.
	moved bool
	// unknown are the subjects of those whose operation the journal does not know.
	unknown map[string]bool
}

// readTimers reads on which timers name an operation that the journal does not know,
// although it existed before the loss was accepted.
func (d *Desk) readTimers(ctx context.Context, sources acceptance.Sources, r *reading, acceptedAt time.Time) (more bool, err error) {
	t := &r.timers
	if t.listed == 0 {
		if err := d.list(ctx, r); err != nil {
			return false, err
		}
	}
	decoder, err := events.NewDecoder()
	if err != nil {
		return false, fmt.Errorf("build decoder: %w", err)
	}
	n := min(len(t.rest), timersAtOnce)
	for _, subject := range t.rest[:n] {
		timer, there, err := t.set.Read(ctx, d.o.Work.JetStream, d.o.Work.Due, subject)
		if err != nil {
			return false, err
		}
		unknown := false
		t.moved = t.moved || !there
		if there && (timer.OriginTime.Before(acceptedAt) || timer.Recorded.Operation > 0) {
			if unknown, err = unknownOf(ctx, sources, decoder, timer); err != nil {
				return false, err
			}
		}
		if unknown {
			t.unknown[subject] = true
		}
	}
	t.rest = t.rest[n:]
	if len(t.rest) == 0 && t.moved && t.listed < listings {
		return true, d.list(ctx, r)
	}
	return len(t.rest) > 0, nil
}

// list lists the timers but for those of operations that were met in the journal.
func (d *Desk) list(ctx context.Context, r *reading) error {
	set, err := openwork.Timers(ctx, d.o.Work.JetStream, d.o.Work.Due)
	switch {
	case err != nil:
		return err
	case !set.Complete:
		return &desk.Error{Fault: desk.FaultUnavailable, Message: fmt.Sprintf(
			"%d timers have become due and are not taken yet, more than can be looked at: wait until the service has taken them", set.Delivered,
		)}
	}
	r.timers = timers{listed: r.timers.listed + 1, set: set, unknown: map[string]bool{}}
	for _, subject := range set.Subjects() {
		if _, met := r.doubted[subject]; !met {
			r.timers.rest = append(r.timers.rest, subject)
		}
	}
	return nil
}

// unknownOf reports whether the journal does not know the operation that a timer names.
// One that cannot be told counts as unknown.
func unknownOf(ctx context.Context, sources acceptance.Sources, decoder *events.Decoder, timer handlers.Timer) (bool, error) {
	m := timer.Message
	m.Subject = timer.Target
	c, invalid := decoder.DecodeTaken(m)
	id, err := events.PaymentOf(timer.Subject)
	if invalid != nil || err != nil {
		return true, nil //nolint:nilerr // the timer is all there is: nobody can compare it
	}
	last, err := sources.Journal.Last(ctx, id)
	switch {
	case errors.Is(err, events.ErrNewerFormat):
		return false, nil // it has moved on since
	case err != nil:
		return false, fmt.Errorf("read payment of timer %s: %w", timer.Subject, err)
	}
	return last.State.Find(c.Op, c.Key) < 0, nil
}
