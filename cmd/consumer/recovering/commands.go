package recovering

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/recovery"
	"github.com/countermand/countermand/providers"
)

// commands walks over the commands.
func (c *Command) commands(w *cli.World, conn *cli.Connection, sources acceptance.Sources, view acceptance.View) error {
	epoch := view.Record.Epoch
	set, err := providersOf(conn)
	if err != nil {
		return err
	}
	if err := c.refusalsReach(w, conn); err != nil {
		return err
	}
	l := &listing{command: c, world: w, table: cli.NewTable(w.Stdout,
		"state", "presumed", "handed_over", "sequence", "at", "provider", "payment", "operation", "idempotency_key", "command_id")}
	bar := cli.NewGauge(w, c.JSON || c.CSV, "walking over the commands")
	walk, err := c.walk(w, conn, sources, set, epoch)
	if err == nil {
		err = c.record(w, conn, sources, view)
	}
	if err != nil {
		return err
	}
	walk.Tell, walk.Progress = l.tell, bar.Set
	walked, err := walk.Run(w.Context)
	bar.End()
	finished := err == nil && c.Apply && walked.HandedOver == 0
	if finished {
		err = finish(w, sources, acceptance.Walk{Epoch: epoch.Number, To: walked.Last, At: time.Now().UTC()})
	}
	if said := l.end(walked, finished && err == nil); said != nil {
		return errors.Join(err, said)
	}
	if err == nil && c.Apply && !finished {
		return fmt.Errorf("the walk is not finished: %d commands were handed to the service; run it again once it has taken them up", walked.HandedOver)
	}
	return err
}

// refusalsReach compares the oldest command with the oldest refusal: what was refused
// and forgotten would be presumed.
func (c *Command) refusalsReach(w *cli.World, conn *cli.Connection) error {
	names := conn.Config.Streams
	refusals, err := conn.JetStream.Stream(w.Context, names.Refusals)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", names.Refusals, err)
	}
	commands, err := conn.JetStream.Stream(w.Context, names.Commands)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", names.Commands, err)
	}
	info, oldest := refusals.CachedInfo(), commands.CachedInfo().State
	before, forgotten := recovery.Forgotten(info.State, info.Config.MaxBytes)
	if !forgotten || oldest.Msgs == 0 || !oldest.FirstTime.Before(before) {
		return nil
	}
	why := fmt.Sprintf("%s keeps no refusal older than %s, and the oldest command is of %s: commands in between may have been refused",
		names.Refusals, before.UTC().Format(time.RFC3339), oldest.FirstTime.UTC().Format(time.RFC3339))
	if c.Apply && !c.BeyondRefusals {
		return fmt.Errorf("%s; look at the list without --apply, then type out --beyond-refusals to presume them all the same", why)
	}
	fmt.Fprintf(w.Stderr, "note: %s\n", why)
	return nil
}

// finish stores that the walk is finished, once the marks cover what it has appended.
func finish(w *cli.World, sources acceptance.Sources, walk acceptance.Walk) error {
	ctx, cancel := context.WithTimeout(w.Context, cli.JournalFor)
	defer cancel()
	_, err := acceptance.Finished(ctx, sources, walk)
	return err
}

// providersOf are the configured instances, as the service has them.
func providersOf(conn *cli.Connection) (*providers.Set, error) {
	instances, err := app.Instances(conn.Config, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return providers.NewSet(instances...)
}

// walk is the walk over the commands of an epoch; it presumes only with --apply.
func (c *Command) walk(
	w *cli.World, conn *cli.Connection, sources acceptance.Sources, set *providers.Set, epoch integrity.Epoch,
) (recovery.Walk, error) {
	kept, err := conn.JetStream.Stream(w.Context, conn.Config.Streams.Rejected)
	if err != nil {
		return recovery.Walk{}, fmt.Errorf("open stream %s: %w", conn.Config.Streams.Rejected, err)
	}
	walk := recovery.Walk{
		JetStream: conn.JetStream, Stream: conn.Config.Streams.Commands, Known: sources.Journal, Providers: set,
		Before: epoch.AcceptedAt, Epoch: epoch.Number, Encoder: conn.Encoder(), Refused: refused(kept),
	}
	if epoch.Number == 0 {
		walk.Before = time.Now()
	}
	if c.Apply {
		walk.Journal = sources.Journal
		walk.Timers = broker.NewTimers(conn.JetStream, app.Topology(conn.Config))
	}
	return walk, nil
}

// refused asks whether the bytes of a rejected message are kept.
func refused(kept jetstream.Stream) func(context.Context, string) (bool, error) {
	return func(ctx context.Context, token string) (bool, error) {
		_, err := kept.GetLastMsgForSubject(ctx, events.QuarantineSubject(token))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("look for a rejected message: %w", err)
		}
		return true, nil
	}
}

// listing prints what the walk finds.
type listing struct {
	command *Command
	world   *cli.World
	table   *cli.Table // printed where it is asked for
}

// tell prints one command.
func (l *listing) tell(f recovery.Found) error {
	switch {
	case l.command.JSON:
		return l.world.JSON(map[string]any{"command": f})
	case l.command.CSV:
		return l.table.Row(
			f.State, strconv.FormatBool(f.Presumed), strconv.FormatBool(f.HandedOver), strconv.FormatUint(f.Sequence, 10), f.Time.Format(time.RFC3339Nano),
			f.Provider, f.Payment, string(f.Operation), string(f.Key), f.CommandID,
		)
	}
	text := "unknown to the journal"
	switch {
	case f.State == recovery.OtherContent:
		text = "left, an earlier command has its key and other content"
	case f.Presumed:
		text += ", presumed now"
	case f.HandedOver:
		text += ", handed to the service"
	}
	_, err := fmt.Fprintf(l.world.Stdout, "%s %s of payment %s at %s (command %d, %s): %s\n",
		f.Operation, f.Key, f.Payment, f.Provider, f.Sequence, f.Time.Format(time.RFC3339), text)
	return err
}

// end prints the summary.
func (l *listing) end(c recovery.Walked, finished bool) error {
	if l.command.JSON {
		return l.world.JSON(map[string]any{"summary": map[string]any{
			"commands": c.Commands, "invalid": c.Invalid, "newer": c.Newer, "unknown": c.Unknown, "presumed": c.Presumed, "handedOver": c.HandedOver, "otherContent": c.OtherContent,
			"last": c.Last, "applied": l.command.Apply, "finished": finished,
		}})
	}
	out := l.world.Stdout
	if l.command.CSV {
		if err := l.table.End(); err != nil {
			return err
		}
		out = l.world.Stderr
	}
	_, err := fmt.Fprintf(out, "%d commands read, %d of them not valid, %d newer than the acceptance, %d unknown to the journal, %d of them presumed now, %d with an earlier one's key\n",
		c.Commands, c.Invalid, c.Newer, c.Unknown, c.Presumed, c.OtherContent)
	return err
}
