package providers

import (
	"maps"
	"slices"
)

// Causes returns the closed list of causes, for tests.
func Causes() []Cause {
	list := slices.Collect(maps.Keys(ownWords()))
	for c := range connectionWords() {
		list = append(list, c, c.atProxy())
	}
	slices.Sort(list)
	return list
}
