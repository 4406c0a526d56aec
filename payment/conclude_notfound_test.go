package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
)

// notFoundCases are about the answer that proves nothing.
func notFoundCases() []concludeCase {
	const (
		accepted = "query: not found | pending"
		first    = "query: not found | in doubt, first time"
		again    = "query: not found | again, repeat harmless or refused"
		tooLong  = "query: not found | repeated, and still not found"
		refused  = "query: not found | a repeat was refused"
		unsafe   = "query: not found | repeat unsafe"
		patience = 15 * time.Minute
	)
	notFound := told(payment.Outcome{Result: payment.NotFound})
	third := start(3)
	third.Doubt = []int{1, 2}
	second := start(2)
	second.Doubt = []int{1}
	noted := stillInDoubt("2s", payment.BasisQuery, 1)
	lost := noted
	lost.Code, lost.EventCode = payment.CodeProviderUnavailable, payment.CodeProviderUnavailable
	refusedReview := review("refused_as_known_but_not_found", payment.StatusIndeterminate, 1, 2)
	refusedReview.Attempt = 2
	repeatedReview := review("no_answer_from_provider", payment.StatusIndeterminate, 1, 2)
	repeatedReview.Attempt = 2
	giveUp := payment.DefaultPolicy().GiveUpAfter
	harmless := func() payment.Traits {
		t := opay()
		t.PartialRefund.Repeat = payment.RepeatHarmless
		return t
	}
	lostNote := func(s *story) {
		repeatLost(s)
		s.pass(2 * time.Second).told(payment.Outcome{Result: payment.NotFound})
	}
	declined := func(s *story) {
		repeated(s)
		s.pass(time.Second).answered(2, payment.Outcome{Result: payment.Failed, Code: payment.CodePaymentNotFound})
	}
	declinedNote := func(s *story) {
		declined(s)
		s.pass(2 * time.Second).told(payment.Outcome{Result: payment.NotFound})
	}
	unclear := func(s *story) {
		repeated(s)
		s.pass(time.Second).answered(2, payment.Outcome{ProviderCode: "00"})
	}
	unclearReview := review("repeat_refused_and_not_found", payment.StatusIndeterminate, 1, 2)
	unclearReview.Attempt, unclearReview.Code, unclearReview.EventCode = 2, payment.CodeOther, payment.CodeOther
	declinedReview := review("repeat_refused_and_not_found", payment.StatusIndeterminate, 1)
	declinedReview.Attempt, declinedReview.Code, declinedReview.EventCode = 2, payment.CodePaymentNotFound, payment.CodePaymentNotFound
	declinedAsksAgain := func(at string) seen {
		s := asksAgain(at)
		s.Code = payment.CodePaymentNotFound
		return s
	}
	return []concludeCase{
		{row: accepted, name: "what was accepted stays pending when it is not found", begin: pending, after: 2 * time.Second, heard: notFound, want: asksAgain("4s")},
		{row: accepted, name: "what was accepted stays pending until just before reviewAfter", begin: pending, after: patience - 1, heard: notFound, want: asksAgain("1ns")},
		{row: accepted, name: "what was accepted and is not found after reviewAfter is for a person", begin: pending, after: patience, heard: notFound, want: review("accepted_then_not_found", payment.StatusPending)},
		{row: first, name: "a first not found is noted", begin: doubtful, after: 2 * time.Second, heard: notFound, want: noted},
		{row: first, name: "a lost call that is not found is in doubt", begin: started, after: 15 * time.Second, heard: notFound, want: lost},
		{row: first, name: "not found during the call waits for the call", begin: started, after: time.Second, heard: notFound, want: seen{Action: payment.ComeBack, Code: payment.CodeWaitingForOperation, At: "14s"}},
		{row: again, name: "a second not found right away is asked again", begin: notedNotFound, after: 4*time.Second - 1, heard: notFound, want: asksAgain("2.000000001s")},
		{row: again, name: "a second not found repeats what the provider would refuse", begin: notedNotFound, after: 4 * time.Second, heard: notFound, want: second},
		{row: again, name: "a second not found repeats what is harmless", traits: harmless, begin: notedNotFound, after: 4 * time.Second, heard: notFound, want: second},
		{row: again, name: "nothing is repeated in a pause", begin: notedNotFound, after: 4 * time.Second, heard: notFound, with: paused, want: asksAgain("2s")},
		{row: again, name: "nothing is repeated while the breaker is open", begin: notedNotFound, after: 4 * time.Second, heard: notFound, with: broken, want: asksAgain("2s")},
		{row: again, name: "a probe of the breaker asks and does not repeat", begin: notedNotFound, after: 4 * time.Second, heard: notFound, with: probing, want: asksAgain("2s")},
		{row: again, name: "a repeat that was lost is noted again", begin: repeatLost, after: 2 * time.Second, heard: notFound, want: stillInDoubt("2s", payment.BasisQuery, 1, 2)},
		{row: again, name: "the next repeat waits twice as long", begin: lostNote, after: 8*time.Second - 1, heard: notFound, want: asksAgain("6.000000001s")},
		{row: again, name: "the next repeat follows then", begin: lostNote, after: 8 * time.Second, heard: notFound, want: third},
		{row: tooLong, name: "a repeat that is never found is for a person after giveUpAfter", begin: lostNote, after: giveUp, heard: notFound, want: repeatedReview},
		{row: tooLong, name: "what was never repeated is repeated however late it is asked", begin: notedNotFound, after: 2 * giveUp, heard: notFound, want: second},
		{row: refused, name: "refused as known and not found is asked again", begin: repeatRefused, after: time.Minute, heard: notFound, want: asksAgain("2s")},
		{row: refused, name: "refused as known and not found is no repeat, however often", begin: repeatRefused, after: patience - 10*time.Second, heard: notFound, want: asksAgain("1s")},
		{row: refused, name: "refused as known and not found after reviewAfter is for a person", begin: repeatRefused, after: patience, heard: notFound, want: refusedReview},
		{row: refused, name: "a repeat that was declined is asked about", begin: declined, after: 2 * time.Second, heard: notFound, want: declinedAsksAgain("4s")},
		{row: refused, name: "a repeat that was declined is not repeated, however often it is not found", begin: declinedNote, after: time.Minute, heard: notFound, want: declinedAsksAgain("1m4s")},
		{row: refused, name: "a repeat that was declined and is not found after reviewAfter is for a person", begin: declinedNote, after: patience, heard: notFound, want: declinedReview},
		{row: refused, name: "a repeat that was answered unclearly and is not found after reviewAfter is for a person", begin: unclear, after: patience, heard: notFound, want: unclearReview},
		{row: unsafe, name: "what is unsafe is asked again until just before reviewAfter", traits: openpay, begin: doubtful, after: patience - 1, heard: notFound, want: asksAgain("1ns")},
		{row: unsafe, name: "what is unsafe is for a person after reviewAfter", traits: openpay, begin: doubtful, after: patience, heard: notFound, want: review("not_found_and_repeat_unsafe", payment.StatusIndeterminate, 1)},
		{row: unsafe, name: "what compares with a snapshot is for a person too", traits: tranzzo, begin: unsafeDoubt, after: patience, heard: notFound, want: review("not_found_and_repeat_unsafe", payment.StatusIndeterminate, 1)},
		{row: unsafe, name: "a repeat nobody has classified is unsafe", traits: func() payment.Traits {
			t := opay()
			t.PartialRefund.Repeat = 7
			return t
		}, begin: doubtful, after: patience, heard: notFound, want: review("not_found_and_repeat_unsafe", payment.StatusIndeterminate, 1)},
		{row: unsafe, name: "what is in review is asked on and never called", begin: reviewed, after: 30 * 24 * time.Hour, heard: notFound, want: asksAgain("4h0m0s")},
	}
}

func TestConcludeFollowsItsTable(t *testing.T) {
	t.Parallel()
	for _, c := range concludeCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			traits := opay
			if c.traits != nil {
				traits = c.traits
			}
			s := tell(t, traits())
			c.begin(s)
			s.pass(c.after).about(a())
			if c.with != nil {
				c.with(&s.in)
			}
			d := undisturbed(t, s.in, func(in payment.Input) payment.Decision { return payment.Conclude(in, c.heard) })
			if diff := cmp.Diff(c.want, look(t, s.in, d), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("row %q (-want +got):\n%s", c.row, diff)
			}
		})
	}
}

func TestConcludeHasACaseForEveryRowOfItsTable(t *testing.T) {
	t.Parallel()
	var named []string
	for _, c := range concludeCases() {
		named = append(named, c.row)
	}
	everyRowHasACase(t, docRows(t, "conclude.go", "Conclude"), named)
}
