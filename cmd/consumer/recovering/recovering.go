// Package recovering is the command "consumer recover": it brings back what the
// journal has lost.
package recovering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/integrity/acceptance"
)

// Command is "consumer recover".
type Command struct {
	cli.Desk

	Archive        []string `help:"Files of consumer archive, older ones first." type:"existingfile" placeholder:"FILE"`
	OfThisJournal  bool     `help:"With --archive: you know that archives which cannot be recognised are this journal's."`
	Commands       bool     `help:"Walk over the commands instead, and find those that the journal does not know."`
	BeyondRefusals bool     `help:"With --commands --apply: presume commands too that are older than the oldest refusal that is kept."`
	Statement      string   `help:"A provider's statement (CSV, as for consumer reconcile): settle what it shows under our own references." type:"existingfile" placeholder:"FILE"`
	Provider       string   `help:"With --statement: name of the configured provider instance." placeholder:"NAME"`
	Reason         string   `help:"With --statement --apply: why; it is kept in the journal for good." placeholder:"TEXT"`
	TempDir        string   `help:"With --statement: directory for sorted temporary files; default: the system's." type:"path" placeholder:"DIR"`
	Apply          bool     `help:"Do it."`
	CSV            bool     `name:"csv" help:"One message a row, as CSV."`
	JSON           bool     `help:"One message a line, then the summary, as JSON."`
}

// Help is the long help text.
func (Command) Help() string {
	return `Compares archives with the journal and appends what it lacks, payment by payment in the order of versions, with
its body and headers; the header Countermand-Recovered names the place it had. What is there already is left
alone, so a run that was interrupted is simply run again. Where a payment has gone another way since the loss, each
end of an operation that the archive holds is told as a known outcome, with basis archive. The rest of it is listed
and left, and so is an end that the journal contradicts: look at it with "consumer show".
An archive of another journal is refused: one that begins with another message, or that holds another message where
this journal had its own already. An archive that cannot be recognised, such as a later segment alone, is refused
as well unless you type out that it is this journal's. Name all segments of an archive in one run.
A line whose subject is none of the journal's, or whose body is another subject's, is refused. What operators said
about the journal itself is not brought back.
With --commands it reads the stream of commands, then the timers that wait, and lists each valid one with neither operation nor rejection in
the journal; with --apply it presumes them: the journal gets an event that says that the operation may have been
carried out, and the service asks about it and never calls it. What cannot be presumed here (its provider is not
configured) goes to the service as a timer; then run it again. "consumer journal trust" asks for a finished walk.
Where refusals had to make room, a command older than the oldest that is kept may have been refused: --apply then
ends with 1, unless you type out --beyond-refusals.
With --statement it holds a provider's statement against the journal. A movement that carries our own reference
settles the open operation of that reference as succeeded, with basis operator and your name and reason; nothing is
settled by its amount. A movement of an operation that only its command knows: the operation is presumed, then
settled. Whatever no operation explains is listed. Of the rows of one provider_reference the newest counts: a
success that a later row takes back settles nothing. A row that is there again is listed as repeated.
Without --apply it only says what it would do. With it a loss has to be accepted (consumer journal accept) and
not trusted yet. With --apply it writes the events of payments: run it with the credentials of the service.
Exit codes: 0 all is there, or would be; 1 something was left or could not be done; 2 arguments are wrong.
Example: consumer recover --archive /var/backups/journal.jsonl --config /etc/countermand/config.yaml`
}

// Run brings back.
func (c *Command) Run(w *cli.World) (err error) {
	if err := c.check(); err != nil {
		return cli.Usage(err)
	}
	open := c.OpenCalling
	if len(c.Archive) > 0 {
		open = c.Open // only what names providers builds them
	}
	conn, err := open(w)
	if err != nil {
		return err
	}
	defer conn.Close()
	sources, err := conn.JournalSources()
	if err != nil {
		return err
	}
	view, err := look(w, sources)
	if err != nil {
		return err
	}
	epoch := view.Record.Epoch
	conn.Epoch.Store(epoch.Number)
	if no := acceptance.CheckRecover(view); c.Apply && len(no) > 0 {
		return &acceptance.RefusedError{Reasons: no}
	}
	if c.Apply {
		stop := acceptance.KeepRaising(context.WithoutCancel(w.Context), sources, epoch.Number)
		defer func() {
			stop()
			err = errors.Join(err, raise(w, sources, epoch.Number))
		}()
	}
	switch {
	case c.Commands:
		return c.commands(w, conn, sources, view)
	case c.Statement != "":
		return c.statement(w, conn, sources, view)
	default:
		return c.archives(w, conn, sources, view)
	}
}

// nameless is who recovers where nobody is named: a job with a credential of its own.
const nameless = "recovery"

// record records under which acceptance something is about to be brought back, and says
// so; a dry run brings nothing back.
func (c *Command) record(w *cli.World, conn *cli.Connection, sources acceptance.Sources, view acceptance.View) error {
	if !c.Apply {
		return nil
	}
	what := "--commands"
	switch {
	case c.Statement != "":
		what = "--statement: " + c.Reason
	case len(c.Archive) > 0:
		what = fmt.Sprintf("--archive, files: %d", len(c.Archive))
	}
	name, identity, err := c.Decider(w, conn.Config)
	switch {
	case err != nil && c.Statement != "": // a ruling is a person's
		return cli.Usage(err)
	case err != nil:
		name = nameless
	}
	if under, found := acceptance.Under(view); found {
		fmt.Fprintf(w.Stderr, "under epoch %d, accepted by %s at %s (%s)\n", under.Epoch, under.Operator, under.Time.UTC().Format(time.RFC3339), under.Identity)
	}
	ctx, cancel := context.WithTimeout(w.Context, cli.JournalFor)
	defer cancel()
	return acceptance.RecordRecovery(ctx, sources, conn.Encoder(), view, acceptance.Asked{Operator: name, Identity: identity, Reason: clip(what)})
}

// longestReason bounds a reason, in characters: what events keep.
const longestReason = 200

func clip(s string) string {
	if r := []rune(s); len(r) > longestReason {
		return string(r[:longestReason])
	}
	return s
}

// look reads how the journal stands.
func look(w *cli.World, sources acceptance.Sources) (acceptance.View, error) {
	ctx, cancel := context.WithTimeout(w.Context, cli.JournalFor)
	defer cancel()
	view, err := acceptance.Look(ctx, sources)
	if err == nil && view.WitnessError != nil {
		err = fmt.Errorf("read epoch: %w", view.WitnessError)
	}
	if err == nil && view.Reading.Journal.Missing {
		err = fmt.Errorf("the journal's stream %s does not exist: is streams.events right? consumer provision makes it", sources.Stream)
	}
	return view, err
}

// raiseFor bounds how long the marks are raised in the end, also after the command
// was interrupted.
const raiseFor = 10 * time.Second

// raise raises the marks over what was appended, whatever the command has come to:
// what lies above them could be lost again, and nobody would notice.
func raise(w *cli.World, sources acceptance.Sources, epoch uint64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context), raiseFor)
	defer cancel()
	raised, err := acceptance.Raise(ctx, sources, epoch)
	if err != nil {
		return fmt.Errorf("what was appended is not covered by the marks: run it again: %w", err)
	}
	if raised.Witness != "" {
		fmt.Fprintf(w.Stderr, "note: the witness could not be raised (%s); the running processes will do it\n", raised.Witness)
	}
	return nil
}

// check looks at the flags.
func (c *Command) check() error {
	ways := 0
	for _, way := range []bool{len(c.Archive) > 0, c.Commands, c.Statement != ""} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("name archives (--archive FILE), or --commands, or a statement (--statement FILE --provider NAME)")
	case c.CSV && c.JSON:
		return errors.New("--csv and --json cannot be printed together")
	case len(c.Archive) == 0 && c.Config == "":
		return errors.New("--commands and --statement need --config, which says what the providers are")
	case c.OfThisJournal && (len(c.Archive) == 0 || c.Config == ""):
		return errors.New("--of-this-journal belongs to --archive, and needs --config: the accounts in the archives are compared with it")
	case c.BeyondRefusals && (!c.Commands || !c.Apply):
		return errors.New("--beyond-refusals belongs to --commands --apply")
	case (c.Statement != "") != (c.Provider != ""):
		return errors.New("--statement and --provider belong together")
	case (c.Reason != "") != (c.Statement != "" && c.Apply):
		return errors.New("--reason belongs to --statement --apply")
	default:
		return nil
	}
}
