package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
)

// accepted is when the loss of these stories was accepted: an hour after the
// command was published.
func accepted() time.Time { return morning().Add(time.Hour) }

// lossy puts a story after an accepted loss; newer commands came after it.
func lossy(newer bool) func(*payment.Input) {
	return func(in *payment.Input) {
		in.Now = accepted().Add(5 * time.Second)
		in.Loss = &payment.Loss{AcceptedAt: accepted(), CallsEnd: accepted().Add(30 * time.Second), Newer: newer}
	}
}

func notFound() payment.Outcome { return payment.Outcome{Result: payment.NotFound} }

// presumedStory is an operation that the journal has lost, at a kind.
func presumedStory(t *testing.T, traits payment.Traits) *story {
	return tell(t, traits).with(lossy(false)).command(a())
}

func TestAnOperationThatTheJournalLostIsPresumedAndNeverCalled(t *testing.T) {
	t.Parallel()
	for _, traits := range []payment.Traits{opay(), tranzzo(), openpay()} {
		t.Run(traits.Kind, func(t *testing.T) {
			t.Parallel()
			s := tell(t, traits).with(lossy(false)).about(a())
			want := seen{
				Action: payment.ComeBack, Code: payment.CodeJournalIncomplete, At: "25s", Alert: true,
				Event: payment.EventIndeterminate, EventCode: payment.CodeJournalIncomplete,
				CallUntil: "25s", Next: "25s", Status: payment.StatusIndeterminate, Doubt: []int{0},
			}
			if diff := cmp.Diff(want, look(t, s.in, undisturbed(t, s.in, payment.Decide)), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			s.command(a())
			if got := s.in.State.Format; got != 2 {
				t.Errorf("the state is written in format %d; an older version must not read it", got)
			}
			// Asked as often as there is time for, it ends before a person, without a call.
			for range 400 {
				s.pass(time.Minute).timer()
				if s.last.Action == payment.Query {
					s.told(notFound())
				}
				if s.last.Action == payment.Call {
					t.Fatal("a presumed operation was called")
				}
			}
			op := s.operation(a())
			if op.Open == nil || op.Open.Review == nil || op.Open.Review.Reason != "journal_lost_its_record" {
				t.Errorf("it did not end before a person: %+v", op)
			}
		})
	}
}

func TestAPresumedOperationIsNotCountedAsNotFoundWhileAnOldCallMayRun(t *testing.T) {
	t.Parallel()
	s := presumedStory(t, opay()).pass(time.Second).told(notFound())
	if s.last.Event != nil || !s.last.At.Equal(s.in.Loss.CallsEnd) {
		t.Errorf("asked before the last call could have ended: %+v", s.last)
	}
}

func TestAPresumedOperationIsEndedByOurOwnReferenceAlone(t *testing.T) {
	t.Parallel()
	success := payment.Outcome{Result: payment.Succeeded, Moved: inEGP(400), ProviderReference: "p-1"}
	found := presumedStory(t, tranzzo()).pass(time.Minute).told(success)
	if got := found.operation(a()).Status; got != payment.StatusSucceeded {
		t.Errorf("found by reference: %s", got)
	}
	success.Basis = payment.BasisInferred
	inferred := presumedStory(t, tranzzo()).pass(time.Minute).told(success)
	if op := inferred.operation(a()); op.Status != payment.StatusIndeterminate || op.Open.Review == nil {
		t.Errorf("one movement of this amount settled it: %+v", op)
	}
}

func TestAPresumedRefundReservesItsAmount(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(lossy(false)).command(captured(refund("lost", 600), 1000))
	s.in.Loss = nil
	s.pass(time.Minute).command(captured(refund("next", 500), 1000))
	if got := s.operation(refund("next", 500)); got.Status != payment.StatusRejected {
		t.Errorf("a refund beside a presumed one went beyond the captured amount: %+v", got)
	}
}

func TestAPresumedOperationStandsInTheWay(t *testing.T) {
	t.Parallel()
	s := presumedStory(t, tranzzo())
	s.in.Loss = nil
	s.pass(time.Second).command(refund("next", 100))
	if s.last.Action == payment.Call || s.last.Action == payment.ReadPayment {
		t.Errorf("another operation went out beside one that may be under way: %+v", s.last)
	}
}

func TestAWaitingOperationFromBeforeTheLossIsAskedAboutBeforeItIsCalled(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).command(a()).answered(1, payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable})
	s.with(lossy(false)).timer()
	op := s.operation(a())
	if op.Status != payment.StatusIndeterminate || op.Code != payment.CodeJournalIncomplete || !cmp.Equal(op.Open.Doubt, []int{2, 0}) {
		t.Fatalf("a stale deferred operation: %+v", op)
	}
	if s.pass(time.Minute).timer(); s.last.Action != payment.Query {
		t.Errorf("it was not asked about: %+v", s.last)
	}
	// What waits since the acceptance is no different from what always waits.
	fresh := tell(t, opay()).with(lossy(true)).with(func(in *payment.Input) { in.Instance.Paused = true })
	fresh.in.Asked = &payment.Outcome{Result: payment.NotFound}
	fresh.pass(2 * time.Minute).command(a())
	fresh.with(func(in *payment.Input) { in.Instance.Paused = false }).pass(time.Minute).timer()
	if fresh.last.Action != payment.Call {
		t.Errorf("an operation that waits since the acceptance: %+v", fresh.last)
	}
}

func TestANewOperationIsAskedAboutBeforeItIsCalled(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(lossy(true)).command(a())
	if s.last.Action != payment.Query || s.last.Event != nil {
		t.Fatalf("a new operation after a loss: %+v", s.last)
	}
	s.told(notFound())
	if s.last.Action != payment.Call || s.operation(a()).Attempt != 1 {
		t.Errorf("not found, and nothing in its way: %+v", s.last)
	}
}

func TestWhatIsFoundUnderANewKeyIsNoNewOperation(t *testing.T) {
	t.Parallel()
	ends := map[payment.Result]payment.Status{payment.Succeeded: payment.StatusSucceeded, payment.Pending: payment.StatusPending, payment.Failed: payment.StatusIndeterminate, payment.Ambiguous: payment.StatusIndeterminate}
	for result, want := range ends {
		s := tell(t, opay()).with(lossy(true)).command(a()).told(payment.Outcome{Result: result, ProviderReference: "p-1"})
		op := s.operation(a())
		if op.Status != want || s.last.Action == payment.Call {
			t.Errorf("%s: %+v", result, op)
		}
		if want == payment.StatusIndeterminate && op.Open.Review == nil {
			t.Errorf("%s: no person was asked", result)
		}
	}
	s := tell(t, opay()).with(lossy(true)).command(a()).told(payment.Outcome{})
	if s.last.Action != payment.ComeBack || s.last.Event != nil {
		t.Errorf("no answer: %+v", s.last)
	}
}

func TestARefusalAfterALossIsAPersonsBusiness(t *testing.T) {
	t.Parallel()
	guard := tell(t, opay()).with(lossy(true)).command(captured(refund("a", 2000), 1000)).told(notFound())
	refusal := tell(t, opay()).with(lossy(true)).command(a()).told(notFound()).
		answered(1, payment.Outcome{Result: payment.Failed, Code: payment.CodeAlreadyRefunded})
	for name, s := range map[string]*story{"a guard": guard, "the provider": refusal} {
		op := s.in.State.Operations[0]
		if op.Status != payment.StatusIndeterminate || op.Open.Review == nil {
			t.Errorf("%s refuses: %+v", name, op)
		}
	}
}

func TestAnUnsafeCallAfterALossNeedsEveryMovementExplained(t *testing.T) {
	t.Parallel()
	shows := tranzzo()
	shows.ShowsRefunds = true
	rows := []struct {
		name    string
		traits  payment.Traits
		reading *payment.Reading
		called  bool
	}{
		{"nothing was refunded", shows, paid(1000, 0), true},
		{"a refund that the journal does not know", shows, paid(1000, 400), false},
		{"a kind whose reading shows no refunds", tranzzo(), paid(1000, 0), false},
		{"a reading that says nothing of refunds", shows, &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: inEGP(1000)}, true},
		{"movements without a sum", shows, &payment.Reading{OK: true, Status: payment.PaymentPaid, Movements: []payment.Movement{{Reference: "x"}}}, false},
	}
	for _, row := range rows {
		s := tell(t, row.traits).with(lossy(true))
		s.in.Asked, s.in.Reading = &payment.Outcome{Result: payment.NotFound}, row.reading
		if s.command(a()); s.last.Action == payment.Call {
			t.Errorf("%s: called while a call from before the loss may still run", row.name)
		}
		s.pass(time.Minute).command(a())
		if called := s.last.Action == payment.Call; called != row.called {
			t.Errorf("%s: called is %v: %+v", row.name, called, s.last)
		}
	}
}

func TestTheOutcomeOfACallSurvivesTheLossOfItsOperation(t *testing.T) {
	t.Parallel()
	rows := map[payment.Result]payment.Status{
		payment.Succeeded: payment.StatusSucceeded, payment.Pending: payment.StatusPending,
		payment.Failed: payment.StatusIndeterminate, payment.NotExecuted: payment.StatusIndeterminate, payment.Indeterminate: payment.StatusIndeterminate,
	}
	for result, want := range rows {
		s := tell(t, opay()).about(a()).answered(1, payment.Outcome{Result: result})
		op := s.operation(a())
		if op.Status != want {
			t.Errorf("%s: %+v", result, op)
		}
		for range 100 {
			if s.pass(time.Hour).timer(); s.last.Action == payment.Query {
				s.told(notFound())
			}
			if s.last.Action == payment.Call {
				t.Fatalf("%s: it was taken for new and called", result)
			}
		}
	}
}

// calledStory is an operation whose call was made before the loss.
func calledStory(t *testing.T) *story {
	return tell(t, opay()).command(a()).answered(1, payment.Outcome{})
}

func TestAnAnswerAboutAKnownAttemptSaysNothingOfOnesThatWereLost(t *testing.T) {
	t.Parallel()
	for _, result := range []payment.Result{payment.NotExecuted, payment.Failed} {
		s := tell(t, opay()).command(a()).with(lossy(false)).answered(1, payment.Outcome{Result: result})
		op := s.operation(a())
		if op.Status != payment.StatusIndeterminate || !cmp.Equal(op.Open.Doubt, []int{0}) {
			t.Errorf("%s of a call that began before the acceptance: %+v", result, op)
		}
	}
}

func TestAnOperationInDoubtFromBeforeTheLossHasItsLostAttemptsInDoubt(t *testing.T) {
	t.Parallel()
	s := calledStory(t).with(lossy(false)).timer()
	op := s.operation(a())
	if op.Code != payment.CodeJournalIncomplete || !cmp.Equal(op.Open.Doubt, []int{1, 0}) || op.Open.Presumed {
		t.Fatalf("an operation in doubt: %+v", op)
	}
	if s.timer(); s.last.Event != nil && s.last.Event.Code == payment.CodeJournalIncomplete {
		t.Error("it is written down twice")
	}
}

func TestAClockThatIsAheadHidesNoStaleOperation(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).command(a()).answered(1, payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable})
	s.in.Loss = &payment.Loss{AcceptedAt: s.in.Now.Add(-time.Second), CallsEnd: s.in.Now.Add(14 * time.Second)}
	if s.pass(time.Minute).timer(); s.operation(a()).Status != payment.StatusIndeterminate {
		t.Errorf("it was written a second after the acceptance, by another clock: %+v", s.operation(a()))
	}
}

func TestNoMovementOfTheAmountAloneSettlesAnythingWhileALossIsInDoubt(t *testing.T) {
	t.Parallel()
	inferred := payment.Outcome{Result: payment.Succeeded, Basis: payment.BasisInferred, Moved: inEGP(400)}
	s := calledStory(t).with(lossy(false)).told(inferred)
	if op := s.operation(a()); op.Open == nil || op.Open.Review == nil {
		t.Errorf("one movement of the amount settled it: %+v", op)
	}
}

func TestNoRepeatIsSentBesideAnOperationThatMayBeLost(t *testing.T) {
	t.Parallel()
	s := tell(t, tranzzo()).with(lossy(false)).command(a())
	s.command(refund("b", 100))
	for range 50 {
		for _, c := range []payment.Command{a(), refund("b", 100)} {
			s.pass(time.Minute).about(c).timer()
			if s.last.Action == payment.Query {
				s.told(notFound())
			}
			if s.last.Action == payment.Call {
				t.Fatalf("called beside one that may be lost: %+v", s.last)
			}
		}
	}
}

func TestAnOperatorsRetryOfAPresumedOperationEndsThePresumption(t *testing.T) {
	t.Parallel()
	s := presumedStory(t, openpay()).pass(time.Minute)
	s.in.Resolution = &payment.Resolution{Verdict: payment.VerdictRetry, Seen: s.in.Now, Resolved: payment.ResolvedBy{Operator: "ann"}}
	s.in.Reading = paid(1000, 0)
	d := payment.Decide(s.in)
	if d.Action != payment.Call || d.Event.State.Operations[0].Open.Presumed {
		t.Errorf("%+v", d)
	}
}
