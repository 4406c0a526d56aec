package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// standTarget says which provider instances a pause or resume is about.
type standTarget struct {
	cli.Desk

	Provider  string  `arg:"" optional:"" help:"Name of the configured provider instance, as in commands."`
	All       bool    `help:"Every instance that the service has."`
	Revision  *uint64 `help:"The revision that you have seen, as pause and resume print it; default: what is there now." placeholder:"N"`
	RequestID string  `name:"request-id" help:"A ULID of your own. Given again, it is carried out once; default: a new one." placeholder:"ULID"`
	JSON      bool    `help:"Print one instance a line as JSON."`
}

// pauseCommand is "consumer pause".
type pauseCommand struct {
	standTarget

	Reason string `help:"Why, for the next reader; no personal data." placeholder:"TEXT"`
}

// Help is the long help text.
func (pauseCommand) Help() string {
	return `Asks the running service to stop calls to the provider that can move money. It takes effect in a replica when the
replica sees the pause, after about a second. Calls under way are finished, status queries for begun operations
continue, and commands wait.

The service records who pauses and why, then stores it. A pause outlives restarts. It does not count against
giveUpAfter, but a command's own expiry continues to run. A provider that is paused already keeps the time and the
reason of its first pause, and the command says so. If no service answers, nothing is called anyway: start it again
with startPaused.

Exit codes: 0 stored; 1 not stored, or no service answers; 2 arguments or configuration are wrong.

Example: consumer pause opay-eg --reason "wrong merchant account" --config /etc/countermand/config.yaml`
}

// Run pauses.
func (c *pauseCommand) Run(w *cli.World) error {
	if c.Reason == "" {
		return cli.Usage(errors.New("pause needs a --reason: somebody else may have to end it"))
	}
	return c.say(w, true, c.Reason)
}

// resumeCommand is "consumer resume".
type resumeCommand struct {
	standTarget

	Reason string `help:"Why; it is recorded." default:"the pause ends" placeholder:"TEXT"`
}

// Help is the long help text.
func (resumeCommand) Help() string {
	return `Asks the running service to end a pause, also the pause of the setting startPaused. Within about a second every
replica calls the provider again. Waiting commands continue by themselves, up to 200 a second.

The service records who ends the pause, then stores it.

Exit codes: 0 stored; 1 not stored, or no service answers; 2 arguments or configuration are wrong.

Example: consumer resume opay-eg --config /etc/countermand/config.yaml`
}

// Run resumes.
func (c *resumeCommand) Run(w *cli.World) error { return c.say(w, false, c.Reason) }

// longestNote bounds a reason, in characters.
const longestNote = 200

// say says it of every instance meant, and prints what is stored.
func (c *standTarget) say(w *cli.World, paused bool, reason string) error {
	if err := c.check(reason); err != nil {
		return cli.Usage(err)
	}
	client, closed, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	seen, err := c.seen(ctx, client)
	if err != nil {
		return cli.ControlError(w, err)
	}
	for _, s := range seen {
		said, err := c.one(ctx, client, control.Say{Provider: s.Provider, Paused: paused, Reason: reason, Revision: s.Revision})
		if err != nil {
			return cli.ControlError(w, err)
		}
		if err := c.print(w, said); err != nil {
			return err
		}
	}
	return nil
}

// check looks at what needs no server.
func (c *standTarget) check(reason string) error {
	switch {
	case c.All == (c.Provider != ""):
		return errors.New("name one provider, or --all")
	case c.All && (c.Revision != nil || c.RequestID != ""):
		return errors.New("--revision and --request-id belong to one provider")
	}
	if c.Provider != "" {
		if _, err := events.Filter(payment.ID{Provider: c.Provider, Native: "any"}); err != nil {
			return err
		}
	}
	if len([]rune(reason)) > longestNote || strings.ContainsFunc(reason, unicode.IsControl) {
		return fmt.Errorf("the reason is one line of at most %d characters", longestNote)
	}
	return nil
}

// seen are the instances meant, as they stand. A name that is not configured is
// refused: it is a typing error, and nothing would be paused.
func (c *standTarget) seen(ctx context.Context, client *remote.Client) ([]control.Standing, error) {
	all, err := client.Standings(ctx)
	if err != nil || c.All {
		return all, err
	}
	var names []string
	for _, s := range all {
		if names = append(names, s.Provider); s.Provider == c.Provider {
			if c.Revision != nil {
				s.Revision = *c.Revision
			}
			return []control.Standing{s}, nil
		}
	}
	slices.Sort(names)
	return nil, cli.Usage(fmt.Errorf("provider %q is not configured; there are %s", c.Provider, strings.Join(names, ", ")))
}

// one says it of one instance. Where it is not known what became of it, the same
// request is told, to be given again.
func (c *standTarget) one(ctx context.Context, client *remote.Client, say control.Say) (control.Said, error) {
	if say.RequestID = c.RequestID; say.RequestID == "" {
		say.RequestID = desk.NewULID()
	}
	if parsed, err := ulid.ParseStrict(say.RequestID); err != nil || parsed.String() != say.RequestID {
		return control.Said{}, cli.Usage(errors.New("--request-id is a ULID in capitals, such as 01J8Z3N9Q8K6M2V4T7R5W1X0YA"))
	}
	said, err := client.Say(ctx, say)
	_, refused := errors.AsType[*desk.Error](err)
	if err != nil && !refused && !errors.Is(err, remote.ErrNobody) {
		err = fmt.Errorf("%s: it may be stored; the same with --request-id %s says: %w", say.Provider, say.RequestID, err)
	}
	return said, err
}

// print says for people or machines what was stored.
func (c *standTarget) print(w *cli.World, said control.Said) error {
	if c.JSON {
		return w.JSON(struct {
			control.Standing

			Audit   string `json:"audit,omitempty"`
			Already bool   `json:"already,omitempty"`
		}{said.Standing, said.Audit, said.Already})
	}
	_, err := fmt.Fprintln(w.Stdout, said)
	return err
}
