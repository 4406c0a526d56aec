package simulation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/proof/simulation"
	"github.com/countermand/countermand/providers/kinds"
	"github.com/countermand/countermand/providers/simulator"
)

// manySeeds is far more than a draw needs to meet every kind.
const manySeeds = 200

// What no page of a provider says may be in any way: the money is safe in each.
func TestNoScheduleAtAnAccountThatIsOtherThanDocumentedMovesMoneyTwice(t *testing.T) {
	t.Parallel()
	variants := slices.DeleteFunc(simulators.Accounts(), func(k simulator.Kind) bool { return k.Variant == "" && k.Asked == simulator.Always })
	engine, err := simulation.NewAt(variants)
	if err != nil {
		t.Fatal(err)
	}
	plays := map[string]func([]byte, bool) simulation.Result{"without losses": engine.Play, "with losses": engine.PlayLosses}
	for name, play := range plays {
		movements := 0
		for seed := range *schedules / 6 {
			r := play(simulation.Schedule(seed), false)
			if movements += r.Movements; r.Violation != "" {
				t.Fatalf("%s, seed %d: %s\n%s", name, seed, r.Violation, shrunkBy(play, simulation.Schedule(seed)))
			}
		}
		if movements == 0 {
			t.Errorf("%s, nothing moved", name)
		}
	}
}

func TestTheSimulationPlaysEveryKind(t *testing.T) {
	t.Parallel()
	engine := newEngine(t)
	var told strings.Builder
	for seed := range uint64(manySeeds) {
		r := engine.Play(simulation.Schedule(seed), true)
		told.WriteString(strings.Join(r.Trace, "\n"))
	}
	for _, k := range kinds.All() {
		half, ok := simulators.Find(k.Name)
		if !ok || !strings.Contains(told.String(), half.Instance+"/") {
			t.Errorf("simulation: no schedule of %d has a payment of %s", manySeeds, k.Name)
		}
	}
}
