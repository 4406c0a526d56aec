package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// statusCommand is "consumer journal status".
type statusCommand struct {
	cli.Desk

	Monitor []string `help:"Monitoring addresses of further servers of the cluster (http://HOST:8222)." placeholder:"URL"`
	JSON    bool     `help:"Everything as one JSON object."`
}

// Help is the long help text.
func (statusCommand) Help() string {
	return `Compares the marks with what the leaders of the streams show now, and says what is missing from when to
when, which registered process has its gate open, and which server holds more of the journal than its leader
(only monitoring addresses can tell). It asks once; the service itself looks three times before it says broken.

If you act under a name, it asks the running service and needs no right on a stream. Where none answers you, and
without a name, it reads the streams itself, as the credentials of the service or of a recovery may.
Exit codes: 0 whole; 1 something is missing or could not be asked, or the witness is not written; 2 arguments are
wrong.
Example: consumer journal status --config /etc/countermand/config.yaml`
}

// Run shows how the journal stands.
func (c *statusCommand) Run(w *cli.World) error {
	s, err := c.status(w)
	if err != nil {
		return err
	}
	if c.JSON {
		err = w.JSON(s)
	} else {
		err = printStatus(w.Stdout, *s)
	}
	if err == nil && !s.Whole {
		return errors.New(s.Verdict())
	}
	return err
}

// alsoFor bounds a try to read the streams where no service answers: a server says
// nothing at all to somebody who may not ask it.
const alsoFor = 10 * time.Second

// byNobody says why nothing could be shown: by the service, if it was asked, and by the
// streams.
func byNobody(w *cli.World, service, streams error) error {
	if service == nil {
		return streams
	}
	return fmt.Errorf("%w; nor could the streams be read with these credentials: %w", cli.JournalError(w, service), streams)
}

// status asks the service, if it is asked under a name, or reads the streams itself.
func (c *statusCommand) status(w *cli.World) (*acceptance.Status, error) {
	typed, err := c.TypedServers(w, c.Monitor)
	if err != nil {
		return nil, err
	}
	conn, err := c.Open(w)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(w.Context, cli.JournalFor)
	defer cancel()
	nobody := error(nil)
	if _, nameless := c.Client(w, conn); nameless == nil {
		client, closed, err := c.OpenDesk(w)
		if err != nil {
			return nil, err
		}
		defer closed()
		s, err := client.Journal(ctx, typed)
		refusal, refused := errors.AsType[*desk.Error](err)
		notHere := refused && refusal.Fault == desk.FaultForbidden // names that are only typed do not count here
		if !notHere && !errors.Is(err, remote.ErrNobody) && !errors.Is(err, remote.ErrOlder) && !errors.Is(err, remote.ErrDenied) {
			return s, cli.JournalError(w, err)
		}
		nobody = err
		bounded, cancel := context.WithTimeout(ctx, alsoFor)
		defer cancel()
		ctx = bounded
	}
	sources, err := conn.JournalSources()
	if err != nil {
		return nil, err
	}
	sources = typed.With(sources)
	v, err := acceptance.Look(ctx, sources)
	if err != nil {
		return nil, byNobody(w, nobody, err)
	}
	v.Lag = acceptance.Lagging(ctx, sources, v)
	s := acceptance.StatusOf(v, acceptance.Missing(ctx, sources, v), sources.Witness != nil)
	return &s, nil
}

// printStatus prints the status for people.
func printStatus(out io.Writer, s acceptance.Status) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "epoch\t%d, %s", s.Epoch.Number, s.Epoch.Phase)
	if !s.Epoch.AcceptedAt.IsZero() {
		fmt.Fprintf(t, ", accepted %s", stamp(s.Epoch.AcceptedAt))
	}
	fmt.Fprintf(t, "\nmark in the bucket\t%s\n", markLine(s.Bucket))
	switch {
	case s.Fault != "":
		fmt.Fprintf(t, "mark in the witness\tcannot be read: %s\n", s.Fault)
	case s.Witness != nil:
		fmt.Fprintf(t, "mark in the witness\t%s\n", markLine(*s.Witness))
	}
	fmt.Fprintf(t, "journal\t%d to %d, %d messages, %d since the mark, led by %s\n",
		s.Reading.First, s.Reading.Last, s.Reading.Messages, s.Reading.SinceMark, s.Reading.Leader)
	for _, c := range s.Copies {
		fmt.Fprintf(t, "copy at %s\t%d to %d, %d messages\n", c.Server, c.First, c.Last, c.Messages)
	}
	for _, c := range telling(s) {
		fmt.Fprintf(t, "copy at %s of %s\t%d to %d, %d messages\n", c.Server, c.Stream, c.First, c.Last, c.Messages)
	}
	for _, r := range s.Replicas {
		fmt.Fprintf(t, "process %s\t%s\n", r.ID, processLine(r))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range s.Replicas {
		for _, line := range inHandLines(r) {
			fmt.Fprintln(out, line)
		}
	}
	for _, f := range s.Findings {
		fmt.Fprintf(out, "\nfinding %s: %s\n", f.Kind, f.Text)
	}
	for _, gap := range s.Missing {
		accepted := ""
		if gap.Accepted {
			accepted = ", accepted"
		}
		fmt.Fprintf(out, "missing: %s, between %s and %s%s\n", gap.Range, stamp(gap.After), stamp(gap.Before), accepted)
	}
	switch c := s.Loss.Commands; {
	case c.Messages == 0 || len(s.Restart) > 0:
	case c.HeldBy != "":
		fmt.Fprintln(out, c.Text())
	default:
		fmt.Fprintf(out, "%s (--lose-commands %d)\n", c.Text(), c.Messages)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(out, "note: %s\n", note)
	}
	verdict := s.Verdict()
	if s.Loss.Messages > 0 && len(s.Restart) == 0 {
		verdict += fmt.Sprintf("; accepting it as it is would give up %s (--lose %d)", messages(s.Loss.Messages), s.Loss.Messages)
	}
	_, err := fmt.Fprintf(out, "\n%s\n", verdict)
	return err
}

// telling are the copies of the commands, and of streams that a finding is about.
func telling(s acceptance.Status) []acceptance.Copy {
	var all []acceptance.Copy
	for _, c := range s.Others {
		about := func(f integrity.Finding) bool {
			return f.Object == c.Stream || strings.HasPrefix(f.Object, c.Stream+"/")
		}
		if c.Stream == s.Loss.Commands.Stream || slices.ContainsFunc(s.Findings, about) {
			all = append(all, c)
		}
	}
	return all
}

func markLine(r integrity.Record) string {
	if r.Mark.Zero() {
		return "none"
	}
	return fmt.Sprintf("%d at %s, epoch %d", r.Mark.Journal.Sequence, stamp(r.Mark.At), r.Mark.Epoch)
}

// processLine is what a process says of itself.
func processLine(r integrity.Registered) string {
	parts := []string{"gate open"}
	if r.Shut {
		parts[0] = "gate shut"
		if r.Reason != "" {
			parts[0] += " (" + r.Reason + ")"
		}
	}
	parts = append(parts, "journal "+r.Standing, fmt.Sprintf("epoch %d %s", r.Epoch.Number, r.Epoch.Phase))
	if r.Version != "" {
		parts = append(parts, "version "+r.Version)
	}
	if n := len(r.InHand) + r.MoreInHand; n > 0 {
		parts = append(parts, fmt.Sprintf("%d known outcomes in hand", n))
	}
	return strings.Join(parts, ", ")
}

// inHandLines are the known outcomes that a process could not append yet.
func inHandLines(r integrity.Registered) []string {
	var all []string
	for _, h := range r.InHand {
		all = append(all, fmt.Sprintf("in hand at %s: %s of payment %s at %s, attempt %d: %s, since %s",
			r.ID, h.Operation, h.Payment, h.Provider, h.Attempt, h.Outcome, stamp(h.Since)))
	}
	if r.MoreInHand > 0 {
		all = append(all, fmt.Sprintf("in hand at %s: %d more", r.ID, r.MoreInHand))
	}
	return all
}
