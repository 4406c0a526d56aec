package recovering

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/integrity/acceptance"
	"github.com/countermand/countermand/internal/recovery"
)

// archives brings back what archives hold.
func (c *Command) archives(w *cli.World, conn *cli.Connection, sources acceptance.Sources, view acceptance.View) error {
	bar := cli.NewGauge(w, c.JSON, "comparing the archives")
	plan, err := recovery.Compare(w.Context, sources.Journal, c.Archive, &recovery.Options{Progress: bar.Set})
	bar.End()
	defer plan.Close()
	if err == nil {
		err = c.recognise(w, conn, plan, view)
	}
	if err == nil {
		err = c.record(w, conn, sources, view)
	}
	if err != nil {
		return err
	}
	r := newReport(w, c)
	bar = cli.NewGauge(w, c.JSON || c.CSV || !c.Apply, "bringing back")
	err = plan.Apply(w.Context, sources.Journal, c.Apply, r.row, &recovery.Options{Progress: bar.Set, Encoder: conn.Encoder()})
	bar.End()
	if said := r.end(plan); said != nil {
		return errors.Join(err, said)
	}
	if n := r.left(); err == nil && n > 0 {
		return fmt.Errorf("recover: %d messages were left", n)
	}
	return err
}

// report prints what becomes of the messages.
type report struct {
	world *cli.World
	apply bool
	json  *json.Encoder // nil: not asked for
	table *cli.Table    // nil: not asked for
	count map[string]uint64
}

func newReport(w *cli.World, c *Command) *report {
	r := &report{world: w, apply: c.Apply, count: map[string]uint64{}}
	switch {
	case c.JSON:
		r.json = json.NewEncoder(w.Stdout)
	case c.CSV:
		r.table = cli.NewTable(w.Stdout,
			"outcome", "applied", "subject", "archived_sequence", "archived_at", "sequence", "ends", "version", "why")
	}
	return r
}

// row prints one message.
func (r *report) row(x recovery.Row) error {
	r.count[x.Outcome]++
	switch {
	case r.json != nil:
		return r.json.Encode(map[string]any{"message": x, "applied": x.At > 0})
	case r.table != nil:
		return r.table.Row(
			x.Outcome, strconv.FormatBool(x.At > 0), x.Subject, strconv.FormatUint(x.Sequence, 10), x.Time.Format(time.RFC3339Nano),
			strconv.FormatUint(x.At, 10), strconv.FormatBool(x.Ends), strconv.FormatUint(x.Version, 10), x.Why,
		)
	}
	_, err := fmt.Fprintln(r.world.Stdout, r.line(x))
	return err
}

// left is how many messages were left that somebody has to look at. One that a
// newer event of its payment has passed is not.
func (r *report) left() uint64 {
	return r.count[recovery.MovedOn] + r.count[recovery.Disagrees] + r.count[recovery.Ambiguous] + r.count[recovery.Refused]
}

// line is a message for people.
func (r *report) line(x recovery.Row) string {
	text := map[string]string{
		recovery.Recovered: "would be brought back", recovery.MovedOn: "left, its payment has moved on",
		recovery.Folded:    "its payment has moved on, and this would be told as known from an archive",
		recovery.Passed:    "left, the journal says the same or more",
		recovery.Disagrees: "left, the journal says something else", recovery.Ambiguous: "left, the archives disagree",
		recovery.Refused:       "refused, " + x.Why,
		recovery.JournalAction: "left, it tells of the journal that was",
	}[x.Outcome]
	switch {
	case x.At > 0 && x.Outcome == recovery.Folded:
		text = fmt.Sprintf("its payment has moved on, and this was told as known from an archive at %d", x.At)
	case x.At > 0:
		text = fmt.Sprintf("brought back at %d", x.At)
	}
	parts := []string{fmt.Sprintf("%s (%d, %s): %s", x.Subject, x.Sequence, x.Time.Format(time.RFC3339), text)}
	if x.Outcome == recovery.MovedOn && x.Version > 0 {
		parts = append(parts, fmt.Sprintf("to version %d", x.Version))
	}
	if x.Ends && (x.Outcome == recovery.MovedOn || x.Outcome == recovery.Disagrees || x.Outcome == recovery.Ambiguous) {
		parts = append(parts, "and it ends an operation")
	}
	return strings.Join(parts, " ")
}

// end prints the summary.
func (r *report) end(p *recovery.Plan) error {
	if r.json != nil {
		return r.json.Encode(map[string]any{"summary": map[string]any{
			"compared": p.Read, "present": p.Present, "outcomes": r.count, "applied": r.apply,
		}})
	}
	out := r.world.Stdout
	if r.table != nil {
		if err := r.table.End(); err != nil {
			return err
		}
		out = r.world.Stderr
	}
	verbs := [2]string{"would be brought back", "ends would be told"}
	if r.apply {
		verbs = [2]string{"brought back", "ends told"}
	}
	_, err := fmt.Fprintf(out, "%d messages compared, %d are there, %d %s, %d %s, %d left because their payment has moved on, %d disagree, %d ambiguous, %d passed, %d refused, %d about the journal itself\n",
		p.Read, p.Present, r.count[recovery.Recovered], verbs[0], r.count[recovery.Folded], verbs[1], r.count[recovery.MovedOn],
		r.count[recovery.Disagrees], r.count[recovery.Ambiguous], r.count[recovery.Passed], r.count[recovery.Refused],
		r.count[recovery.JournalAction])
	return err
}
