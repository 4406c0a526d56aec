package integrity_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/integrity"
)

var names = integrity.Names{Journal: "PAYMENT_EVENTS"}

func at(second int) time.Time { return time.Date(2026, 11, 30, 9, 12, second, 0, time.UTC) }

// healthy is a mark and a reading that agree; rows change one thing.
func healthy() (integrity.Mark, integrity.Reading) {
	head := integrity.Identity{Subject: "payment.refund.started.opay-eg.1.1", SHA256: "aa"}
	m := integrity.Mark{
		Identity: head, Journal: integrity.Position{Sequence: 1958, Token: "t1958"}, At: at(7),
		Streams: map[string]uint64{"PAYMENT_COMMANDS": 700, "KV_PAYMENT_CONTROL": 12},
	}
	r := integrity.Reading{
		Began: at(10), Leader: "n1",
		Journal: integrity.JournalReading{
			StreamReading: integrity.StreamReading{First: 1, Last: 2000, Messages: 2000},
			Head:          head, AtMark: m.Journal,
		},
		Streams: map[string]integrity.StreamReading{
			"PAYMENT_COMMANDS":   {First: 300, Last: 700, Messages: 401},
			"KV_PAYMENT_CONTROL": {First: 1, Last: 12, Messages: 12},
		},
		Durables: []integrity.DurableReading{
			{Stream: "PAYMENT_EVENTS", Name: "ledger", Delivered: 2000},
			{Stream: "PAYMENT_COMMANDS", Name: "payment-consumer", Delivered: 700},
			{Stream: "ELSEWHERE", Name: "x", Delivered: 9},
		},
	}
	return m, r
}

func TestAReadingIsJudgedByTheMark(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		set  func(*integrity.Mark, *integrity.Reading)
		want []integrity.Kind
	}{
		{"all is there", func(*integrity.Mark, *integrity.Reading) {}, nil},
		{"a fresh start", func(m *integrity.Mark, r *integrity.Reading) {
			*m = integrity.Mark{}
			r.Journal = integrity.JournalReading{}
			r.Durables = nil
		}, nil},
		{"the journal ends exactly at the mark", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Last, r.Journal.Messages = 1958, 1958
			r.Durables[0].Delivered = 1958
		}, nil},
		{"the stream is gone", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal = integrity.JournalReading{StreamReading: integrity.StreamReading{Missing: true}}
		}, []integrity.Kind{integrity.JournalMissing}},
		{"made anew and empty", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal = integrity.JournalReading{}
			r.Durables[0].Delivered = 0
		}, []integrity.Kind{integrity.JournalShorter}},
		{"made anew and filled beyond the mark", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Head.SHA256 = "bb"
			r.Journal.AtMark.Token = "other"
		}, []integrity.Kind{integrity.JournalReplaced, integrity.JournalRewritten}},
		{"an older copy", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Last, r.Journal.Messages, r.Journal.AtMark = 563, 563, integrity.Position{}
			r.Durables[0].Delivered = 563
		}, []integrity.Kind{integrity.JournalShorter}},
		{"one message short", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Last, r.Journal.Messages, r.Journal.AtMark = 1957, 1957, integrity.Position{}
			r.Durables[0].Delivered = 1957
		}, []integrity.Kind{integrity.JournalShorter}},
		{"an older copy that has grown again", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.AtMark.Token = "another"
		}, []integrity.Kind{integrity.JournalRewritten}},
		{"nothing lies at the mark", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.AtMark = integrity.Position{}
		}, []integrity.Kind{integrity.JournalRewritten}},
		{"the head is gone", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.First, r.Journal.Messages = 10, 1991
		}, []integrity.Kind{integrity.JournalBeheaded}},
		{"a message in the middle is gone", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Deleted, r.Journal.Messages = []integrity.Range{{From: 77, To: 77}}, 1999
		}, []integrity.Kind{integrity.JournalHoles}},
		{"an accepted hole", func(m *integrity.Mark, r *integrity.Reading) {
			r.Journal.Deleted, r.Journal.Messages = []integrity.Range{{From: 77, To: 77}}, 1999
			m.Holes = []integrity.Range{{From: 70, To: 80}}
		}, nil},
		{"an accepted hole, and another", func(m *integrity.Mark, r *integrity.Reading) {
			r.Journal.Deleted, r.Journal.Messages = []integrity.Range{{From: 77, To: 77}, {From: 81, To: 82}}, 1997
			m.Holes = []integrity.Range{{From: 70, To: 80}}
		}, []integrity.Kind{integrity.JournalHoles}},
		{"a hole that is counted and not listed", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Messages = 1998
		}, []integrity.Kind{integrity.JournalHoles}},
		{"the server reports lost messages", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Journal.Lost = 3
		}, []integrity.Kind{integrity.JournalHoles}},
		{"a ledger is ahead", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Durables[0].Delivered = 2001
		}, []integrity.Kind{integrity.DurableAhead}},
		{"our own consumer is ahead of the commands", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Durables[1].Delivered = 701
		}, []integrity.Kind{integrity.DurableAhead}},
		{"the commands are an older copy", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Streams["PAYMENT_COMMANDS"] = integrity.StreamReading{First: 300, Last: 650, Messages: 351}
			r.Durables[1].Delivered = 650
		}, []integrity.Kind{integrity.StreamShorter}},
		{"the commands are an older copy that has grown again", func(m *integrity.Mark, r *integrity.Reading) {
			m.Stamps = map[string]time.Time{"PAYMENT_COMMANDS": at(1)}
			s := r.Streams["PAYMENT_COMMANDS"]
			s.AtMark = at(2)
			r.Streams["PAYMENT_COMMANDS"] = s
		}, []integrity.Kind{integrity.StreamRewritten}},
		{"the command at the mark is no longer kept", func(m *integrity.Mark, _ *integrity.Reading) {
			m.Stamps = map[string]time.Time{"PAYMENT_COMMANDS": at(1)}
		}, nil},
		{"the command at the mark is the one it was", func(m *integrity.Mark, r *integrity.Reading) {
			m.Stamps = map[string]time.Time{"PAYMENT_COMMANDS": at(1)}
			s := r.Streams["PAYMENT_COMMANDS"]
			s.AtMark = at(1)
			r.Streams["PAYMENT_COMMANDS"] = s
		}, nil},
		{"an acceptance that the mark does not know", func(m *integrity.Mark, r *integrity.Reading) {
			r.Accepted = m.Epoch + 1
		}, []integrity.Kind{integrity.EpochForgotten}},
		{"an acceptance that the mark knows", func(m *integrity.Mark, r *integrity.Reading) {
			m.Epoch, r.Accepted = 2, 2
		}, nil},
		{"the bucket is gone", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Streams["KV_PAYMENT_CONTROL"] = integrity.StreamReading{Missing: true}
		}, []integrity.Kind{integrity.StreamMissing}},
		{"the bucket was made anew", func(_ *integrity.Mark, r *integrity.Reading) {
			r.Streams["KV_PAYMENT_CONTROL"] = integrity.StreamReading{}
		}, []integrity.Kind{integrity.StreamShorter}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m, r := healthy()
			row.set(&m, &r)
			var got []integrity.Kind
			for _, f := range integrity.Judge(m, r, names) {
				got = append(got, f.Kind)
				if f.Text == "" || f.Object == "" {
					t.Errorf("finding %s has no text or no object: %+v", f.Kind, f)
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAFindingNamesBothFiguresAndTheTime(t *testing.T) {
	t.Parallel()
	m, r := healthy()
	r.Journal.Last, r.Journal.Messages = 563, 563
	want := "the journal ends at 563; it was known to reach 1958 at 2026-11-30T09:12:07Z"
	if got := integrity.Judge(m, r, names)[0].Text; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMarksOnlyGrowWithinAnEpoch(t *testing.T) {
	t.Parallel()
	m, _ := healthy()
	older := integrity.Mark{Journal: integrity.Position{Sequence: 5, Token: "t5"}, At: at(1), Streams: map[string]uint64{"PAYMENT_COMMANDS": 701, "NEW": 1}}
	want := m
	want.Streams = map[string]uint64{"PAYMENT_COMMANDS": 701, "KV_PAYMENT_CONTROL": 12, "NEW": 1}
	for _, got := range []integrity.Mark{m.Merge(older), older.Merge(m)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if !got.Covers(m) || !got.Covers(older) || m.Covers(got) {
			t.Error("a merged mark covers both, and neither covers it")
		}
	}
}

// A sequence without its time, and the time of another sequence, are compared with nothing.
func TestTheTimeInAMarkIsThatOfItsSequence(t *testing.T) {
	t.Parallel()
	of := func(last uint64, stamp time.Time) integrity.Mark {
		m := integrity.Mark{Streams: map[string]uint64{"S": last}}
		if !stamp.IsZero() {
			m.Stamps = map[string]time.Time{"S": stamp}
		}
		return m
	}
	none := time.Time{}
	for name, c := range map[string]struct{ a, b, want integrity.Mark }{
		"the higher one's":          {of(5, at(5)), of(7, at(7)), of(7, at(7))},
		"the higher one has none":   {of(5, at(5)), of(7, none), of(7, none)},
		"the lower one has none":    {of(5, none), of(7, at(7)), of(7, at(7))},
		"one of two that are equal": {of(7, none), of(7, at(7)), of(7, at(7))},
		"the earlier of two":        {of(7, at(9)), of(7, at(7)), of(7, at(7))},
	} {
		for _, got := range []integrity.Mark{c.a.Merge(c.b), c.b.Merge(c.a)} {
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

// A mark of an earlier version lacks the time, and a mark that has it must be stored.
func TestAMarkCoversAnotherOnlyIfItKnowsWhatThatOneKnows(t *testing.T) {
	t.Parallel()
	of := func(last uint64, stamps ...time.Time) integrity.Mark {
		m := integrity.Mark{Streams: map[string]uint64{"S": last}}
		for _, stamp := range stamps {
			m.Stamps = map[string]time.Time{"S": stamp}
		}
		return m
	}
	for name, c := range map[string]struct {
		a, b            integrity.Mark
		covers, reaches bool
	}{
		"the same":                      {of(7, at(7)), of(7, at(7)), true, true},
		"lower":                         {of(7, at(7)), of(8, at(8)), false, false},
		"higher":                        {of(7), of(6, at(6)), true, true},
		"equal, without the time":       {of(7), of(7, at(7)), false, true},
		"equal, and the other has none": {of(7, at(7)), of(7), true, true},
		"equal, with a later time":      {of(7, at(9)), of(7, at(7)), false, true},
		"equal, with an earlier time":   {of(7, at(7)), of(7, at(9)), true, true},
	} {
		if c.a.Covers(c.b) != c.covers || c.a.Reaches(c.b) != c.reaches {
			t.Errorf("%s: covers %t, reaches %t", name, c.a.Covers(c.b), c.a.Reaches(c.b))
		}
		if merged := c.a.Merge(c.b); !merged.Covers(c.a) || !merged.Covers(c.b) {
			t.Errorf("%s: both together do not cover each", name)
		}
	}
}

func TestAJournalWithoutAMarkIsTakenOnlyWhereItExplainsWhatWasDelivered(t *testing.T) {
	t.Parallel()
	sent := []integrity.DurableReading{{Stream: "PAYMENT_COMMANDS", Name: "payment-consumer", Delivered: 12}}
	journal := func(last uint64) integrity.JournalReading {
		return integrity.JournalReading{StreamReading: integrity.StreamReading{First: min(last, 1), Last: last, Messages: last}}
	}
	for name, c := range map[string]struct {
		reading integrity.Reading
		want    bool
	}{
		"empty, and nothing was sent":                 {integrity.Reading{}, true},
		"empty, and commands were sent":               {integrity.Reading{Durables: sent}, false},
		"with answers":                                {integrity.Reading{Journal: journal(9), Answered: true, Durables: sent}, true},
		"with what an operator has recorded alone":    {integrity.Reading{Journal: journal(1), Durables: sent}, false},
		"with that alone, and nothing was sent":       {integrity.Reading{Journal: journal(1)}, true},
		"with answers and an acceptance nobody knows": {integrity.Reading{Journal: journal(9), Answered: true, Accepted: 1}, false},
	} {
		findings := integrity.Judge(integrity.Mark{}, c.reading, names)
		if got, why := integrity.Adopt(c.reading, findings); got != c.want || got == (why != "") {
			t.Errorf("%s: adopted %t, because %q", name, got, why)
		}
		if got := len(integrity.Unadopted(c.reading, findings, names)) == 0; got != c.want {
			t.Errorf("%s: without findings %t", name, got)
		}
	}
}

func TestALaterEpochReplacesTheMark(t *testing.T) {
	t.Parallel()
	m, _ := healthy()
	accepted := integrity.Mark{Epoch: 1, Journal: integrity.Position{Sequence: 563, Token: "t563"}, Streams: map[string]uint64{}}
	for _, got := range []integrity.Mark{m.Merge(accepted), accepted.Merge(m)} {
		if diff := cmp.Diff(accepted, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTheHighestEpochAndPhaseCount(t *testing.T) {
	t.Parallel()
	first := integrity.FirstEpoch()
	held := integrity.Epoch{Number: 1, AcceptedAt: at(1)}
	doubting := integrity.Epoch{Number: 1, Phase: integrity.Doubting, AcceptedAt: at(1)}
	for _, pair := range [][2]integrity.Epoch{{first, held}, {held, doubting}, {first, doubting}} {
		if pair[0].Later(pair[1]) != pair[1] || pair[1].Later(pair[0]) != pair[1] {
			t.Errorf("of %+v the second is the later", pair)
		}
	}
	if first.Doubted() || !held.Doubted() || !doubting.Doubted() {
		t.Error("only a trusted epoch is not doubted")
	}
}

func TestAStandingFollowsTheTable(t *testing.T) {
	t.Parallel()
	shorter := []integrity.Finding{{Kind: integrity.JournalShorter, Object: "J"}}
	missing := []integrity.Finding{{Kind: integrity.JournalMissing, Object: "J"}}
	taken := integrity.Finding{Kind: integrity.RecordUnreadable, Object: "payment.x"}
	heard := []integrity.Finding{{Kind: integrity.ReplicaSuspect, Object: "a"}, {Kind: integrity.ReplicaSuspect, Object: "b"}}
	type step struct {
		second   int
		findings []integrity.Finding
		report   *integrity.Finding
		want     integrity.Standing
	}
	rows := []struct {
		name  string
		steps []step
	}{
		{"never read", nil},
		{"read and whole", []step{{0, nil, nil, integrity.Whole}}},
		{"heals", []step{{0, nil, nil, integrity.Whole}, {5, shorter, nil, integrity.Suspect}, {6, nil, nil, integrity.Whole}}},
		{"broken after three that agree", []step{
			{0, nil, nil, integrity.Whole},
			{5, shorter, nil, integrity.Suspect},
			{6, shorter, nil, integrity.Suspect},
			{7, shorter, nil, integrity.Broken},
			{8, nil, nil, integrity.Broken},
		}},
		{"others' suspicions alone are never sure", []step{
			{0, nil, nil, integrity.Whole}, {5, heard, nil, integrity.Suspect}, {6, heard, nil, integrity.Suspect}, {7, heard, nil, integrity.Suspect}, {8, heard, nil, integrity.Suspect}, {9, nil, nil, integrity.Whole},
		}},
		{"nor do they confirm what was found before", []step{
			{5, shorter, nil, integrity.Suspect},
			{6, heard, nil, integrity.Suspect},
			{7, heard, nil, integrity.Suspect},
			{8, append(slices.Clone(heard), shorter...), nil, integrity.Suspect},
			{9, shorter, nil, integrity.Suspect},
			{10, shorter, nil, integrity.Broken},
		}},
		{"nor a report", []step{
			{0, nil, nil, integrity.Whole}, {1, nil, &taken, integrity.Suspect}, {2, heard, nil, integrity.Suspect}, {3, heard, nil, integrity.Suspect}, {4, heard, nil, integrity.Suspect},
		}},
		{"a process that is sure is firm", []step{
			{5, []integrity.Finding{{Kind: integrity.ReplicaBroken, Object: "a"}}, nil, integrity.Suspect},
			{6, []integrity.Finding{{Kind: integrity.ReplicaBroken, Object: "a"}}, nil, integrity.Suspect},
			{7, []integrity.Finding{{Kind: integrity.ReplicaBroken, Object: "a"}}, nil, integrity.Broken},
		}},
		{"readings in one moment count once", []step{
			{5, shorter, nil, integrity.Suspect}, {5, shorter, nil, integrity.Suspect}, {5, shorter, nil, integrity.Suspect}, {6, shorter, nil, integrity.Suspect}, {7, shorter, nil, integrity.Broken},
		}},
		{"other findings are counted anew", []step{
			{5, shorter, nil, integrity.Suspect}, {6, missing, nil, integrity.Suspect}, {7, shorter, nil, integrity.Suspect}, {8, shorter, nil, integrity.Suspect}, {9, shorter, nil, integrity.Broken},
		}},
		{"a report is suspect at once and heals", []step{
			{0, nil, nil, integrity.Whole}, {1, nil, &taken, integrity.Suspect}, {2, nil, nil, integrity.Whole},
		}},
		{"a report that two readings confirm, by whatever they find", []step{
			{0, nil, nil, integrity.Whole}, {1, nil, &taken, integrity.Suspect}, {2, shorter, nil, integrity.Suspect}, {3, shorter, nil, integrity.Broken},
		}},
		{"a report of what is broken changes nothing", []step{
			{5, shorter, nil, integrity.Suspect}, {6, shorter, nil, integrity.Suspect}, {7, shorter, nil, integrity.Broken}, {8, nil, &taken, integrity.Broken},
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var w integrity.Watch
			for i, s := range row.steps {
				if s.report != nil {
					w = w.Report(at(s.second), *s.report)
				} else {
					w = w.Read(at(s.second), s.findings)
				}
				if w.Standing != s.want {
					t.Fatalf("step %d: %s, want %s", i, w.Standing, s.want)
				}
				if w.MaySend() != (s.want == integrity.Whole) {
					t.Fatalf("step %d: MaySend is %v while %s", i, w.MaySend(), w.Standing)
				}
			}
			if len(row.steps) == 0 && w.MaySend() {
				t.Error("nothing may be sent before the first reading")
			}
		})
	}
}

func TestAWitnessIsLostOnceItHoldsNothingAndHasHeldSomething(t *testing.T) {
	t.Parallel()
	held := integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: 4}}}
	for name, row := range map[string]struct {
		witnessed bool
		witness   integrity.Record
		lost      bool
	}{
		"it never held anything":    {false, integrity.Record{}, false},
		"it holds what it did":      {true, held, false},
		"it holds nothing any more": {true, integrity.Record{}, true},
		"it is older than the word": {false, held, false},
	} {
		bucket := held
		bucket.Witnessed = row.witnessed
		if got := integrity.JudgeWitness(bucket, row.witness); len(got) > 0 != row.lost {
			t.Errorf("%s: %v", name, got)
		}
	}
}
