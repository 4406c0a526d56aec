package rejected

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/rejected"
)

// deleteCommand is "consumer rejected delete".
type deleteCommand struct {
	cli.Desk

	Token  string `arg:"" help:"Token of the rejection: the last part of its subject, such as 17-0123456789ab."`
	Reason string `help:"Why the bytes have to go; recorded with your name." required:"" placeholder:"TEXT"`
	Apply  bool   `help:"Delete. Without it, nothing is deleted."`
	JSON   bool   `help:"Print the result as one JSON object."`
}

// Help is the long help text.
func (deleteCommand) Help() string {
	return `Makes the running service delete the bytes of one rejected message from the quarantine, for example because they
are personal data. The service records who deletes them and why, before it does. The journal keeps the rejection,
which repeats nothing of the message. A message whose bytes are gone can be replayed with --file only.

Exit codes: 0 deleted, or without --apply: could be deleted; 1 the service could not be asked, or could not do it;
2 arguments are wrong; 3 there is no such rejection, or its bytes are not kept any more.

Example: consumer rejected delete 17-0123456789ab --reason "a name in the reason, request 88" --apply`
}

// Run deletes, or says what would be.
func (c *deleteCommand) Run(w *cli.World) error {
	token, err := tokenOf(c.Token)
	if err != nil {
		return err
	}
	client, closed, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	done, err := client.Delete(ctx, rejected.Delete{Token: token, Reason: c.Reason, DryRun: !c.Apply})
	switch {
	case err != nil:
		return cli.DeskError(w, err)
	case c.JSON:
		return w.JSON(done)
	case done.Applied:
		_, err = fmt.Fprintf(w.Stdout, "deleted %d bytes of %s, recorded as %s\n", done.Size, token, done.Audit)
	default:
		_, err = fmt.Fprintf(w.Stdout, "would delete %d bytes of %s; nothing was done: add --apply\n", done.Size, token)
	}
	return err
}
