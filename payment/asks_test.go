package payment_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
)

// Accounts that cannot be asked, and accounts whose answers only help.

func unasked(in *payment.Input) { in.Traits.Asks = payment.AsksNone }

func helpfully(in *payment.Input) {
	in.Traits.Asks = payment.AsksHelpful
	in.Traits.PartialRefund.Prepare = payment.PrepareHelpful
}

// unhelpfully is an account whose reading before the call was of no use.
func unhelpfully(in *payment.Input) {
	helpfully(in)
	in.Reading = &payment.Reading{}
}

func twiceUnsafe(in *payment.Input) { in.Traits.PartialRefund.Repeat = payment.RepeatUnsafe }

// at is a beginning at an account of that sort.
func at(begin func(*story), sort ...func(*payment.Input)) func(*story) {
	return func(s *story) { begin(s.with(both(sort...))) }
}

// unaskedCases are about the turn of an operation where nobody can be asked.
func unaskedCases() []decideCase {
	const (
		row      = "started, pending, in doubt | nobody can be asked"
		patience = 15 * time.Minute
	)
	lost := nobodyAnswered(stillInDoubt("2s", "", 1))
	lost.Code, lost.EventCode = payment.CodeProviderUnavailable, payment.CodeProviderUnavailable
	second := start(2)
	second.Doubt = []int{1}
	person := func(status payment.Status, doubt ...int) seen { return review("nobody_can_be_asked", status, doubt...) }
	once, unsafe := at(doubtful, unasked), at(doubtful, unasked, twiceUnsafe)
	harmless := func(in *payment.Input) { in.Traits.PartialRefund.Repeat = payment.RepeatHarmless }
	refused := func(s *story) {
		once(s)
		s.pass(6*time.Second).timer().answered(2, payment.Outcome{Result: payment.Duplicate})
	}
	refusedReview := review("refused_as_known_but_not_found", payment.StatusIndeterminate, 1, 2)
	refusedReview.Attempt = 2
	repeatLost := func(s *story) {
		once(s)
		s.pass(6*time.Second).timer().pass(10*time.Second).answered(2, payment.Outcome{})
	}
	third := start(3)
	third.Doubt = []int{1, 2}
	return []decideCase{
		{row: row, name: "a call that was never concluded is in doubt, and nobody is asked", begin: at(started, unasked), after: 15 * time.Second, ask: a(), timer: true, want: lost},
		{row: row, name: "it is in doubt in a pause too", begin: at(started, unasked), after: 15 * time.Second, ask: a(), timer: true, with: paused, want: lost},
		{row: row, name: "it is in doubt whatever the breaker does", begin: at(started, unasked), after: 15 * time.Second, ask: a(), timer: true, with: broken, want: lost},
		{row: row, name: "a repeat waits for a call that may be late", begin: once, after: 4*time.Second - 1, ask: a(), timer: true, want: asksAgain("2.000000001s")},
		{row: row, name: "then it is repeated where the provider refuses a second one", begin: once, after: 4 * time.Second, ask: a(), timer: true, want: second},
		{row: row, name: "it is repeated where a second one is harmless", begin: at(doubtful, unasked, harmless), after: 4 * time.Second, ask: a(), timer: true, want: second},
		{row: row, name: "nothing is repeated in a pause where nobody can be asked", begin: once, after: 4 * time.Second, ask: a(), timer: true, with: paused, want: asksAgain("2s")},
		{row: row, name: "nothing is repeated behind an open breaker where nobody can be asked", begin: once, after: 4 * time.Second, ask: a(), timer: true, with: broken, want: asksAgain("2s")},
		{row: row, name: "the repeat is the breaker's probe, since no question can be", begin: once, after: 4 * time.Second, ask: a(), timer: true, with: probing, want: second},
		{row: row, name: "a lost repeat is repeated at a growing distance", begin: repeatLost, after: 8*time.Second - 1, ask: a(), timer: true, want: asksAgain("6.000000001s")},
		{row: row, name: "and then once more", begin: repeatLost, after: 8 * time.Second, ask: a(), timer: true, want: third},
		{row: row, name: "what was refused as known is not repeated", begin: refused, after: time.Minute, ask: a(), timer: true, want: asksAgain("2s")},
		{row: row, name: "what was refused as known is for a person after reviewAfter", begin: refused, after: patience, ask: a(), timer: true, want: refusedReview},
		{row: row, name: "what is unsafe is not looked at before a person is asked", begin: unsafe, after: 2 * time.Second, ask: a(), timer: true, want: asksAgain("14m58s")},
		{row: row, name: "what is unsafe is for a person after reviewAfter, who learns that nobody was asked", begin: unsafe, after: patience, ask: a(), timer: true, want: person(payment.StatusIndeterminate, 1)},
		{row: row, name: "a person is asked behind an open breaker too", begin: unsafe, after: patience, ask: a(), timer: true, with: broken, want: person(payment.StatusIndeterminate, 1)},
		{row: row, name: "what was accepted is not repeated", begin: at(pending, unasked), after: 2 * time.Second, ask: a(), timer: true, want: asksAgain("4s")},
		{row: row, name: "what was accepted is for a person after reviewAfter", begin: at(pending, unasked), after: patience, ask: a(), timer: true, want: person(payment.StatusPending)},
		{row: row, name: "what is in review stays there", begin: at(reviewed, unasked), after: 4 * time.Hour, ask: a(), timer: true, want: asksAgain("4h0m0s")},
	}
}

// helpfulReadCases are about readings that refuse nothing and hold nothing back.
func helpfulReadCases() []decideCase {
	const (
		row   = "none, deferred | a helpful read fails, or says no"
		fresh = "none | guards pass"
	)
	read := func(r payment.Reading) func(*payment.Input) {
		return both(helpfully, func(in *payment.Input) { in.Reading = &r })
	}
	says := func(status payment.PaymentStatus) func(*payment.Input) {
		return read(payment.Reading{OK: true, Status: status, Captured: inEGP(1), Refunded: inEGP(1)})
	}
	return []decideCase{
		{row: fresh, name: "a reading that may help is tried", ask: a(), with: helpfully, want: seen{Action: payment.ReadPayment}},
		{row: row, name: "a helpful reading that failed does not hold the call back", ask: a(), with: read(payment.Reading{Code: payment.CodeProviderUnavailable, RetryAfter: time.Hour}), want: start(1)},
		{row: row, name: "a helpful reading without credentials does not hold the call back", ask: a(), with: read(payment.Reading{Code: payment.CodeProviderAuthentication, Unhealthy: true}), want: start(1)},
		{row: row, name: "a helpful reading that finds no payment refuses nothing", ask: a(), with: says(payment.PaymentAbsent), want: start(1)},
		{row: row, name: "a helpful reading that says refunded refuses nothing", ask: a(), with: says(payment.PaymentRefunded), want: start(1)},
		{row: row, name: "a helpful reading that says failed refuses nothing", ask: a(), with: says(payment.PaymentFailed), want: start(1)},
		{row: row, name: "a helpful reading of too small an amount refuses nothing", ask: a(), with: says(payment.PaymentPaid), want: start(1)},
		{row: row, name: "nor does it hold a retry back", begin: retrying, after: time.Second, ask: a(), timer: true, with: read(payment.Reading{}), want: start(2)},
	}
}

// helpfulCases are about what an undocumented question may prove.
func helpfulCases() []concludeCase {
	const (
		yes   = "query: succeeded | as asked"
		many  = "query: ambiguous | repeat unsafe"
		other = "query: anything else"
	)
	inferred := ended(payment.StatusSucceeded, "", payment.BasisInferred, 1)
	person := review("several_movements_fit", payment.StatusIndeterminate, 1)
	person.Basis = payment.BasisQuery
	noted := stillInDoubt("2s", payment.BasisQuery, 1)
	second := start(2)
	second.Doubt = []int{1}
	doubt, noting := at(doubtful, unhelpfully), at(notedNotFound, unhelpfully)
	return []concludeCase{
		{row: yes, name: "an undocumented yes is inferred", begin: doubt, after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.Succeeded, Basis: payment.BasisQuery}), want: inferred},
		{row: many, name: "several candidates are for a person where a repeat is unsafe", begin: at(doubtful, unhelpfully, twiceUnsafe), after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.Ambiguous}), want: person},
		{row: other, name: "several candidates are not found where a repeat is refused", begin: doubt, after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.Ambiguous}), want: noted},
		{row: other, name: "an undocumented failure ends nothing", begin: doubt, after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.Failed, Code: payment.CodePaymentNotFound}), want: noted},
		{row: other, name: "an undocumented acceptance is no acceptance", begin: doubt, after: 2 * time.Second, heard: told(payment.Outcome{Result: payment.Pending}), want: noted},
		{row: other, name: "no usable answer counts as not found", begin: doubt, after: 2 * time.Second, heard: told(payment.Outcome{Code: payment.CodeProviderUnavailable, RetryAfter: time.Hour}), want: nobodyAnswered(noted)},
		{row: other, name: "without a usable answer it is repeated all the same", begin: noting, after: 4 * time.Second, heard: told(payment.Outcome{Code: payment.CodeProviderUnavailable}), want: second},
		{row: other, name: "the repeat is the breaker's probe, since the question proves nothing", begin: noting, after: 4 * time.Second, heard: told(payment.Outcome{}), with: probing, want: second},
		{row: "query: not found | repeat unsafe", name: "what only helps asks a person after reviewAfter", begin: at(doubtful, unhelpfully, twiceUnsafe), after: 15 * time.Minute, heard: told(payment.Outcome{Code: payment.CodeProviderUnavailable}), want: review("not_found_and_repeat_unsafe", payment.StatusIndeterminate, 1)},
	}
}

func TestOnlyAReadingThatWasUnderstoodIsTheSnapshotWhereItOnlyHelps(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		read payment.Reading
		want *payment.Reading
	}{
		"it failed":             {payment.Reading{Code: payment.CodeProviderUnavailable}, nil},
		"it lags":               {payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: inEGP(900)}, nil},
		"it says what is known": {payment.Reading{OK: true, Status: payment.PaymentPartiallyRefunded, Captured: inEGP(900), Refunded: inEGP(100)}, &payment.Reading{OK: true, Status: payment.PaymentPartiallyRefunded, Refunded: inEGP(100)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay()).with(unhelpfully).with(func(in *payment.Input) { in.Traits.ShowsRefunds = true })
			s.command(refund("first", 100)).answered(1, payment.Outcome{Result: payment.Succeeded, Moved: inEGP(100)})
			s.with(func(in *payment.Input) { in.Reading = &c.read }).command(a())
			wantCalled(t, s)
			if diff := cmp.Diff(c.want, s.operation(a()).Open.Snapshot); diff != "" {
				t.Errorf("snapshot (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnOperatorsRetryDoesNotNeedWhatOnlyHelps(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(unhelpfully)
	doubtful(s)
	s.with(operator(payment.VerdictRetry)).command(a())
	wantCalled(t, s)
}

// After a loss nobody can say what went before: what a repeat could pay twice is
// for a person, and everything else is called and never waits for an answer that
// cannot come.
func TestAfterALossNothingWaitsForAnAccountThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	loss := payment.Loss{AcceptedAt: morning().Add(-time.Hour), CallsEnd: morning().Add(-time.Minute), Newer: true}
	lossy := func(in *payment.Input) { in.Loss = &loss }
	s := tell(t, opay()).with(both(unasked, lossy)).command(a())
	wantCalled(t, s)
	s.answered(1, payment.Outcome{Result: payment.Failed, Code: payment.CodeAlreadyRefunded})
	if o := s.operation(a()); o.Open == nil || o.Open.Review == nil {
		t.Errorf("refused after a loss, and it is %s", o.Status)
	}
	s = tell(t, opay()).with(both(unasked, twiceUnsafe, lossy)).command(a())
	if o := s.operation(a()); o.Open == nil || o.Open.Review == nil || s.last.Action == payment.Call {
		t.Errorf("unsafe after a loss: %+v", s.last)
	}
	s = tell(t, opay()).with(both(unasked, lossy)).command(a()).pass(10*time.Second).answered(1, payment.Outcome{})
	s.answered(1, payment.Outcome{Result: payment.Succeeded, Basis: payment.BasisInferred, Code: payment.CodeAlreadyRefunded})
	if o := s.operation(a()); o.Open == nil || o.Open.Review == nil {
		t.Errorf("another operation that was lost may have refunded it, and it is %s", o.Status)
	}
	s = tell(t, opay()).with(both(helpfully, lossy)).command(a())
	if s.last.Action != payment.Query {
		t.Fatalf("what may help is not asked: %+v", s.last)
	}
	s.told(payment.Outcome{Code: payment.CodeProviderUnavailable})
	if s.last.Action != payment.ReadPayment {
		t.Errorf("what does not help holds the call back: %+v", s.last)
	}
}

func TestEachSortOfAskingHasItsWord(t *testing.T) {
	t.Parallel()
	for sort, want := range map[payment.Asks]string{payment.AsksDocumented: "documented", payment.AsksHelpful: "helpful", payment.AsksNone: "none"} {
		if got := sort.String(); got != want {
			t.Errorf("%d is %q, want %q", sort, got, want)
		}
	}
}
