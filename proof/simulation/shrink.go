package simulation

import "slices"

// Shrink makes a failing schedule shorter and calmer as long as it fails with
// the same rule broken, or with any: what is left is what it takes.
func Shrink(schedule []byte, fails func([]byte) bool) []byte {
	best := slices.Clone(schedule)
	try := func(candidate []byte) bool {
		if !fails(candidate) {
			return false
		}
		best = slices.Clone(candidate)
		return true
	}
	for improved := true; improved; {
		improved = false
		for size := max(len(best)/2, 1); size >= 1; size /= 2 {
			for at := 0; at+size <= len(best); {
				if try(slices.Concat(best[:at], best[at+size:])) {
					improved = true
					continue
				}
				at += size
			}
		}
		for i := range best {
			for _, calmer := range []byte{0, best[i] / 2, best[i] - min(best[i], 1)} {
				candidate := slices.Clone(best)
				candidate[i] = calmer
				if calmer < best[i] && try(candidate) {
					improved = true
				}
			}
		}
	}
	return best
}
