//go:build race

package crash_test

// underRace: the race detector makes a cell many times slower and looks for
// something else, so under it every third step breaks in one of its ways, in turn.
const underRace = true
