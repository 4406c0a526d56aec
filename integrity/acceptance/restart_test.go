package acceptance_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// recovered is a view in which the newest data was put back under two broken processes.
func recovered() acceptance.View {
	now := time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)
	v := acceptance.View{
		Journal: "J", Commands: "C", Now: now, End: 14,
		Record:  integrity.Record{Mark: integrity.Mark{Journal: integrity.Position{Sequence: 14, Token: "t"}, Streams: map[string]uint64{"C": 6}}, Epoch: integrity.FirstEpoch()},
		Reading: integrity.Reading{Leader: "n1", Streams: map[string]integrity.StreamReading{"C": {First: 1, Last: 6, Messages: 6}}},
	}
	v.Reading.Journal.StreamReading = integrity.StreamReading{First: 1, Last: 14, Messages: 14}
	for _, id := range []string{"a", "b"} {
		v.Replicas = append(v.Replicas, integrity.Registered{Time: now, Replica: integrity.Replica{
			ID: id, Epoch: integrity.FirstEpoch(), Standing: "broken", Shut: true, Known: 14, Recovered: now.Add(-time.Minute),
			Found: []integrity.Finding{{Kind: integrity.JournalShorter, Object: "J", Known: 14, Found: 7}, {Kind: integrity.StreamShorter, Object: "C", Known: 6, Found: 3}},
		}})
	}
	v.Findings = integrity.FoundByOthers(0, v.Replicas)
	return v
}

func TestARestartIsAdvisedWhereNothingIsMissingAnyMore(t *testing.T) {
	t.Parallel()
	v := recovered()
	s := acceptance.StatusOf(v, nil, false)
	if !slices.Equal(s.Restart, []string{"a", "b"}) || s.Whole || !strings.Contains(s.Verdict(), "stop all of them (a, b), and start them again once none runs") {
		t.Errorf("%v, %t, %q", s.Restart, s.Whole, s.Verdict())
	}
	no := strings.Join(acceptance.Check(v, acceptance.Typed{}), "\n")
	if !strings.Contains(no, "nothing is missing any more") || !strings.HasSuffix(no, "--lose 1 --lose-commands 1") || strings.Contains(no, "bring them back first") {
		t.Errorf("to accept it is refused with %s", no)
	}
	if no := acceptance.Check(v, acceptance.Typed{Messages: 1, Commands: 1}); len(no) > 0 {
		t.Errorf("typed out, it is refused all the same: %v", no)
	}
	v.Replicas[1].Standing, v.Replicas[1].Found = "suspect", nil // it has only heard of it
	if s := acceptance.StatusOf(v, nil, false); !slices.Equal(s.Restart, []string{"a"}) {
		t.Errorf("one that has only heard of it: %v", s.Restart)
	}
}

func TestNoRestartIsAdvisedWhereItWouldForgetSomething(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(v *acceptance.View){
		"a process does not say that all is there": func(v *acceptance.View) { v.Replicas[1].Recovered = time.Time{} },
		"a known outcome is in hand":               func(v *acceptance.View) { v.Replicas[1].InHand = []integrity.InHand{{Provider: "p"}} },
		"more are in hand":                         func(v *acceptance.View) { v.Replicas[1].MoreInHand = 1 },
		"a process knows more than the stores": func(v *acceptance.View) {
			v.Replicas[1].Known = 15
			v.Reading.Journal.Last, v.Reading.Journal.Messages, v.End = 20, 20, 20
		},
		"a process knows more than the journal": func(v *acceptance.View) { v.Replicas[1].Known, v.Record.Mark.Journal.Sequence = 15, 15 },
		"a process is in a later epoch":         func(v *acceptance.View) { v.Replicas[1].Epoch.Number = 1 },
		"a process is not sure yet":             func(v *acceptance.View) { v.Replicas[1].Standing = "suspect" },
		"something is missing": func(v *acceptance.View) {
			v.Findings = append(v.Findings, integrity.Finding{Kind: integrity.StreamShorter, Object: "D"})
		},
		"the bucket is gone":         func(v *acceptance.View) { v.BucketMissing = true },
		"the witness is away":        func(v *acceptance.View) { v.WitnessError = errAway },
		"the journal is gone":        func(v *acceptance.View) { v.Reading.Journal.Missing = true },
		"a server holds more":        func(v *acceptance.View) { v.Copies = []acceptance.Copy{{Server: "n3", Last: 15, Messages: 15}} },
		"a named server was silent":  func(v *acceptance.View) { v.Unasked = []acceptance.Unasked{{Address: "n3", Typed: true}} },
		"none of them runs any more": func(v *acceptance.View) { v.Now = v.Now.Add(time.Minute) },
	} {
		v := recovered()
		spoil(&v)
		if ids := acceptance.Restart(v); len(ids) > 0 {
			t.Errorf("%s: a restart of %v is advised", name, ids)
		}
		if s := acceptance.StatusOf(v, nil, false); strings.Contains(s.Verdict(), "start them again") {
			t.Errorf("%s: %s", name, s.Verdict())
		}
	}
}
