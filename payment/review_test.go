package payment_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
)

func TestAReviewAsksAQuestionAndNamesSafeActions(t *testing.T) {
	t.Parallel()
	begins := map[string]func(*story){
		"several_movements_fit":   func(s *story) { doubtful(s); s.told(payment.Outcome{Result: payment.Ambiguous}) },
		"accepted_then_not_found": func(s *story) { pending(s); s.pass(time.Hour).told(payment.Outcome{Result: payment.NotFound}) },
		"refused_as_known_but_not_found": func(s *story) {
			repeatRefused(s)
			s.pass(time.Hour).told(payment.Outcome{Result: payment.NotFound})
		},
		"repeat_refused_and_not_found": func(s *story) {
			repeated(s)
			s.pass(time.Second).answered(2, payment.Outcome{Result: payment.Failed, Code: payment.CodePaymentNotFound})
			s.pass(time.Hour).told(payment.Outcome{Result: payment.NotFound})
		},
		"not_found_and_repeat_unsafe": func(s *story) {
			s.in.Traits = openpay()
			doubtful(s)
			s.pass(time.Hour).told(payment.Outcome{Result: payment.NotFound})
		},
		"no_answer_from_provider": func(s *story) { doubtful(s); s.pass(73 * time.Hour).told(payment.Outcome{}) },
		"account_changed":         func(s *story) { doubtful(s); s.with(moved).timer() },
		"moved_more_than_asked": func(s *story) {
			doubtful(s)
			s.told(payment.Outcome{Result: payment.Succeeded, Moved: inEGP(401)})
		},
		"internal_error": func(s *story) { doubtful(s); s.step(payment.DecidePanicked(s.in)) },
	}
	for reason, begin := range begins {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			begin(s)
			if s.last.Event == nil || s.last.Event.Review == nil {
				t.Fatalf("no review: %+v", s.last)
			}
			r := s.last.Event.Review
			if r.Reason != reason || r.Question == "" || len(r.SafeActions) < 2 || !r.Since.Equal(s.in.Now) || s.last.Alert == "" {
				t.Errorf("review = %+v, alert %q", r, s.last.Alert)
			}
		})
	}
}

func TestAnOperatorsWordIsOnTheEvent(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	reviewed(s)
	s.with(func(in *payment.Input) {
		in.Resolution = &payment.Resolution{
			Verdict: payment.VerdictSucceeded, Testimony: payment.Testimony{Moved: inEGP(390), ProviderReference: "p-7"},
			Resolved: payment.ResolvedBy{Operator: "ann", Reason: "ledger read", Evidence: "ticket 7"},
		}
	}).command(a())
	e := s.last.Event
	want := &payment.ResolvedBy{Operator: "ann", Reason: "ledger read", Evidence: "ticket 7"}
	if diff := cmp.Diff(want, e.ResolvedBy); diff != "" || e.Moved.Value != 390 || e.ProviderReference != "p-7" || e.Review != nil {
		t.Errorf("resolvedBy (-want +got):\n%s\nmoved %v, reference %q, review %v", diff, e.Moved, e.ProviderReference, e.Review)
	}
}

func TestAnOperatorSaysWhatACancelDid(t *testing.T) {
	t.Parallel()
	const refused = payment.Effect("refused")
	voided, closed, none, refunded := payment.EffectVoided, payment.EffectClosed, payment.EffectNone, payment.EffectRefunded
	yes := payment.VerdictSucceeded
	for name, c := range map[string]struct {
		command payment.Command
		verdict payment.Verdict
		effect  payment.Effect
		moved   *payment.Money
		want    payment.Effect
	}{
		"nothing is said":                {cancel("c"), yes, "", nil, closed},
		"closed":                         {cancel("c"), yes, closed, nil, closed},
		"voided":                         {cancel("c"), yes, voided, nil, voided},
		"no money would have been taken": {cancel("c"), yes, none, nil, none},
		"refunded":                       {cancel("c"), yes, refunded, inEGP(500), refunded},
		"refunded, but not how much":     {cancel("c"), yes, refunded, nil, refused},
		"refunded nothing":               {cancel("c"), yes, refunded, inEGP(0), refused},
		"voided with money":              {cancel("c"), yes, voided, inEGP(500), refused},
		"money without a word":           {cancel("c"), yes, "", inEGP(500), refused},
		"a word nobody knows":            {cancel("c"), yes, "gone", nil, refused},
		"an effect of what did not work": {cancel("c"), payment.VerdictFailed, voided, nil, refused},
		"an effect of a call to come":    {cancel("c"), payment.VerdictRetry, voided, nil, refused},
		"a refund":                       {a(), yes, "", inEGP(400), refunded},
		"a refund, said":                 {a(), yes, refunded, inEGP(400), refunded},
		"a refund that voided":           {a(), yes, voided, nil, refused},
	} {
		s := tell(t, opay())
		s.command(c.command).pass(10*time.Second).answered(1, payment.Outcome{Message: "timed out"})
		s.with(func(in *payment.Input) {
			in.Resolution = &payment.Resolution{
				Verdict: c.verdict, Testimony: payment.Testimony{Effect: c.effect, Moved: c.moved}, Seen: in.Now, Resolved: payment.ResolvedBy{Operator: "ann", Reason: "ledger read"},
			}
		}).command(c.command)
		e := s.last.Event
		switch {
		case c.want == refused:
			if s.last.Action != payment.RefuseOperator || s.last.Code != payment.CodeOther || e != nil {
				t.Errorf("%s: decision %+v, want the operator refused", name, s.last)
			}
		case e == nil || e.Type != payment.EventSucceeded || e.Effect != c.want || s.operation(c.command).Effect != c.want || e.Code == "" || e.ResolvedBy == nil:
			t.Errorf("%s: decision %+v, want the effect %s", name, s.last, c.want)
		case (e.Moved == nil) != (c.moved == nil):
			t.Errorf("%s: moved %v, want %v", name, e.Moved, c.moved)
		}
	}
}

// What a cancel gave back is gone: nothing is left to refund.
func TestACancelRuledAsRefundedIsBooked(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	s.command(cancel("c")).pass(10*time.Second).answered(1, payment.Outcome{Message: "timed out"})
	s.with(both(operator(payment.VerdictSucceeded), func(in *payment.Input) {
		in.Resolution.Effect, in.Resolution.Moved = payment.EffectRefunded, inEGP(500)
	})).command(cancel("c"))
	s.with(func(in *payment.Input) { in.Resolution = nil }).command(captured(refund("r", 100), 500))
	wantRefused(t, s, payment.StatusRejected, payment.CodeAlreadyRefunded)
}

func TestAnOperatorsRetryKeepsTheReferenceAndWhatIsFrozen(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(func(in *payment.Input) { in.Reading = paid(500, 0) })
	c := fullRefund("a")
	s.command(c).with(func(in *payment.Input) { in.Reading = nil })
	before := s.operation(c)
	s.pass(10*time.Second).answered(1, payment.Outcome{}).told(payment.Outcome{Result: payment.Ambiguous})
	s.with(operator(payment.VerdictRetry)).command(c)
	wantCalled(t, s)
	o := s.operation(c)
	if o.Open.Review != nil || !o.Open.DoubtSince.IsZero() || o.Attempt != 2 {
		t.Errorf("review %v, since %s, attempt %d", o.Open.Review, o.Open.DoubtSince, o.Attempt)
	}
	if o.Amount == nil || *o.Amount != *inEGP(500) || o.Open.Reference != before.Open.Reference || s.last.Event.ResolvedBy == nil {
		t.Errorf("amount %v, reference %q", o.Amount, o.Open.Reference)
	}
}

func TestAnOperatorsRetryOfWhatIsUnsafeToRepeatClearsDoubt(t *testing.T) {
	t.Parallel()
	s := tell(t, openpay())
	s.command(a()).pass(10*time.Second).answered(1, payment.Outcome{}).told(payment.Outcome{Result: payment.Ambiguous})
	s.with(operator(payment.VerdictRetry)).command(a())
	wantCalled(t, s)
	if o := s.operation(a()); len(o.Open.Doubt) > 0 {
		t.Errorf("doubt %v", o.Open.Doubt)
	}
	// The word cleared the first attempt: a no to the second is the end.
	s.with(func(in *payment.Input) { in.Resolution = nil }).answered(2, payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined})
	wantRefused(t, s, payment.StatusFailed, payment.CodeDeclined)
}

// Nobody has said that the first attempt did nothing: the provider would refuse
// the second either way.
func TestAnOperatorsRetryOfWhatIsNotTakenTwiceLeavesTheAttemptsBeforeItInDoubt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		first payment.Outcome
		again payment.Outcome
	}{
		"a lost answer, then already refunded": {payment.Outcome{}, payment.Outcome{Result: payment.Failed, Code: payment.CodeAlreadyRefunded}},
		"a lost answer, then certainly unsent": {payment.Outcome{}, payment.Outcome{Result: payment.NotExecuted}},
		"accepted, then already refunded":      {payment.Outcome{Result: payment.Pending}, payment.Outcome{Result: payment.Failed, Code: payment.CodeAlreadyRefunded}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, openpay())
			s.command(fullRefund("a")).pass(10*time.Second).answered(1, c.first)
			s.with(operator(payment.VerdictRetry)).command(fullRefund("a"))
			wantCalled(t, s)
			s.with(func(in *payment.Input) { in.Resolution = nil }).answered(2, c.again)
			o := s.operation(fullRefund("a"))
			if o.Status != payment.StatusIndeterminate || !slices.Equal(o.Open.Doubt, []int{1}) {
				t.Errorf("after the retry it is %s, doubt %v", o.Status, o.Open)
			}
			s.told(payment.Outcome{Result: payment.Succeeded})
			if o := s.operation(fullRefund("a")); o.Status != payment.StatusSucceeded {
				t.Errorf("found, and it is %s", o.Status)
			}
		})
	}
}

func TestAnOperatorsRetryOfWhatWasNeverReadIsReadFirst(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).with(paused).pass(time.Minute).command(fullRefund("a")).with(resumed)
	s.with(operator(payment.VerdictRetry)).command(fullRefund("a"))
	if s.last.Action != payment.ReadPayment || s.last.Event != nil {
		t.Fatalf("decision %+v, want the payment read", s.last)
	}
	s.with(func(in *payment.Input) { in.Reading = paid(500, 0) }).command(fullRefund("a"))
	wantCalled(t, s)
	if o := s.operation(fullRefund("a")); o.Amount == nil || o.Amount.Value != 500 {
		t.Errorf("amount %v, want what was read", o.Amount)
	}
}

func TestAnOperatorIsRefusedAtAMissingInstance(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	reviewed(s)
	s.with(both(removed, operator(payment.VerdictSucceeded))).command(a())
	if s.last.Action != payment.RefuseOperator || s.last.Code != payment.CodeUnknownProvider {
		t.Errorf("decision %+v", s.last)
	}
}

func TestAPanickingCommandEndsByWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	inReview := review("internal_error", payment.StatusIndeterminate, 1)
	inReview.EventCode = payment.CodeInternalError
	pendingReview := review("internal_error", payment.StatusPending)
	pendingReview.EventCode = payment.CodeInternalError
	internal := func(d seen) seen {
		d.Code, d.EventCode = payment.CodeInternalError, payment.CodeInternalError
		return d
	}
	panicked := func(s *story) { waiting(s); s.step(payment.DecidePanicked(s.in)) }
	cases := []struct {
		name  string
		begin func(*story)
		after time.Duration
		ask   payment.Command
		with  func(*payment.Input)
		want  seen
	}{
		{name: "nothing is known: rejected", ask: a(), want: internal(seen{Action: payment.Finish, Event: payment.EventRejected, Status: payment.StatusRejected})},
		{
			name: "nothing is known and there is no room: the command is rejected", begin: rejected, ask: refund("b", 1),
			with: func(in *payment.Input) { in.Limits.Rejected = 1 }, want: seen{Action: payment.RejectCommand, Code: payment.CodeInternalError},
		},
		{name: "during a call it waits for its end", begin: started, ask: a(), want: seen{Action: payment.ComeBack, Code: payment.CodeInternalError, At: "15s", Alert: true}},
		{name: "a lost call is for a person", begin: started, after: 15 * time.Second, ask: a(), want: inReview},
		{name: "doubt is for a person", begin: doubtful, ask: a(), want: inReview},
		{name: "pending is for a person", begin: pending, ask: a(), want: pendingReview},
		{name: "what is in review stays there", begin: reviewed, ask: a(), want: seen{Action: payment.ComeBack, At: "4h0m0s", Alert: true}},
		{name: "what waits is deferred", begin: waiting, ask: a(), want: internal(seen{Action: payment.ComeBack, At: "5m0s", Next: "5m0s", Alert: true, Event: payment.EventDeferred, Status: payment.StatusDeferred})},
		{name: "what is deferred for it says so once", begin: panicked, ask: a(), want: seen{Action: payment.ComeBack, Code: payment.CodeInternalError, At: "5m0s", Alert: true}},
		{name: "what has ended is over", begin: succeeded, ask: a(), want: seen{Action: payment.Finish}},
		{name: "other content under the key leaves the operation alone", begin: waiting, ask: refund("a", 401), want: seen{Action: payment.RejectCommand, Code: payment.CodeIdempotencyKeyReused}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := tell(t, opay())
			if c.begin != nil {
				c.begin(s)
			}
			s.pass(c.after).about(c.ask)
			if c.with != nil {
				c.with(&s.in)
			}
			d := undisturbed(t, s.in, payment.DecidePanicked)
			if diff := cmp.Diff(c.want, look(t, s.in, d), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnOpenOperationWhoseStateIsNotWholeIsNeverDropped(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	doubtful(s)
	s.in.State.Operations[0].Open = nil
	want := seen{Action: payment.ComeBack, Code: payment.CodeInternalError, At: "30s", Alert: true}
	for name, decide := range map[string]func(payment.Input) payment.Decision{
		"Decide": payment.Decide, "DecidePanicked": payment.DecidePanicked,
		"Conclude": func(in payment.Input) payment.Decision { return payment.Conclude(in, payment.Heard{Attempt: 1}) },
	} {
		if diff := cmp.Diff(want, look(t, s.in, decide(s.in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnOperatorsRetryRefundsNoMoreThanWasCaptured(t *testing.T) {
	t.Parallel()
	s := tell(t, opay()).command(captured(fullRefund("x"), 500))
	s.pass(time.Minute).command(refund("a", 1))
	wantWait(t, s, payment.CodeWaitingForOperation)
	s.about(fullRefund("x")).answered(1, payment.Outcome{Result: payment.Succeeded})
	s.with(operator(payment.VerdictRetry)).command(refund("a", 1))
	if s.last.Action != payment.RefuseOperator || s.last.Code != payment.CodeAlreadyRefunded {
		t.Errorf("decision %+v, want the operator refused with already_refunded", s.last)
	}
}
