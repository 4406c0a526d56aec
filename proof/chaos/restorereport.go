//go:build unix

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/countermand/countermand/proof/chaos/compare"
)

// lossReport is what "chaos restore" says in the end.
type lossReport struct {
	Run        string        `json:"run"`
	Seed       uint64        `json:"seed"`
	Operations int           `json:"operationsOfEachKindAndSort"`
	Seconds    float64       `json:"seconds"`
	Rows       []*lossResult `json:"rows"`
}

// lossResult is what came of one row.
type lossResult struct {
	Row        string  `json:"row"`
	Title      string  `json:"title"`
	Seconds    float64 `json:"seconds"`
	Operations int     `json:"operations"`
	// Told counts the operations whose end was told before the loss.
	Told int `json:"toldBefore"`
	// PaidTwice counts operations, by provider.
	PaidTwice map[string]int `json:"paidTwice"`
	// Otherwise counts operations that were told to have succeeded and then
	// otherwise; OtherwiseNot those that were told to have failed or been rejected.
	Otherwise    int      `json:"succeededToldOtherwise"`
	OtherwiseNot int      `json:"failedOrRejectedToldOtherwise"`
	Examples     []string `json:"examples,omitempty"`
	// Review counts operations that a person must decide about in the end, by code,
	// or by the reason of the review where there is none.
	Review map[string]int `json:"review"`
	Ends   map[string]int `json:"ends"`
	// Said is what a process answered when it was asked whether it is ready;
	// Findings are those of "consumer journal status".
	Said     string         `json:"said"`
	Findings map[string]int `json:"findings"`
	// GivenUp is how many messages were typed out as lost, CommandsGivenUp how many
	// commands; InHand how many known outcomes waited for the acceptance.
	GivenUp         uint64 `json:"messagesGivenUp"`
	CommandsGivenUp uint64 `json:"commandsGivenUp,omitempty"`
	InHand          int    `json:"outcomesInHand"`
	// Recovered is what became of the archive's messages, by outcome.
	Recovered map[string]int `json:"recovered,omitempty"`
	// Noticed is in seconds, counted from From; Limited: the promise is about it.
	From    string  `json:"noticedFrom"`
	Noticed float64 `json:"noticedSeconds"`
	Limited bool    `json:"noticedLimited"`
	// Calls that could move money went out between the loss and its acceptance.
	Calls       int `json:"callsBetween"`
	UnsafeCalls int `json:"unsafeCallsBetween"`
	// Trusted: the journal was trusted again in the end.
	Trusted    bool                `json:"trusted"`
	Violations []compare.Violation `json:"violations"`
	Notes      []string            `json:"notes"`
}

func newLossResult(row lossRow) *lossResult {
	return &lossResult{
		Row: row.name, Title: row.title, PaidTwice: map[string]int{}, Review: map[string]int{}, Ends: map[string]int{},
		Findings: map[string]int{}, Violations: []compare.Violation{}, Notes: []string{},
	}
}

func (r *lossResult) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// tell compares what was told before the loss with what the journal says now.
func (r *lossResult) tell(before map[string]compare.Event, now []compare.Event) {
	after, last := endsOf(now), map[string]compare.Event{}
	for _, e := range now {
		last[e.Operation] = e
	}
	r.Told = len(before)
	for name, was := range before {
		is, ended := after[name]
		if !ended || same(is, was) {
			continue
		}
		if was.Type == "succeeded" {
			r.Otherwise++
		} else {
			r.OtherwiseNot++
		}
		r.Examples = append(r.Examples, fmt.Sprintf("%s: %s %s %d, now %s %s %s %d", name, was.Type, was.Effect, was.Moved, is.Type, is.Code, is.Effect, is.Moved))
	}
	for _, e := range last {
		if e.InReview() || e.BehindReview() {
			r.Review[cmp.Or(e.Code, e.Review)]++
		}
	}
}

// late reports whether the loss was noticed later than is promised.
func (r *lossResult) late() bool { return r.Limited && r.Noticed > noticeWithin.Seconds() }

func (r *lossResult) ok() bool {
	return len(r.PaidTwice) == 0 && r.Otherwise == 0 && r.UnsafeCalls == 0 && !r.late() && len(r.Violations) == 0 && len(r.Notes) == 0
}

// line is the result in short.
func (r *lossResult) line() string {
	verdict := "ok"
	if !r.ok() {
		verdict = "NOT OK"
	}
	return fmt.Sprintf("%s; paid twice %s; told otherwise %d (%d); review %s; not ready after %.1f s (%s); unsafe calls %d",
		verdict, list(r.PaidTwice), r.Otherwise, r.OtherwiseNot, list(r.Review), r.Noticed, r.From, r.UnsafeCalls)
}

// ok implements outcome.
func (r *lossReport) ok() bool {
	for _, row := range r.Rows {
		if !row.ok() {
			return false
		}
	}
	return len(r.Rows) > 0
}

// json implements outcome.
func (r *lossReport) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// print implements outcome.
func (r *lossReport) print(out io.Writer) {
	fmt.Fprintf(out, "\nChaos restore, seed %d, %d operations of each kind and sort, %.0f s\n\n", r.Seed, r.Operations, r.Seconds)
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "Row\tOperations\tPaid twice\tTold otherwise: succeeded\tfailed, rejected\tNeeded a person\tNot ready after\tUnsafe calls until accepted")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%d\t%s\t%.1f s (%s)\t%d\n", x.Row, x.Operations, list(x.PaidTwice), x.Otherwise, x.OtherwiseNot,
			list(x.Review), x.Noticed, x.From, x.UnsafeCalls)
	}
	_ = t.Flush() // the report's file has all of it
	fmt.Fprintln(out, "\nTried, and what the product said")
	for _, x := range r.Rows {
		fmt.Fprintf(out, "  %-10s %s\n             %s\n             findings: %s; given up %d messages; %d outcomes in hand; ended %s\n",
			x.Row, x.Title, strings.TrimSpace(x.Said), list(x.Findings), x.GivenUp, x.InHand, list(x.Ends))
		x.faults(out)
	}
}

// faults prints what was wrong with a row.
func (r *lossResult) faults(out io.Writer) {
	if r.late() {
		fmt.Fprintf(out, "  PROBLEM it took %.1f s to notice\n", r.Noticed)
	}
	for i, v := range r.Violations {
		if i == shown {
			fmt.Fprintf(out, "  … and %d more\n", len(r.Violations)-shown)
			break
		}
		fmt.Fprintf(out, "  VIOLATION %s: %s: %s\n", v.Kind, v.What, v.Says)
	}
	for i, e := range r.Examples {
		if i == shown {
			break
		}
		fmt.Fprintf(out, "  told otherwise: %s\n", e)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "  PROBLEM %s\n", n)
	}
}
