//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/countermand/countermand/bench/judge"
)

// markdown writes the tables as docs/performance.md has them.
func (r *report) markdown(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, Linux %s, %s, %s; load before %s; %s; %d commands a run (a tenth with one in flight), %d round(s), sync %s, %d replica(s), %d payments stored, provider %s. The figures are medians; the brackets contain minimum and maximum.\n\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Machine.Server, r.Machine.Load, r.Date.Format("2006-01-02"), r.Settings.N, r.Settings.Rounds,
		r.Settings.Sync, r.Settings.Replicas, r.Settings.Stored, r.Settings.Provider)
	b.WriteString("| | in flight | commands/s | by floor | p50 ms | p99 ms |\n|---|---|---|---|---|---|\n")
	for _, e := range r.Entries {
		for _, k := range r.Settings.InFlight {
			if r.entry(e.Name) == nil {
				continue
			}
			s, l, tail := e.over(k, perSecond), e.over(k, p50), e.over(k, p99)
			fmt.Fprintf(&b, "| %s | %d | %.0f (%.0f to %.0f) | %s | %.2f (%.2f to %.2f) | %.1f (%.1f to %.1f) |\n", e.Name, k, s.Median, s.Min, s.Max,
				r.ratio(e, "floor", k), l.Median, l.Min, l.Max, tail.Median, tail.Min, tail.Max)
		}
	}
	most := slices.Max(r.Settings.InFlight)
	fmt.Fprintf(&b, "\nWhat a command costs at %d in flight:\n\n| | µs CPU: program | its own servers | broker | all | peak memory MB | its own servers | durable records | results |\n|---|---|---|---|---|---|---|---|---|\n", most)
	for _, e := range r.Entries {
		if e.Skipped != "" {
			fmt.Fprintf(&b, "| %s | %s | | | | | | | |\n", e.Name, e.Skipped)
			continue
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %.1f | %s |\n", e.Name, e.over(most, cpu).Median, e.over(most, helperCPU).Median,
			e.over(most, brokerCPU).Median, e.over(most, allCPU).Median, megabytes(e.Peak), megabytes(e.HelperPeak), judge.Over(e.Records).Median, e.verdict())
	}
	b.WriteString("\n| SIGKILL | answered before | calls repeated | results doubled | results missing | until all was settled |\n|---|---|---|---|---|---|\n")
	for _, e := range r.Entries {
		if k := e.Kill; k != nil {
			fmt.Fprintf(&b, "| %s | %d of %d | %d | %d | %d | %.0f s |\n", e.Name, k.Answered, k.Commands, k.Calls.Repeated, k.Verdict.Doubled, k.Verdict.Missing, k.Took.Seconds())
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	return nil
}
