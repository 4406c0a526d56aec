// Package spelling finds the name that a misspelt one was probably meant to be.
package spelling

import "strings"

// furthest is how many letters may differ. Between short names nothing is
// certain, so fewer than all letters of a name may differ too.
const furthest = 2

// Nearest returns the known name closest to the given one, or "" where none is
// close. Case does not count. Of two that are equally close the first is returned.
func Nearest(name string, known []string) string {
	best, least := "", furthest+1
	for _, k := range known {
		if len(name)-len(k) > furthest {
			continue // also keeps a name of any length cheap
		}
		if n := distance(strings.ToLower(name), strings.ToLower(k)); n < least && n < len(k) {
			best, least = k, n
		}
	}
	return best
}

// distance counts the letters to insert, drop, replace or swap with their
// neighbour to get from a to b (optimal string alignment, in bytes).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
