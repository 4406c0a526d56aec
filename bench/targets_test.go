//go:build linux

package main

import (
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
