//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/countermand/countermand/integrity"
)

// healthReport is what "chaos healthy" says in the end.
type healthReport struct {
	Run     string       `json:"run"`
	Seed    uint64       `json:"seed"`
	Seconds float64      `json:"seconds"`
	Wards   []wardReport `json:"wards"`
	Update  *update      `json:"rollingUpdate,omitempty"`
	// LeftOut says why there was no rolling update.
	LeftOut string   `json:"leftOut,omitempty"`
	Notes   []string `json:"notes"`

	began time.Time
}

// wardReport is what was seen on one server or on three.
type wardReport struct {
	Nodes     int   `json:"nodes"`
	Appends   int64 `json:"appends"`
	Conflicts int64 `json:"refusedAsTheyMustBe"`
	Gated     int64 `json:"refusedByTheGate"`
	Unknown   int64 `json:"triedAgain"`
	// Stale were refused by a leader that was cut off. Unguarded were accepted against
	// the sequence that they expected: a fault of the server while it goes from one
	// replica to three, see docs/scaling.md.
	Stale     int64          `json:"refusedByACutOffLeader"`
	Unguarded int64          `json:"acceptedAgainstTheirGuard"`
	Strikes   map[string]int `json:"strikes"`
	// Broken are the findings of processes that were broken, Paused the providers
	// taken for paused, Lost what was accepted and is not there.
	Broken []integrity.Finding `json:"broken"`
	Paused []string            `json:"paused"`
	Lost   []string            `json:"lost"`
	Faults []string            `json:"faults"`

	Processes      int     `json:"processes"`
	Suspects       int     `json:"suspects"`
	LongestSuspect float64 `json:"longestSuspectSeconds"`
	// Sure counts the waits of calls that nothing makes repeatable, Unsure those that
	// ended in nothing within ten seconds or at a shut gate.
	Sure     int64   `json:"sureWaits"`
	Unsure   int64   `json:"unsureWaits"`
	SureP50  float64 `json:"sureP50Milliseconds"`
	SureP99  float64 `json:"sureP99Milliseconds"`
	SideErrs int     `json:"sideTrafficErrors"`
}

func (r *healthReport) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// take adds what was seen in a ward whose work has ended.
func (r *healthReport) take(nodes int, w *ward, a *appenders, s *healthStrikes, lost []string) {
	out := wardReport{
		Nodes: nodes, Appends: a.done.Load(), Conflicts: a.conflicts.Load(), Gated: a.gated.Load(), Unknown: a.unknown.Load(),
		Stale: a.stale.Load(), Unguarded: a.unguarded.Load(),
		Strikes: map[string]int{}, Lost: lost, Faults: a.faults, Sure: a.sure.Load(), Unsure: a.unsure.Load(), SideErrs: w.sideErrs,
	}
	for what, n := range s.counts {
		out.Strikes[string(what)] = n
	}
	var longest time.Duration
	for _, p := range w.all() {
		p.mu.Lock()
		out.Processes++
		out.Suspects += len(p.suspects)
		for _, d := range p.suspects {
			longest = max(longest, d)
		}
		out.Broken = append(out.Broken, p.broken...)
		out.Paused = append(out.Paused, p.paused...)
		p.mu.Unlock()
	}
	out.LongestSuspect = longest.Seconds()
	out.SureP50, out.SureP99 = milliseconds(a.sures, 50), milliseconds(a.sures, 99)
	for _, err := range s.errs {
		r.note("%d nodes: %v", nodes, err)
	}
	r.Wards = append(r.Wards, out)
}

// milliseconds is a percentile; 0 of nothing.
func milliseconds(all []time.Duration, percent int) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[(len(all)-1)*percent/100].Microseconds()) / 1000
}

func (w *wardReport) ok() bool {
	return len(w.Broken) == 0 && len(w.Paused) == 0 && len(w.Lost) == 0 && len(w.Faults) == 0
}

func (r *healthReport) ok() bool {
	for _, w := range r.Wards {
		if !w.ok() {
			return false
		}
	}
	return len(r.Notes) == 0 && (r.Update == nil || r.Update.ok())
}

func (r *healthReport) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *healthReport) print(out io.Writer) {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	say("healthy: seed %d, %.0f s", r.Seed, r.Seconds)
	for _, w := range r.Wards {
		say("")
		say("%d node(s): %d appends accepted, %d refused as they must be, %d refused by the gate, %d tried again", w.Nodes, w.Appends, w.Conflicts, w.Gated, w.Unknown)
		for _, what := range slices.Sorted(maps.Keys(w.Strikes)) {
			say("  %3d × %s", w.Strikes[what], what)
		}
		say("  found broken: %d   taken for paused: %d   accepted and not there: %d   wrong: %d", len(w.Broken), len(w.Paused), len(w.Lost), len(w.Faults))
		if w.Unguarded > 0 {
			say("  ACCEPTED AGAINST THEIR GUARD by the server: %d (scaled to three replicas under load: docs/scaling.md)", w.Unguarded)
		}
		say("  suspect: %d times in %d processes, the longest %.1f s", w.Suspects, w.Processes, w.LongestSuspect)
		say("  waits of unsafe calls: %d (p50 %.1f ms, p99 %.1f ms), %d without an end", w.Sure, w.SureP50, w.SureP99, w.Unsure)
		for _, f := range w.Broken[:min(len(w.Broken), shown)] {
			say("  BROKEN %s at %s: %s", f.Kind, f.Object, f.Text)
		}
		for _, text := range append(w.Lost[:min(len(w.Lost), shown)], w.Faults[:min(len(w.Faults), shown)]...) {
			say("  WRONG %s", text)
		}
	}
	say("")
	if r.Update != nil {
		r.Update.print(out)
	} else if r.LeftOut != "" {
		say("rolling update: left out, %s", r.LeftOut)
	}
	for _, n := range r.Notes {
		say("NOTE: %s", n)
	}
	if r.ok() {
		say("nothing was lost, and nothing was found lost")
	}
}
