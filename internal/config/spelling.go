package config

import "strings"

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
