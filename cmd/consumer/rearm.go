package main

import (
	"context"
	"fmt"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/control"
	"github.com/countermand/countermand/desk/remote"
)

// rearmCommand is "consumer rearm".
type rearmCommand struct {
	cli.Desk

	Reason string `help:"Why; it is recorded." default:"timers may be lost" placeholder:"TEXT"`
	DryRun bool   `help:"Say what would be done, and do nothing."`
	JSON   bool   `help:"Print one operation a line as JSON, then the summary."`
}

// Help is the long help text.
func (rearmCommand) Help() string {
	return `Asks the running service to read the whole journal once and to restore the timer of every open operation that has
none. Use it after the stream of timers was lost, or was restored from an older copy. "consumer check --deep" finds
such operations. The service records who asks and why. It reads part by part; a run that breaks off is run again.

An extra timer is harmless, because a timer only names an operation and the service reads the journal first. It
acknowledges an operation that has ended. It schedules an operation that is not due for its own time. A new timer
replaces the earlier one.

Exit codes: 0 done, or nothing to do; 1 the timer of an operation could not be restored, or no service answers;
2 flags or configuration are wrong.

Example: consumer rearm --config /etc/countermand/config.yaml --dry-run`
}

// Run restores timers.
func (c *rearmCommand) Run(w *cli.World) error {
	client, closed, err := c.OpenDesk(w)
	if err != nil {
		return err
	}
	defer closed()
	r := &rearming{world: w, command: c}
	bar := cli.NewGauge(w, c.JSON, "reading the journal")
	ask := control.Rearm{RequestID: desk.NewULID(), Reason: c.Reason, DryRun: c.DryRun}
	for {
		part, err := r.part(client, ask)
		if err != nil {
			bar.End()
			return cli.ControlError(w, err)
		}
		if err := r.tell(part); err != nil {
			return err
		}
		if part.Next == 0 {
			break
		}
		bar.Set(part.Next-1, part.Last)
		ask.From = part.Next
	}
	bar.End()
	if err := r.summary(); err != nil || r.damaged == 0 {
		return err
	}
	return fmt.Errorf("%d events or operations cannot be rebuilt: read them with consumer show, and by a newer version where one wrote them", r.damaged)
}

// rearming is one run over the journal, and what it has done so far.
type rearming struct {
	world   *cli.World
	command *rearmCommand

	events, delivered                     uint64
	open, restored, damaged, timers, told int
}

// part asks for one part.
func (r *rearming) part(client *remote.Client, ask control.Rearm) (control.Rearmed, error) {
	ctx, cancel := context.WithTimeout(r.world.Context, cli.DeskFor)
	defer cancel()
	part, err := client.Rearm(ctx, ask)
	if err != nil && r.restored > 0 {
		fmt.Fprintf(r.world.Stderr, "%d timers were restored before this; run it again\n", r.restored)
	}
	return part, err
}

// tell says what became of one part.
func (r *rearming) tell(part control.Rearmed) error {
	r.events, r.open, r.restored, r.damaged = r.events+part.Events, r.open+part.Open, r.restored+part.Lost, r.damaged+len(part.Damaged)
	r.timers, r.delivered = part.Timers, part.Delivered
	r.told += len(part.Restored)
	for _, x := range part.Restored {
		if err := r.one(x); err != nil {
			return err
		}
	}
	for _, d := range part.Damaged {
		if r.command.JSON {
			if err := r.world.JSON(map[string]any{"damaged": d}); err != nil {
				return err
			}
			continue
		}
		what := fmt.Sprintf("sequence %d", d.Sequence)
		if d.Subject != "" {
			what = fmt.Sprintf("%s (%s) %s", d.Subject, what, d.Operation)
		}
		fmt.Fprintf(r.world.Stderr, "not restored: %s: %s\n", what, d.Reason)
	}
	return nil
}

// one says which timer was restored, or would be.
func (r *rearming) one(x control.Restored) error {
	at := x.At.Format(time.RFC3339)
	switch {
	case r.command.JSON:
		return r.world.JSON(map[string]any{"restored": map[string]any{
			"provider": x.Provider, "payment": x.Payment, "operation": x.Operation, "status": x.Status,
			"subject": x.Subject, "at": at, "dryRun": r.command.DryRun,
		}})
	case r.command.DryRun:
		fmt.Fprintf(r.world.Stdout, "would restore: %s of payment %s at %s, %s, for %s\n", x.Operation, x.Payment, x.Provider, x.Status, at)
	}
	return nil
}

func (r *rearming) summary() error {
	if r.command.JSON {
		return r.world.JSON(map[string]any{"summary": map[string]any{
			"events": r.events, "open": r.open, "withTimer": r.open - r.restored,
			"restored": r.restored, "damaged": r.damaged, "timers": r.timers, "delivered": r.delivered, "dryRun": r.command.DryRun,
		}})
	}
	verb := "restored"
	if r.command.DryRun {
		verb = "would be restored"
	}
	if n := r.restored - r.told; n > 0 {
		fmt.Fprintf(r.world.Stdout, "(%d more that an answer could not hold)\n", n)
	}
	_, err := fmt.Fprintf(r.world.Stdout, "%d events read, %d operations open, %d of them have a timer, %d timers %s\n",
		r.events, r.open, r.open-r.restored, r.restored, verb)
	return err
}
