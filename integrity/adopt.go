package integrity

import "fmt"

// Adopt says whether a journal for which there is no mark anywhere may be taken
// as it is: the first start of a version that keeps marks. A whole journal with
// messages is adopted. An empty one is adopted only where no durable consumer
// has ever been sent anything; otherwise something was there before. One that
// records an accepted loss is never adopted: its epoch and phase are forgotten,
// and to trust it would call what has to be asked about.
//
// findings are those of [Judge] with the zero mark. The reason says in words
// why a journal is not adopted.
func Adopt(r Reading, findings []Finding) (adopted bool, reason string) {
	if len(findings) > 0 {
		return false, findings[0].Text
	}
	if r.LossAccepted {
		return false, "the journal records that a loss was accepted, and neither the bucket nor the witness knows of it"
	}
	if r.Journal.Last > 0 {
		return true, ""
	}
	for _, d := range r.Durables {
		if d.Delivered > 0 {
			return false, fmt.Sprintf("the journal is empty, but consumer %s has been sent %d messages of %s before", d.Name, d.Delivered, d.Stream)
		}
	}
	return true, ""
}

// MarkOf is the mark that a whole reading gives.
func MarkOf(r Reading, at Position, epoch uint64) Mark {
	m := Mark{Epoch: epoch, Identity: r.Journal.Head, Journal: at, At: r.Began, Streams: map[string]uint64{}}
	m.Holes = append(m.Holes, r.Journal.Deleted...)
	for name, s := range r.Streams {
		if !s.Missing {
			m.Streams[name] = s.Last
		}
	}
	return m
}
