package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
)

// secondSucceeded is a refund whose repeat succeeded while its first attempt
// may still run.
func secondSucceeded(s *story) {
	repeated(s)
	s.answered(2, payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-2"})
}

func TestALateOutcomeThatDisagreesWithTheEndGoesOutAsAFact(t *testing.T) {
	t.Parallel()
	yes := func(ref string) payment.Outcome {
		return payment.Outcome{Result: payment.Succeeded, ProviderReference: ref}
	}
	no := func(ref string) payment.Outcome {
		return payment.Outcome{Result: payment.Failed, ProviderReference: ref, Code: payment.CodeDeclined}
	}
	finish := seen{Action: payment.Finish}
	fact := func(e payment.EventType, status payment.Status, attempt int) seen {
		s := seen{Action: payment.Finish, Alert: true, Event: e, Basis: payment.BasisAnswer, Moved: 400, Attempt: attempt, Status: status}
		if e == payment.EventExecutedLate {
			s.Effect = payment.EffectRefunded
		} else {
			s.EventCode = payment.CodeDeclined
		}
		return s
	}
	byQuery := fact(payment.EventExecutedLate, payment.StatusFailed, 0)
	byQuery.Basis = payment.BasisQuery
	operatorFailed := func(s *story) {
		reviewed(s)
		s.with(operator(payment.VerdictFailed)).command(a()).with(func(in *payment.Input) { in.Resolution = nil })
	}
	ruledSucceeded := func(s *story) { // under the portal's reference
		s.with(func(in *payment.Input) {
			operator(payment.VerdictSucceeded)(in)
			in.Resolution.Moved, in.Resolution.ProviderReference = inEGP(400), "portal-7"
		}).command(a()).with(func(in *payment.Input) { in.Resolution = nil })
	}
	operatorSucceeded := func(s *story) { reviewed(s); ruledSucceeded(s) }
	operatorRetried := func(s *story) {
		reviewed(s)
		s.with(operator(payment.VerdictRetry)).command(a()).with(func(in *payment.Input) { in.Resolution = nil })
		s.pass(20*time.Second).answered(2, payment.Outcome{})
		ruledSucceeded(s)
	}
	unsafe := func(in *payment.Input) { in.Traits.PartialRefund.Repeat = payment.RepeatUnsafe }
	foundSucceeded := func(s *story) { doubtful(s); s.told(payment.Outcome{Result: payment.Succeeded}) }
	harmless := func(in *payment.Input) { in.Traits.PartialRefund.Repeat = payment.RepeatHarmless }
	toldTwice := func(s *story) { failed(s); s.answered(1, yes("p-1")) }
	cases := []struct {
		name  string
		begin func(*story)
		with  func(*payment.Input)
		heard payment.Heard
		want  seen
	}{
		{name: "a yes to what was called failed went through late", begin: failed, heard: answer(1, yes("p-1")), want: fact(payment.EventExecutedLate, payment.StatusFailed, 1)},
		{name: "a yes found for what was called failed went through late", begin: failed, heard: told(payment.Outcome{Result: payment.Succeeded, Basis: payment.BasisQuery}), want: byQuery},
		{name: "a yes to what an operator called failed went through late", begin: operatorFailed, heard: answer(1, yes("p-1")), want: fact(payment.EventExecutedLate, payment.StatusFailed, 1)},
		{name: "a yes to what an operator called succeeded is the same movement, whatever its reference", begin: operatorSucceeded, with: unsafe, heard: answer(1, yes("p-1")), want: finish},
		{name: "so it is after a repeat that the provider does not take twice", begin: operatorRetried, heard: answer(1, yes("p-1")), want: finish},
		{name: "after a repeat that is unsafe it is a second movement", begin: operatorRetried, with: unsafe, heard: answer(1, yes("p-1")), want: fact(payment.EventExecutedLate, payment.StatusSucceeded, 1)},
		{name: "a fact is told once", begin: toldTwice, heard: answer(1, yes("p-1")), want: seen{Action: payment.Finish, Alert: true}},
		{name: "the same yes again is no fact", begin: succeeded, heard: answer(1, yes("p-1")), want: finish},
		{name: "a yes under another reference is a second movement", begin: succeeded, heard: answer(1, yes("p-9")), want: fact(payment.EventExecutedLate, payment.StatusSucceeded, 1)},
		{name: "a yes of another attempt is a second movement", begin: secondSucceeded, heard: answer(1, yes("")), want: fact(payment.EventExecutedLate, payment.StatusSucceeded, 1)},
		{name: "a yes of another attempt moved nothing where repeats are harmless", begin: secondSucceeded, with: harmless, heard: answer(1, yes("")), want: finish},
		{name: "a yes of another attempt under the same reference is a second movement where repeats are unsafe", begin: secondSucceeded, with: unsafe, heard: answer(1, yes("p-2")), want: fact(payment.EventExecutedLate, payment.StatusSucceeded, 1)},
		{name: "elsewhere it is the same movement", begin: secondSucceeded, heard: answer(1, yes("p-2")), want: finish},
		{name: "a yes to what was found is the same movement", begin: foundSucceeded, heard: answer(1, yes("p-1")), want: finish},
		{name: "a no under the same reference came back", begin: succeeded, heard: answer(1, no("p-1")), want: fact(payment.EventReturned, payment.StatusSucceeded, 1)},
		{name: "a no under another reference is about something else", begin: succeeded, heard: answer(1, no("p-9")), want: finish},
		{name: "a no without a reference brings nothing back", begin: succeeded, heard: answer(1, no("")), want: finish},
		{name: "a no of another attempt brings nothing back", begin: secondSucceeded, heard: answer(1, no("")), want: finish},
		{name: "a no of another attempt under the same reference brings nothing back", begin: secondSucceeded, heard: answer(1, no("p-2")), want: finish},
		{name: "a no to what was called failed agrees", begin: failed, heard: answer(1, no("p-1")), want: finish},
		{name: "doubt about what has ended is none", begin: failed, heard: answer(1, payment.Outcome{}), want: finish},
		{name: "an acceptance of what has ended is none", begin: succeeded, heard: answer(1, payment.Outcome{Result: payment.Pending}), want: finish},
		{name: "a yes that moved no money contradicts nothing", begin: failed, heard: answer(1, payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectNone}), want: finish},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			c.begin(s)
			s.pass(time.Hour).about(a())
			if c.with != nil {
				c.with(&s.in)
			}
			d := undisturbed(t, s.in, func(in payment.Input) payment.Decision { return payment.Conclude(in, c.heard) })
			if diff := cmp.Diff(c.want, look(t, s.in, d), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFactCarriesTheCommandInHand(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	failed(s)
	s.pass(time.Hour).answered(1, payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"})
	e := s.last.Event
	if e == nil {
		t.Fatal("no fact")
	}
	if e.Key != "a" || e.CommandID != "event-a" || e.CorrelationID != "correlation-a" || e.Payment.OrderID != "1001" || *e.Amount != *inEGP(400) {
		t.Errorf("the fact does not name its command: %+v", e)
	}
}

func TestGuardsReckonWithWhatWentThroughLateAndWithWhatCameBack(t *testing.T) {
	t.Parallel()
	late := payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"}
	s := tell(t, opay())
	s.command(captured(refund("a", 400), 500)).answered(1, payment.Outcome{Result: payment.Failed}).answered(1, late)
	s.command(refund("b", 101))
	wantRefused(t, s, payment.StatusRejected, payment.CodeAmountExceedsRefundable)
	s.command(cancel("c"))
	wantRefused(t, s, payment.StatusRejected, payment.CodePaymentAlreadyPaid)
	s.command(refund("d", 100))
	wantCalled(t, s)

	s = tell(t, opay())
	s.command(captured(fullRefund("a"), 500)).answered(1, late)
	s.command(refund("b", 1))
	wantRefused(t, s, payment.StatusRejected, payment.CodeAlreadyRefunded)
	s.about(fullRefund("a")).answered(1, payment.Outcome{Result: payment.Failed, ProviderReference: "p-1"})
	s.command(fullRefund("c"))
	wantCalled(t, s)

	s = tell(t, opay())
	s.command(cancel("a")).answered(1, payment.Outcome{Result: payment.Failed}).answered(1, late)
	s.command(refund("b", 1))
	wantRefused(t, s, payment.StatusRejected, payment.CodePaymentCancelled)
}

// wantRefused fails unless the last step ended the operation in hand with the code.
func wantRefused(t *testing.T, s *story, status payment.Status, code payment.Code) {
	t.Helper()
	e := s.last.Event
	if e == nil || e.Type != payment.EventType(status) || e.Code != code || s.last.Action != payment.Finish {
		t.Errorf("%s %s: decision %+v, want %s with %s", s.in.Command.Op, s.in.Command.Key, s.last, status, code)
	}
}

// wantCalled fails unless the last step called the provider.
func wantCalled(t *testing.T, s *story) {
	t.Helper()
	if s.last.Action != payment.Call || s.last.Event == nil || s.last.Event.Type != payment.EventStarted {
		t.Errorf("%s %s: decision %+v, want a call", s.in.Command.Op, s.in.Command.Key, s.last)
	}
}

// wantWait fails unless the last step came back later with the cause.
func wantWait(t *testing.T, s *story, code payment.Code) {
	t.Helper()
	if s.last.Action != payment.ComeBack || s.last.Code != code {
		t.Errorf("%s %s: action %d code %q, want to come back because of %q", s.in.Command.Op, s.in.Command.Key, s.last.Action, s.last.Code, code)
	}
}
