package check

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal/stream"
)

// sequences asks the journal's leader for every single sequence: a consumer passes
// over a message that cannot be read, and no count shows it.
func (c *checker) sequences(ctx context.Context) {
	name := c.cfg.Streams.Events
	if c.lacks(JournalSequences, "journal", streamInfo(name), "$JS.API.STREAM.MSG.GET."+name) {
		return
	}
	journal, err := stream.New(c.nc, events.NewEncoder(nil), &stream.Options{Stream: name})
	if err != nil {
		c.notAnswered(JournalSequences, "journal", err)
		return
	}
	told, more := 0, 0
	_, err = archive.Inspect(ctx, archive.Over(journal, c.js, name), &archive.Options{
		Progress: c.opts.Progress,
		Accepted: func(ctx context.Context) ([]archive.Range, error) {
			return app.AcceptedHoles(ctx, c.nc, app.Topology(c.cfg).Control)
		},
		Found: func(f archive.Finding) error {
			if told++; told > lines {
				more++
				return nil
			}
			c.sequence(f)
			return nil
		},
	})
	if more > 0 {
		c.report(Error, JournalSequences, "further sequences of the journal", Finding{
			Is: fmt.Sprintf("%d findings", more), Want: "none", Do: "consumer archive lists them all",
		})
	}
	if err != nil && !missing(err) {
		c.notAnswered(JournalSequences, "journal", err)
	}
}

// sequence reports one finding of the walk over the journal.
func (c *checker) sequence(f archive.Finding) {
	severity, do := Error, "the leader of the journal cannot show it: see docs/journal-loss.md (consumer journal status)"
	if f.Accepted {
		severity, do = Warning, "nothing: the loss was accepted; consumer recover may bring it back"
	}
	what, is, want := fmt.Sprintf("sequence %d", f.Sequence), "not readable", "readable"
	switch {
	case f.Kind == archive.VersionGap:
		what, is, want = fmt.Sprintf("%s (sequence %d)", f.Subject, f.Sequence), fmt.Sprintf("version %d", f.Found), fmt.Sprintf("version %d", f.Known+1)
	case f.To > 0:
		what = fmt.Sprintf("sequences %d to %d", f.Sequence, f.To)
	}
	c.report(severity, JournalSequences, what, Finding{Is: is, Want: want, Do: do})
}
