package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
)

// standTarget says which provider instances a pause or resume is about.
type standTarget struct {
	cli.Server

	Provider string `arg:"" optional:"" help:"Name of the configured provider instance, as in commands."`
	All      bool   `help:"Every configured instance."`
	Reason   string `help:"Why, for the next reader; no personal data." placeholder:"TEXT"`
	By       string `help:"Your name; default: the name of the user." placeholder:"NAME"`
	JSON     bool   `help:"Print one instance a line as JSON."`
}

// pauseCommand is "consumer pause".
type pauseCommand struct{ standTarget }

// Help is the long help text.
func (pauseCommand) Help() string {
	return `Stops calls to the provider that can move money. It takes effect in a replica when the replica sees the pause,
after about a second. Calls under way are finished, status queries for begun operations continue, and commands
wait.

A pause outlives restarts. It does not count against giveUpAfter, but a command's own expiry continues to run.
Without --config the command knows no instances and refuses none.

Exit codes: 0 stored; 1 not stored; 2 arguments or configuration are wrong.

Example: consumer pause opay-eg --reason "wrong merchant account" --config /etc/countermand/config.yaml`
}

// Run pauses.
func (c *pauseCommand) Run(w *cli.World) error {
	if c.Reason == "" {
		return cli.Usage(errors.New("pause needs a --reason: somebody else may have to end it"))
	}
	return c.store(w, true)
}

// resumeCommand is "consumer resume".
type resumeCommand struct{ standTarget }

// Help is the long help text.
func (resumeCommand) Help() string {
	return `Ends a pause, also the pause of the setting startPaused. Within about a second every replica calls the provider
again. Waiting commands continue by themselves, within half a minute.

Exit codes: 0 stored; 1 not stored; 2 arguments or configuration are wrong.

Example: consumer resume opay-eg --config /etc/countermand/config.yaml`
}

// Run resumes.
func (c *resumeCommand) Run(w *cli.World) error { return c.store(w, false) }

// longestNote bounds reason and name, in characters.
const longestNote = 200

// store says it of every instance meant, and prints what it said.
func (c *standTarget) store(w *cli.World, paused bool) error {
	if err := c.check(); err != nil {
		return cli.Usage(err)
	}
	names, err := c.names(w)
	if err != nil {
		return cli.Usage(err)
	}
	server, err := c.Open(w)
	if err != nil {
		return err
	}
	defer server.Close()
	control := broker.NewControl(server.JetStream, app.Topology(server.Config))
	for _, name := range names {
		p := broker.Pause{Paused: paused, Reason: events.Mask(c.Reason), By: events.Mask(cmp.Or(c.By, w.Getenv("USER"))), Since: time.Now().UTC().Truncate(time.Second)}
		if p.Revision, err = control.Put(w.Context, name, p); err != nil {
			return err
		}
		if err := c.print(w, name, p); err != nil {
			return err
		}
	}
	return nil
}

// check looks at what needs no server.
func (c *standTarget) check() error {
	switch {
	case c.All == (c.Provider != ""):
		return errors.New("name one provider, or --all")
	case c.All && c.Config == "":
		return errors.New("--all needs --config, which says what all are")
	}
	if c.Provider != "" {
		if _, err := events.Filter(payment.ID{Provider: c.Provider, Native: "any"}); err != nil {
			return err
		}
	}
	for _, note := range []string{c.Reason, c.By} {
		if len([]rune(note)) > longestNote || strings.ContainsFunc(note, unicode.IsControl) {
			return fmt.Errorf("reason and name are one line of at most %d characters", longestNote)
		}
	}
	return nil
}

// names are the instances meant. A name that is not configured is refused: it
// is a typing error, and nothing would be paused.
func (c *standTarget) names(w *cli.World) ([]string, error) {
	if c.Config == "" {
		return []string{c.Provider}, nil
	}
	cfg, err := config.Load(c.Config, w.Getenv)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, p := range cfg.Providers {
		all = append(all, p.Name)
	}
	if c.All {
		return all, nil
	}
	if !slices.Contains(all, c.Provider) {
		return nil, fmt.Errorf("provider %q is not configured; there are %s", c.Provider, strings.Join(all, ", "))
	}
	return []string{c.Provider}, nil
}

// print says for people or machines what was stored.
func (c *standTarget) print(w *cli.World, name string, p broker.Pause) error {
	if !c.JSON {
		_, err := fmt.Fprintf(w.Stdout, "%s: %s\n", name, p)
		return err
	}
	return w.JSON(map[string]any{
		"provider": name, "paused": p.Paused, "reason": p.Reason, "by": p.By, "since": p.Since, "revision": p.Revision,
	})
}
