package app

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/keeper"
	marks "github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/monitor"
	"github.com/countermand/countermand/journal/stream"
)

// LossSources are where it is read how the journal stands, and where a decision about
// it is recorded. Its appends are sent although the journal is not known to be whole.
// store is the witness; nil: there is none.
func LossSources(nc *nats.Conn, t broker.Topology, encoder *events.Encoder, store keeper.Store, monitor string) (acceptance.Sources, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return acceptance.Sources{}, fmt.Errorf("use jetstream: %w", err)
	}
	appended := &acceptance.Appended{}
	journal, err := stream.New(nc, encoder, &stream.Options{Stream: t.Events, Refusals: t.Refusals, Integrity: appended})
	if err != nil {
		return acceptance.Sources{}, err
	}
	s := acceptance.Sources{
		JetStream: js, Journal: journal, Stream: t.Events, Commands: t.Commands, ControlBucket: t.Control,
		Reader: marks.NewReader(nc, ReadingPlan(t)), Bucket: marks.NewBucket(nc, t.Control), Witness: store, Appended: appended,
	}
	if monitor != "" {
		s.Copies = func(ctx context.Context) ([]acceptance.Copy, []acceptance.Unasked) {
			return Copies(ctx, t, monitor)
		}
	}
	return s, nil
}

// askFor bounds the question to one server.
const askFor = 5 * time.Second

// Copies asks servers, by their monitoring addresses, what they hold of the journal and
// of the streams beside it, and says which of them did not answer. Two addresses of one
// server count once.
func Copies(ctx context.Context, t broker.Topology, addresses ...string) (all []acceptance.Copy, unasked []acceptance.Unasked) {
	seen := map[string]bool{}
	for _, address := range addresses {
		bounded, cancel := context.WithTimeout(ctx, askFor)
		copies, err := monitor.CopiesOf(bounded, address, t.Events, ReadingPlan(t).Others...)
		cancel()
		if err != nil {
			unasked = append(unasked, acceptance.Unasked{Address: address, Reason: err.Error()})
			continue
		}
		if len(copies) == 0 || seen[copies[0].Server] {
			continue
		}
		seen[copies[0].Server] = true
		for _, c := range copies {
			one := acceptance.Copy{Stream: c.Stream, Server: c.Server, Leads: c.Leads, First: c.First, Last: c.Last, Messages: c.Messages}
			if c.Stream == t.Events {
				one.Stream = ""
			}
			all = append(all, one)
		}
	}
	return all, unasked
}

// losses is what decisions about the journal are made with.
func (c core) losses(nc *nats.Conn, cfg *config.Config) control.Losses {
	return control.Losses{
		Sources: func() (acceptance.Sources, error) {
			store := c.witness
			if bucket, remembers := store.(requiredBucket); remembers {
				store = bucket.anew()
			}
			return LossSources(nc, c.topology, c.encoder, store, cfg.NATS.Monitor)
		},
		Encoder: c.encoder, SecondPerson: len(cfg.Desk.SecondPersonAbove) > 0, Stored: c.keeper.Refresh, Logger: c.log,
	}
}
