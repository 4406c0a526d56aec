//go:build !race

package crash_test

// underRace: every step breaks in every way.
const underRace = false
