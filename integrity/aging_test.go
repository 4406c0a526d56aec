package integrity_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/integrity"
)

const (
	aging = "PAYMENT_COMMANDS"
	day   = 24 * time.Hour
)

func ago(d time.Duration) time.Time { return at(10).Add(-d) }

// aged is a mark of a stream that keeps its messages for 30 days, and a reading that
// agrees; rows change one thing.
func aged() (integrity.Mark, integrity.StreamReading) {
	m := integrity.Mark{
		Streams: map[string]uint64{aging: 700}, Stamps: map[string]time.Time{aging: ago(time.Minute)},
		Kept: map[string]integrity.Kept{aging: {For: 30 * day, Seen: []integrity.Seen{
			{Sequence: 250, At: ago(31 * day)}, {Sequence: 300, At: ago(29 * day)}, {Sequence: 500, At: ago(5 * day)},
		}}},
	}
	return m, integrity.StreamReading{
		First: 300, Last: 720, Messages: 421, Keeps: 30 * day, FirstAt: ago(29 * day), LastAt: ago(time.Second), AtMark: ago(time.Minute), Now: at(10),
	}
}

func TestAStreamWhoseMessagesGoByAgeIsJudgedByWhatItShouldStillKeep(t *testing.T) {
	t.Parallel()
	type shortfall = integrity.Shortfall
	kept := func(m *integrity.Mark, change func(*integrity.Kept)) {
		k := m.Kept[aging]
		change(&k)
		m.Kept = map[string]integrity.Kept{aging: k}
	}
	empty := func(r *integrity.StreamReading) {
		r.First, r.Messages, r.FirstAt, r.LastAt, r.AtMark = r.Last+1, 0, time.Time{}, time.Time{}, time.Time{}
	}
	for name, row := range map[string]struct {
		set  func(*integrity.Mark, *integrity.StreamReading)
		want shortfall
	}{
		"all is there": {func(*integrity.Mark, *integrity.StreamReading) {}, shortfall{}},
		"its messages do not go by age alone": {func(_ *integrity.Mark, r *integrity.StreamReading) {
			empty(r)
			r.Keeps = 0
		}, shortfall{}},
		"all of it is gone": {
			func(_ *integrity.Mark, r *integrity.StreamReading) { empty(r) },
			shortfall{From: 300, To: 720, At: ago(29 * day), Kept: 30 * day},
		},
		"all of it is gone by its age": {func(_ *integrity.Mark, r *integrity.StreamReading) {
			empty(r)
			r.Now = at(10).Add(30 * day)
		}, shortfall{}},
		"all but the newest is gone": {
			func(_ *integrity.Mark, r *integrity.StreamReading) { r.First, r.Messages = 690, 31 },
			shortfall{From: 300, To: 689, At: ago(29 * day), Kept: 30 * day},
		},
		"the oldest is gone an hour early": {func(_ *integrity.Mark, r *integrity.StreamReading) {
			r.First, r.Messages, r.Now = 301, 420, at(10).Add(day-time.Hour)
		}, shortfall{}},
		"the oldest is gone earlier than that": {func(_ *integrity.Mark, r *integrity.StreamReading) {
			r.First, r.Messages, r.Now = 301, 420, at(10).Add(day-time.Hour-time.Second)
		}, shortfall{From: 300, To: 300, At: ago(29 * day), Kept: 30 * day}},
		"the stream keeps less for a moment": {func(_ *integrity.Mark, r *integrity.StreamReading) {
			empty(r)
			r.Keeps = time.Second
		}, shortfall{From: 300, To: 720, At: ago(29 * day), Kept: 30 * day}},
		"the stream has always kept less": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.First, r.Messages, r.Keeps = 500, 221, 7*day
			kept(m, func(k *integrity.Kept) { k.For = 7 * day })
		}, shortfall{}},
		"one is missing in the middle": {
			func(_ *integrity.Mark, r *integrity.StreamReading) { r.Messages-- },
			shortfall{Within: 1, Kept: 30 * day},
		},
		"one more than was accepted is missing": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.Messages -= 3
			kept(m, func(k *integrity.Kept) { k.Gaps = 2 })
		}, shortfall{Within: 1, Kept: 30 * day}},
		"those are missing that were accepted": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.Messages -= 2
			kept(m, func(k *integrity.Kept) { k.Gaps = 2 })
		}, shortfall{}},
		"fewer are missing, since the stream begins later": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.Messages--
			kept(m, func(k *integrity.Kept) { k.Gaps = 2 })
		}, shortfall{}},
		"some were missing before a mark knew of it": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.Messages -= 2
			m.Kept = nil
		}, shortfall{}},
		"a mark of an earlier version knows the newest alone": {func(m *integrity.Mark, r *integrity.StreamReading) {
			empty(r)
			m.Kept = nil
		}, shortfall{From: 700, To: 720, At: ago(time.Minute), Kept: 30 * day}},
		"nothing lies at the mark": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.AtMark = time.Time{}
			m.Kept = nil
		}, shortfall{Within: 1, Kept: 30 * day}},
		"nothing lies at a mark whose time is not known": {func(m *integrity.Mark, r *integrity.StreamReading) {
			r.AtMark, m.Stamps = time.Time{}, nil
		}, shortfall{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, r := aged()
			row.set(&m, &r)
			got := integrity.ShortfallOf(m, aging, r)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			findings := integrity.Judge(m, integrity.Reading{Streams: map[string]integrity.StreamReading{aging: r}}, names)
			if (len(findings) > 0) != (got.Messages() > 0) {
				t.Errorf("lacks %d, found %v", got.Messages(), findings)
			}
			// Whoever accepts it finds it no more.
			m = integrity.MarkOf(integrity.Reading{Streams: map[string]integrity.StreamReading{aging: r}}, integrity.Position{}, 1)
			r.AtMark = r.LastAt
			if again := integrity.ShortfallOf(m, aging, r); again != (shortfall{}) {
				t.Errorf("after it was accepted: %+v", again)
			}
		})
	}
}

func TestALossOfCommandsIsSaidInWords(t *testing.T) {
	t.Parallel()
	m, r := aged()
	r.First, r.Messages = 690, 30
	var got []string
	for _, f := range integrity.Judge(m, integrity.Reading{Streams: map[string]integrity.StreamReading{aging: r}}, names) {
		got = append(got, string(f.Kind)+": "+f.Text)
	}
	want := []string{
		"stream_beheaded: messages 300 to 689 of stream PAYMENT_COMMANDS are gone; message 300 is of 2026-11-01T09:12:10Z, and the stream was known to keep each for 30 days",
		"stream_holes: 1 messages are missing in the middle of stream PAYMENT_COMMANDS",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAMarkKnowsOfAStreamOnlyBecomesStricter(t *testing.T) {
	t.Parallel()
	seen := func(all ...integrity.Seen) []integrity.Seen { return all }
	of := func(k integrity.Kept) integrity.Mark {
		return integrity.Mark{Kept: map[string]integrity.Kept{aging: k}}
	}
	a := of(integrity.Kept{For: 7 * day, Gaps: 3, Seen: seen(integrity.Seen{Sequence: 5, At: ago(2 * day)}, integrity.Seen{Sequence: 9, At: ago(time.Hour)})})
	b := of(integrity.Kept{For: 30 * day, Gaps: 1, Seen: seen(integrity.Seen{Sequence: 7, At: ago(day)}, integrity.Seen{Sequence: 11, At: ago(time.Minute)})})
	want := integrity.Kept{For: 30 * day, Gaps: 1, Seen: seen(
		integrity.Seen{Sequence: 5, At: ago(2 * day)}, integrity.Seen{Sequence: 7, At: ago(day)}, integrity.Seen{Sequence: 9, At: ago(time.Hour)},
	)}
	for _, got := range []integrity.Mark{a.Merge(b), b.Merge(a)} {
		if diff := cmp.Diff(want, got.Kept[aging]); diff != "" {
			t.Error(diff)
		}
		if !got.Covers(a) || !got.Covers(b) || a.Covers(got) || b.Covers(got) || !a.Reaches(got) {
			t.Error("both together cover each, and neither covers them")
		}
	}
	var long integrity.Mark
	for n := range 100 {
		long = long.Merge(of(integrity.Kept{Seen: seen(integrity.Seen{Sequence: uint64(n), At: ago(time.Duration(100-n) * day)})}))
	}
	if k := long.Kept[aging].Seen; len(k) != 32 || k[31].Sequence != 99 {
		t.Errorf("%d are kept: %v", len(k), k)
	}
}
