package payment_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

// archivedEvent is the last event of a story that the archive holds.
func archivedEvent(t *testing.T, stories ...func(*story)) payment.Event {
	t.Helper()
	s := tell(t, opay())
	for _, one := range stories {
		one(s)
	}
	return s.events[len(s.events)-1]
}

func TestAnArchivedEndIsFoldedOnToWhatTheJournalHas(t *testing.T) {
	t.Parallel()
	nothing := func(*story) {}
	other := func(s *story) {
		s.command(refund("other", 100)).answered(1, payment.Outcome{Result: payment.Succeeded})
	}
	presumed := func(s *story) { s.with(lossy(false)).command(a()) }
	stale := func(s *story) { started(s); s.with(lossy(false)).timer() }
	otherContent := func(s *story) { s.command(refund("a", 401)) }
	returned := func(s *story) {
		succeeded(s)
		s.pass(time.Hour).told(payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined, ProviderReference: "p-1"})
	}
	late := func(s *story) {
		failed(s)
		s.pass(time.Hour).told(payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-9"})
	}
	succeededElse := func(s *story) {
		s.command(a()).answered(1, payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-2"})
	}
	full := func(s *story) { s.in.Limits.Operations = 1; other(s) }
	for _, c := range []struct {
		name    string
		journal func(*story)
		archive func(*story)
		since   bool
		folding payment.Folding
		status  payment.Status
		event   payment.EventType
	}{
		{"an operation that nobody knows", nothing, succeeded, false, payment.FoldAppended, payment.StatusSucceeded, payment.EventSucceeded},
		{"beside another one", other, failed, false, payment.FoldAppended, payment.StatusFailed, payment.EventFailed},
		{"a refusal that nobody knows", other, rejected, false, payment.FoldAppended, payment.StatusRejected, payment.EventRejected},
		{"no room", full, succeeded, false, payment.FoldLeft, "", ""},
		{"presumed", presumed, succeeded, false, payment.FoldAppended, payment.StatusSucceeded, payment.EventSucceeded},
		{"presumed, and called since", presumed, succeeded, true, payment.FoldAppended, payment.StatusSucceeded, payment.EventSucceeded},
		{"presumed, and it had failed", presumed, failed, false, payment.FoldAppended, payment.StatusFailed, payment.EventFailed},
		{"presumed, and it had been rejected", presumed, rejected, false, payment.FoldAppended, payment.StatusRejected, payment.EventRejected},
		{"a no from before a call", presumed, failed, true, payment.FoldLeft, payment.StatusIndeterminate, ""},
		{"a refusal from before a call", presumed, rejected, true, payment.FoldLeft, payment.StatusIndeterminate, ""},
		{"started before the loss", stale, failed, false, payment.FoldAppended, payment.StatusFailed, payment.EventFailed},
		{"waiting", retrying, succeeded, false, payment.FoldAppended, payment.StatusSucceeded, payment.EventSucceeded},
		{"in review", reviewed, succeeded, false, payment.FoldAppended, payment.StatusSucceeded, payment.EventSucceeded},
		{"other content", otherContent, succeeded, false, payment.FoldDisagrees, "", ""},
		{"the same end", succeeded, succeeded, true, payment.FoldKnown, payment.StatusSucceeded, ""},
		{"another reference", succeededElse, succeeded, false, payment.FoldDisagrees, payment.StatusSucceeded, ""},
		{"another end", failed, succeeded, false, payment.FoldDisagrees, payment.StatusFailed, ""},
		{"another no", rejected, failed, false, payment.FoldDisagrees, payment.StatusRejected, ""},
		{"no end at all", presumed, doubtful, false, payment.FoldLeft, payment.StatusIndeterminate, ""},
		{"a fact about an end", succeeded, returned, false, payment.FoldAppended, payment.StatusSucceeded, payment.EventReturned},
		{"a fact that was told", returned, returned, false, payment.FoldKnown, payment.StatusSucceeded, ""},
		{"a late success of a failure", failed, late, false, payment.FoldAppended, payment.StatusFailed, payment.EventExecutedLate},
		{"a return of what failed", failed, returned, false, payment.FoldDisagrees, payment.StatusFailed, ""},
		{"a fact about an open one", presumed, returned, false, payment.FoldLeft, payment.StatusIndeterminate, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			c.journal(s)
			// The caller knows neither the command nor the instance.
			in := payment.Input{State: s.in.State, ID: s.in.ID, Limits: s.in.Limits, Now: s.in.Now.Add(time.Hour)}
			before := copied(in.State)
			e, folding := payment.FoldArchived(in, payment.ArchivedEnd{Event: archivedEvent(t, c.archive), Since: c.since})
			if folding != c.folding || (e != nil) != (folding == payment.FoldAppended) {
				t.Fatalf("folding %d with event %v, want %d", folding, e, c.folding)
			}
			sameState(t, before, in.State)
			if e != nil {
				checkFolded(t, in, *e, c.event)
				s.in.State = e.State
			}
			if i := s.in.State.Find(payment.Refund, "a"); c.status != "" && (i < 0 || s.in.State.Operations[i].Status != c.status) {
				t.Errorf("the operation is %+v, want %s", s.in.State.Operations, c.status)
			}
		})
	}
}

func sameState(t *testing.T, before, after payment.State) {
	t.Helper()
	if before.Version != after.Version || len(before.Operations) != len(after.Operations) {
		t.Error("the state that was handed in has changed")
	}
}

// checkFolded checks what holds of every folded event: it is the payment's next,
// it carries the archive's word, and nothing is called because of it.
func checkFolded(t *testing.T, in payment.Input, e payment.Event, want payment.EventType) {
	t.Helper()
	if e.Type != want || e.Basis != payment.BasisArchive || e.Version() != in.State.Version+1 || !e.OccurredAt.Equal(in.Now) || e.ID != in.ID {
		t.Errorf("event %+v", e)
	}
	if e.Key != "a" || e.CommandID == "" || e.RequestedAt.IsZero() || e.Amount == nil || e.Payment.OrderID == "" {
		t.Errorf("the event does not name its command: %+v", e)
	}
	op := e.State.Operations[e.State.Find(payment.Refund, "a")]
	if op.Last != e.Version() || op.First == 0 || op.Open != nil || op.Fingerprint != a().Fingerprint() {
		t.Errorf("operation %+v", op)
	}
	if e.Type == payment.EventSucceeded && (op.Moved == nil || op.Moved.Value != 400 || op.Effect != payment.EffectRefunded || op.ProviderReference != "p-1") {
		t.Errorf("what moved is lost: %+v", op)
	}
	again := tell(t, opay())
	again.in.State, again.in.Now = e.State, in.Now.Add(time.Hour)
	for _, loss := range []func(*payment.Input){func(*payment.Input) {}, lossy(false), lossy(true)} {
		again.with(loss).command(a())
		if again.last.Action != payment.Finish || again.last.Event != nil {
			t.Errorf("a repeat of the command is not answered by the end: %+v", again.last)
		}
	}
}
