// Package archive is the command "consumer archive": it copies the journal into a
// file outside of NATS.
package archive

import (
	"errors"
	"fmt"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal/stream"
)

// Command is "consumer archive".
type Command struct {
	cli.Server

	File string `arg:"" help:"The file; one that exists is continued." type:"path"`
	JSON bool   `help:"One finding a line, then the summary, as JSON."`
}

// Help is the long help text.
func (Command) Help() string {
	return `Copies the journal into a file, one message a line as JSON: subject, sequence, time, headers and body. Run it
again to continue the file; a line that was torn off is written anew. It asks the journal's leader for every
single sequence, so it also finds what no count shows: a message that cannot be read, and a gap in the
versions of a payment. It needs the rights to ask STREAM.INFO and STREAM.MSG.GET, and creates nothing.
If the file does not end with what lies in the journal, the journal is another one: begin a new file and keep
the old one for "consumer recover".
Exit codes: 0 copied and nothing is missing; 1 something is missing, or the file belongs to another journal, or it
could not be copied; 2 arguments are wrong.
Example: consumer archive /var/backups/journal.jsonl --config /etc/countermand/config.yaml`
}

// Run copies.
func (c *Command) Run(w *cli.World) error {
	server, err := c.Open(w)
	if err != nil {
		return err
	}
	defer server.Close()
	name := server.Config.Streams.Events
	if err := server.MayRead(w.Context, name); err != nil {
		return err
	}
	journal, err := stream.New(server.Conn, server.Encoder(), &stream.Options{Stream: name})
	if err != nil {
		return err
	}
	bar := cli.NewGauge(w, c.JSON, "copying the journal")
	summary, err := archive.Write(w.Context, archive.Over(journal, server.JetStream, name), c.File, &archive.Options{
		Accepted: server.AcceptedHoles,
		Progress: bar.Set, Found: func(f archive.Finding) error { return c.found(w, f) },
	})
	bar.End()
	if said := c.say(w, summary); said != nil {
		return errors.Join(err, said)
	}
	if err == nil && summary.Findings > 0 {
		return fmt.Errorf("archive: %d findings: the journal has lost something (consumer journal status)", summary.Findings)
	}
	return err
}

// found tells one finding.
func (c *Command) found(w *cli.World, f archive.Finding) error {
	if c.JSON {
		return w.JSON(map[string]any{"finding": f})
	}
	text := fmt.Sprintf("sequence %d cannot be read", f.Sequence)
	switch {
	case f.Kind == archive.VersionGap:
		text = fmt.Sprintf("sequence %d: %s follows version %d", f.Sequence, f.Subject, f.Known)
	case f.To > 0:
		text = fmt.Sprintf("sequences %d to %d cannot be read", f.Sequence, f.To)
	}
	if f.Accepted {
		text += ", accepted"
	}
	_, err := fmt.Fprintln(w.Stdout, text)
	return err
}

// say tells what came of it.
func (c *Command) say(w *cli.World, s archive.Summary) error {
	if c.JSON {
		return w.JSON(map[string]any{"summary": s})
	}
	_, err := fmt.Fprintf(w.Stdout, "%d messages were there, %d written, up to sequence %d, %d findings\n", s.Before, s.Written, s.Last, s.Findings)
	return err
}
