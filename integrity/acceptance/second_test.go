package acceptance_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/acceptance"
)

// doubted has the loss accepted by two persons, and work begun by one.
func doubted(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	desk := b.desk(true)
	for _, who := range []string{"ann", "bob"} {
		if _, err := desk.Accept(t.Context(), asked(who), acceptance.Typed{Messages: 4}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := desk.Go(t.Context(), asked("ann")); err != nil || !done.Applied {
		t.Fatalf("%+v, %v", done, err)
	}
	return b
}

// What is repeated after trust is carried out as new, so one person's word is not enough.
func TestWhereTwoAreNeededAnotherOperatorHasToTrustTheJournalToo(t *testing.T) {
	t.Parallel()
	b := doubted(t)
	desk := b.desk(true)
	trust := func(d *acceptance.Desk, who string, apply bool) (acceptance.Done, error) {
		a := asked(who)
		a.Apply = apply
		return d.Trust(t.Context(), a, acceptance.Left{Presumed: 2}, 2, true)
	}
	waits := func(what string, done acceptance.Done, err error, recorded bool) {
		t.Helper()
		if err != nil || done.Applied || !done.AwaitsSecond || done.Epoch.Phase != integrity.Trusted || (done.Audit != "") != recorded {
			t.Fatalf("%s: %+v, %v", what, done, err)
		}
	}
	done, err := trust(desk, "ann", false)
	waits("a dry run", done, err, false)
	done, err = trust(desk, "ann", true)
	waits("the first", done, err, true)
	if v := b.look(); v.Record.Epoch.Phase != integrity.Doubting || len(v.Findings) > 0 || v.Actions[3].Action != acceptance.ActionPropose || v.Actions[3].Operator != "ann" {
		t.Fatalf("%+v, %v, %+v", v.Record.Epoch, v.Findings, v.Actions)
	}
	_, err = trust(desk, "ann", true)
	refused(t, err, "another operator")
	late := acceptance.NewDesk(b.sources, events.NewEncoder(nil), &acceptance.Options{
		Another: anotherName, Now: func() time.Time { return time.Now().Add(25 * time.Hour) },
	})
	done, err = trust(late, "bob", false)
	waits("a day later", done, err, false)
	done, err = trust(desk, "bob", true)
	if err != nil || !done.Applied || done.First != "ann" || done.By != "ann and bob" {
		t.Fatalf("%+v, %v", done, err)
	}
	if v := b.look(); v.Record.Epoch.Phase != integrity.Trusted || v.Actions[4].Action != acceptance.ActionTrusted || v.Actions[4].Operator != "ann and bob" {
		t.Errorf("%+v, %+v", v.Record.Epoch, v.Actions)
	}
}

func TestWhoeverTrustsWithOtherFiguresIsNotTheSecondAndIsTold(t *testing.T) {
	t.Parallel()
	ann := acceptance.Left{Presumed: 1, Unchanged: 1, Walked: true}
	for name, bob := range map[string]struct {
		left    acceptance.Left
		open    uint64
		without bool
	}{
		"another number":                {acceptance.Left{Presumed: 1, Walked: true}, 1, false},
		"as many, and other operations": {acceptance.Left{Presumed: 2, Walked: true}, 2, false},
		"without the commands":          {ann, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := doubted(t)
			desk := b.desk(true)
			first, err := desk.Trust(t.Context(), asked("ann"), ann, 2, false)
			if err != nil || !first.AwaitsSecond || len(first.Differs) > 0 {
				t.Fatalf("%+v, %v", first, err)
			}
			done, err := desk.Trust(t.Context(), asked("bob"), bob.left, bob.open, bob.without)
			if err != nil || done.Applied || !done.AwaitsSecond || !strings.Contains(fmt.Sprint(done.Differs), "ann has proposed it with other figures at 20") {
				t.Errorf("%+v, %v", done, err)
			}
			// Each waits for another person who says what it says.
			if done, err := desk.Trust(t.Context(), asked("cy"), ann, 2, false); err != nil || !done.Applied || done.First != "ann" || len(done.Differs) > 0 {
				t.Errorf("%+v, %v", done, err)
			}
		})
	}
}

func TestWhoeverGivesUpOtherNumbersIsNotTheSecondAndIsTold(t *testing.T) {
	t.Parallel()
	b := commandsLost(t)
	desk := b.desk(true)
	if done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4, Commands: 4}); err != nil || !done.AwaitsSecond {
		t.Fatalf("%+v, %v", done, err)
	}
	raised := b.look().Witness
	raised.Mark.Streams[topology().Commands] = 5003
	if _, err := b.sources.Witness.Raise(t.Context(), raised); err != nil {
		t.Fatal(err)
	}
	_, err := desk.Accept(t.Context(), asked("bob"), acceptance.Typed{Messages: 4, Commands: 4})
	refused(t, err, "--lose-commands 5000")
	done, err := desk.Accept(t.Context(), asked("bob"), acceptance.Typed{Messages: 4, Commands: 5000})
	if err != nil || done.Applied || !done.AwaitsSecond || done.By != "bob" ||
		!strings.Contains(fmt.Sprint(done.Differs), "ann has proposed it with other figures") || !strings.Contains(fmt.Sprint(done.Differs), "4 commands count as lost there, here 5000") {
		t.Fatalf("%+v, %v", done, err)
	}
	b.publish(1) // fewer are known to be lost now; the number that bob has typed is not lower
	if done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4, Commands: 5000}); err != nil || !done.Applied || done.First != "bob" || done.Epoch.CommandsLost != 5000 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestNoMoreCommandsAreGivenUpThanTheirStreamHasEverHeld(t *testing.T) {
	t.Parallel()
	b := commandsLost(t)
	desk := b.desk(false)
	for _, n := range []uint64{8, math.MaxUint64} {
		_, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4, Commands: n})
		refused(t, err, fmt.Sprintf("--lose-commands %d is more than can be lost: PAYMENT_COMMANDS is known to reach 7", n))
	}
	if done, err := desk.Accept(t.Context(), asked("ann"), acceptance.Typed{Messages: 4, Commands: 7}); err != nil || done.Epoch.CommandsLost != 7 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestTheNumberOfLostCommandsNeverWrapsAround(t *testing.T) {
	t.Parallel()
	b := commandsLost(t)
	raised := b.look().Witness
	raised.Epoch = integrity.Epoch{Number: 1, Phase: integrity.Doubting, AcceptedAt: time.Now(), CommandsLost: math.MaxUint64}
	if _, err := b.sources.Witness.Raise(t.Context(), raised); err != nil {
		t.Fatal(err)
	}
	v := b.look()
	lose := acceptance.Typed{Messages: acceptance.LossOf(v).Messages, Commands: 4}
	if done, err := b.desk(false).Accept(t.Context(), asked("ann"), lose); err != nil || done.Epoch.CommandsLost != math.MaxUint64 {
		t.Errorf("%+v, %v", done, err)
	}
}
