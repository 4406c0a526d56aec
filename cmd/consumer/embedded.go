//go:build !production

package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/demo"
)

// embeddedCommands are what only builds for trying it out have. A program that runs
// beside the service's own credential must not publish commands: whoever may start one
// more process in its pod could refund with one line.
type embeddedCommands struct {
	Publish  publishCommand  `cmd:"" help:"Check the commands in files and publish them." `
	Demo     demoCommand     `cmd:"" help:"Watch Countermand work: embedded server, misbehaving simulators, scripted commands." `
	Simulate simulateCommand `cmd:"" help:"Serve only the simulated providers." `
}

// demoCommand is "consumer demo".
type demoCommand struct {
	JSON bool   `help:"Print one event a line as JSON, the steps and the results, then the summary."`
	Hold bool   `help:"Keep everything running at the end, until Ctrl-C."`
	Data string `help:"Keep the data in this directory. A demo that was killed continues from it." type:"path" placeholder:"DIR"`
	Log  bool   `help:"Show the service's log on standard error."`
}

// Help is the long help text.
func (demoCommand) Help() string {
	return `Shows Countermand at work, in about half a minute. It starts an embedded server and simulated providers that
misbehave, and publishes scripted commands. It needs no server, no configuration and no network.

Exit codes: 0 if every operation has its one terminal result or waits for a person, and the simulators' own
count shows that no money moved twice; 1 otherwise; 130 if it was stopped before its last story.

Example: consumer demo --json | tail -n 1`
}

// Run plays the demo.
func (c *demoCommand) Run(w *cli.World) error {
	log := slog.New(slog.DiscardHandler)
	if c.Log {
		log = slog.New(slog.NewJSONHandler(w.Stderr, nil))
	}
	err := demo.Run(w.Context, cli.Drawing(w.Stdout), demo.Options{
		Dir: c.Data, JSON: c.JSON, Hold: c.Hold, Logger: log,
		Colour: cli.Terminal(w.Stdout) && w.Getenv("NO_COLOR") == "",
	})
	if errors.Is(err, demo.ErrStopped) {
		return cli.Stopped(err)
	}
	return err
}

// localFlags say where "consumer run" without a configuration listens.
type localFlags struct {
	NATSPort       int    `name:"nats-port" help:"Without --config: port of the embedded server." default:"4222"`
	SimulatorsPort int    `help:"Without --config: port of the simulators; they use the next port too." default:"4280"`
	Admin          string `help:"Without --config: address of health and console." default:"127.0.0.1:9090"`
}

// runEmbedded is "consumer run" without a configuration.
func runEmbedded(w *cli.World, at localFlags, log *slog.Logger) error {
	local, err := demo.OpenLocal("data", demo.Addresses{NATS: at.NATSPort, Simulators: at.SimulatorsPort, Admin: at.Admin})
	if err != nil {
		return err
	}
	defer local.Close()
	cfg := local.Config()
	nc, err := local.Connect(w.Context, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	fmt.Fprint(w.Stdout, local.HowTo())
	return serve(w, cfg, nc, &app.Options{Logger: log, LocalOperator: demo.Operator})
}
