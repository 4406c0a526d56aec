package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/sleep"
)

// runCommand is "consumer run".
type runCommand struct {
	localFlags

	Config string `help:"Configuration file (YAML)." type:"path" placeholder:"FILE"`
	Debug  bool   `help:"Log at debug level."`

	CPUProfile string `name:"cpu-profile" help:"Write a CPU profile to this file when told to stop, in pprof's format." type:"path" placeholder:"FILE"`
}

// Help is the long help text.
func (runCommand) Help() string {
	return `With --config it serves the configured providers until SIGTERM or Ctrl-C. It then stops pulling, finishes or
hands back the messages in hand, and exits 0.

Without --config it starts a server and simulated providers of its own in ./data. It prints how to publish a
first command by hand. Production builds do not have this mode.

Example: consumer run --config /etc/countermand/config.yaml`
}

// Run carries commands out.
func (c *runCommand) Run(w *cli.World) error {
	log := c.logger(w)
	if w.StandardLog != nil {
		w.StandardLog(log)
	}
	if c.Config == "" {
		return runEmbedded(w, c.localFlags, log)
	}
	cfg, err := config.Load(c.Config, w.Getenv)
	if err != nil {
		return cli.Usage(err)
	}
	for _, exposed := range cfg.Exposed {
		log.Warn("a secret lies open", "setting", exposed.String())
	}
	for _, setting := range cfg.Quoted {
		log.Warn("a secret is in quotes, which are sent as part of it", "setting", setting)
	}
	endProfile, err := c.profile()
	if err != nil {
		return err
	}
	defer endProfile()
	app.TuneCollector(w.Getenv)
	link := app.NewLink(cfg.NATS.URL, log)
	nc, err := app.Connect(cfg.NATS, "countermand consumer", log, link.Option())
	if err != nil {
		return err
	}
	defer nc.Close()
	return serve(w, cfg, nc, &app.Options{Logger: log, Link: link})
}

// profile begins the profile that was asked for; end writes it.
func (c *runCommand) profile() (end func(), err error) {
	if c.CPUProfile == "" {
		return func() {}, nil
	}
	file, err := os.OpenFile(c.CPUProfile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("open the profile's file: %w", err))
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("begin profile: %w", err)
	}
	return func() { pprof.StopCPUProfile(); file.Close() }, nil
}

func (c *runCommand) logger(w *cli.World) *slog.Logger {
	level := slog.LevelInfo
	if c.Debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewJSONHandler(w.Stderr, &slog.HandlerOptions{Level: level}))
}

// serve builds the service and runs it until the world's context ends.
func serve(w *cli.World, cfg *config.Config, nc *nats.Conn, o *app.Options) error {
	log := o.Logger
	instances, err := app.Instances(cfg, log)
	if err != nil {
		return cli.Usage(err)
	}
	if host, err := os.Hostname(); err == nil {
		o.Replica = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	service, err := app.New(nc, cfg, instances, o)
	if err != nil {
		return cli.Usage(err)
	}
	if err := verified(w, cfg, nc, log); err != nil {
		return err
	}
	log.Info("consumer is starting", "providers", len(instances), "admin", cfg.Admin.Listen)
	if err := service.Run(w.Context); err != nil {
		return err
	}
	log.Info("consumer has stopped; nothing is in hand")
	return nil
}

// verifyFor bounds the look at the topology on start: it informs, it does not
// hold the start up, and a server that is away is waited for anyway.
const verifyFor = 5 * time.Second

// verified says what is not as it should be with streams and consumers. On the layout of
// a version before PAYMENT_REFUSALS it returns an error: there no junk could be answered.
func verified(w *cli.World, cfg *config.Config, nc *nats.Conn, log *slog.Logger) error {
	if !nc.IsConnected() {
		return nil // the link says why
	}
	ctx, cancel := context.WithTimeout(w.Context, verifyFor)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	t := app.Topology(cfg)
	findings, err := broker.Verify(ctx, js, t)
	for _, f := range findings {
		log.Error("topology differs from what is needed: run consumer provision", "finding", f.String())
	}
	if t.Older(findings) {
		return fmt.Errorf("%s still takes in %s, as before there was %s: stop every process of the service, run consumer provision, and start again (docs/upgrading.md)",
			t.Events, events.RejectedFilter, t.Refusals)
	}
	if err != nil {
		log.Warn("streams and consumers could not be verified yet", "error", err.Error())
	}
	return nil
}

// provisionCommand is "consumer provision".
type provisionCommand struct {
	Config string `help:"Configuration file (YAML)." type:"path" placeholder:"FILE" required:""`
	JSON   bool   `help:"Print one change a line as JSON."`
}

// Help is the long help text.
func (provisionCommand) Help() string {
	return `Creates missing streams and consumers, those of the setting "readers" too, and updates what may be updated. It
deletes nothing, and names what it cannot change. A second run changes nothing.

Its login needs the rights of permissions/provisioner.conf. Updating a stream needs one that is not in it,
$JS.API.STREAM.UPDATE.<stream>: then it does everything else, names the right, and ends with 1. Give the right for
one run only: whoever has it can erase the journal.

Exit codes: 0 all is as it should be, or the server itself cannot change it; 1 a right or the server is missing;
2 flags or configuration are wrong.

Example: consumer provision --config /etc/countermand/config.yaml`
}

// provisionFor bounds the whole of it, the connection included.
const provisionFor = 30 * time.Second

// deafError says that a login may not hear the answers that it is sent.
type deafError struct{ prefix string }

// Error implements error.
func (e *deafError) Error() string {
	return "the server does not let this login hear answers on " + e.prefix + ".>: give it permissions/provisioner.conf of this version"
}

// connectFor is how long a server may take to be there when streams are to be created, and
// connectAgain the pause before the next attempt.
const (
	connectFor   = 5 * time.Second
	connectAgain = 250 * time.Millisecond
)

// connectToProvision connects with an inbox that is the provisioner's alone. Where the
// login may not hear it, no answer would ever come; deaf is told at once. A connection that
// is lost stays lost: what was asked over it is never answered.
func connectToProvision(ctx context.Context, to config.NATS, log *slog.Logger, deaf func(error)) (*nats.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectFor)
	defer cancel()
	for {
		nc, err := app.Connect(
			to, "countermand provision", log,
			nats.RetryOnFailedConnect(false), nats.NoReconnect(), nats.CustomInboxPrefix(broker.ProvisionInbox),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), broker.ProvisionInbox+".") {
					deaf(&deafError{broker.ProvisionInbox})
					return
				}
				log.Error("nats error", "error", err)
			}),
		)
		if err == nil || !sleep.For(ctx, connectAgain) {
			return nc, err
		}
	}
}

// Run creates streams and consumers.
func (c *provisionCommand) Run(w *cli.World) error {
	cfg, err := config.LoadNotCalling(c.Config, w.Getenv)
	if err != nil {
		return cli.Usage(err)
	}
	ctx, cancel := context.WithTimeout(w.Context, provisionFor)
	defer cancel()
	ctx, deaf := context.WithCancelCause(ctx)
	defer deaf(nil)
	nc, err := connectToProvision(ctx, cfg.NATS, slog.New(slog.NewTextHandler(w.Stderr, &slog.HandlerOptions{Level: slog.LevelError})), deaf)
	if err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	changes, err := broker.Provision(ctx, js, app.Topology(cfg))
	for _, change := range changes {
		if err := c.print(w, change); err != nil {
			return err
		}
	}
	if err := c.failed(ctx, err, cfg.NATS.URL, nc.IsConnected()); err != nil {
		return err
	}
	if len(changes) == 0 && !c.JSON {
		fmt.Fprintln(w.Stdout, "nothing to change")
	}
	return nil
}

// failed says why provision ended early; nil: it did not.
func (*provisionCommand) failed(ctx context.Context, err error, url string, connected bool) error {
	cause := context.Cause(ctx)
	if deaf, ok := errors.AsType[*deafError](cause); ok {
		return fmt.Errorf("provision: %w", deaf)
	}
	if lacking, ok := errors.AsType[*broker.NotPermittedError](err); ok {
		return fmt.Errorf("provision: %w: give this login the right for one run, then take it away again: "+
			"permissions/provisioner.conf says which rights it keeps", lacking)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, broker.ErrSilent):
		return fmt.Errorf("provision: no answer from %s: %w", url, broker.ErrSilent)
	case !connected:
		return fmt.Errorf("provision: the connection to %s is lost: run it again", url)
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("provision: no answer from %s within %s: its account may have no JetStream", url, provisionFor)
	default:
		return err
	}
}

// print writes one change for people or machines.
func (c *provisionCommand) print(w *cli.World, change broker.Change) error {
	if !c.JSON {
		fmt.Fprintln(w.Stdout, change)
		return nil
	}
	return w.JSON(map[string]string{
		"kind": string(change.Kind), "object": change.Object, "setting": change.Setting,
		"is": change.Is, "want": change.Want, "reason": change.Reason,
	})
}
