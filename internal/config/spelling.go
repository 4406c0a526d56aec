package config

import (
	"maps"
	"slices"
	"strings"
)

// printable is the form in which an unknown key is shown: short and plain, for
// it may be anything.
func printable(key string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == '-'
	}
	if key == "" || len(key) > 24 || strings.ContainsFunc(key, func(r rune) bool { return !plain(r) }) {
		return "(a key)"
	}
	return key
}

// nearest returns the known name closest to the key, or none worth naming.
func nearest[V any](key string, known map[string]V) string {
	best, least := "", 3
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if n := distance(strings.ToLower(key), strings.ToLower(name)); n < least && n < len(name) {
			best, least = name, n
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
