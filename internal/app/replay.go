package app

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/providers"
)

// replayParts are what a replayer is built on.
type replayParts struct {
	js       jetstream.JetStream
	topology broker.Topology
	desk     *desk.Desk
	journal  *stream.Journal
	encoder  *events.Encoder
	set      *providers.Set
}

// newReplayer builds what publishes rejected messages anew; no I/O.
func newReplayer(p replayParts) (remote.Replayer, error) {
	return desk.NewReplayer(desk.ReplayOptions{
		Desk: p.desk, Rejections: p.journal, Commands: commands{p.js, p.topology.Commands}, Encoder: p.encoder, Providers: p.set,
	})
}

// commands publishes to the stream of commands.
type commands struct {
	js     jetstream.JetStream
	stream string
}

// Publish implements desk.Commands.
func (c commands) Publish(ctx context.Context, m events.Message, id string) error {
	msg := &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}
	if _, err := c.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(c.stream), jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("publish command: %w", err)
	}
	return nil
}
