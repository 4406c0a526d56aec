package rejected

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/passage"
	"github.com/countermand/countermand/payment"
)

// listCommand is "consumer rejected list".
type listCommand struct {
	cli.Server

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
	server, err := c.Open(w)
	if err != nil {
		return err
	}
	defer server.Close()
	out := &listing{command: c, world: w, table: tabwriter.NewWriter(w.Stdout, 0, 4, 2, ' ', 0)}
	all := passage.Passage{Stream: server.Config.Streams.Events, Subjects: []string{events.RejectedFilter}, Since: c.from, Pull: pull, PullBytes: pullBytes}
	if _, err := all.Read(w.Context, server.JetStream, out.take); err != nil {
		return fmt.Errorf("read rejections: %w", err)
	}
	return out.end()
}

// The rejections that are under way at a time, in messages and in bytes.
const (
	pull      = 256
	pullBytes = 4 << 20
)

// sinceWhen reads a duration back from now, a date or a time.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	return cli.Moment("--since", text)
}

// wants applies the filters. The time is compared again: a server that is asked
// for messages after its last one returns that one.
func (c *listCommand) wants(r rejection) bool {
	return (c.Code == "" || string(r.Code) == c.Code) && (c.Provider == "" || r.Provider == c.Provider) && !r.At.Before(c.from)
}

// listing is one run of the list.
type listing struct {
	command            *listCommand
	world              *cli.World
	table              *tabwriter.Writer
	listed, unreadable int
}

// take prints one rejection if it is wanted.
func (l *listing) take(m jetstream.Msg, _ uint64) error {
	r, err := decode(events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()})
	if err != nil {
		l.unreadable++
		_, err = fmt.Fprintf(l.world.Stderr, "cannot be read: %s\n", m.Subject())
		return err
	}
	if !l.command.wants(r) {
		return nil
	}
	l.listed++
	if l.command.JSON {
		return l.world.JSON(r)
	}
	if l.listed == 1 {
		fmt.Fprintln(l.table, "ANSWERED\tTOKEN\tCODE\tBYTES\tSUBJECT\tFAULTS")
	}
	_, err = fmt.Fprintf(l.table, "%s\t%s\t%s\t%d\t%s\t%s\n", r.At.UTC().Format(time.RFC3339), r.Token, r.Code, r.Size, r.OriginSubject, firstFaults(r.Faults))
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
