//go:build unix

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

func TestAnOperatorSaysOnlyWhatIsTrueWhateverStillArrives(t *testing.T) {
	t.Parallel()
	safe, risky := desk.Choice{As: desk.AsRetry, Allowed: true}, desk.Choice{As: desk.AsRetry, Allowed: true, Confirm: &payment.Money{Value: 1}}
	moved := []simulator.Movement{{Amount: 400}}
	rows := []struct {
		name    string
		retry   desk.Choice
		moved   []simulator.Movement
		certain bool
		die     int
		want    desk.As
	}{
		{"a retry that cannot pay twice is tried also where it happened", safe, moved, false, 2, desk.AsRetry},
		{"what the ledger has has happened", safe, moved, false, 3, desk.AsSucceeded},
		{"what happened is never called again at risk", risky, moved, true, 0, desk.AsSucceeded},
		{"nothing is said while a call may arrive", risky, nil, false, 9, ""},
		{"nor is it called again at risk then", risky, nil, false, 0, ""},
		{"what surely did not happen is called again", risky, nil, true, 5, desk.AsRetry},
		{"or is failed", risky, nil, true, 6, desk.AsFailed},
		{"what may not be called again is failed", desk.Choice{As: desk.AsRetry}, nil, true, 0, desk.AsFailed},
	}
	for _, row := range rows {
		op := &desk.Operation{Choices: []desk.Choice{row.retry}}
		if got, ok := decide(op, row.moved, row.certain, row.die); got != row.want || ok != (row.want != "") {
			t.Errorf("%s: %q, %t", row.name, got, ok)
		}
	}
}

func TestBooksAreCertainOnceNoAttemptCanArriveAnyMore(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	op := &desk.Operation{Attempts: []desk.Attempt{{CallUntil: until.Add(-time.Hour)}, {CallUntil: until}}}
	for quiet, margin := range map[bool]time.Duration{true: arrivesInCalm, false: arrivesInTrouble} {
		for late, want := range map[time.Duration]bool{-1: false, 0: true} {
			if got := (&books{at: until.Add(margin + late), quiet: quiet}).certain(op); got != want {
				t.Errorf("quiet %t, %s: %t", quiet, margin+late, got)
			}
		}
	}
}

func TestARulingSaysWhatMovedAndItsOppositeTheContrary(t *testing.T) {
	t.Parallel()
	story := &desk.Story{Provider: "tranzzo-ua", Payment: "c-1", Version: 4, Seen: time.Now()}
	c := compare.Command{Claims: []compare.Claim{{Amount: 400}}}
	moved := []simulator.Movement{{Amount: 400, Currency: "UAH", ProviderReference: "123456789012345678"}}
	refund := &desk.Operation{Operation: payment.Refund, Key: "k"}
	yes := ruling(story, refund, desk.AsSucceeded, moved)
	if yes.Moved == nil || *yes.Moved != (payment.Money{Value: 400, Currency: "UAH"}) || yes.ProviderReference != "123456/789012/345678" || yes.Version != 4 {
		t.Errorf("ruled %+v", yes)
	}
	if no := opposite(yes, c); no.As != desk.AsFailed || no.Moved != nil || no.ProviderReference != "" {
		t.Errorf("the opposite is %+v", no)
	}
	made := opposite(ruling(story, refund, desk.AsFailed, nil), c)
	if made.As != desk.AsSucceeded || made.Moved == nil || *made.Moved != (payment.Money{Value: 400, Currency: "UAH"}) || made.ProviderReference == "" {
		t.Errorf("the opposite is %+v", made)
	}
	closing := ruling(story, &desk.Operation{Operation: payment.Cancel}, desk.AsSucceeded, []simulator.Movement{{}})
	if closing.Moved != nil || closing.Effect != "" {
		t.Errorf("a cancel that moved nothing is ruled %+v", closing)
	}
	if back := ruling(story, &desk.Operation{Operation: payment.Cancel}, desk.AsSucceeded, moved); back.Effect != payment.EffectRefunded || back.Moved == nil {
		t.Errorf("a cancel that became a refund is ruled %+v", back)
	}
}

func TestAMisspeltCommandIsRefusedAndItsCorrectionIsTheCommand(t *testing.T) {
	t.Parallel()
	d := newDrawer(7)
	d.misspell = true
	p, err := d.draw(2000)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := events.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, m := range p.messages {
		if m.corrected == nil {
			continue
		}
		if _, invalid := decoder.DecodeCommand(events.Message{Subject: m.subject, Header: m.header, Data: m.data}); invalid == nil || m.malformed == "" {
			t.Errorf("%s is a command", m.data)
		}
		c, invalid := decoder.DecodeCommand(events.Message{Subject: m.subject, Header: m.header, Data: m.corrected})
		if invalid != nil {
			t.Fatalf("%s: %v", m.corrected, invalid)
		}
		keys[string(c.Key)] = true
	}
	if len(keys) != p.misspelt || p.misspelt < 15 {
		t.Errorf("%d corrections, %d are counted", len(keys), p.misspelt)
	}
	owned := 0
	for _, c := range p.commands {
		if keys[c.Name[strings.LastIndexByte(c.Name, '/')+1:]] {
			owned++
		}
	}
	if owned != p.misspelt {
		t.Errorf("%d of %d corrections are commands of the plan", owned, p.misspelt)
	}
}

// A quick run counts on it.
func TestEveryPlanHasMisspeltCommands(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		d := newDrawer(seed)
		d.apart, d.misspell = true, true
		p, err := d.draw(200)
		if err != nil {
			t.Fatal(err)
		}
		if p.misspelt != 2 {
			t.Fatalf("seed %d: %d of 200 commands are misspelt, want 2", seed, p.misspelt)
		}
	}
}

func TestWithOperatorsOnlyWhatHasEndedIsSettled(t *testing.T) {
	t.Parallel()
	review := compare.Event{Operation: "o", Type: "indeterminate", Status: "reviewRequired"}
	for ruled, want := range map[bool]int{true: 0, false: 1} {
		told := newTold(ruled)
		told.note(review, time.Time{})
		if settled, _ := told.counts(); settled != want {
			t.Errorf("with operators %t an operation in review counts %d times", ruled, settled)
		}
	}
}

func TestOnlyAnAnswerThatLeavesItOpenIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for fault, want := range map[desk.Fault]bool{desk.FaultUnknown: true, desk.FaultStale: false, desk.FaultUnavailable: false} {
		if got := unheard(&desk.Error{Fault: fault}); got != want {
			t.Errorf("%s: %t", fault, got)
		}
	}
	if unheard(nil) || !unheard(errors.New("no answer in time")) {
		t.Error("an answer is no answer, or the other way round")
	}
}

func TestWhatTheDeskMustNotHaveDoneFailsTheRun(t *testing.T) {
	t.Parallel()
	o := &operators{tally: tally{acts: map[string]int{}, refused: map[string]int{}}}
	o.did("ruled failed")
	o.heard(&desk.Error{Fault: desk.FaultStale})
	o.heard(errors.New("nobody answers"))
	o.wrong("a stale ruling was carried out")
	r := newReport("run", 1, 1, &plan{})
	o.report(r)
	if r.ok() || r.Operators["ruled failed"] != 1 || r.Refusals["stale"] != 1 || r.Refusals["no answer"] != 1 {
		t.Errorf("the report is %+v", r)
	}
}
