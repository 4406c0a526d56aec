package compare_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/proof/chaos/compare"
)

const (
	unsafeName  = "openpay-eu/p1/refund/k1"
	refusedName = "opay-eg/p2/refund/k2"
	cancelName  = "bento-uk/p3/cancel/k3"
	wrongName   = "opay-eg/p4/refund/k4"
)

func claim(provider, payment, op string, amount int64) compare.Claim {
	return compare.Claim{Provider: provider, Payment: payment, Operation: op, Amount: amount}
}

func event(operation, word string) compare.Event {
	return compare.Event{Subject: "payment." + word + "." + operation, Operation: operation, Type: word, Status: word}
}

// kept is a run in which every promise was kept.
func kept() compare.Ledgers {
	first, second, third := claim("openpay-eu", "p1", "refund", 100), claim("opay-eg", "p2", "refund", 200), claim("bento-uk", "p3", "cancel", 0)
	started := event(unsafeName, "started")
	started.Attempt = 1
	succeeded := event(refusedName, "succeeded")
	succeeded.Effect, succeeded.Moved = "refunded", 200
	voided := event(cancelName, "succeeded")
	voided.Effect = "voided"
	review := event(unsafeName, "indeterminate")
	review.Status = "reviewRequired"
	return compare.Ledgers{
		Commands: []compare.Command{
			{Name: unsafeName, Payment: "openpay-eu/p1", Repeat: "unsafe", Claims: []compare.Claim{first}},
			{Name: refusedName, Payment: "opay-eg/p2", Repeat: "refused", Claims: []compare.Claim{second}},
			{Name: cancelName, Payment: "bento-uk/p3", Repeat: "refused", Claims: []compare.Claim{third, claim("bento-uk", "p3", "refund", 900)}},
			{Name: wrongName, Payment: "opay-eg/p4", Repeat: "refused", Claims: []compare.Claim{claim("opay-eg", "p4", "refund", 5000)}, Refused: true},
		},
		Malformed: []compare.Malformed{{Token: "7-abc", What: "not-json"}},
		Captured:  map[string]int64{"openpay-eu/p1": 1000, "opay-eg/p2": 1000, "bento-uk/p3": 900},
		Events:    []compare.Event{started, succeeded, review, voided, event(wrongName, "rejected")},
		Answers:   map[string]bool{"7-abc": true}, Quarantine: map[string]bool{"7-abc": true},
		Movements: []compare.Movement{{Claim: first, Currency: "EUR"}, {Claim: second, Currency: "EGP"}, {Claim: third}},
		Calls:     []compare.Call{{Claim: first}, {Claim: second}, {Claim: second}, {Claim: third}},
	}
}

func TestARunThatKeptEveryPromiseIsCountedAndNotBlamed(t *testing.T) {
	t.Parallel()
	want := &compare.Verdict{
		Ends: map[string]int{"succeeded": 2, "rejected": 1, "reviewRequired": 1}, Terminal: 3, Review: 1, Movements: 3, Calls: 4,
		Repeated: map[string]int{"refused": 1}, AfterRefusal: map[string]int{},
	}
	if diff := cmp.Diff(want, compare.Compare(kept())); diff != "" {
		t.Errorf("verdict differs (-want +got):\n%s", diff)
	}
}

// plants breaks each promise once.
func plants() map[string]struct {
	kind, what string
	harm       func(*compare.Ledgers)
} {
	type plant = struct {
		kind, what string
		harm       func(*compare.Ledgers)
	}
	return map[string]plant{
		"a second movement of a refund": {compare.MovedTwice, refusedName, func(l *compare.Ledgers) {
			l.Movements = append(l.Movements, l.Movements[1])
		}},
		"a void and a refund of one cancel": {compare.MovedTwice, cancelName, func(l *compare.Ledgers) {
			l.Movements = append(l.Movements, compare.Movement{Claim: claim("bento-uk", "p3", "refund", 900)})
		}},
		"an operation without any event": {compare.Missing, refusedName, func(l *compare.Ledgers) {
			l.Events[1] = l.Events[0]
			l.Events = l.Events[1:]
		}},
		"an operation that never ended": {compare.Missing, unsafeName, func(l *compare.Ledgers) { l.Events[2].Status = "indeterminate" }},
		"an operation behind a review that is none": {compare.Missing, wrongName, func(l *compare.Ledgers) {
			l.Events[4] = event(wrongName, "deferred")
			l.Events[4].Code = "waiting_for_review"
		}},
		"two results of one operation": {compare.Doubled, wrongName, func(l *compare.Ledgers) {
			l.Events = append(l.Events, event(wrongName, "rejected"))
		}},
		"success that never happened":    {compare.Untrue, refusedName, func(l *compare.Ledgers) { l.Movements = []compare.Movement{l.Movements[0], l.Movements[2]} }},
		"success of another amount":      {compare.Untrue, refusedName, func(l *compare.Ledgers) { l.Events[1].Moved = 199 }},
		"a void that was a refund":       {compare.Untrue, cancelName, func(l *compare.Ledgers) { l.Movements[2].Claim = claim("bento-uk", "p3", "refund", 900) }},
		"no effect, and money moved":     {compare.Untrue, refusedName, func(l *compare.Ledgers) { l.Events[1].Effect = "none" }},
		"failed, and the provider did":   {compare.Untrue, refusedName, func(l *compare.Ledgers) { l.Events[1] = event(refusedName, "failed") }},
		"rejected, and the provider did": {compare.Untrue, refusedName, func(l *compare.Ledgers) { l.Events[1] = event(refusedName, "rejected") }},
		"taken although to be refused":   {compare.WronglyTaken, wrongName, func(l *compare.Ledgers) { l.Events[4] = event(wrongName, "failed") }},
		"more refunded than captured":    {compare.OverCaptured, "opay-eg/p2", func(l *compare.Ledgers) { l.Captured["opay-eg/p2"] = 199 }},
		"a movement nobody asked for": {compare.Unclaimed, "opay-eg/p9", func(l *compare.Ledgers) {
			l.Movements = append(l.Movements, compare.Movement{Claim: claim("opay-eg", "p9", "refund", 1)})
		}},
		"an event nobody asked for": {compare.Unasked, "opay-eg/p9/refund/k", func(l *compare.Ledgers) {
			l.Events = append(l.Events, event("opay-eg/p9/refund/k", "succeeded"))
		}},
		"a malformed message without answer": {compare.Unanswered, "7-abc", func(l *compare.Ledgers) { l.Answers = nil }},
		"a malformed message that is gone":   {compare.Unkept, "7-abc", func(l *compare.Ledgers) { l.Quarantine = nil }},
		"a command called malformed":         {compare.WronglyRefused, "8-def", func(l *compare.Ledgers) { l.Answers["8-def"] = true }},
		"an open operation without timer":    {compare.NoTimer, unsafeName, func(l *compare.Ledgers) { l.Untimed = []string{unsafeName} }},
		"an event that is gone":              {compare.Vanished, "payment.refund.x", func(l *compare.Ledgers) { l.Vanished = []string{"payment.refund.x"} }},
		"a second call after a lost answer": {compare.BlindCall, unsafeName, func(l *compare.Ledgers) {
			l.Calls = append(l.Calls, l.Calls[0])
		}},
		"a ruling without a record": {compare.Unaudited, refusedName, func(l *compare.Ledgers) { l.Events[1].Ruled = true }},
		"a ruling recorded after it was carried out": {compare.Unaudited, refusedName, func(l *compare.Ledgers) {
			l.Events[1].Ruled, l.Events[1].Version, l.Events[1].Sequence = true, 2, 7
			l.Audits = []compare.Audit{{Operation: refusedName, Version: 1, Ruling: "succeeded", Sequence: 8}}
		}},
		"a ruling other than the recorded one": {compare.Unaudited, refusedName, func(l *compare.Ledgers) {
			l.Events[1].Ruled, l.Events[1].Version, l.Events[1].Sequence = true, 2, 7
			l.Audits = []compare.Audit{{Operation: refusedName, Version: 1, Ruling: "failed", Sequence: 6}}
		}},
		"a ruling that is untrue": {compare.Untrue, refusedName, func(l *compare.Ledgers) {
			l.Events[1] = compare.Event{Subject: "x", Operation: refusedName, Type: "failed", Ruled: true, Version: 2, Sequence: 7}
			l.Audits = []compare.Audit{{Operation: refusedName, Version: 1, Ruling: "failed", Sequence: 6}}
		}},
		"a second call after one that was confirmed": {compare.BlindCall, unsafeName, func(l *compare.Ledgers) {
			confirm(l)
			l.Calls = append(l.Calls, l.Calls[0])
		}},
		"a second attempt after a lost answer": {compare.BlindCall, unsafeName, func(l *compare.Ledgers) {
			again := l.Events[0]
			again.Attempt = 2
			l.Events = append(l.Events[:1:1], append([]compare.Event{again}, l.Events[1:]...)...)
		}},
	}
}

// confirm has an operator call the unsafe operation again.
func confirm(l *compare.Ledgers) {
	again := l.Events[0]
	again.Attempt, again.Ruled, again.Version, again.Sequence = 2, true, 2, 7
	l.Events = append(l.Events[:1:1], append([]compare.Event{again}, l.Events[1:]...)...)
	l.Audits = []compare.Audit{{Operation: unsafeName, Version: 1, Ruling: "retry", Sequence: 6}}
	l.Calls = append(l.Calls, l.Calls[0])
}

func TestACallThatAnOperatorConfirmedIsNoGuess(t *testing.T) {
	t.Parallel()
	l := kept()
	confirm(&l)
	if v := compare.Compare(l); len(v.Violations) != 0 || v.Repeated["unsafe"] != 1 || v.Ruled != 0 {
		t.Errorf("found %+v, repeated %v, %d ruled", v.Violations, v.Repeated, v.Ruled)
	}
	// The confirmed call was surely refused, and is made again on the same word.
	refused := l
	sure := l.Calls[0]
	sure.Refusal = true
	refused.Calls = append([]compare.Call{l.Calls[0], sure}, l.Calls[1:]...)
	if v := compare.Compare(refused); len(v.Violations) != 0 || v.Repeated["unsafe"] != 2 {
		t.Errorf("after a sure refusal: found %+v, repeated %v", v.Violations, v.Repeated)
	}
	l.Movements = append(l.Movements, l.Movements[0])
	if v := compare.Compare(l); v.Count(compare.MovedTwice) != 1 {
		t.Errorf("moved twice by an operator's word, and found %+v", v.Violations)
	}
}

func TestEachBrokenPromiseIsFoundOnceAndNamed(t *testing.T) {
	t.Parallel()
	for name, p := range plants() {
		l := kept()
		p.harm(&l)
		got := compare.Compare(l).Violations
		if len(got) != 1 || got[0].Kind != p.kind || got[0].What != p.what || got[0].Says == "" {
			t.Errorf("%s: found %+v, want %s of %s", name, got, p.kind, p.what)
		}
	}
}

func TestAnOperationMayWaitBehindOneThatAPersonMustDecide(t *testing.T) {
	t.Parallel()
	l := kept()
	l.Commands[3].Payment = l.Commands[0].Payment
	l.Events[4] = event(wrongName, "deferred")
	l.Events[4].Code = "waiting_for_review"
	if v := compare.Compare(l); len(v.Violations) != 0 || v.Behind != 1 {
		t.Errorf("found %+v, %d behind a review", v.Violations, v.Behind)
	}
}

func TestOperationsOfOneAmountAreJudgedTogether(t *testing.T) {
	t.Parallel()
	first, second := "tranzzo-ua/p7/refund/a", "tranzzo-ua/p7/refund/b"
	shared := claim("tranzzo-ua", "p7", "refund", 400)
	rows := []struct {
		words     [2]string // of their last events
		movements int
		kind      string
	}{
		{[2]string{"succeeded", "succeeded"}, 2, ""},
		{[2]string{"succeeded", "failed"}, 1, ""},
		{[2]string{"succeeded", "reviewRequired"}, 1, ""},
		{[2]string{"succeeded", "reviewRequired"}, 2, ""},
		{[2]string{"succeeded", "succeeded"}, 1, compare.Untrue},
		{[2]string{"succeeded", "failed"}, 2, compare.Untrue},
		{[2]string{"succeeded", "succeeded"}, 3, compare.MovedTwice},
	}
	for _, row := range rows {
		l := compare.Ledgers{}
		for i, name := range []string{first, second} {
			l.Commands = append(l.Commands, compare.Command{Name: name, Payment: "tranzzo-ua/p7", Repeat: "unsafe", Claims: []compare.Claim{shared}})
			e := event(name, row.words[i])
			switch row.words[i] {
			case "reviewRequired":
				e.Type = "indeterminate"
			case "succeeded":
				e.Effect, e.Moved = "refunded", 400
			}
			l.Events = append(l.Events, e)
		}
		for range row.movements {
			l.Movements = append(l.Movements, compare.Movement{Claim: shared})
		}
		got := compare.Compare(l).Violations
		if row.kind == "" && len(got) != 0 || row.kind != "" && (len(got) != 1 || got[0].Kind != row.kind) {
			t.Errorf("%v with %d movements: found %+v, want %q", row.words, row.movements, got, row.kind)
		}
	}
}

func TestACallAfterACertainRefusalIsNoGuess(t *testing.T) {
	t.Parallel()
	l := kept()
	refused, deferred, again := l.Calls[0], event(unsafeName, "deferred"), l.Events[0]
	refused.Refusal, again.Attempt = true, 2
	l.Calls = append([]compare.Call{refused}, l.Calls...)
	l.Events = append([]compare.Event{l.Events[0], deferred, again}, l.Events[1:]...)
	v := compare.Compare(l)
	if len(v.Violations) != 0 || v.Repeated["unsafe"] != 1 || v.AfterRefusal["unsafe"] != 1 {
		t.Errorf("found %+v, repeated %v, after refusal %v", v.Violations, v.Repeated, v.AfterRefusal)
	}
	if v.Count(compare.BlindCall) != 0 {
		t.Error("counted a guess")
	}
}
