package cli

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// Open connects. Unlike the service it does not wait for a server that is away.
func (s Server) Open(w *World) (*Connection, error) {
	cfg, err := s.load(w)
	if err != nil {
		return nil, err
	}
	return connect(cfg)
}

// load reads the configuration; without a file it has the defaults.
func (s Server) load(w *World) (*config.Config, error) {
	if s.Config == "" {
		cfg := config.Defaults()
		cfg.NATS.URL = s.NATS
		return cfg, nil
	}
	cfg, err := config.Load(s.Config, w.Getenv)
	if err != nil {
		return nil, Usage(err)
	}
	return cfg, nil
}

func connect(cfg *config.Config, more ...nats.Option) (*Connection, error) {
	more = append([]nats.Option{nats.RetryOnFailedConnect(false), nats.Timeout(connectFor)}, more...)
	nc, err := app.Connect(cfg.NATS, "countermand command", slog.New(slog.DiscardHandler), more...)
	if err != nil {
		return nil, fmt.Errorf("%w (is the server running at %s?)", err, cfg.NATS.URL)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	return &Connection{Conn: nc, JetStream: js, Config: cfg}, nil
}

// Encoder returns an encoder of events as the service with this configuration has it.
func (c *Connection) Encoder() *events.Encoder {
	return events.NewEncoder(&events.EncoderOptions{
		Source: c.Config.Source, Epoch: c.Epoch.Load, SchemaPrefix: c.Config.Results.SchemaPrefix,
	})
}
