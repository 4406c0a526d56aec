package acceptance

import (
	"context"
	"time"

	"github.com/countermand/countermand/integrity"
)

// Gap is a range of the journal's sequences that is missing.
type Gap struct {
	integrity.Range

	// After is the time of the message before it, Before that of the one behind it
	// or, at the end, when the journal was last known to reach so far. Zero: there
	// is none, or it cannot be read.
	After  time.Time `json:"after,omitzero"`
	Before time.Time `json:"before,omitzero"`
	// Accepted: somebody has accepted that it is missing.
	Accepted bool `json:"accepted,omitempty"`
}

// Missing returns what is missing of the journal, with the times of its neighbours.
func Missing(ctx context.Context, s Sources, v View) []Gap {
	loss := LossOf(v)
	timeOf := func(sequence uint64) time.Time {
		if sequence == 0 {
			return time.Time{}
		}
		m, err := s.Journal.At(ctx, sequence)
		if err != nil {
			return time.Time{} // what cannot be read has no time to show
		}
		return m.Time.UTC()
	}
	var all []Gap
	for _, hole := range loss.Holes {
		all = append(all, Gap{
			Range: hole, After: timeOf(hole.From - 1), Before: timeOf(hole.To + 1), Accepted: contained(v.Record.Mark.Holes, hole),
		})
	}
	if loss.Known > loss.End && (loss.Known > v.Reading.Journal.Last || aboutEnd(v.Findings)) {
		all = append(all, Gap{
			Range: integrity.Range{From: loss.End + 1, To: loss.Known}, After: timeOf(loss.End), Before: v.Record.Mark.At.UTC(),
		})
	}
	return all
}
