package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/openwork"
)

// rearmCommand is "consumer rearm".
type rearmCommand struct {
	cli.Server

	DryRun bool `help:"Say what would be done, and do nothing."`
	JSON   bool `help:"Print one operation a line as JSON, then the summary."`
}

// Help is the long help text.
func (rearmCommand) Help() string {
	return `Reads the whole journal once and restores the timer of every open operation that has none. Use it after the stream
of timers was lost, or was restored from an older copy. "consumer check --deep" finds such operations.

You may run it while the service runs, and again. An extra timer is harmless, because a timer only names an
operation and the service reads the journal first. It acknowledges an operation that has ended. It schedules an
operation that is not due for its own time. A new timer replaces the earlier one.

Exit codes: 0 done, or nothing to do; 1 the timer of an operation could not be restored, or the server could not
be read; 2 flags or configuration are wrong.

Example: consumer rearm --config /etc/countermand/config.yaml --dry-run`
}

const (
	// listFor bounds the list of timers, which is one answer of the server for
	// every 100,000 of them.
	listFor = time.Minute
	// rearmWorkers is how many timers are on their way at a time.
	rearmWorkers = 64
)

// Run restores timers.
func (c *rearmCommand) Run(w *cli.World) error {
	server, err := c.Open(w)
	if err != nil {
		return err
	}
	defer server.Close()
	js, streams := server.JetStream, server.Config.Streams
	bar := cli.NewGauge(w, c.JSON, "reading the journal")
	index, err := openwork.Scan(w.Context, js, streams.Events, bar.Set)
	bar.End()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.Context, listFor)
	defer cancel()
	timers, err := openwork.Timers(ctx, js, streams.Due)
	if err != nil {
		return err
	}
	r := &rearming{
		world: w, json: c.JSON, dry: c.DryRun,
		timers: broker.NewTimers(js, app.Topology(server.Config)), encoder: server.Encoder(), now: time.Now().UTC(),
	}
	for _, o := range index.Operations {
		if !timers.Has(o.Subject) {
			r.lost = append(r.lost, o)
		}
	}
	return errors.Join(r.damaged(index.Damaged), r.schedule(), r.summary(index, timers))
}

// rearming is one run over the operations without a timer.
type rearming struct {
	world   *cli.World
	json    bool
	dry     bool
	timers  *broker.Timers
	encoder *events.Encoder
	now     time.Time
	lost    []openwork.Operation

	mu       sync.Mutex // guards what follows
	restored int
	first    error
}

// schedule restores every lost timer; the first error ends it, and running it
// again goes on where it was.
func (r *rearming) schedule() error {
	ctx, cancel := context.WithCancel(r.world.Context)
	defer cancel()
	bar := cli.NewGauge(r.world, r.json || r.dry, "restoring timers")
	work := make(chan openwork.Operation)
	var workers sync.WaitGroup
	for range min(rearmWorkers, len(r.lost)) {
		workers.Go(func() {
			for o := range work {
				if err := r.one(ctx, o); err != nil {
					cancel()
					r.failed(err)
				}
				bar.Set(r.count(), uint64(len(r.lost)))
			}
		})
	}
	for _, o := range r.lost {
		select {
		case work <- o:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	workers.Wait()
	bar.End()
	if r.first == nil && r.world.Context.Err() != nil {
		return fmt.Errorf("restore timers: %w", r.world.Context.Err())
	}
	return r.first
}

// one restores one timer and says so.
func (r *rearming) one(ctx context.Context, o openwork.Operation) error {
	timer, err := o.Timer(r.encoder, r.now)
	if err != nil {
		return err
	}
	if !r.dry {
		if err := r.timers.Schedule(ctx, timer); err != nil {
			return fmt.Errorf("restore timer of payment %s at %s: %w", events.Token(o.ID.Native), o.ID.Provider, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restored++
	if !r.json {
		if r.dry {
			fmt.Fprintf(r.world.Stdout, "would restore: %s of payment %s at %s, %s, for %s\n",
				o.Command.Op, events.Token(o.ID.Native), o.ID.Provider, o.Operation.Status, timer.At.Format(time.RFC3339))
		}
		return nil
	}
	return r.world.JSON(map[string]any{"restored": map[string]any{
		"provider": o.ID.Provider, "payment": events.Token(o.ID.Native), "operation": o.Command.Op, "status": o.Operation.Status,
		"subject": o.Subject, "at": timer.At.Format(time.RFC3339), "dryRun": r.dry,
	}})
}

func (r *rearming) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
}

func (r *rearming) count() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint64(r.restored)
}

// damaged says what could not be rebuilt: those operations have no timer either.
func (r *rearming) damaged(all []openwork.Damage) error {
	for _, d := range all {
		if r.json {
			if err := r.world.JSON(map[string]any{"damaged": map[string]any{
				"subject": d.Subject, "sequence": d.Sequence, "operation": d.Operation, "reason": d.Reason, "newer": d.Newer,
			}}); err != nil {
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
	if len(all) > 0 {
		return fmt.Errorf("%d events or operations cannot be rebuilt: read them with consumer show, and by a newer version where one wrote them", len(all))
	}
	return nil
}

func (r *rearming) summary(index *openwork.Index, timers *openwork.TimerSet) error {
	if r.json {
		return r.world.JSON(map[string]any{"summary": map[string]any{
			"events": index.Events, "open": len(index.Operations), "withTimer": len(index.Operations) - len(r.lost),
			"restored": r.restored, "damaged": len(index.Damaged), "timers": timers.Scheduled, "delivered": timers.Delivered, "dryRun": r.dry,
		}})
	}
	verb := "restored"
	if r.dry {
		verb = "would be restored"
	}
	_, err := fmt.Fprintf(r.world.Stdout, "%d events read, %d operations open, %d of them have a timer, %d timers %s\n",
		index.Events, len(index.Operations), len(index.Operations)-len(r.lost), r.restored, verb)
	return err
}
