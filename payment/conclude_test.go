package payment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

// concludeCase is one outcome: where it meets the operation "a", how much
// later, and what must come of it.
type concludeCase struct {
	row, name string
	traits    func() payment.Traits // opay where nil
	begin     func(*story)
	after     time.Duration
	heard     payment.Heard
	with      func(*payment.Input)
	want      seen
}

func answer(n int, out payment.Outcome) payment.Heard {
	return payment.Heard{Attempt: n, Outcome: out}
}

func told(out payment.Outcome) payment.Heard { return payment.Heard{Query: true, Outcome: out} }

// repeated is a refund whose second attempt is under way while the first is in doubt.
func repeated(s *story) {
	doubtful(s)
	s.pass(2 * time.Second).told(payment.Outcome{Result: payment.NotFound})
	s.pass(6 * time.Second).told(payment.Outcome{Result: payment.NotFound})
}

// repeatLost is that refund after the repeat was not answered either.
func repeatLost(s *story) {
	repeated(s)
	s.pass(10*time.Second).answered(2, payment.Outcome{})
}

// repeatRefused is that refund after the provider refused the repeat as known.
func repeatRefused(s *story) {
	repeated(s)
	s.pass(time.Second).answered(2, payment.Outcome{Result: payment.Duplicate})
}

// notedNotFound is a refund in doubt that was not found once.
func notedNotFound(s *story) {
	doubtful(s)
	s.pass(2 * time.Second).told(payment.Outcome{Result: payment.NotFound})
}

// unsafeDoubt is a refund in doubt of a kind that reads the payment first.
func unsafeDoubt(s *story) { doubtful(s.with(func(in *payment.Input) { in.Reading = paid(1000, 0) })) }

// ended, indoubt, asksAgain and review are what most conclusions look like.

func ended(status payment.Status, code payment.Code, basis payment.Basis, attempt int) seen {
	s := seen{Action: payment.Finish, Code: code, Event: payment.EventType(status), EventCode: code, Basis: basis, Attempt: attempt, Status: status}
	if status == payment.StatusSucceeded {
		s.Effect, s.Moved = payment.EffectRefunded, 400
	}
	return s
}

func stillInDoubt(next string, basis payment.Basis, attempts ...int) seen {
	return seen{
		Action: payment.ComeBack, At: next, Next: next, Event: payment.EventIndeterminate, Basis: basis,
		Attempt: attempts[len(attempts)-1], Status: payment.StatusIndeterminate, Doubt: attempts,
	}
}

// nobodyAnswered is doubt without a basis.
func nobodyAnswered(s seen) seen {
	s.Basis = ""
	return s
}

// answered is a deferral the provider's own answer is the basis of.
func answered(s seen) seen {
	s.Basis = payment.BasisAnswer
	return s
}

func asksAgain(at string) seen { return seen{Action: payment.ComeBack, At: at} }

func review(reason string, status payment.Status, doubt ...int) seen {
	return seen{
		Action: payment.ComeBack, At: "4h0m0s", Next: "4h0m0s", Alert: true, Event: payment.EventType(status), Attempt: 1,
		Review: reason, Status: status, Doubt: doubt,
	}
}

func concludeCases() []concludeCase {
	return slices.Concat(answerCases(), lateAnswerCases(), queryCases(), notFoundCases(), beyondCases(), helpfulCases())
}

// beyondCases are answers that say more than was asked for.
func beyondCases() []concludeCase {
	const (
		call  = "call: succeeded | more, or another currency"
		query = "query: succeeded | more, or another currency"
		no    = "query: failed | in review for what moved"
	)
	said := func(value int64, currency payment.Currency) payment.Outcome {
		return payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: &payment.Money{Value: value, Currency: currency}, ProviderReference: "p-1"}
	}
	person := func(basis payment.Basis, status payment.Status, doubt ...int) seen {
		s := review("moved_more_than_asked", status, doubt...)
		s.Code, s.EventCode, s.Basis = payment.CodeAmountDiffers, payment.CodeAmountDiffers, basis
		return s
	}
	open := payment.StatusIndeterminate
	inReview := func(s *story) { started(s); s.answered(1, said(401, "EGP")) }
	stays := asksAgain("4h0m0s")
	stays.Code = payment.CodeAmountDiffers
	full := func(value int64) func(*story) {
		return func(s *story) { s.command(captured(fullRefund("a"), value)) }
	}
	asked := person(payment.BasisAnswer, open, 1)
	return []concludeCase{
		{row: call, name: "one minor unit more", begin: started, heard: answer(1, said(401, "EGP")), want: asked},
		{row: call, name: "the amount in another currency", begin: started, heard: answer(1, said(400, "USD")), want: asked},
		{row: call, name: "less in another currency", begin: started, heard: answer(1, said(4, "USD")), want: asked},
		{row: call, name: "more, heard late", begin: doubtful, after: 24 * time.Hour, heard: answer(1, said(401, "EGP")), want: asked},
		{row: call, name: "more, of what waits", begin: retrying, heard: answer(1, said(401, "EGP")), want: asked},
		{row: call, name: "more than was captured", begin: full(400), heard: answer(1, said(401, "EGP")), want: asked},
		{row: query, name: "a query's more", begin: doubtful, after: time.Second, heard: told(said(401, "EGP")), want: person(payment.BasisQuery, open, 1)},
		{row: query, name: "a query's more of what was accepted", begin: pending, after: time.Second, heard: told(said(401, "EGP")), want: person(payment.BasisQuery, payment.StatusPending)},
		{row: query, name: "a query's other currency during the call", begin: started, after: time.Second, heard: told(said(400, "USD")), want: person(payment.BasisQuery, open, 1)},
		{row: query, name: "said again it adds nothing", begin: inReview, heard: told(said(401, "EGP")), want: func() seen {
			s := stays
			s.Alert = true
			return s
		}()},
		{row: no, name: "a no after it is not believed either", begin: inReview, heard: told(payment.Outcome{Result: payment.Failed}), want: stays},
	}
}

// What a person is asked about has moved for all that is known: other refunds leave
// room for it, and no machine calls it again.
func TestWhatAProviderMovedBeyondTheAmountIsReservedUntilAPersonHasRuled(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	s.command(captured(refund("a", 400), 1000)).answered(1, payment.Outcome{Result: payment.Succeeded, Moved: inEGP(900), ProviderReference: "p-1"})
	s.command(refund("b", 101))
	wantRefused(t, s, payment.StatusRejected, payment.CodeAmountExceedsRefundable)
	s.about(refund("a", 400)).with(func(in *payment.Input) {
		in.Resolution = &payment.Resolution{Verdict: payment.VerdictFailed, Seen: in.Now}
	})
	s.step(payment.Decide(s.in))
	s.in.Resolution = nil
	if e := s.last.Event; e == nil || e.Type != payment.EventFailed || e.Moved != nil {
		t.Fatalf("ruled as failed: %+v", s.last)
	}
	s.command(refund("c", 1000))
	wantCalled(t, s)
}

func answerCases() []concludeCase {
	const (
		yes   = "call: succeeded | as asked, or less"
		later = "call: pending"
		no    = "call: failed | no other attempt may have left"
		not   = "call: not executed | no other attempt may have left"
	)
	accepted := seen{Action: payment.ComeBack, At: "2s", Next: "2s", Event: payment.EventPending, Basis: payment.BasisAnswer, Attempt: 1, Status: payment.StatusPending}
	acceptedSlowly := accepted
	acceptedSlowly.At, acceptedSlowly.Next = "1m0s", "1m0s"
	secondAccepted := accepted
	secondAccepted.Attempt = 2
	deferred := func(next string, code payment.Code, attempt int) seen {
		return seen{
			Action: payment.ComeBack, Code: code, At: next, Next: next, Event: payment.EventDeferred, EventCode: code,
			Attempt: attempt, Status: payment.StatusDeferred,
		}
	}
	differs := ended(payment.StatusSucceeded, payment.CodeAmountDiffers, payment.BasisAnswer, 1)
	differs.Moved = 390
	success := payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"}
	return []concludeCase{
		{row: yes, name: "a yes is the end", begin: started, after: time.Second, heard: answer(1, success), want: ended(payment.StatusSucceeded, "", payment.BasisAnswer, 1)},
		{row: yes, name: "a yes that moved another amount says so", begin: started, heard: answer(1, payment.Outcome{Result: payment.Succeeded, Moved: inEGP(390)}), want: differs},
		{row: yes, name: "a yes after callUntil is the end", begin: doubtful, after: 24 * time.Hour, heard: answer(1, success), want: ended(payment.StatusSucceeded, "", payment.BasisAnswer, 1)},
		{row: yes, name: "a yes of the first attempt ends a repeat under way", begin: repeated, heard: answer(1, success), want: ended(payment.StatusSucceeded, "", payment.BasisAnswer, 1)},
		{row: yes, name: "a yes ends what a person was asked about", begin: reviewed, heard: answer(1, success), want: ended(payment.StatusSucceeded, "", payment.BasisAnswer, 1)},
		{row: yes, name: "a yes ends what waits", begin: retrying, heard: answer(1, success), want: ended(payment.StatusSucceeded, "", payment.BasisAnswer, 1)},
		{row: later, name: "an accepted refund is asked about later", begin: started, heard: answer(1, payment.Outcome{Result: payment.Pending}), want: accepted},
		{row: later, name: "an accepted refund is asked about no sooner than the provider wishes", begin: started, heard: answer(1, payment.Outcome{Result: payment.Pending, RetryAfter: time.Minute}), want: acceptedSlowly},
		{row: later, name: "acceptance clears doubt", begin: doubtful, heard: answer(1, payment.Outcome{Result: payment.Pending}), want: accepted},
		{row: later, name: "acceptance of the repeat clears doubt", begin: repeated, heard: answer(2, payment.Outcome{Result: payment.Pending}), want: secondAccepted},
		{row: later, name: "acceptance of what is pending adds nothing", begin: pending, after: time.Second, heard: answer(1, payment.Outcome{Result: payment.Pending}), want: asksAgain("1s")},
		{row: later, name: "a no to what is pending is asked about", begin: pending, after: time.Second, heard: answer(1, payment.Outcome{Result: payment.Failed}), want: asksAgain("1s")},
		{row: no, name: "a no to the only attempt is the end", begin: started, heard: answer(1, payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined}), want: ended(payment.StatusFailed, payment.CodeDeclined, payment.BasisAnswer, 1)},
		{row: no, name: "a late no to the only attempt is the end", begin: doubtful, after: time.Hour, heard: answer(1, payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined}), want: ended(payment.StatusFailed, payment.CodeDeclined, payment.BasisAnswer, 1)},
		{row: not, name: "a call that was not executed is tried again", begin: started, heard: answer(1, payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeInsufficientBalance}), want: deferred("1s", payment.CodeInsufficientBalance, 1)},
		{row: not, name: "an answer that says so is the basis", begin: started, heard: answer(1, payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeInsufficientBalance, ProviderCode: "51"}), want: answered(deferred("1s", payment.CodeInsufficientBalance, 1))},
		{row: not, name: "without a cause it is the provider that was unavailable", begin: started, heard: answer(1, payment.Outcome{Result: payment.NotExecuted}), want: deferred("1s", payment.CodeProviderUnavailable, 1)},
		{row: not, name: "the provider's wish to be left alone is honoured", begin: started, heard: answer(1, payment.Outcome{Result: payment.NotExecuted, RetryAfter: 7 * time.Minute}), want: deferred("7m0s", payment.CodeProviderUnavailable, 1)},
		{row: not, name: "a call in doubt that was not executed is tried again", begin: doubtful, heard: answer(1, payment.Outcome{Result: payment.NotExecuted}), want: deferred("1s", payment.CodeProviderUnavailable, 1)},
		{
			row: not, name: "waits double with each attempt", heard: answer(3, payment.Outcome{Result: payment.NotExecuted}), want: deferred("4s", payment.CodeProviderUnavailable, 3),
			begin: func(s *story) {
				retrying(s)
				s.pass(time.Second).timer().answered(2, payment.Outcome{Result: payment.NotExecuted}).pass(2 * time.Second).timer()
			},
		},
	}
}

func lateAnswerCases() []concludeCase {
	const (
		again   = "call: failed | repeats one that may have left"
		other   = "call: failed, not executed | another attempt may have left"
		known   = "call: duplicate"
		unclear = "call: indeterminate | the provider answered a repeat"
		nothing = "call: indeterminate"
	)
	wait := func(at string) seen {
		return seen{Action: payment.ComeBack, Code: payment.CodeWaitingForOperation, At: at}
	}
	first := stillInDoubt("2s", payment.BasisAnswer, 1)
	first.Attempt = 2
	absent := first
	absent.Code, absent.EventCode = payment.CodePaymentNotFound, payment.CodePaymentNotFound
	oddly := stillInDoubt("2s", payment.BasisAnswer, 1, 2)
	oddly.Code, oddly.EventCode = payment.CodeOther, payment.CodeOther
	return []concludeCase{
		{row: again, name: "a no to the repeat says nothing of the first attempt", begin: repeated, heard: answer(2, payment.Outcome{Result: payment.Failed}), want: first},
		{row: again, name: "a late no to the repeat is news", begin: repeatLost, after: time.Minute, heard: answer(2, payment.Outcome{Result: payment.Failed, Code: payment.CodePaymentNotFound}), want: absent},
		{row: other, name: "a repeat that was not executed leaves the first in doubt", begin: repeated, heard: answer(2, payment.Outcome{Result: payment.NotExecuted}), want: nobodyAnswered(first)},
		{row: again, name: "a no to one of two lost attempts leaves the other", begin: repeatLost, heard: answer(2, payment.Outcome{Result: payment.Failed}), want: first},
		{row: other, name: "a no to the first waits for the repeat under way", begin: repeated, after: 5 * time.Second, heard: answer(1, payment.Outcome{Result: payment.Failed}), want: wait("10s")},
		{row: other, name: "a no to the first leaves a repeat that was never concluded", begin: repeated, after: 15 * time.Second, heard: answer(1, payment.Outcome{Result: payment.Failed}), want: stillInDoubt("2s", payment.BasisAnswer, 2)},
		{row: other, name: "a no to a settled attempt adds nothing to a wait", begin: retrying, heard: answer(1, payment.Outcome{Result: payment.Failed}), want: seen{Action: payment.ComeBack, Code: payment.CodeInsufficientBalance, At: "1s"}},
		{row: known, name: "a duplicate to the repeat is asked about", begin: repeated, heard: answer(2, payment.Outcome{Result: payment.Duplicate}), want: stillInDoubt("2s", payment.BasisAnswer, 1, 2)},
		{row: known, name: "a duplicate to the first call is asked about", begin: started, heard: answer(1, payment.Outcome{Result: payment.Duplicate}), want: stillInDoubt("2s", payment.BasisAnswer, 1)},
		{row: known, name: "a duplicate to a lost attempt is news", begin: doubtful, heard: answer(1, payment.Outcome{Result: payment.Duplicate}), want: stillInDoubt("2s", payment.BasisAnswer, 1)},
		{row: known, name: "a second duplicate is no news", begin: repeatRefused, heard: answer(2, payment.Outcome{Result: payment.Duplicate}), want: asksAgain("2s")},
		{row: unclear, name: "an answer to the repeat that nobody understands is asked about", begin: repeated, heard: answer(2, payment.Outcome{ProviderCode: "00"}), want: oddly},
		{row: nothing, name: "an answer to the first call that nobody understands is doubt", begin: started, heard: answer(1, payment.Outcome{ProviderCode: "00"}), want: stillInDoubt("2s", payment.BasisAnswer, 1)},
		{row: nothing, name: "an unclassified answer is doubt", begin: started, heard: answer(1, payment.Outcome{}), want: stillInDoubt("2s", "", 1)},
		{row: nothing, name: "an answer that only a query may give is doubt", begin: started, heard: answer(1, payment.Outcome{Result: payment.NotFound}), want: stillInDoubt("2s", payment.BasisAnswer, 1)},
		{row: nothing, name: "a result nobody knows is doubt", begin: started, heard: answer(1, payment.Outcome{Result: 99}), want: stillInDoubt("2s", payment.BasisAnswer, 1)},
		{row: nothing, name: "a lost repeat adds to the doubt", begin: repeated, heard: answer(2, payment.Outcome{}), want: stillInDoubt("2s", "", 1, 2)},
		{row: nothing, name: "a lost answer that is known already adds nothing", begin: doubtful, after: time.Second, heard: answer(1, payment.Outcome{}), want: asksAgain("1s")},
	}
}

func queryCases() []concludeCase {
	const (
		found   = "query: succeeded, failed | about this operation"
		later   = "query: pending"
		several = "query: ambiguous"
		silent  = "query: no usable answer"
	)
	nowPending := seen{Action: payment.ComeBack, At: "2s", Next: "2s", Event: payment.EventPending, Basis: payment.BasisQuery, Attempt: 1, Status: payment.StatusPending}
	success, decline := payment.Outcome{Result: payment.Succeeded}, payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined}
	inferred := payment.Outcome{Result: payment.Succeeded, Basis: payment.BasisInferred}
	lost := stillInDoubt("2s", payment.BasisQuery, 1)
	lost.Code, lost.EventCode = payment.CodeProviderUnavailable, payment.CodeProviderUnavailable
	severalFit := review("several_movements_fit", payment.StatusIndeterminate, 1)
	severalFit.Basis = payment.BasisQuery
	patient := payment.DefaultPolicy().GiveUpAfter
	return []concludeCase{
		{row: found, name: "a movement that is found is the end", begin: doubtful, heard: told(success), want: ended(payment.StatusSucceeded, "", payment.BasisQuery, 1)},
		{row: found, name: "a movement that is inferred says so", begin: doubtful, heard: told(inferred), want: ended(payment.StatusSucceeded, "", payment.BasisInferred, 1)},
		{row: found, name: "a movement that is found ends a call under way", begin: started, heard: told(success), want: ended(payment.StatusSucceeded, "", payment.BasisQuery, 1)},
		{row: found, name: "a no that is found is the end", begin: doubtful, heard: told(decline), want: ended(payment.StatusFailed, payment.CodeDeclined, payment.BasisQuery, 1)},
		{row: found, name: "a no that is found for a lost call is the end", begin: started, after: 15 * time.Second, heard: told(decline), want: ended(payment.StatusFailed, payment.CodeDeclined, payment.BasisQuery, 1)},
		{row: found, name: "a no that is found during a call waits for the call", begin: started, after: 15*time.Second - 1, heard: told(decline), want: seen{Action: payment.ComeBack, Code: payment.CodeWaitingForOperation, At: "1ns"}},
		{row: found, name: "a no that is found for what waits again adds nothing", begin: retrying, heard: told(decline), want: seen{Action: payment.ComeBack, Code: payment.CodeInsufficientBalance, At: "1s"}},
		{row: found, name: "a pending refund that was declined has failed", begin: pending, heard: told(decline), want: ended(payment.StatusFailed, payment.CodeDeclined, payment.BasisQuery, 1)},
		{row: found, name: "a refund in review that is found is over", begin: reviewed, heard: told(success), want: ended(payment.StatusSucceeded, "", payment.BasisQuery, 1)},
		{row: later, name: "what is found accepted is pending", begin: doubtful, heard: told(payment.Outcome{Result: payment.Pending}), want: nowPending},
		{row: later, name: "what is pending still adds no event", begin: pending, after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.Pending}), want: asksAgain("4s")},
		{row: several, name: "two candidates are for a person", begin: doubtful, heard: told(payment.Outcome{Result: payment.Ambiguous}), want: severalFit},
		{row: several, name: "two candidates for a lost call are for a person", begin: started, after: 15 * time.Second, heard: told(payment.Outcome{Result: payment.Ambiguous}), want: severalFit},
		{row: several, name: "two candidates are told once", begin: reviewed, after: time.Hour, heard: told(payment.Outcome{Result: payment.Ambiguous}), want: seen{Action: payment.ComeBack, At: "3h0m0s", Alert: true}},
		{row: silent, name: "a lost call without an answer is in doubt", begin: started, after: 15 * time.Second, heard: told(payment.Outcome{}), want: nobodyAnswered(lost)},
		{row: silent, name: "doubt without an answer is asked about again", begin: doubtful, after: 2 * time.Second, heard: told(payment.Outcome{}), want: asksAgain("4s")},
		{row: silent, name: "doubt is asked about no sooner than the provider wishes", begin: doubtful, after: 2 * time.Second, heard: told(payment.Outcome{RetryAfter: time.Minute}), want: asksAgain("1m0s")},
		{row: silent, name: "what a machine can still know is asked about for long", begin: doubtful, after: patient - 1, heard: told(payment.Outcome{}), want: asksAgain("8m14.000000001s")},
		{row: silent, name: "silence that lasts is for a person", begin: doubtful, after: patient, heard: told(payment.Outcome{}), want: review("no_answer_from_provider", payment.StatusIndeterminate, 1)},
		{row: silent, name: "silence about an unsafe refund is for a person after reviewAfter", traits: openpay, begin: doubtful, after: 15 * time.Minute, heard: told(payment.Outcome{}), want: review("no_answer_from_provider", payment.StatusIndeterminate, 1)},
		{row: silent, name: "silence about an unsafe refund is asked about until just before", traits: openpay, begin: doubtful, after: 15*time.Minute - 1, heard: told(payment.Outcome{}), want: asksAgain("1ns")},
		{row: silent, name: "a person is called once", begin: reviewed, after: time.Hour, heard: told(payment.Outcome{}), want: asksAgain("3h0m0s")},
		{row: silent, name: "silence about a pending refund that lasts is for a person", begin: pending, after: patient, heard: told(payment.Outcome{}), want: review("accepted_then_not_found", payment.StatusPending)},
		{row: silent, name: "an answer that only a call may give is none", begin: doubtful, after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.NotExecuted}), want: asksAgain("4s")},
	}
}
