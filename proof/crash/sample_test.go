package crash_test

import "flag"

var (
	every = flag.Bool("every", false, "break every step in every way, not only a sample")
	pairs = flag.Bool("pairs", false, "like -every, and break every two steps of the short paths, too")
)

// stride is how far apart the cells of the sample are. As a prime number it
// comes by all steps and all faults.
const stride = 13

// breakage is one way to break one kind of step.
type breakage struct {
	kind  kind
	fault fault
}

// sample chooses the cells of one provider's paths, the same ones in each run:
// each breakage where it is first possible, and of all others one in stride. Its
// methods belong to one goroutine.
type sample struct {
	met  int
	seen map[breakage]bool
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
			if *every || *pairs || !s.seen[b] || s.met%stride == 0 {
				chosen = append(chosen, plan{n + 1: f})
			}
			s.seen[b] = true
		}
	}
	return chosen, possible
}
