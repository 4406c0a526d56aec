package crash_test

import "flag"

var (
	every = flag.Bool("every", false, "break every step in every way, not only a sample")
	pairs = flag.Bool("pairs", false, "like -every, and break every two steps of the short paths, too")
)

// How far apart the cells of the sample are. As prime numbers they come by all steps
// and all faults. Most of what an account of another sort does its kind's own does too.
const (
	stride        = 13
	variantStride = 53
)

// breakage is one way to break one kind of step.
type breakage struct {
	kind  kind
	fault fault
}

// sample chooses the cells of one provider's paths, the same ones in each run:
// each breakage where it is first possible, and of all others one in stride. Its
// methods belong to one goroutine.
type sample struct {
	stride int
	met    int
	seen   map[breakage]bool
}

// plans lists what is broken of a path, by its undisturbed run, and counts what
// could be.
func (s *sample) plans(clean *cell) (chosen []plan, possible int) {
	for n, step := range clean.trace {
		if n < clean.ruledFrom {
			continue // other paths come that far
		}
		for _, f := range step.faults() {
			b := breakage{step.kind, f}
			s.met++
			possible++
			if *every || *pairs || !s.seen[b] || s.met%s.stride == 0 {
				chosen = append(chosen, plan{n + 1: f})
			}
			s.seen[b] = true
		}
	}
	return chosen, possible
}
