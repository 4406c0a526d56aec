package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// deskParts are what the desk is built on.
type deskParts struct {
	journal *stream.Journal
	handler *handlers.Handler
	timers  *broker.Timers
	open    openJournal
	set     *providers.Set
	log     *slog.Logger
}

// newDesk builds the operator's desk; no I/O.
func newDesk(cfg config.Desk, p deskParts) (*desk.Desk, error) {
	var above []payment.Money
	for _, a := range cfg.SecondPersonAbove {
		above = append(above, payment.Money{Value: a.Value, Currency: a.Currency})
	}
	return desk.New(desk.Options{
		Journal: p.journal, Index: p.open, Service: ruler{p.handler, p.timers}, Providers: p.set, IDs: newULID,
		SecondPersonAbove: above, Logger: p.log,
	})
}

// newULID draws a ULID: its time for the eye, its 80 random bits for uniqueness.
func newULID() string {
	return ulid.MustNew(ulid.Timestamp(time.Now()), rand.Reader).String()
}

// ruler is the handler with the timers that a ruling's call needs.
type ruler struct {
	*handlers.Handler

	timers *broker.Timers
}

// Resolve implements desk.Service.
func (r ruler) Resolve(ctx context.Context, ruling handlers.Ruling) (journal.Record, error) {
	return r.Handler.Resolve(ctx, ruling, r.timers)
}

// Desk is the operator's desk of this service.
func (a *App) Desk() *desk.Desk { return a.desk }

// serveDesk answers operators over NATS until ctx ends or it is stopped, which
// waits for what is in hand: a replica that drains takes no new request. A desk that cannot be served is logged: commands
// are carried out all the same.
func (a *App) serveDesk(ctx context.Context) (stop func()) {
	service, err := remote.Serve(a.nc, a.desk, remote.Options{SelfAsserted: a.selfAsserted, Logger: a.log, Replayer: a.replayer})
	if err != nil {
		a.log.Error("the desk is not served", "error", err.Error())
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		if err := service.Stop(); err != nil {
			a.log.Warn("the desk could not be stopped in order", "error", err.Error())
		}
	})
	return func() {
		cancel()
		<-stopped
	}
}

// Look implements desk.Service.
func (r ruler) Look(ctx context.Context, id payment.ID, op payment.Op, key payment.Key) (handlers.Looked, error) {
	return r.Handler.Look(ctx, id, op, key, r.timers)
}
