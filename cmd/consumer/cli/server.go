package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
)

// Server says which server a command talks to.
type Server struct {
	Config string `help:"Configuration file (YAML): server, credentials, stream names." type:"path" placeholder:"FILE"`
	NATS   string `name:"nats" help:"Address of the server, if no configuration is given." default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

// Connection is a connection with the configuration that it was opened by.
type Connection struct {
	*nats.Conn

	JetStream jetstream.JetStream
	Config    *config.Config

	// Epoch is that of the journal, once the command has read it; events carry it.
	Epoch atomic.Uint64

	closed []func() // what else ends with it
}

// Close closes the connection and whatever was opened beside it.
func (c *Connection) Close() {
	c.Conn.Close()
	for _, closed := range c.closed {
		closed()
	}
}

// connectFor is how long a command that a person waits for tries to connect.
const connectFor = 5 * time.Second

// Open connects, for a command that calls no provider: it needs none of their secrets.
// Unlike the service it does not wait for a server that is away.
func (s Server) Open(w *World) (*Connection, error) {
	cfg, err := s.load(w, config.LoadNotCalling)
	if err != nil {
		return nil, err
	}
	return connect(cfg)
}

// OpenCalling is Open for a command that builds providers as the service does.
func (s Server) OpenCalling(w *World) (*Connection, error) {
	cfg, err := s.load(w, config.Load)
	if err != nil {
		return nil, err
	}
	return connect(cfg)
}

// load reads the configuration; without a file it has the defaults.
func (s Server) load(w *World, read func(string, func(string) string) (*config.Config, error)) (*config.Config, error) {
	if s.Config == "" {
		cfg := config.Defaults()
		cfg.NATS.URL = s.NATS
		return cfg, nil
	}
	cfg, err := read(s.Config, w.Getenv)
	if err != nil {
		return nil, Usage(err)
	}
	return cfg, nil
}

func connect(cfg *config.Config, more ...nats.Option) (*Connection, error) {
	more = append([]nats.Option{nats.RetryOnFailedConnect(false), nats.Timeout(connectFor)}, more...)
	nc, err := app.Connect(cfg.NATS, "countermand command", slog.New(slog.DiscardHandler), more...)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	return &Connection{Conn: nc, JetStream: js, Config: cfg}, nil
}

// MayRead reports as an error what the server does not let this login do of what it
// takes to read a stream. A refused question gets no answer, so that it would be waited
// for in vain.
func (c *Connection) MayRead(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, connectFor)
	defer cancel()
	subjects := []string{"$JS.API.STREAM.INFO." + name, "$JS.API.STREAM.MSG.GET." + name}
	lacking, err := broker.Lacking(ctx, c.Conn, c.NewInbox(), subjects...)
	for _, subject := range subjects {
		if err != nil || len(lacking) > 0 {
			break
		}
		if _, err = c.RequestWithContext(ctx, subject, []byte("{}")); errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("read stream %s: nobody at %s answers %s: this login's account does not import it from the account of the streams (permissions/reader.conf), or its server has no JetStream", name, c.Config.NATS.URL, subject)
		}
	}
	if err == nil && len(lacking) == 0 {
		_, err = c.JetStream.Stream(ctx, name)
	}
	switch {
	case errors.Is(err, broker.ErrSilent):
		return fmt.Errorf("read stream %s: no answer from %s within %s: %w", name, c.Config.NATS.URL, connectFor, broker.ErrSilent)
	case len(lacking) > 0:
		return fmt.Errorf("read stream %s: the server does not let this login %s: give it the rights of permissions/reader.conf", name, strings.Join(lacking, ", nor "))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("read stream %s: no answer from %s within %s: its account may have no JetStream, or does not import what the account of the streams offers", name, c.Config.NATS.URL, connectFor)
	case err != nil:
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	return nil
}

// Encoder returns an encoder of events as the service with this configuration has it.
func (c *Connection) Encoder() *events.Encoder {
	return events.NewEncoder(&events.EncoderOptions{
		Source: c.Config.Source, Epoch: c.Epoch.Load, SchemaPrefix: c.Config.Results.SchemaPrefix,
	})
}
