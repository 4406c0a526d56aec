package app

import (
	"context"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/status"
	"github.com/countermand/countermand/status/service"
)

// positions is the journal by positions.
type positions struct{ journal *stream.Journal }

// Newest implements status.Log.
func (p positions) Newest(ctx context.Context) (status.Message, error) {
	return message(p.journal.Newest(ctx))
}

// At implements status.Log.
func (p positions) At(ctx context.Context, sequence uint64) (status.Message, error) {
	return message(p.journal.At(ctx, sequence))
}

func message(s stream.Stored, err error) (status.Message, error) {
	return status.Message{Sequence: s.Sequence, Time: s.Time, Message: s.Message}, err
}

// newStatus builds what answers payments.status; no I/O.
func newStatus(a *App, cfg *config.Config, j *stream.Journal) error {
	a.statusRate, a.schemaPrefix = cfg.Status.Rate, cfg.Results.SchemaPrefix
	var err error
	a.status, err = status.NewReader(status.Options{Journal: j, Log: positions{j}, Recent: cfg.Status.Recent})
	return err
}

// serveStatus answers payments.status until ctx ends or it is stopped, which
// waits for what is in hand. Where it cannot be served that is logged: commands
// are carried out all the same.
func (a *App) serveStatus(ctx context.Context) (stop func()) {
	if a.statusRate == 0 {
		return func() {}
	}
	s, err := service.Serve(a.nc, a.status, service.Options{Rate: a.statusRate, SchemaPrefix: a.schemaPrefix, Logger: a.log})
	if err != nil {
		a.log.Error("payments.status is not served", "error", err.Error())
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		if err := s.Stop(); err != nil {
			a.log.Warn("payments.status could not be stopped in order", "error", err.Error())
		}
	})
	return func() {
		cancel()
		<-stopped
	}
}
