package events

import (
	"strings"
	"time"
)

// RecoveredHeader names the place that a message of the journal had before it was
// brought back from an archive: its sequence and its time (RFC 3339), with a space
// between.
const RecoveredHeader = "Countermand-Recovered"

// FirstStored is when the journal first took a message, where stored is when it
// took it this time.
func FirstStored(header map[string][]string, stored time.Time) time.Time {
	_, text, _ := strings.Cut(headerOf(header, RecoveredHeader), " ")
	first, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || first.After(stored) {
		return stored
	}
	return first.UTC()
}

// headerOf is the first value of a header under its exact name.
func headerOf(header map[string][]string, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
