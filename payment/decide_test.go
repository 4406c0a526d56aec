package payment_test

import (
	"slices"
	"time"

	"github.com/countermand/countermand/payment"
)

// Where cases begin. Each leaves the operation "a" (a refund of 4.00) behind.

func started(s *story) { s.command(refund("a", 400)) }

func waiting(s *story) { // deferred, never called
	s.with(paused).pass(time.Minute).command(refund("a", 400)).with(resumed)
}

func waitingBehindAnother(s *story) {
	s.with(func(in *payment.Input) { in.Traits.Parallel = false })
	s.command(refund("first", 100)).pass(time.Minute).command(refund("a", 400))
}

func retrying(s *story) { // deferred after attempt 1
	s.command(refund("a", 400)).pass(time.Second)
	s.answered(1, payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeInsufficientBalance})
}

func doubtful(s *story) { // attempt 1 left and was not answered
	s.command(refund("a", 400)).pass(10*time.Second).answered(1, payment.Outcome{Message: "timed out"})
}

func pending(s *story) {
	s.command(refund("a", 400)).pass(time.Second).answered(1, payment.Outcome{Result: payment.Pending, ProviderReference: "p-1"})
}

func succeeded(s *story) {
	s.command(refund("a", 400)).pass(time.Second).answered(1, payment.Outcome{Result: payment.Succeeded, ProviderReference: "p-1"})
}

func failed(s *story) {
	s.command(refund("a", 400)).pass(time.Second).answered(1, payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined})
}

func rejected(s *story) { s.command(captured(refund("a", 400), 100)) }

func reviewed(s *story) {
	doubtful(s)
	s.pass(2 * time.Second).told(payment.Outcome{Result: payment.Ambiguous})
}

// What the instance is like.

func paused(in *payment.Input)       { in.Instance.Paused = true }
func resumed(in *payment.Input)      { in.Instance.Paused = false }
func broken(in *payment.Input)       { in.Instance.Breaker = payment.BreakerOpen }
func probing(in *payment.Input)      { in.Instance.Breaker = payment.BreakerProbe }
func moved(in *payment.Input)        { in.Instance.Account = otherAccount }
func removed(in *payment.Input)      { in.Instance = payment.Instance{} }
func unreadable(in *payment.Input)   { in.Reading = &payment.Reading{} }
func askingAmount(in *payment.Input) { in.Traits.PartialRefund.Prepare = payment.PrepareAlways }

func operator(v payment.Verdict) func(*payment.Input) {
	return func(in *payment.Input) {
		in.Resolution = &payment.Resolution{Verdict: v, Seen: in.Now, Resolved: payment.ResolvedBy{Operator: "ann", Reason: "ledger read"}}
	}
}

// lookedEarlier is an operator whose view is a millisecond too old.
func lookedEarlier(in *payment.Input) {
	operator(payment.VerdictFailed)(in)
	in.Resolution.Seen = in.Now.Add(-time.Millisecond)
}

func both(changes ...func(*payment.Input)) func(*payment.Input) {
	return func(in *payment.Input) {
		for _, change := range changes {
			change(in)
		}
	}
}

// decideCase is one decision: where it begins, how much later it is, what is
// asked, and what must come out.
type decideCase struct {
	row, name string
	begin     func(*story)
	after     time.Duration
	ask       payment.Command
	timer     bool
	with      func(*payment.Input)
	want      seen
}

// a is the command that most cases ask about.
func a() payment.Command { return refund("a", 400) }

// now is an instant that equals Input.Now.
const now = "0s"

func decideCases() []decideCase {
	return slices.Concat(
		settledCases(), heldCases(), ruledCases(), waitingCases(), helpfulReadCases(), openCases(), unaskedCases(), requeryCases(),
	)
}

func settledCases() []decideCase {
	const (
		reused   = "any | same key, other content"
		repeat   = "terminal | a repeat"
		operated = "terminal | an operator decides"
		unknown  = "any | provider not configured here"
	)
	reuse := seen{Action: payment.RejectCommand, Code: payment.CodeIdempotencyKeyReused}
	lost := seen{Action: payment.ComeBack, Code: payment.CodeUnknownProvider, At: "30s", Alert: true}
	return []decideCase{
		{row: reused, name: "another amount under the key of an open refund is refused", begin: started, ask: refund("a", 401), want: reuse},
		{row: reused, name: "another amount under the key of a finished refund is refused", begin: succeeded, ask: refund("a", 401), want: reuse},
		{row: reused, name: "full under the key of a partial refund is refused, by a timer too", begin: waiting, ask: fullRefund("a"), timer: true, want: reuse},
		{
			row: reused, name: "the same key for a cancel is another operation", begin: succeeded, ask: cancel("a"),
			want: seen{Action: payment.Finish, Code: payment.CodePaymentAlreadyPaid, Event: payment.EventRejected, EventCode: payment.CodePaymentAlreadyPaid, Status: payment.StatusRejected},
		},
		{
			row: reused, name: "another reason, expiry and captured amount are the same content", begin: succeeded,
			ask: expiring(captured(a(), 1), time.Hour), want: seen{Action: payment.Finish},
		},
		{row: repeat, name: "a repeat of a succeeded refund adds nothing", begin: succeeded, ask: a(), want: seen{Action: payment.Finish}},
		{row: repeat, name: "a repeat of a failed refund adds nothing", begin: failed, ask: a(), want: seen{Action: payment.Finish}},
		{row: repeat, name: "a repeat of a rejected refund adds nothing", begin: rejected, ask: a(), timer: true, want: seen{Action: payment.Finish}},
		{row: repeat, name: "a repeat adds nothing where the instance is gone", begin: succeeded, ask: a(), with: removed, want: seen{Action: payment.Finish}},
		{row: operated, name: "an operator cannot decide about what has succeeded", begin: succeeded, ask: a(), with: operator(payment.VerdictFailed), want: seen{Action: payment.RefuseOperator, Code: payment.CodeOther}},
		{row: operated, name: "an operator cannot call again what has failed", begin: failed, ask: a(), with: operator(payment.VerdictRetry), want: seen{Action: payment.RefuseOperator, Code: payment.CodeOther}},
		{row: operated, name: "an operator cannot decide about what was never asked", ask: a(), with: operator(payment.VerdictSucceeded), want: seen{Action: payment.RefuseOperator, Code: payment.CodePaymentNotFound}},
		{row: unknown, name: "an open refund of a missing instance waits loudly", begin: doubtful, after: time.Hour, ask: a(), timer: true, with: removed, want: lost},
		{row: unknown, name: "a new refund of a payment known under a missing instance waits loudly", begin: succeeded, after: time.Hour, ask: refund("b", 1), with: removed, want: lost},
		{
			row: unknown, name: "other content under a missing instance cannot be told from a repeat and waits loudly", begin: succeeded,
			ask: refund("a", 401), with: removed, want: lost,
		},
		{
			row: unknown, name: "a new payment of a missing instance waits for a rollout", after: 5*time.Minute - time.Nanosecond, ask: a(), with: removed,
			want: seen{Action: payment.ComeBack, Code: payment.CodeUnknownProvider, At: "10s"},
		},
		{
			row: unknown, name: "after five minutes a new payment of a missing instance is refused", after: 5 * time.Minute, ask: a(), with: removed,
			want: seen{Action: payment.RejectCommand, Code: payment.CodeUnknownProvider},
		},
	}
}

// heldCases are about open operations that are not looked at now.
func heldCases() []decideCase {
	const (
		calling = "started | now < callUntil"
		account = "open | account is not the recorded one"
		early   = "open | not due, or a repeat"
	)
	hold := func(at string) seen {
		return seen{Action: payment.ComeBack, Code: payment.CodeWaitingForOperation, At: at}
	}
	elsewhere := func(e payment.EventType, next string) seen {
		return seen{
			Action: payment.ComeBack, At: next, Next: next, Alert: true, Event: e, Attempt: 1, Review: "account_changed", Status: payment.Status(e),
		}
	}
	inDoubt := elsewhere(payment.EventIndeterminate, "4h0m0s")
	inDoubt.Doubt = []int{1}
	return []decideCase{
		{row: calling, name: "a repeat during the call waits for its end", begin: started, after: 15*time.Second - 1, ask: a(), want: hold("1ns")},
		{row: calling, name: "a timer during the call waits for its end", begin: started, after: time.Second, ask: a(), timer: true, want: hold("14s")},
		{
			row: calling, name: "an operator is refused during the call", begin: started, after: 14 * time.Second, ask: a(), with: operator(payment.VerdictSucceeded),
			want: seen{Action: payment.RefuseOperator, Code: payment.CodeWaitingForOperation, At: "1s"},
		},
		{row: account, name: "doubt about another account is for a person", begin: doubtful, ask: a(), timer: true, after: time.Minute, with: moved, want: inDoubt},
		{row: account, name: "a lost call to another account is for a person", begin: started, after: 15 * time.Second, ask: a(), timer: true, with: moved, want: inDoubt},
		{row: account, name: "a refund pending at another account is for a person", begin: pending, ask: a(), with: moved, want: elsewhere(payment.EventPending, "4h0m0s")},
		{
			row: account, name: "a refund in review at another account stays there", begin: reviewed, after: time.Minute, ask: a(), timer: true, with: moved,
			want: seen{Action: payment.ComeBack, At: "3h59m0s", Alert: true},
		},
		{
			row: account, name: "a refund without doubt waits for its account", begin: retrying, after: time.Minute, ask: a(), timer: true, with: moved,
			want: seen{
				Action: payment.ComeBack, Code: payment.CodeWaitingForReview, At: "4h0m0s", Next: "4h0m0s", Alert: true, Attempt: 1,
				Event: payment.EventDeferred, EventCode: payment.CodeWaitingForReview, Status: payment.StatusDeferred,
			},
		},
		{
			row: account, name: "a refund that waits for its account says so once", ask: a(), timer: true, after: 4 * time.Hour, with: moved,
			begin: func(s *story) { retrying(s); s.with(moved).timer() },
			want:  seen{Action: payment.ComeBack, Code: payment.CodeWaitingForReview, At: "4h0m0s", Alert: true},
		},
		{row: early, name: "a timer before its time goes back to the state's time", begin: retrying, after: time.Second - 1, ask: a(), timer: true, want: seen{Action: payment.ComeBack, Code: payment.CodeInsufficientBalance, At: "1ns"}},
		{row: early, name: "a repeat goes back to the state's time", begin: doubtful, after: time.Second, ask: a(), want: seen{Action: payment.ComeBack, At: "1s"}},
		{row: early, name: "a repeat neither hastens nor puts off the polls", begin: doubtful, after: 7 * time.Second, ask: a(), want: seen{Action: payment.ComeBack, At: "7s"}},
		{row: early, name: "a repeat does not query", begin: pending, after: 2 * time.Second, ask: a(), want: seen{Action: payment.ComeBack, At: "4s"}},
		{row: early, name: "a repeat of a lost call restores the timer", begin: started, after: 15 * time.Second, ask: a(), want: seen{Action: payment.ComeBack, At: now}},
		{row: early, name: "a repeat of an overdue wait restores the timer", begin: retrying, after: time.Hour, ask: a(), want: seen{Action: payment.ComeBack, Code: payment.CodeInsufficientBalance, At: now}},
		{row: early, name: "a repeat of a refund in review is asked about every few hours", begin: reviewed, after: 5 * time.Hour, ask: a(), want: seen{Action: payment.ComeBack, At: "3h0m0s"}},
	}
}

// ruledCases are about what an operator decides.
func ruledCases() []decideCase {
	const (
		ruling = "open | operator says it happened, or did not"
		risky  = "open | operator says retry, repeat unsafe"
		retry  = "open | operator says retry, otherwise"
	)
	resolved := func(status payment.Status) seen {
		return seen{
			Action: payment.Finish, Code: payment.CodeResolvedByOperator, Event: payment.EventType(status),
			EventCode: payment.CodeResolvedByOperator, Basis: payment.BasisOperator, Attempt: 1, Status: status,
		}
	}
	yes := resolved(payment.StatusSucceeded)
	yes.Effect, yes.Moved = payment.EffectRefunded, 400
	again := seen{Action: payment.Call, Event: payment.EventStarted, Basis: payment.BasisOperator, Attempt: 2, CallUntil: "15s", Status: payment.StatusStarted}
	stillInDoubt := again
	stillInDoubt.Doubt = []int{1}
	unsafe := func(in *payment.Input) { in.Traits.PartialRefund.Repeat = payment.RepeatUnsafe }
	uncalled := resolved(payment.StatusFailed)
	uncalled.Attempt = 0
	return []decideCase{
		{row: ruling, name: "an operator says that it happened", begin: reviewed, ask: a(), with: operator(payment.VerdictSucceeded), want: yes},
		{row: ruling, name: "an operator says that it did not happen", begin: reviewed, ask: a(), with: operator(payment.VerdictFailed), want: resolved(payment.StatusFailed)},
		{row: retry, name: "an operator has it called again", begin: reviewed, ask: a(), with: operator(payment.VerdictRetry), want: stillInDoubt},
		{row: risky, name: "an operator has it called again where that may pay twice", begin: reviewed, ask: a(), with: both(unsafe, operator(payment.VerdictRetry)), want: again},
		{
			row: "started | operator read it before callUntil", name: "what an operator saw during a call decides nothing after it",
			begin: started, after: 15 * time.Second, ask: a(), with: lookedEarlier,
			want: seen{Action: payment.RefuseOperator, Code: payment.CodeWaitingForOperation},
		},
		{row: ruling, name: "an operator may decide at callUntil", begin: started, after: 15 * time.Second, ask: a(), with: operator(payment.VerdictFailed), want: resolved(payment.StatusFailed)},
		{row: ruling, name: "an operator ends what was never called", begin: waiting, ask: a(), with: operator(payment.VerdictFailed), want: uncalled},
		{row: ruling, name: "an operator decides although the account has changed", begin: reviewed, ask: a(), with: both(moved, operator(payment.VerdictSucceeded)), want: yes},
		{
			row: retry, name: "an operator's retry is not sent to another account", begin: reviewed, ask: a(), with: both(moved, operator(payment.VerdictRetry)),
			want: seen{Action: payment.RefuseOperator, Code: payment.CodeWaitingForReview},
		},
		{
			row: retry, name: "an operator's retry does not overtake another operation", begin: waitingBehindAnother, ask: a(), with: operator(payment.VerdictRetry),
			want: seen{Action: payment.RefuseOperator, Code: payment.CodeWaitingForOperation},
		},
		{row: ruling, name: "an operator who says nothing is refused", begin: reviewed, ask: a(), with: operator(payment.VerdictNone), want: seen{Action: payment.RefuseOperator, Code: payment.CodeOther}},
	}
}
