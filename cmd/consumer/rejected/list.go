package rejected

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk/rejected"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/payment"
)

// listCommand is "consumer rejected list".
type listCommand struct {
	cli.Desk

	Since    string `help:"Only messages answered since then: a duration such as 24h, a date, or a time (RFC 3339)." placeholder:"WHEN"`
	Code     string `help:"Only rejections with this code." placeholder:"CODE"`
	Provider string `help:"Only messages whose subject names this provider; most subjects name none." placeholder:"NAME"`
	JSON     bool   `help:"Print one rejection a line as JSON, then the summary."`

	from time.Time // what Since says; zero: all
}

// Help is the long help text.
func (listCommand) Help() string {
	return `Lists the messages that were answered with payment.command.rejected.

It does not list commands that a guard refused (payment.<operation>.rejected). Those belong to their payment:
see consumer show.

Exit codes: 0 listed, even if there are none; 1 the server could not be read; 2 arguments are wrong.

Example: consumer rejected list --since 24h --code invalid_command`
}

// Run lists what passes as it comes: there may be many.
func (c *listCommand) Run(w *cli.World) error {
	if c.Since != "" {
		var err error
		if c.from, err = sinceWhen(c.Since, time.Now()); err != nil {
			return cli.Usage(err)
		}
	}
	client, closed, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	out := &listing{command: c, world: w, table: tabwriter.NewWriter(w.Stdout, 0, 4, 2, ' ', 0)}
	filter := rejected.Filter{Since: c.from, Code: payment.Code(c.Code), Provider: c.Provider}
	for {
		page, err := c.page(w, client, filter)
		if err != nil {
			return cli.DeskError(w, err)
		}
		for _, subject := range page.Unreadable {
			out.unreadable++
			fmt.Fprintf(w.Stderr, "cannot be read: %s\n", subject)
		}
		for _, r := range page.Items {
			if err := out.take(r); err != nil {
				return err
			}
		}
		if filter.From = page.Next; page.Next == 0 {
			return out.end()
		}
	}
}

func (c *listCommand) page(w *cli.World, client *remote.Client, f rejected.Filter) (*rejected.Page, error) {
	ctx, cancel := context.WithTimeout(w.Context, cli.DeskFor)
	defer cancel()
	return client.Rejections(ctx, f)
}

// sinceWhen reads a duration back from now, a date or a time.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return cli.Moment("--since", text)
}

// listing is one run of the list.
type listing struct {
	command            *listCommand
	world              *cli.World
	table              *tabwriter.Writer
	listed, unreadable int
}

// take prints one rejection.
func (l *listing) take(r rejected.Rejection) error {
	l.listed++
	if l.command.JSON {
		return l.world.JSON(r)
	}
	if l.listed == 1 {
		fmt.Fprintln(l.table, "ANSWERED\tTOKEN\tCODE\tBYTES\tSUBJECT\tFAULTS")
	}
	_, err := fmt.Fprintf(l.table, "%s\t%s\t%s\t%d\t%s\t%s\n", r.At.UTC().Format(time.RFC3339), r.Token, r.Code, r.Size, r.OriginSubject, firstFaults(r.Faults))
	return err
}

// end prints what follows the last rejection.
func (l *listing) end() error {
	if l.command.JSON {
		return l.world.JSON(map[string]any{"summary": map[string]int{"listed": l.listed, "unreadable": l.unreadable}})
	}
	if l.listed == 0 {
		fmt.Fprintln(l.table, "nothing was rejected that fits")
	}
	return l.table.Flush()
}

// firstFaults is what fits on a line.
func firstFaults(faults []payment.Fault) string {
	const fit = 3
	var parts []string
	for i, f := range faults {
		if i == fit {
			parts = append(parts, fmt.Sprintf("%d more", len(faults)-fit))
			break
		}
		parts = append(parts, faultLine(f))
	}
	return strings.Join(parts, "; ")
}
