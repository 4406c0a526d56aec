package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// presume records that a command may have been carried out, and stores its timer
// behind that. It is false where the core does not say so (the provider is not
// configured here, the payment has no room): then the service gets the command.
func (r *walking) presume(ctx context.Context, c command) (bool, error) {
	for range maxRivals {
		if c.id.Native == "" { // its provider is not configured here
			break
		}
		last, err := r.walk.Known.Last(ctx, c.id)
		if err != nil {
			return false, err
		}
		if i := last.State.Find(c.Op, c.Key); i >= 0 { // the service was faster
			return true, nil
		}
		d := handlers.Presume(r.walk.Providers, c.Command, last.State, r.walk.Before, time.Now())
		if d.Event == nil {
			break
		}
		_, err = r.walk.Journal.Append(ctx, last.Sequence, *d.Event)
		if _, rival := errors.AsType[*journal.ConflictError](err); rival {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("presume command %d: %w", c.sequence, err)
		}
		return true, r.schedule(ctx, c, d.At, d.Event.State.Recorded(c.Op, c.Key, r.walk.Epoch))
	}
	return false, r.schedule(ctx, c, time.Now(), payment.Recorded{})
}

// timed stores the timer of a presumed operation anew: a run that was killed may
// have left it without one.
func (r *walking) timed(ctx context.Context, c command, state payment.State, op payment.Operation) error {
	if r.walk.Timers == nil || op.Open == nil || !op.Open.Presumed {
		return nil
	}
	return r.schedule(ctx, c, op.Open.Due, state.Recorded(c.Op, c.Key, r.walk.Epoch))
}

// schedule schedules a command, as the service does with a command that comes back
// later. An operation has one timer, so scheduling it again replaces it.
// It says what the journal held.
func (r *walking) schedule(ctx context.Context, c command, at time.Time, held payment.Recorded) error {
	if r.walk.Timers == nil {
		return nil
	}
	m, err := r.walk.Encoder.EncodeCommand(c.Command)
	if err != nil {
		return fmt.Errorf("encode command %d: %w", c.sequence, err)
	}
	err = r.walk.Timers.Schedule(ctx, handlers.Timer{
		Subject: events.ScheduleSubject(c.Command, c.id), Target: events.DueSubject(c.Op), Message: m, At: at,
		OriginSequence: c.sequence, OriginTime: c.at, Deliveries: 1, Recorded: held,
		Original: c.original,
	})
	if err != nil {
		return fmt.Errorf("store the timer of command %d: %w", c.sequence, err)
	}
	return nil
}
