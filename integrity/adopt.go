package integrity

import "fmt"

// Adopt says whether a journal for which there is no mark anywhere may be taken
// as it is: the first start of a version that keeps marks. A whole journal that
// answers commands is adopted. One that answers none is adopted only where no durable
// consumer has ever been sent anything; otherwise something was there before. What
// operators have recorded in it is no answer: they do so in an empty journal too. One
// that records an accepted loss has a finding (epoch_forgotten).
//
// findings are those of [Judge] with the zero mark. The reason says in words
// why a journal is not adopted.
func Adopt(r Reading, findings []Finding) (adopted bool, reason string) {
	if len(findings) > 0 {
		return false, findings[0].Text
	}
	if r.Answered {
		return true, ""
	}
	holds := "is empty"
	if r.Journal.Last > 0 {
		holds = "answers no command"
	}
	for _, d := range r.Durables {
		if d.Delivered > 0 {
			return false, fmt.Sprintf("the journal %s, but consumer %s has been sent %d messages of %s before", holds, d.Name, d.Delivered, d.Stream)
		}
	}
	return true, ""
}

// Unadopted is what is found in a journal for which there is no mark anywhere:
// findings, or, where there are none and it cannot be taken as it is, why not.
func Unadopted(r Reading, findings []Finding, n Names) []Finding {
	if adopted, why := Adopt(r, findings); !adopted && len(findings) == 0 {
		return []Finding{{Kind: JournalShorter, Object: n.Journal, Text: why}}
	}
	return findings
}

// MarkOf is the mark that a whole reading gives.
func MarkOf(r Reading, at Position, epoch uint64) Mark {
	m := Mark{Epoch: epoch, Identity: r.Journal.Head, Journal: at, At: r.Began, Streams: map[string]uint64{}}
	m.Holes = append(m.Holes, r.Journal.Deleted...)
	for name, s := range r.Streams {
		if s.Missing {
			continue
		}
		m.Streams[name] = s.Last
		m.stamp(name, s.Last, s.LastAt)
		if s.Keeps > 0 {
			m.keep(name, keptOf(s))
		}
	}
	return m
}
