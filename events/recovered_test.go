package events_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/events"
)

func TestARecoveredMessageIsAsOldAsItWas(t *testing.T) {
	t.Parallel()
	stored := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	before := stored.Add(-48 * time.Hour)
	for text, want := range map[string]time.Time{
		"":                                     stored,
		"7":                                    stored,
		"7 yesterday":                          stored,
		"7 2026-12-01T00:00:00Z":               stored, // later than it can be
		"7 " + before.Format(time.RFC3339Nano): before,
	} {
		if got := events.FirstStored(map[string][]string{events.RecoveredHeader: {text}}, stored); !got.Equal(want) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := events.FirstStored(nil, stored); !got.Equal(stored) {
		t.Errorf("without the header: %s", got)
	}
}
