package check

import (
	"context"
	"log/slog"

	"github.com/countermand/countermand/internal/app"
)

// witness says what goes unnoticed without a witness, and whether the configured
// one can be read.
func (c *checker) witness(ctx context.Context) {
	w := c.cfg.Journal.Witness
	if !w.Configured() {
		c.report(Warning, JournalWitness, "journal.witness", Finding{
			Is: "not set", Want: "a file, a Lease or a bucket in another NATS",
			Do: "if all of this NATS is set back to an older copy, nobody notices, and refunds may be paid twice",
		})
		return
	}
	if c.opts.As != Service {
		c.hidden(JournalWitness, "journal.witness")
		return
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	store, closed, err := app.OpenWitness(w, slog.New(slog.DiscardHandler))
	defer closed()
	if err != nil {
		c.report(NotVerifiable, JournalWitness, "journal.witness", Finding{
			Is: "out of reach (" + err.Error() + ")", Want: "readable", Do: "check where the service runs, as its account",
		})
		return
	}
	_, err = store.Load(ctx)
	if err != nil {
		c.report(Error, JournalWitness, "journal.witness", Finding{
			Is: "not readable (" + err.Error() + ")", Want: "readable",
			Do: "a process that starts carries nothing out until it is: create it, or grant what it needs",
		})
		return
	}
	if probed, can := store.(interface {
		Probe(ctx context.Context) error
	}); can {
		if err = probed.Probe(ctx); err != nil {
			c.report(Error, JournalWitness, "journal.witness", Finding{
				Is: "not writable (" + err.Error() + ")", Want: "writable",
				Do: "payments go on, and a loss of all of this NATS would not be noticed: free the disk, or grant what it needs",
			})
		}
	}
}
