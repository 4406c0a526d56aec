package simulation_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/proof/simulation"
)

// FuzzSchedule lets Go's fuzzing look for schedules that break a rule. Those
// that once did lie in testdata and are played by every go test.
func FuzzSchedule(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(simulation.Schedule(seed + 1))
	}
	engine := newEngine(f)
	f.Fuzz(func(t *testing.T, schedule []byte) {
		if r := engine.Play(schedule, false); r.Violation != "" {
			t.Fatalf("%s\n%s", r.Violation, strings.Join(engine.Play(schedule, true).Trace, "\n"))
		}
	})
}

func TestAScheduleIsPlayedTheSameEveryTime(t *testing.T) {
	t.Parallel()
	one, other := newEngine(t), newEngine(t)
	for seed := range uint64(50) {
		a := one.Play(simulation.Schedule(seed+1), true)
		b := other.Play(simulation.Schedule(seed+1), true)
		if strings.Join(a.Trace, "\n") != strings.Join(b.Trace, "\n") {
			t.Fatalf("seed %d is played differently", seed+1)
		}
	}
}

func TestShrinkingKeepsWhatFailsAndDropsTheRest(t *testing.T) {
	t.Parallel()
	schedule := []byte{9, 0, 200, 7, 3, 3, 90, 1}
	least := simulation.Shrink(schedule, func(s []byte) bool {
		for i, b := range s {
			if b >= 5 && i+1 < len(s) && s[i+1] >= 80 {
				return true
			}
		}
		return false
	})
	if len(least) != 2 || least[0] != 5 || least[1] != 80 {
		t.Errorf("shrunk to %v, want [5 80]", least)
	}
}
