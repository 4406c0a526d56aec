//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/countermand/countermand/proof/chaos/compare"
)

// shown is how many violations are printed; the file has all.
const shown = 20

// report is what a run says in the end, for people and as JSON.
type report struct {
	Run       string  `json:"run"`
	Seed      uint64  `json:"seed"`
	Nodes     int     `json:"nodes"`
	Seconds   float64 `json:"seconds"`
	Commands  int     `json:"commands"`
	Repeats   int     `json:"repeats"`
	Malformed int     `json:"malformed"`
	Payments  int     `json:"payments"`

	// Faults counts what was done to processes and connections, ProviderFaults
	// what the providers did to calls.
	Faults         map[string]int `json:"faults"`
	ProviderFaults map[string]int `json:"providerFaults"`
	// Redeliveries counts commands the server delivered again, Timers those it
	// delivered when they were due.
	Redeliveries uint64 `json:"redeliveries"`
	Timers       uint64 `json:"timers"`
	Events       int    `json:"events"`
	// Operators counts what operators did, Refusals what was said to them by reason.
	Operators map[string]int `json:"operatorActions,omitempty"`
	Refusals  map[string]int `json:"operatorsRefused,omitempty"`
	Questions int            `json:"questions"`

	*compare.Verdict

	MovedTwice int `json:"moneyMovedTwice"`
	Missing    int `json:"resultsMissing"`
	Doubled    int `json:"resultsDoubled"`
	Untrue     int `json:"resultsUntrue"`
	// LastFaultToLastResult is in seconds; negative: the last result came first.
	LastFaultToLastResult float64  `json:"lastFaultToLastResultSeconds"`
	Notes                 []string `json:"notes"`

	began     time.Time
	lastFault time.Time
}

func newReport(run string, seed uint64, nodes int, p *plan) *report {
	return &report{
		Run: run, Seed: seed, Nodes: nodes, Commands: len(p.commands), Repeats: p.repeats, Payments: len(p.payments),
		Malformed: len(p.messages) - len(p.commands) - p.repeats + p.misspelt, began: time.Now(), Verdict: &compare.Verdict{}, Notes: []string{},
	}
}

// note adds what went wrong with the run itself: it makes the run fail too, as
// what was not done proves nothing.
func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *report) noteFailed(errs []error) {
	for _, err := range errs {
		r.note("a fault could not be carried out: %v", err)
	}
}

// fill adds what was found.
func (r *report) fill(ctx context.Context, w *world, rec *record, during *told, v *compare.Verdict) error {
	r.Verdict, r.ProviderFaults, r.Questions = v, rec.struck, rec.questions
	r.MovedTwice, r.Missing = v.Count(compare.MovedTwice), v.Count(compare.Missing)
	r.Doubled, r.Untrue = v.Count(compare.Doubled), v.Count(compare.Untrue)
	r.Events = len(during.events)
	r.LastFaultToLastResult = during.progress.Sub(r.lastFault).Seconds()
	r.Seconds = time.Since(r.began).Seconds()
	var err error
	r.Redeliveries, r.Timers, err = w.deliveries(ctx)
	return err
}

// ok reports whether every promise was kept, and the run was what it should be.
func (r *report) ok() bool { return len(r.Violations) == 0 && len(r.Notes) == 0 }

func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// print writes the report for people.
func (r *report) print(out io.Writer) {
	line := func(name string, format string, args ...any) {
		fmt.Fprintf(out, "  %-34s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(out, "\nChaos %s, seed %d, %d server(s), %.0f s\n", r.Run, r.Seed, r.Nodes, r.Seconds)
	line("commands", "%d on %d payments, %d repeats and %d malformed messages on top", r.Commands, r.Payments, r.Repeats, r.Malformed)
	line("faults", "%s", list(r.Faults))
	line("faults of providers", "%s", list(r.ProviderFaults))
	line("redeliveries", "%d of commands; %d timers delivered", r.Redeliveries, r.Timers)
	line("provider calls", "%d that could move money, %d questions", r.Calls, r.Questions)
	line("  repeated, by provider's promise", "%s", list(r.Repeated))
	line("  of these after a sure refusal", "%s", list(r.AfterRefusal))
	line("events", "%d", r.Events)
	line("operations ended", "%s", list(r.Ends))
	line("  waiting behind a review", "%d", r.Behind)
	line("  by an operator's word", "%d", r.Ruled)
	if r.Operators != nil {
		line("operators", "%s", list(r.Operators))
		line("  refused, by reason", "%s", list(r.Refusals))
	}
	line("movements in providers' ledgers", "%d", r.Movements)
	line("from last fault to last result", "%.1f s", r.LastFaultToLastResult)
	line("money moved twice", "%d", r.MovedTwice)
	line("results missing", "%d", r.Missing)
	line("results doubled", "%d", r.Doubled)
	line("results untrue", "%d", r.Untrue)
	line("violations in all", "%d", len(r.Violations))
	for i, v := range r.Violations {
		if i == shown {
			fmt.Fprintf(out, "  … and %d more\n", len(r.Violations)-shown)
			break
		}
		fmt.Fprintf(out, "  VIOLATION %s: %s: %s\n", v.Kind, v.What, v.Says)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "  PROBLEM %s\n", n)
	}
}

// list writes counts as one line, in the order of names.
func list(counts map[string]int) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", counts[name], name)
	}
	if text == "" {
		return "0"
	}
	return text
}
