//go:build !production

package demo

import (
	"slices"
	"testing"

	"github.com/countermand/countermand/providers/kinds"
)

func TestTheDemoTellsAStoryOfEveryKind(t *testing.T) {
	t.Parallel()
	w := &world{sims: members()}
	for _, m := range w.sims {
		t.Cleanup(m.sim.Close)
	}
	for _, k := range kinds.All() {
		if !slices.ContainsFunc(script(), func(s story) bool {
			return s.operation.provider != "" && kindOf(s.operation.provider).Name == k.Name
		}) {
			t.Errorf("demo: no story is about %s", k.Name)
		}
	}
	if err := w.configure(); err != nil {
		t.Error(err)
	}
	if err := w.seed(); err != nil {
		t.Error(err)
	}
}
