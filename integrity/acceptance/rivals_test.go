package acceptance_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity/acceptance"
)

// meeting is a clock that is looked at just before something is recorded. The first who
// look wait for each other, so that all of them decide on one view.
type meeting struct {
	left atomic.Int64
	open chan struct{}
}

func (m *meeting) now() time.Time {
	if m.left.Add(-1) == 0 {
		close(m.open)
	}
	<-m.open
	return time.Now()
}

// atOnce has persons accept the same loss at the same moment, as they have seen it.
func (b *bundle) atOnce(second bool, names ...string) (map[string]acceptance.Done, map[string]error) {
	b.t.Helper()
	seen := acceptance.LossOf(b.look()).Fingerprint
	m := &meeting{open: make(chan struct{})}
	m.left.Store(int64(len(names)))
	o := &acceptance.Options{Now: m.now}
	if second {
		o.Another = anotherName
	}
	desk := acceptance.NewDesk(b.sources, events.NewEncoder(nil), o)
	done, errs := map[string]acceptance.Done{}, map[string]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			a := asked(name)
			a.Seen, a.RequestID = seen, ulid.Make().String()
			d, err := desk.Accept(b.t.Context(), a, acceptance.Typed{Messages: 4})
			mu.Lock()
			defer mu.Unlock()
			done[name], errs[name] = d, err
		})
	}
	all.Wait()
	return done, errs
}

func TestOfThoseWhoAcceptAtOnceOneIsRecordedAndTheOthersAreToldWho(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done, errs := b.atOnce(false, "ann", "bob", "cy")
	v := b.look()
	if len(v.Actions) != 1 || v.Record.Epoch.Number != 1 {
		t.Fatalf("%d actions, epoch %+v", len(v.Actions), v.Record.Epoch)
	}
	winner := v.Actions[0]
	for name, d := range done {
		if errs[name] != nil || d.Audit != winner.ULID || d.By != winner.Operator || d.Already != (name != winner.Operator) || d.Epoch.Number != 1 {
			t.Errorf("%s is told %+v, %v; it was %s", name, d, errs[name], winner.Operator)
		}
	}
}

func TestOfThreeWhoProposeAtOnceTwoAcceptAndTheThirdIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done, errs := b.atOnce(true, "ann", "bob", "cy")
	v := b.look()
	if len(v.Actions) != 2 || v.Actions[0].Action != acceptance.ActionPropose || v.Actions[1].Action != acceptance.ActionAccepted {
		t.Fatalf("recorded are %+v", v.Actions)
	}
	first, both := v.Actions[0].Operator, v.Actions[1].Operator
	for name, d := range done {
		switch {
		case errs[name] != nil:
			t.Errorf("%s: %v", name, errs[name])
		case name == first && (!d.AwaitsSecond || d.Audit != v.Actions[0].ULID):
			t.Errorf("%s was first and is told %+v", name, d)
		case name != first && strings.HasSuffix(both, " and "+name) && (d.Already || !d.Applied || d.First != first || d.Audit != v.Actions[1].ULID):
			t.Errorf("%s was second and is told %+v", name, d)
		case name != first && !strings.HasSuffix(both, " and "+name) && (!d.Already || d.By != both):
			t.Errorf("%s was third and is told %+v", name, d)
		}
	}
}

func TestWhatWasSeenIsWhatIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	desk := b.desk(false)
	a := asked("ann")
	a.Seen = "another"
	_, err := desk.Accept(t.Context(), a, acceptance.Typed{Messages: 4})
	refused(t, err, "what was seen has changed: now epoch 0 is trusted, and the journal is known to reach 20 and ends at 16")
	a.Seen = acceptance.LossOf(b.look()).Fingerprint
	if done, err := desk.Accept(t.Context(), a, acceptance.Typed{Messages: 4}); err != nil || !done.Applied || done.By != "ann" {
		t.Fatalf("%+v, %v", done, err)
	}
	a.Operator, a.Reason = "bob", "my own reason"
	if done, err := desk.Accept(t.Context(), a, acceptance.Typed{Messages: 4}); err != nil || !done.Already || done.By != "ann" {
		t.Errorf("%+v, %v", done, err)
	}
	if done, err := desk.Go(t.Context(), asked("ann")); err != nil || done.By != "ann" {
		t.Fatalf("%+v, %v", done, err)
	}
	_, err = desk.Go(t.Context(), asked("bob"))
	refused(t, err, "epoch 1 is doubting, not held (journal_released by ann at ")
}

func TestARequestIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	desk := b.desk(true)
	a := asked("ann")
	a.RequestID = ulid.Make().String()
	done, err := desk.Accept(t.Context(), a, acceptance.Typed{Messages: 4})
	if err != nil || done.Audit != a.RequestID || !done.AwaitsSecond {
		t.Fatalf("%+v, %v", done, err)
	}
	a.Operator = "bob"
	_, err = desk.Accept(t.Context(), a, acceptance.Typed{Messages: 4})
	refused(t, err, "this request was made before: journal_propose by ann was recorded at ")
	if v := b.look(); len(v.Actions) != 1 {
		t.Errorf("recorded are %+v", v.Actions)
	}
}
