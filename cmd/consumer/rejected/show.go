package rejected

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/rejected"
)

// showCommand is "consumer rejected show".
type showCommand struct {
	cli.Desk

	Token  string `arg:"" help:"Token of the rejection: the last part of its subject, such as 17-0123456789ab."`
	Reveal bool   `help:"Show the original bytes too. Your name is recorded before they are shown."`
	Reason string `help:"Why you need to see the bytes; required with --reveal." placeholder:"TEXT"`
	Output string `help:"With --reveal: write the bytes into a new file that only you can read, instead of showing them." type:"path" placeholder:"FILE"`
	JSON   bool   `help:"Print everything as one JSON object, with the bytes as base64."`
}

// Help is the long help text.
func (showCommand) Help() string {
	return `Shows the faults of the message, its size, its SHA-256 and its origin.

The bytes may contain personal data. The running service gives them out only with --reveal, after it has recorded
who reads them and why. If the rejected message was a timer, the bytes are this
service's own encoding of the command.

Exit codes: 0 shown; 1 the server or the service could not be asked; 2 arguments are wrong; 3 there is no such
rejection, or its bytes are not kept any more.

Example: consumer rejected show 17-0123456789ab --reveal --reason "shop asks which field"`
}

// Run shows one.
func (c *showCommand) Run(w *cli.World) error {
	if c.Reveal == (c.Reason == "") || c.Output != "" && !c.Reveal {
		return cli.Usage(errors.New("--reveal and --reason go together, and --output with them"))
	}
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	token, err := tokenOf(c.Token)
	if err != nil {
		return err
	}
	client, closed, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	found, err := client.Rejection(ctx, token)
	if err != nil {
		return cli.DeskError(w, err)
	}
	out := shownRejection{Rejection: *found}
	if c.Reveal {
		// The service records who asks and why before it gives the bytes out.
		if out.Original, err = client.Original(ctx, token, c.Reason); err != nil {
			return cli.DeskError(w, err)
		}
		if c.Output != "" {
			if err := writeNew(c.Output, out.Original.Data); err != nil {
				return err
			}
			out.Original = nil
		}
	}
	if c.JSON {
		return w.JSON(out)
	}
	out.tell(w)
	return nil
}

func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return cli.Usage(err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// shownRejection is what show prints.
type shownRejection struct {
	rejected.Rejection

	Original *rejected.Original `json:"original,omitempty"`
}

func (r *shownRejection) tell(w *cli.World) {
	fmt.Fprintf(w.Stdout, "rejected %s at %s: %s\n", r.Token, r.At.UTC().Format(time.RFC3339), r.Code)
	for _, f := range r.Faults {
		fmt.Fprintf(w.Stdout, "  %s\n", faultLine(f))
	}
	fmt.Fprintf(w.Stdout, "came on %s as number %d, %d bytes, SHA-256 %s\n", cmp.Or(r.OriginSubject, "an unknown subject"), r.OriginSequence, r.Size, r.SHA256)
	if r.CommandID != "" {
		fmt.Fprintf(w.Stdout, "its event id: %q\n", r.CommandID)
	}
	if r.Original == nil {
		return
	}
	for name, values := range r.Original.Headers {
		fmt.Fprintf(w.Stdout, "header %q: %q\n", name, values)
	}
	// Bytes from outside may steer a terminal: they are shown quoted.
	fmt.Fprintf(w.Stdout, "data: %q\n", r.Original.Data)
}
