package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/internal/config"
)

// JournalFor bounds one look at the journal, or one decision about it.
const JournalFor = time.Minute

// JournalSources are where a command reads how the journal stands by itself.
func (c *Connection) JournalSources() (acceptance.Sources, error) {
	t := app.Topology(c.Config)
	return app.LossSources(c.Conn, t, c.Encoder(), c.witness(), c.Config.NATS.Monitor)
}

// TypedServers asks the servers whose monitoring addresses a person has typed what they
// hold of the journal. One that is no address is a usage error.
func (s Server) TypedServers(w *World, typed []string) (control.Servers, error) {
	for _, address := range typed {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return control.Servers{}, Usage(fmt.Errorf("--monitor %q is not the address of a monitoring port, such as http://HOST:8222", address))
		}
	}
	if len(typed) == 0 {
		return control.Servers{}, nil
	}
	cfg, err := s.load(w, config.LoadNotCalling)
	if err != nil {
		return control.Servers{}, err
	}
	ctx, cancel := context.WithTimeout(w.Context, JournalFor)
	defer cancel()
	copies, unasked := app.Copies(ctx, app.Topology(cfg), typed...)
	return control.ServersOf(copies, unasked), nil
}

// AcceptedHoles are the sequences of the journal whose loss a person has accepted.
func (c *Connection) AcceptedHoles(ctx context.Context) ([]archive.Range, error) {
	return app.AcceptedHoles(ctx, c.Conn, app.Topology(c.Config).Control)
}

// witness is the store outside of this NATS; nil where the configuration names none.
// One that cannot be opened here, such as a Lease from outside of its cluster, is
// one that cannot be read.
func (c *Connection) witness() keeper.Store {
	store, closed, err := app.OpenWitness(c.Config.Journal.Witness, slog.New(slog.DiscardHandler))
	if err != nil {
		return unopened{err}
	}
	c.closed = append(c.closed, closed)
	return store
}

// unopened is a store that cannot be used.
type unopened struct{ err error }

// Load implements keeper.Store.
func (u unopened) Load(context.Context) (integrity.Record, error) { return integrity.Record{}, u.err }

// Raise implements keeper.Store.
func (u unopened) Raise(context.Context, integrity.Record) (integrity.Record, error) {
	return integrity.Record{}, u.err
}
