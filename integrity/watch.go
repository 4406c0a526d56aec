package integrity

import (
	"slices"
	"time"
)

// Standing is how the journal stands in one process. The zero value is the
// careful one: nothing was read yet, and nothing may be sent.
type Standing int

// The standings.
const (
	Unread  Standing = iota // no reading has been made yet
	Whole                   // the newest reading has no findings
	Suspect                 // there is a finding; it may heal by itself
	Broken                  // three readings agree; only a person ends it
)

// String returns the word that status lines and metrics use.
func (s Standing) String() string {
	switch s {
	case Whole:
		return "whole"
	case Suspect:
		return "suspect"
	case Broken:
		return "broken"
	default:
		return "unread"
	}
}

const (
	// agreeing is how many further readings must agree before a finding stands.
	agreeing = 2
	// apart is the least time between two readings that count: an election or a
	// catch-up must not be read three times in one moment.
	apart = time.Second
)

// Watch turns findings into a standing. It is a value: each method returns the
// next one. The table:
//
//	standing  and then                                         becomes
//	unread    a reading without findings                       whole
//	any       a reading with findings, or a report             suspect at once
//	suspect   a reading without findings                       whole, if it was begun after the newest report
//	suspect   two more readings, a second apart, that agree    broken
//	suspect   a reading with other findings                    suspect, counted anew
//	suspect   a reading that shows others' suspicions only     suspect, counts for nothing
//	broken    anything                                         broken
type Watch struct {
	Standing Standing
	// Findings are those of the newest reading or report; empty when whole.
	Findings []Finding
	// Since is when the standing began.
	Since time.Time

	agreed  int
	counted time.Time // the last reading that counted
	// reported: the findings were reported by an append or a timer, and no
	// reading has confirmed them yet. A reading that was not begun after the newest
	// report has not seen what was reported.
	reported   bool
	reportedAt time.Time
}

// MaySend reports whether anything that may move money may be sent, and
// anything appended.
func (w Watch) MaySend() bool { return w.Standing == Whole }

// Report takes in a finding that was not made by a reading: an append or a
// timer that contradicts what is known.
func (w Watch) Report(now time.Time, f Finding) Watch {
	if w.Standing == Broken {
		return w
	}
	for _, known := range w.Findings {
		if known.Same(f) {
			return w
		}
	}
	if w.Standing != Suspect {
		w = Watch{Standing: Suspect, Since: now, reported: true}
	}
	w.Findings, w.reportedAt = append(append([]Finding(nil), w.Findings...), f), now
	return w
}

// Read takes in the findings of one reading, which began at the time given.
func (w Watch) Read(began time.Time, findings []Finding) Watch {
	switch {
	case w.Standing == Broken:
		return w
	case len(findings) == 0 && w.Standing == Whole:
		return w
	case len(findings) == 0 && w.Standing == Suspect && began.Before(w.reportedAt):
		return w
	case len(findings) == 0:
		return Watch{Standing: Whole, Since: began}
	case w.Standing != Suspect && len(firm(findings)) > 0:
		return Watch{Standing: Suspect, Since: began, Findings: findings, counted: began}
	case w.Standing != Suspect:
		return Watch{Standing: Suspect, Since: began, Findings: findings}
	case len(firm(findings)) == 0:
		return Watch{Standing: Suspect, Since: w.Since, Findings: findings}
	case !w.reported && !agree(w.Findings, findings):
		return Watch{Standing: Suspect, Since: w.Since, Findings: findings, counted: began}
	case !w.counted.IsZero() && began.Before(w.counted.Add(apart)):
		return w // too soon to say anything new
	}
	w.Findings, w.counted, w.reported = findings, began, false
	if w.agreed++; w.agreed >= agreeing {
		return Watch{Standing: Broken, Since: began, Findings: findings}
	}
	return w
}

// firm are the findings by which readings can agree. That another process suspects a loss
// may be an old word: it cannot take it back while it cannot write, and is as far from a
// leader as this one. Several that suspect each other are not sure together.
func firm(findings []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Kind == ReplicaSuspect })
}

// agree reports whether two readings have a firm finding in common.
func agree(a, b []Finding) bool {
	for _, f := range firm(a) {
		for _, g := range firm(b) {
			if f.Same(g) {
				return true
			}
		}
	}
	return false
}
