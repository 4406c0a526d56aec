package crash_test

import (
	"slices"
	"testing"

	registry "github.com/countermand/countermand/providers/kinds"
)

func TestTheCrashMatrixHasRowsOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, k := range registry.All() {
		if !slices.ContainsFunc(rows(t), func(r row) bool { return r.kind.Name == k.Name && r.offered }) {
			t.Errorf("crash matrix: no row is of %s", k.Name)
		}
	}
}
