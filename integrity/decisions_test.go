package integrity_test

import (
	"slices"
	"testing"
	"time"

	"github.com/countermand/countermand/integrity"
)

func TestADecisionIsLostOnceNeitherItNorALaterOneIsShown(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	known := integrity.Decision{Sequence: 40, At: at}
	for name, row := range map[string]struct {
		shown *integrity.Decision
		lost  bool
	}{
		"it lies there":                                {&known, false},
		"nothing lies there":                           {nil, true},
		"an earlier one lies there":                    {&integrity.Decision{Sequence: 12, At: at.Add(-time.Hour)}, true},
		"an earlier one lies at its sequence":          {&integrity.Decision{Sequence: 40, At: at.Add(-time.Hour)}, true},
		"a later one lies behind it":                   {&integrity.Decision{Sequence: 41, At: at.Add(time.Hour)}, false},
		"a leader whose clock is late stored the next": {&integrity.Decision{Sequence: 41, At: at.Add(-time.Second)}, false},
		"a later one lies in a bucket made anew":       {&integrity.Decision{Sequence: 3, At: at.Add(time.Hour)}, false},
	} {
		shown := integrity.Decisions{"b": known}
		if row.shown != nil {
			shown["a"] = *row.shown
		}
		if got := (integrity.Decisions{"a": known}).Lost(shown); (len(got) > 0) != row.lost {
			t.Errorf("%s: lost are %v", name, got)
		}
	}
	if got := (integrity.Decisions{"b": known, "a": known}).Lost(nil); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("lost are %v", got)
	}
	if got := integrity.Decisions(nil).Lost(nil); got != nil {
		t.Errorf("of nothing, %v is lost", got)
	}
}

func TestDecisionsOutliveAnEpochAndAnOlderRelease(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	one := integrity.Record{Pauses: integrity.Decisions{"a": {Sequence: 40, At: at}, "b": {Sequence: 41, At: at}}}
	next := integrity.Record{
		Mark: integrity.Mark{Epoch: 1}, Epoch: integrity.Epoch{Number: 1},
		Pauses: integrity.Decisions{"a": {Sequence: 2, At: at.Add(time.Hour)}},
	}
	for _, both := range []integrity.Record{one.Merge(next), next.Merge(one)} {
		if both.Pauses["a"].Sequence != 2 || both.Pauses["b"].Sequence != 41 || both.Epoch.Number != 1 {
			t.Errorf("merged to %+v", both)
		}
		if !both.Covers(one) || !both.Covers(next) || one.Covers(both) {
			t.Errorf("%+v does not cover what it was merged from", both)
		}
	}
	if without := (integrity.Record{}); without.Covers(one) || len(one.Merge(without).Pauses) != 2 {
		t.Error("a record without decisions, such as an older release's, takes decisions away")
	}
}
