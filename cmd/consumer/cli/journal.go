package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
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

// JournalSources are where a command reads how the journal stands. typed are the
// monitoring addresses of single servers as a person has typed them; one that is no
// address is a usage error.
func (c *Connection) JournalSources(typed []string) (acceptance.Sources, error) {
	for _, address := range typed {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return acceptance.Sources{}, Usage(fmt.Errorf("--monitor %q is not the address of a monitoring port, such as http://HOST:8222", address))
		}
	}
	t := app.Topology(c.Config)
	appended := &acceptance.Appended{}
	journal, err := stream.New(c.Conn, c.Encoder(), &stream.Options{Stream: t.Events, Refusals: t.Refusals, Integrity: appended})
	if err != nil {
		return acceptance.Sources{}, err
	}
	s := acceptance.Sources{
		JetStream: c.JetStream, Journal: journal, Stream: t.Events, Commands: t.Commands, ControlBucket: t.Control,
		Reader: streams.NewReader(c.Conn, app.ReadingPlan(t)), Bucket: streams.NewBucket(c.Conn, t.Control),
		Witness: c.witness(), Appended: appended,
	}
	configured := c.Config.NATS.Monitor
	if configured != "" || len(typed) > 0 {
		s.Copies = func(ctx context.Context) ([]acceptance.Copy, []acceptance.Unasked) {
			return copies(ctx, configured, typed, t.Events)
		}
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

// copies asks servers what they hold of a stream, and says which of them did not
// answer. Two addresses of one server count once.
func copies(ctx context.Context, configured string, typed []string, name string) (all []acceptance.Copy, unasked []acceptance.Unasked) {
	seen := map[string]bool{}
	for i, address := range append([]string{configured}, typed...) {
		if address == "" {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, askFor)
		c, found, err := monitor.CopyOf(bounded, address, name)
		cancel()
		if err != nil {
			unasked = append(unasked, acceptance.Unasked{Address: address, Reason: err.Error(), Typed: i > 0})
			continue
		}
		if !found || seen[c.Server] {
			continue
		}
		seen[c.Server] = true
		all = append(all, acceptance.Copy{Server: c.Server, Leads: c.Leads, First: c.First, Last: c.Last, Messages: c.Messages})
	}
	return all, unasked
}
