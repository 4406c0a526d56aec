//go:build linux

package main

import (
	"slices"
	"testing"
	"time"
)

// took makes an entry of runs with 1 and 256 in flight; perSecond is at 256.
func took(name string, perSecond int, p50 time.Duration) *entry {
	const n = 1000
	return &entry{Name: name, Peak: []int64{50 << 20}, Runs: []measured{
		{run: run{InFlight: 1, Commands: n, Wall: n * p50, P50: p50}},
		{run: run{InFlight: 256, Commands: n, Wall: n * time.Second / time.Duration(perSecond)}},
	}}
}

func TestGoalsAreMetOrMissedByTheRightFigures(t *testing.T) {
	t.Parallel()
	skipped := took("river", 1, time.Second)
	skipped.Skipped = "not built"
	ours := took("countermand", 4000, 1200*time.Microsecond)
	ours.Kill = &killed{}
	ours.Kill.Calls.Repeated = 1
	r := &report{Settings: settings{Sync: "lazy", InFlight: []int{1, 256}}, Entries: []*entry{
		took("floor", 5000, time.Millisecond), ours, took("watermill", 3200, time.Millisecond), took("restate", 400, time.Millisecond), skipped,
	}}
	want := map[string]struct {
		is  float64
		met bool
	}{
		"countermand / floor, commands/s at 256 in flight":     {0.8, true},
		"countermand / watermill, commands/s at 256 in flight": {1.25, false},
		"countermand / restate, commands/s at 256 in flight":   {10, true},
		"countermand / floor, p50 at 1 in flight":              {1.2, true},
		"peak memory of countermand, MB":                       {50, true},
		"calls repeated after SIGKILL":                         {1, false},
	}
	got := r.targets()
	if len(got) != len(want) {
		t.Errorf("%d goals, want %d: %+v", len(got), len(want), got)
	}
	for _, g := range got {
		w, ok := want[g.Name]
		if !ok || g.Is < w.is*0.999 || g.Is > w.is*1.001 || g.met() != w.met {
			t.Errorf("%s is %v, met %v; want %+v", g.Name, g.Is, g.met(), w)
		}
	}
	r.Settings.Sync = "always"
	if first := r.targets()[0]; first.met() || first.Want != 0.9 {
		t.Errorf("with sync always the first goal is %+v", first)
	}
}

func TestContestantsAreComparedWithinARound(t *testing.T) {
	t.Parallel()
	// A machine that is twice as slow in the second round, and slower still in the
	// third: by medians of all rounds ours would be 0.9 of the floor.
	run := func(round int, perSecond float64) measured {
		return measured{Round: round, run: run{InFlight: 256, Commands: 1000, Wall: time.Duration(1000 * float64(time.Second) / perSecond)}}
	}
	floor := &entry{Runs: []measured{run(0, 8000), run(1, 4000), run(2, 2000)}}
	ours := &entry{Runs: []measured{run(2, 1600), run(0, 6400), run(1, 3600)}}
	got := ours.by(floor, 256, perSecond)
	if got.Median < 0.799 || got.Median > 0.801 || got.Max < 0.899 || got.Max > 0.901 {
		t.Errorf("ours by the floor is %+v, want a median of 0.8 and at most 0.9", got)
	}
	if none := ours.by(floor, 1, perSecond); none.Median != 0 {
		t.Errorf("without a run there is a ratio: %+v", none)
	}
}

func TestEveryOtherRoundGoesBackwards(t *testing.T) {
	t.Parallel()
	for round, want := range [][]int{{0, 1, 2}, {2, 1, 0}, {0, 1, 2}} {
		if got := turn(3, round); !slices.Equal(got, want) {
			t.Errorf("round %d goes %v, want %v", round, got, want)
		}
	}
}
