package check

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/journal/stream"
)

// lookUp is what to do about a journal that is not whole.
const lookUp = "nothing is carried out until a person has decided: consumer journal status, then docs/journal-loss.md"

// lagFor bounds the second look at a witness that seems to stay behind.
const lagFor = 10 * time.Second

// journal holds what the streams show now against the marks, and says which running
// processes have found a loss. It asks once; the service itself looks three times
// before it says broken.
func (c *checker) journal(ctx context.Context) {
	t := app.Topology(c.cfg)
	if c.lacks(Journal, "journal", streamInfo(t.Commands), streamInfo(t.Events), streamInfo(t.Due), streamInfo(t.Refusals), streamInfo(t.Rejected), streamInfo(t.ControlStream()),
		consumerInfo(t.Commands, t.Consumer), consumerInfo(t.Due, t.Consumer), consumerInfo(t.Events, t.Consumer),
		"$JS.API.STREAM.MSG.GET."+t.Events, "$JS.API.STREAM.MSG.GET."+t.ControlStream()) {
		return
	}
	journal, err := stream.New(c.nc, events.NewEncoder(nil), &stream.Options{Stream: t.Events})
	if err != nil {
		c.notAnswered(Journal, "journal", err)
		return
	}
	sources := acceptance.Sources{
		JetStream: c.js, Journal: journal, Stream: t.Events, ControlBucket: t.Control,
		Reader: streams.NewReader(c.nc, app.ReadingPlan(t)), Bucket: streams.NewBucket(c.nc, t.Control),
	}
	if c.cfg.Journal.Witness.Configured() {
		store, closed, err := app.OpenWitness(c.cfg.Journal.Witness, slog.New(slog.DiscardHandler))
		defer closed()
		if err == nil { // otherwise the check of the witness has said so
			sources.Witness = store
		}
	}
	looking, cancel := c.within(ctx)
	defer cancel()
	v, err := acceptance.Look(looking, sources)
	if err != nil {
		c.notAnswered(Journal, "journal", err)
		return
	}
	lagging, cancel := context.WithTimeout(ctx, lagFor)
	defer cancel()
	v.Lag = acceptance.Lagging(lagging, sources, v)
	c.losses(v)
	c.processes(v.Live())
	if sources.Witness != nil {
		c.unwritten(v)
	}
}

// unwritten reports a witness that no process writes any more, or that was set back.
func (c *checker) unwritten(v acceptance.View) {
	if is := v.Unwritten(); is != "" {
		c.report(Error, JournalWitness, "journal.witness", Finding{
			Is: is, Want: "written each second",
			Do: "if all of this NATS is set back now, nobody notices, and refunds may be paid twice: mend what the process names",
		})
	}
	for _, r := range v.Live() {
		if !r.WitnessSetBack.IsZero() {
			c.report(Warning, JournalWitness, "process "+r.ID, Finding{
				Is:   "one that found the witness set back at " + r.WitnessSetBack.UTC().Format(time.RFC3339) + ", and raised it again",
				Want: "a store that keeps what it is given", Do: "find out what set it back; the warning ends with the next start of the process",
			})
		}
	}
}

// losses reports what the marks show that the streams do not. Where nothing was ever
// provisioned nothing is lost; the topology says what is missing.
func (c *checker) losses(v acceptance.View) {
	if v.Reading.Journal.Missing && v.Record.Mark.Zero() {
		return
	}
	if v.BucketMissing {
		c.report(Error, Journal, "bucket "+app.Topology(c.cfg).Control, Finding{
			Is: "missing, and with it the mark and every pause", Want: "there", Do: lookUp,
		})
	}
	for _, f := range v.Findings {
		if f.Kind.OfReplica() {
			continue // processes says why
		}
		c.report(Error, Journal, string(f.Kind)+" of "+f.Object, Finding{Is: f.Text, Want: "what it was known to hold", Do: lookUp})
	}
	if e := v.Record.Epoch; e.Number > 0 && e.Phase == integrity.Held {
		c.report(Warning, Journal, fmt.Sprintf("epoch %d", e.Number), Finding{
			Is: "held: a loss was accepted, and nothing is pulled", Want: "released",
			Do: "bring back what can be brought back (consumer recover), then consumer journal go: docs/journal-loss.md",
		})
	}
}

// processes reports the running processes whose gate a loss has shut.
func (c *checker) processes(live []integrity.Registered) {
	for _, r := range live {
		if r.Standing != integrity.Suspect.String() && r.Standing != integrity.Broken.String() {
			continue
		}
		is := r.Standing
		if r.Reason != "" {
			is += " (" + r.Reason + ")"
		}
		do := lookUp
		if r.Standing == integrity.Suspect.String() {
			do = "an election heals by itself: check again in ten seconds; if it stays, consumer journal status and docs/journal-loss.md"
		}
		c.report(Error, Journal, "process "+r.ID, Finding{Is: is, Want: integrity.Whole.String(), Do: do})
	}
}
