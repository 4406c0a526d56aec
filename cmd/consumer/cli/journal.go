package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/internal/monitor"
	"github.com/countermand/countermand/journal/stream"
)

// JournalFor bounds one look at the journal, or one decision about it.
const JournalFor = time.Minute

// JournalSources are where a command reads how the journal stands. monitors are
// the monitoring addresses of single servers.
func (c *Connection) JournalSources(monitors []string) (acceptance.Sources, error) {
	t := app.Topology(c.Config)
	journal, err := stream.New(c.Conn, c.Encoder(), &stream.Options{Stream: t.Events})
	if err != nil {
		return acceptance.Sources{}, err
	}
	s := acceptance.Sources{
		JetStream: c.JetStream, Journal: journal, Stream: t.Events, Commands: t.Commands, ControlBucket: t.Control,
		Reader: streams.NewReader(c.Conn, app.ReadingPlan(t)), Bucket: streams.NewBucket(c.Conn, t.Control),
		Witness: c.witness(),
	}
	if c.Config.NATS.Monitor != "" {
		monitors = append([]string{c.Config.NATS.Monitor}, monitors...)
	}
	if len(monitors) > 0 {
		s.Copies = func(ctx context.Context) []acceptance.Copy { return copies(ctx, monitors, t.Events) }
	}
	return s, nil
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

// askFor bounds the question to one server.
const askFor = 5 * time.Second

// copies asks servers what they hold of a stream; those that do not answer are
// left out, and two addresses of one server count once.
func copies(ctx context.Context, monitors []string, name string) []acceptance.Copy {
	var all []acceptance.Copy
	seen := map[string]bool{}
	for _, address := range monitors {
		bounded, cancel := context.WithTimeout(ctx, askFor)
		c, found, err := monitor.CopyOf(bounded, address, name)
		cancel()
		if err != nil || !found || seen[c.Server] {
			continue
		}
		seen[c.Server] = true
		all = append(all, acceptance.Copy{Server: c.Server, Leads: c.Leads, First: c.First, Last: c.Last, Messages: c.Messages})
	}
	return all
}
