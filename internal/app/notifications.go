package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/notifications"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// notifiedGrace bounds the end of the looks that notifications began: as long
// as what the consumer has in hand.
const notifiedGrace = 20 * time.Second

// seenWithin bounds the first look into the journal: shorter than an answer
// waits, so that the provider is told to come again where the journal is away.
const seenWithin = 3 * time.Second

// looker is the handler with what a look needs.
type looker struct {
	handler *handlers.Handler
	journal journal.Journal
	timers  *broker.Timers
}

var _ notifications.Looker = looker{}

// Look implements notifications.Looker. The handler waits for a journal that is
// away, and a provider's connection must not wait with it; so that is asked
// first.
func (l looker) Look(ctx context.Context, id payment.ID, reference string) (bool, error) {
	soon, cancel := context.WithTimeout(ctx, seenWithin)
	rec, err := l.journal.Last(soon, id)
	cancel()
	if err != nil {
		return false, fmt.Errorf("read payment: %w", err)
	}
	if rec.Sequence == 0 {
		return false, nil
	}
	return l.handler.Notified(ctx, id, reference, l.timers)
}

// newNotifications builds what takes notifications in; nothing where none are
// asked for. No I/O.
func newNotifications(a *App, cfg config.Notifications, set *providers.Set, l looker) {
	if cfg.Listen == "" {
		return
	}
	a.notified = cfg.Listen
	a.receiver = notifications.New(set, l, &notifications.Options{
		Logger: a.log, Observer: a.seen.metrics, MaxBody: int64(cfg.MaxBody),
		RatePerSecond: cfg.RatePerSecond, MaxAge: cfg.MaxAge, Remember: cfg.Remember,
	})
}

// besideNotifications runs while notifications are taken in, if they are. From
// the end of ctx none is any more; what they began is finished first. It begins
// once it is known which instances are paused: a look is a question to one.
func (a *App) besideNotifications(ctx context.Context, run func(context.Context) error) error {
	if a.receiver == nil {
		return run(ctx)
	}
	l, err := net.Listen("tcp", a.notified)
	if err != nil {
		return fmt.Errorf("listen for notifications: %w", err)
	}
	server := notifications.NewServer(a.receiver)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("notifications are not taken in any more; results are found by asking", "error", err.Error())
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), notifiedGrace)
		defer cancel()
		_ = server.Shutdown(grace) // what it cannot end in time, Close below cuts
		_ = server.Close()
		a.receiver.Drain(grace)
	})
	err = run(ctx)
	cancel()
	<-stopped
	return err
}
