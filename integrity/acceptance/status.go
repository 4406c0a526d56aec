package acceptance

import (
	"fmt"
	"slices"
	"time"

	"github.com/countermand/countermand/integrity"
)

// Status is how the journal stands, for people and machines.
type Status struct {
	Whole    bool                   `json:"whole"`
	Epoch    integrity.Epoch        `json:"epoch"`
	Bucket   integrity.Record       `json:"bucket"`
	Witness  *integrity.Record      `json:"witness,omitempty"`
	Fault    string                 `json:"witnessFault,omitempty"`
	Reading  LeaderReading          `json:"reading"`
	Findings []integrity.Finding    `json:"findings"`
	Missing  []Gap                  `json:"missing"`
	Loss     Loss                   `json:"loss"`
	Copies   []Copy                 `json:"copies"`
	Others   []Copy                 `json:"otherCopies,omitempty"`
	Unasked  []Unasked              `json:"unasked,omitempty"`
	Replicas []integrity.Registered `json:"replicas"`
	Notes    []string               `json:"notes,omitempty"`
	// Restart are processes to be restarted, all at once, since nothing is missing any
	// more; see [Restart].
	Restart []string `json:"restart,omitempty"`
	// Unwritten is why the witness protects nothing at the moment; "": it is written.
	Unwritten string `json:"witnessUnwritten,omitempty"`
}

// LeaderReading is what the journal's leader shows.
type LeaderReading struct {
	Leader   string `json:"leader"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Messages uint64 `json:"messages"`
	// SinceMark is how many messages lie behind the mark.
	SinceMark uint64 `json:"sinceMark"`
}

// StatusOf says how the journal stands as a view shows it. witness: there is one.
func StatusOf(v View, missing []Gap, witness bool) Status {
	j := v.Reading.Journal
	s := Status{
		Epoch: v.Record.Epoch, Bucket: v.Bucket, Findings: v.Findings, Missing: missing, Loss: LossOf(v),
		Copies: v.Copies, Others: v.Others, Unasked: v.Unasked, Replicas: v.Live(), Restart: Restart(v),
		Reading: LeaderReading{Leader: v.Reading.Leader, First: j.First, Last: j.Last, Messages: j.Messages},
	}
	if mark := v.Record.Mark.Journal.Sequence; j.Last > mark {
		s.Reading.SinceMark = j.Last - mark
	}
	if witness {
		s.Witness = &v.Witness
		if v.WitnessError != nil {
			s.Fault = v.WitnessError.Error()
		}
	}
	if witness {
		s.Unwritten = v.Unwritten()
	}
	s.Notes = notes(v, witness)
	s.Whole = len(v.Findings) == 0 && !v.BucketMissing && s.unsure() == "" && !more(v)
	return s
}

// unsure says what could not be asked although it should have been; "" where all was.
func (s Status) unsure() string {
	if s.Fault != "" {
		return "the witness cannot be read"
	}
	if s.Unwritten != "" {
		return s.Unwritten
	}
	for _, u := range s.Unasked {
		if u.Typed {
			return "the server at " + u.Address + " was not asked"
		}
	}
	return ""
}

// Verdict is the last line, without what accepting would give up.
func (s Status) Verdict() string {
	unsure := s.unsure()
	switch {
	case s.Whole:
		return "the journal is whole"
	case len(s.Restart) > 0 && unsure == "":
		return restartText(s.Restart)
	case unsure != "" && len(s.Findings) == 0 && len(s.Missing) == 0:
		return "nothing is known to be missing, but " + unsure
	default:
		return "the journal is not whole"
	}
}

// notes are what else a person has to know.
func notes(v View, witness bool) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if v.BucketMissing {
		add("the bucket of pauses and marks does not exist: its mark is lost, and every pause with it")
	}
	if v.Record.Mark.Zero() && !v.BucketMissing {
		add("there is no mark yet: nothing can be noticed before the service has run once")
	}
	if !witness {
		add("no witness is configured: if the whole NATS is restored from an older copy, nothing notices it")
	}
	if v.Lag != nil && len(v.Live()) == 0 {
		add("%s; no process runs, and the next one writes it at its start", v.Lag.Text())
	}
	for _, r := range v.Live() {
		if !r.WitnessSetBack.IsZero() {
			add("process %s found the witness set back at %s, and raised it again: find out what set its store back", r.ID, r.WitnessSetBack.UTC().Format(time.RFC3339))
		}
	}
	for _, a := range v.Actions {
		if a.Action == ActionAccepted && a.Epoch > v.Record.Epoch.Number {
			add("epoch %d was accepted by %s and is stored nowhere: run consumer journal accept again", a.Epoch, a.Operator)
		}
	}
	for _, c := range v.fuller() {
		add("%s", v.holdsMore(c))
	}
	for _, u := range v.Unasked {
		add("%s", u.Line())
	}
	if len(v.Copies) < 2 && len(v.Unasked) == 0 {
		add("what the other servers hold is not verifiable: only their monitoring addresses can tell (--monitor)")
	}
	return all
}

// Line says that the server could not be asked for its copy.
func (u Unasked) Line() string {
	return fmt.Sprintf("the server at %s was not asked, and may hold more: %s", u.Address, u.Reason)
}

// more reports whether a server holds more of the journal than its leader, although it
// reaches no further.
func more(v View) bool {
	for _, c := range v.Copies {
		if c.Messages > v.Reading.Journal.Messages && c.Last <= v.Reading.Journal.Last {
			return true
		}
	}
	return false
}

// Shorten leaves half of the longest lists out, where a status is too large for an
// answer. It reports whether there was anything to leave out; a note says so.
func (s *Status) Shorten() bool {
	const left = "the answer was too large: not every missing range and not every known outcome is listed"
	if !slices.Contains(s.Notes, left) {
		s.Notes = append(s.Notes, left)
	}
	shorter := s.Loss.Shorten()
	for _, r := range []*integrity.Record{&s.Bucket, s.Witness} {
		if r != nil {
			r.Mark.Holes = r.Mark.Holes[:len(r.Mark.Holes)/2]
		}
	}
	if n := len(s.Missing); n > 1 {
		s.Missing, shorter = s.Missing[:n/2], true
	}
	for i := range s.Replicas {
		r := &s.Replicas[i]
		if n := len(r.InHand); n > 1 {
			r.InHand, r.MoreInHand, shorter = r.InHand[:n/2], r.MoreInHand+n-n/2, true
		}
	}
	return shorter
}

// Shorten leaves half of the holes out, and reports whether there were any. The numbers
// stay those of all of them.
func (l *Loss) Shorten() bool {
	n := len(l.Holes)
	l.Holes = l.Holes[:n/2]
	return n > 0
}
