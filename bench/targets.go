//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// target is a figure that was set as a goal, beside what came out.
type target struct {
	Name string  `json:"name"`
	Is   float64 `json:"is"`
	Want float64 `json:"want"`
	// Most: Want is an upper bound, else a lower one.
	Most bool `json:"wantAtMost"`
}

// met reports whether the goal is reached.
func (t target) met() bool {
	if t.Most {
		return t.Is <= t.Want
	}
	return t.Is >= t.Want
}

// targets are those that this run can speak of.
func (r *report) targets() []target {
	ours := r.entry("countermand")
	if ours == nil {
		return nil
	}
	var out []target
	most := slices.Max(r.Settings.InFlight)
	faster := func(than string, want float64) {
		if e := r.entry(than); e != nil {
			out = append(out, target{
				Name: fmt.Sprintf("countermand / %s, commands/s at %d in flight", than, most),
				Is:   ours.by(e, most, perSecond).Median, Want: want,
			})
		}
	}
	if r.Settings.Sync == "always" {
		faster("floor", 0.90)
	} else {
		faster("floor", 0.80)
	}
	faster("watermill", 1.3)
	faster("watermill-async", 1.3)
	for _, engine := range []string{"river", "river-batched", "restate", "temporal"} {
		faster(engine, 8)
	}
	if floor := r.entry("floor"); floor != nil && slices.Contains(r.Settings.InFlight, 1) {
		out = append(out, target{
			Name: "countermand / floor, p50 at 1 in flight", Want: 1.25, Most: true,
			Is: ours.by(floor, 1, p50).Median,
		})
	}
	out = append(out, target{Name: "peak memory of countermand, MB", Is: megabytes(ours.Peak), Want: 80, Most: true})
	if ours.Kill != nil {
		out = append(out, target{Name: "calls repeated after SIGKILL", Is: float64(ours.Kill.Calls.Repeated), Most: true})
	}
	return out
}

// entry is a contestant that was measured, or nil.
func (r *report) entry(name string) *entry {
	for _, e := range r.Entries {
		if e.Name == name && e.Skipped == "" && len(e.Runs) > 0 {
			return e
		}
	}
	return nil
}

// printTargets prints the goals; one that is missed is no error, it is a figure.
func (r *report) printTargets(out io.Writer) {
	if len(r.Targets) == 0 {
		return
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "goal\twanted\tis\t")
	for _, g := range r.Targets {
		bound, verdict := "at least", "met"
		if g.Most {
			bound = "at most"
		}
		if !g.met() {
			verdict = "missed"
		}
		fmt.Fprintf(t, "%s\t%s %.4g\t%.3g\t%s\n", g.Name, bound, g.Want, g.Is, verdict)
	}
	_ = t.Flush() // out has said so already
	fmt.Fprintln(out)
}
