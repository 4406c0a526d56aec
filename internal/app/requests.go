package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/history"
	"github.com/countermand/countermand/desk/rejected"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
	statusservice "github.com/countermand/countermand/status/service"
)

// deskService answers operators over NATS.
func deskService(nc *nats.Conn, d *desk.Desk, cfg config.Desk, o *remote.Options) service {
	o.SelfAsserted = cfg.SelfAsserted
	return answering("desk", o.Logger, func() (stopper, error) { return remote.Serve(nc, d, o) })
}

// history is what operators see of payments' events.
func (c core) history() *history.Reader {
	return history.NewReader(c.journal, func(ctx context.Context, id payment.ID) ([]time.Time, error) {
		return openwork.TimesOf(ctx, c.js, c.topology.Due, id)
	})
}

// rejected is what operators see of rejected messages.
func (c core) rejected(d *desk.Desk, r *desk.Replayer) *rejected.Desk {
	return rejected.New(d, c.journal, broker.NewQuarantine(c.js, c.topology), r)
}

// controls is what operators may ask of the service itself.
func (c core) controls(d *desk.Desk, l control.Losses) *control.Desk {
	return control.New(control.Options{
		Desk: d, Bucket: broker.NewControl(c.js, c.topology), Journal: c.journal, Open: c.keeper.Open,
		Providers: c.set.Names(), Losses: l, Now: time.Now,
		Work: control.Work{JetStream: c.js, Events: c.topology.Events, Due: c.topology.Due, Timers: c.timers, Encoder: c.encoder},
	})
}

// statusService answers payments.status, unless its rate is zero.
func statusService(nc *nats.Conn, r *status.Reader, cfg *config.Config, log *slog.Logger) service {
	return when(cfg.Status.Rate > 0, answering("payments.status", log, func() (stopper, error) {
		return statusservice.Serve(nc, r, &statusservice.Options{
			Rate: cfg.Status.Rate, SchemaPrefix: cfg.Results.SchemaPrefix, Logger: log,
		})
	}))
}

// stopper answers requests until it is stopped. Stop takes no request any more and
// waits for those in hand.
type stopper interface{ Stop() error }

// answering is a service that answers requests over NATS. A service that cannot be
// served or stopped is logged and nothing more: commands are carried out all the same.
func answering(name string, log *slog.Logger, begin func() (stopper, error)) service {
	return background(name, func(ctx context.Context) {
		s, err := begin()
		if err != nil {
			log.Error("requests are not answered", "service", name, "error", err.Error())
			return
		}
		<-ctx.Done()
		if err := s.Stop(); err != nil {
			log.Warn("service could not be stopped in order", "service", name, "error", err.Error())
		}
	})
}
