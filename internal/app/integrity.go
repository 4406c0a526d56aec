package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/replicas"
	marks "github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/integrity/witness"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/journal/stream"
)

// ReadingPlan says what is read to see whether the journal is whole.
func ReadingPlan(t broker.Topology) marks.Plan {
	durable := func(of string) marks.Durable { return marks.Durable{Stream: of, Name: t.Consumer} }
	return marks.Plan{
		Journal: t.Events, TokenHeader: stream.TokenHeader, Acceptances: events.OperatorFilter(acceptance.ActionAccepted),
		EpochOf: acceptedEpoch, Answers: append(events.PaymentFilters(""), events.RejectedFilter),
		Aging:    map[string]time.Duration{t.Commands: t.CommandsConfig().MaxAge},
		Others:   []string{t.Commands, t.Due, t.Refusals, t.Rejected, t.ControlStream()},
		Durables: []marks.Durable{durable(t.Commands), durable(t.Due), durable(t.Events)},
	}
}

// acceptedEpoch is the epoch that an acceptance in the journal begins; 0: it cannot be read.
func acceptedEpoch(subject string, header map[string][]string, data []byte) uint64 {
	_, said, err := events.DecodeJournalAction(events.Message{Subject: subject, Header: header, Data: data})
	if err != nil || said == nil {
		return 0
	}
	return said.Epoch
}

// AcceptedHoles are the sequences of the journal whose loss a person has accepted,
// as the bucket of marks has them. A bucket that is gone has none.
func AcceptedHoles(ctx context.Context, nc *nats.Conn, bucket string) ([]archive.Range, error) {
	record, err := marks.NewBucket(nc, bucket).Load(ctx)
	if err != nil && !errors.Is(err, keeper.ErrNoStore) {
		return nil, fmt.Errorf("read the mark: %w", err)
	}
	var all []archive.Range
	for _, hole := range record.Mark.Holes {
		all = append(all, archive.Range(hole))
	}
	return all, nil
}

// OpenWitness returns the configured witness; nil: there is none. Close it after
// its last use. It does not wait for a server that is away.
func OpenWitness(w config.Witness, log *slog.Logger) (store keeper.Store, closed func(), err error) {
	closed = func() {}
	switch {
	case w.File != "":
		return witness.NewFile(w.File), closed, nil
	case w.Lease.Name != "":
		cluster, err := witness.InCluster()
		if err != nil {
			return nil, closed, fmt.Errorf("journal.witness.lease: %w", err)
		}
		return witness.NewLease(cluster, w.Lease.Namespace, w.Lease.Name), closed, nil
	case w.NATS.URL != "":
		nc, err := Connect(config.NATS{URL: w.NATS.URL, Credentials: w.NATS.Credentials}, "countermand witness", log)
		if err != nil {
			return nil, closed, fmt.Errorf("journal.witness.nats: %w", err)
		}
		return requiredBucket{marks.NewBucket(nc, w.NATS.Bucket), nc, w.NATS.Bucket}, nc.Close, nil
	default:
		return nil, closed, nil
	}
}

// requiredBucket is a bucket that must exist: a witness that is gone is no empty one.
type requiredBucket struct {
	*marks.Bucket

	nc   *nats.Conn
	name string
}

// anew returns the same bucket, by one who does not remember what it has held.
func (b requiredBucket) anew() keeper.Store {
	return requiredBucket{marks.NewBucket(b.nc, b.name), b.nc, b.name}
}

// Load implements keeper.Store.
func (b requiredBucket) Load(ctx context.Context) (integrity.Record, error) {
	r, err := b.Bucket.Load(ctx)
	if err != nil {
		return r, fmt.Errorf("read witness: %s", err.Error()) // never keeper.ErrNoStore
	}
	return r, nil
}

// newKeeper builds the keeper of the journal's marks.
func (c *core) newKeeper(nc *nats.Conn, cfg *config.Config, replica string) (err error) {
	if c.witness, c.closeWitness, err = OpenWitness(cfg.Journal.Witness, c.log); err != nil {
		return err
	}
	c.registration = replicas.New(c.js, c.topology.Control, cmp.Or(replica, "process"), &replicas.Options{
		Version: Version(), Logger: c.log, InHand: func() []integrity.InHand { return c.inHand() }, // the handler comes later
	})
	plan := ReadingPlan(c.topology)
	plan.TimerHolds = c.stillContradicted
	c.keeper = keeper.New(
		marks.NewReader(nc, plan), marks.NewBucket(nc, c.topology.Control),
		&keeper.Options{Journal: c.topology.Events, BucketStream: c.topology.ControlStream(), Witness: c.witness, Others: c.registration.Others, StartShut: cfg.Journal.StartShut, Logger: c.log},
	)
	return nil
}

// losses tells the handler of an accepted loss of the journal.
type losses struct{ keeper *keeper.Keeper }

var _ handlers.Losses = losses{}

// Accepted implements handlers.Losses.
func (l losses) Accepted() (at time.Time, doubted bool) {
	epoch := l.keeper.Status().Record.Epoch
	return epoch.AcceptedAt, epoch.Number > 0 && epoch.Doubted()
}

// Epoch implements handlers.Losses.
func (l losses) Epoch() uint64 { return l.keeper.Status().Record.Epoch.Number }

// Contradicted implements handlers.Losses.
func (l losses) Contradicted(c handlers.Contradiction) {
	l.keeper.Timer(c.Epoch, c.Operation, c.Ahead, c.Known, c.Found)
}

// stillContradicted asks the journal's leader again about what a timer knew.
func (c *core) stillContradicted(ctx context.Context, f integrity.Finding) (bool, error) {
	return handlers.Contradicts(ctx, c.journal, handlers.Contradiction{
		Operation: f.Object, Ahead: f.Kind == integrity.TimerAhead, Known: f.Known,
	})
}

// keeperService keeps the marks, from the first connection on, and reads the journal
// anew after each reconnect.
func (c core) keeperService(nc *nats.Conn, first <-chan struct{}) service {
	return service{"journal marks", func(ctx context.Context) error {
		defer c.closeWitness()
		select {
		case <-first:
		case <-ctx.Done():
			return nil
		}
		connected := nc.StatusChanged(nats.CONNECTED)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-ctx.Done():
					return
				case _, open := <-connected:
					if !open {
						return
					}
					c.keeper.Refresh()
				}
			}
		}()
		err := c.keeper.Run(ctx)
		nc.RemoveStatusListener(connected)
		<-ended
		return err
	}}
}

// registrationService tells the other processes, and whoever accepts a loss, that
// this one runs and whether its gate is shut.
func (c core) registrationService() service {
	return background("registration", func(ctx context.Context) { c.registration.Run(ctx, c.keeper) })
}

// inHand lists the known outcomes that the journal has not taken yet.
func (c *core) inHand() []integrity.InHand {
	var all []integrity.InHand
	if c.handler == nil {
		return nil
	}
	for _, one := range c.handler.InHand() {
		all = append(all, integrity.InHand{
			Provider: one.Provider, Payment: one.Payment, Operation: string(one.Op), Attempt: one.Attempt,
			Outcome: one.Outcome.String(), Since: one.Since,
		})
	}
	return all
}

// whole reports a loss before whatever else may be wrong.
func (c core) whole() (ok bool, reason string) {
	s := c.keeper.Status()
	if s.Watch.Standing == integrity.Unread {
		return true, "" // the consumer says so, once there is a connection
	}
	return s.Ready()
}
