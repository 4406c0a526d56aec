package rejected

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/bom"
)

// replayCommand is "consumer rejected replay".
type replayCommand struct {
	cli.Desk

	Token  string `arg:"" help:"Token of the rejection: the last part of its subject, such as 17-0123456789ab."`
	Reason string `help:"Why you publish it again; recorded with your name." required:"" placeholder:"TEXT"`
	File   string `help:"File with the corrected command, one CloudEvent as JSON, to use instead of the original." type:"path" placeholder:"FILE"`
	Apply  bool   `help:"Publish. Without it, everything is checked and nothing is published."`
	JSON   bool   `help:"Print the result as one JSON object."`
}

// Help is the long help text.
func (replayCommand) Help() string {
	return `Makes the running service publish a new command made of the rejected message. The command has the same data, a
new event id, and the rejection's id as its causationid. With --file it has the data of your corrected version.

The command checks the message first, as the service will check it again. The service records who replays and
why, before it publishes. Where rulings need a second person above an amount, so does a replay of more than this
amount, and every replay with --file: it waits until another person replays the same.

Only a payment.command.rejected can be replayed. An operation that a guard rejected has ended: the order service
publishes a new command with a new key. If you replay a message twice, it is one operation, because the key and
the content are the same.

Exit codes: 0 published or waits for another person, or without --apply: could be; 1 it would be rejected again, or the service
could not be asked; 2 arguments are wrong; 3 there is no such rejection, or its bytes are not kept any more.

Example: consumer rejected replay 17-0123456789ab --reason "provider is configured now" --apply`
}

// maxCorrected is the largest command the stream takes.
const maxCorrected = 64 << 10

// Run checks, and with --apply publishes.
func (c *replayCommand) Run(w *cli.World) error {
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	token, err := tokenOf(c.Token)
	if err != nil {
		return err
	}
	r := desk.Replay{Token: token, Reason: c.Reason, DryRun: !c.Apply}
	if err := c.fill(&r); err != nil {
		return err
	}
	client, closed, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	done, err := client.Replay(ctx, r)
	if err != nil {
		return cli.DeskError(w, err)
	}
	return c.tell(w, done)
}

// fill takes the message from the file. Without one the service takes the original
// from the quarantine itself, and shows it to nobody.
func (c *replayCommand) fill(r *desk.Replay) error {
	if c.File == "" {
		return nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return cli.Usage(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(bom.Skip(f), maxCorrected+1))
	if err != nil || len(data) > maxCorrected {
		return cli.Usage(fmt.Errorf("read %s: %w", c.File, cmp.Or(err, errors.New("the corrected command is over 64 KiB"))))
	}
	var envelope struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(data, &envelope) // what is no JSON the service says
	r.Subject, r.Data, r.Corrected = events.SubjectOfType(envelope.Type), data, true
	r.Header = map[string][]string{"Content-Type": {"application/cloudevents+json"}}
	return nil
}

func (c *replayCommand) tell(w *cli.World, done desk.Replayed) error {
	if c.JSON {
		if err := w.JSON(done); err != nil {
			return err
		}
	}
	switch {
	case len(done.Faults) > 0:
		for _, f := range done.Faults {
			fmt.Fprintln(w.Stderr, faultLine(f))
		}
		return fmt.Errorf("the message would be rejected again, with %d faults; nothing was published", len(done.Faults))
	case c.JSON:
	case done.AwaitsSecond && c.Apply:
		fmt.Fprintf(w.Stdout, "recorded as %s, and waits for another person to replay the same (%s)\n", done.Audit, done.Decision)
	case done.AwaitsSecond:
		fmt.Fprintf(w.Stdout, "would be recorded, and wait for another person to replay the same: %s of key %s at %s (%s); nothing was done: add --apply\n",
			done.Operation, done.Key, done.Provider, done.Decision)
	case done.Applied:
		fmt.Fprintf(w.Stdout, "published %s of key %s at %s as %s, recorded as %s\n", done.Operation, done.Key, done.Provider, done.EventID, done.Audit)
	default:
		fmt.Fprintf(w.Stdout, "would publish %s of key %s at %s (%s); nothing was done: add --apply\n", done.Operation, done.Key, done.Provider, done.Decision)
	}
	return nil
}
