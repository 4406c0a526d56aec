package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// showCommand is "consumer show".
type showCommand struct {
	cli.Desk

	Provider string `arg:"" help:"Name of the configured provider instance, as in commands."`
	Payment  string `arg:"" help:"Identifier of the payment at the provider (orderId or transactionId)."`
	JSON     bool   `help:"Print the payment's events unchanged, one a line."`
}

// Help is the long help text.
func (showCommand) Help() string {
	return `Prints every event of the payment in order. For each open operation it says what the operation waits for and when
the service continues with it.

If you act under a name, it asks the running service and needs no right on a stream. Where none answers you, and
without a name, it reads the streams itself, as the credentials of a reader or of the service may.

Exit codes: 0 shown; 1 neither the service nor the server could be asked; 3 there is no such payment.

Example: consumer show opay-eg 1001000`
}

// showFor bounds the whole command: a server that does not answer is asked again until then.
const showFor = 30 * time.Second

// Run shows one payment.
func (c *showCommand) Run(w *cli.World) error {
	id := payment.ID{Provider: c.Provider, Native: c.Payment}
	if _, err := events.Filter(id); err != nil {
		return cli.Usage(err)
	}
	server, err := c.Open(w)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(w.Context, showFor)
	defer cancel()
	all, timers, err := c.read(ctx, w, server, id)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return cli.NotFound(fmt.Errorf("no event of payment %s at %s (is it named by its %s there?)", c.Payment, c.Provider, "orderId or transactionId"))
	}
	if c.JSON {
		for _, m := range all {
			fmt.Fprintf(w.Stdout, "%s\n", m.Data)
		}
		return nil
	}
	c.tell(w, all, timers)
	return nil
}

// read reads the payment's events in order, and when its timers come back: from the
// running service, or from the streams.
func (c *showCommand) read(ctx context.Context, w *cli.World, server *cli.Connection, id payment.ID) ([]events.Message, []time.Time, error) {
	if _, nameless := c.Client(w, server); nameless == nil {
		client, closed, err := c.OpenDesk(w)
		if err != nil {
			return nil, nil, err
		}
		defer closed()
		all, timers, err := pages(ctx, client, id)
		refusal, refused := errors.AsType[*desk.Error](err)
		notHere := refused && refusal.Fault == desk.FaultForbidden // names that are only typed do not count here
		if !notHere && !errors.Is(err, remote.ErrNobody) && !errors.Is(err, remote.ErrDenied) {
			return all, timers, cli.DeskError(w, err)
		}
	}
	all, err := c.stored(ctx, server, id)
	if err != nil || c.JSON {
		return all, nil, err
	}
	timers, err := openwork.TimesOf(ctx, server.JetStream, server.Config.Streams.Due, id)
	return all, timers, err
}

// pages asks the service for one page after the other.
func pages(ctx context.Context, client *remote.Client, id payment.ID) (all []events.Message, timers []time.Time, err error) {
	for version := uint64(0); ; {
		page, err := client.History(ctx, id, version)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range page.Events {
			all = append(all, e.Message())
		}
		if version = page.Next; version == 0 {
			return all, page.Timers, nil
		}
	}
}

// stored reads the payment's events from the stream.
func (c *showCommand) stored(ctx context.Context, server *cli.Connection, id payment.ID) ([]events.Message, error) {
	journal, err := stream.New(server.Conn, server.Encoder(), &stream.Options{Stream: server.Config.Streams.Events})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	// A stream that does not exist gives no answer to who reads it.
	_, err = server.JetStream.Stream(ctx, server.Config.Streams.Events)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("read journal: stream %s: %w", server.Config.Streams.Events, err)
	}
	var all []events.Message
	for m, err := range journal.Messages(ctx, id) {
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		all = append(all, m.Message)
	}
	return all, nil
}

// tell prints the story for people.
func (c *showCommand) tell(w *cli.World, all []events.Message, timers []time.Time) {
	fmt.Fprintf(w.Stdout, "payment %s at %s\n\n", c.Payment, c.Provider)
	var last events.Entry
	for _, m := range all {
		e, err := events.DecodeEvent(m)
		if err != nil {
			fmt.Fprintf(w.Stdout, "  %s  cannot be read: %v\n", m.Subject, err)
			continue
		}
		last = e
		cli.TellEvent(w.Stdout, e.State.Version, e.Data)
	}
	fmt.Fprintln(w.Stdout)
	for _, op := range last.State.Operations {
		fmt.Fprintln(w.Stdout, "  "+standing(op))
	}
	for _, at := range timers {
		fmt.Fprintf(w.Stdout, "  timer: comes back %s\n", at.UTC().Format(time.RFC3339))
	}
}

// standing says where an operation stands and who acts next.
func standing(op payment.Operation) string {
	if op.Status.Terminal() || op.Open == nil {
		return fmt.Sprintf("%s %s: %s, nothing more to do", op.Op, op.KeyHash[:8], op.Status)
	}
	s := fmt.Sprintf("%s %s (key %s): %s", op.Op, op.KeyHash[:8], op.Open.Key, op.Status)
	switch {
	case op.Open.Review != nil:
		return s + ", a person has to decide: " + strings.Join(op.Open.Review.SafeActions, "; or ")
	case op.Status == payment.StatusStarted:
		return s + ", a call may be under way until " + op.Open.CallUntil.UTC().Format(time.RFC3339)
	default:
		return s + ", looked at again " + op.Open.Due.UTC().Format(time.RFC3339)
	}
}
