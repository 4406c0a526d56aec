package simulation_test

import (
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/proof/simulation"
	"github.com/countermand/countermand/providers/kinds"
)

// manySeeds is far more than a draw needs to meet every kind.
const manySeeds = 200

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
