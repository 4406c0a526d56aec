//go:build unix

package main

import (
	"testing"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

func TestAHealthyRunFailsForWhateverWasFoundLost(t *testing.T) {
	t.Parallel()
	ward := func(change func(*wardReport)) *healthReport {
		w := wardReport{Nodes: 3, Appends: 10, Suspects: 2, LongestSuspect: 3}
		change(&w)
		return &healthReport{Wards: []wardReport{w}}
	}
	rows := []struct {
		name string
		r    *healthReport
		ok   bool
	}{
		{"suspect only", ward(func(*wardReport) {}), true},
		{"broken", ward(func(w *wardReport) { w.Broken = []integrity.Finding{{Kind: integrity.JournalShorter}} }), false},
		{"paused", ward(func(w *wardReport) { w.Paused = []string{"opay-eg"} }), false},
		{"lost", ward(func(w *wardReport) { w.Lost = []string{"h-1.1"} }), false},
		{"wrong", ward(func(w *wardReport) { w.Faults = []string{"x"} }), false},
		{"a note", &healthReport{Notes: []string{"x"}}, false},
		{"broken in the update", &healthReport{Update: &update{Broken: []string{"consumer-1"}}}, false},
		{"a violation in the update", &healthReport{Update: &update{Violations: 1}}, false},
		{"no history", &healthReport{LeftOut: "no history"}, true},
	}
	for _, row := range rows {
		if got := row.r.ok(); got != row.ok {
			t.Errorf("%s: ok is %v", row.name, got)
		}
	}
}

func TestAPatientTellsHowLongItWasSuspectAndThatItWasBroken(t *testing.T) {
	t.Parallel()
	p := &patient{}
	stands := func(s integrity.Standing, f ...integrity.Finding) {
		p.changed(keeper.Status{Watch: integrity.Watch{Standing: s, Findings: f}})
	}
	stands(integrity.Whole)
	stands(integrity.Suspect)
	stands(integrity.Whole)
	stands(integrity.Suspect)
	if len(p.suspects) != 1 || len(p.broken) != 0 {
		t.Errorf("suspect %v, broken %v", p.suspects, p.broken)
	}
	stands(integrity.Broken, integrity.Finding{Kind: integrity.JournalShorter})
	if len(p.suspects) != 2 || len(p.broken) != 1 {
		t.Errorf("suspect %v, broken %v", p.suspects, p.broken)
	}
}
