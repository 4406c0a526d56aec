package payment_test

import (
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
)

// waitingCases are about operations that are not in doubt: new ones, and
// deferred ones before and after an attempt.
func waitingCases() []decideCase {
	return append(append(refusedCases(), blockedCases()...), callingCases()...)
}

func refusedCases() []decideCase {
	const (
		guarded = "none, deferred (no attempt) | a guard refuses, or giveUpAfter"
		gaveUp  = "deferred after an attempt | past expiry or giveUpAfter"
	)
	no := func(status payment.Status, code payment.Code, attempt int) seen {
		return seen{Action: payment.Finish, Code: code, Event: payment.EventType(status), EventCode: code, Attempt: attempt, Status: status}
	}
	rejected := func(code payment.Code) seen { return no(payment.StatusRejected, code, 0) }
	failed := func(code payment.Code) seen { return no(payment.StatusFailed, code, 1) }
	const patience = 72 * time.Hour
	expiringLater := func(begin func(*story, payment.Command)) func(*story) {
		return func(s *story) { begin(s, expiring(a(), time.Hour)) }
	}
	expiringWaiting := expiringLater(func(s *story, c payment.Command) {
		s.with(paused).pass(time.Minute).command(c)
	})
	expiringRetrying := expiringLater(func(s *story, c payment.Command) {
		s.command(c).answered(1, payment.Outcome{Result: payment.NotExecuted})
	})
	blocked := func(s *story) { // waits since minute one, for the provider
		s.with(broken).pass(time.Minute).command(a()).with(closed)
	}
	return []decideCase{
		{row: guarded, name: "a guard refuses a new refund", ask: captured(a(), 399), want: rejected(payment.CodeAmountExceedsCaptured)},
		{row: guarded, name: "a command at its expiry is refused", after: time.Hour, ask: expiring(a(), time.Hour), want: rejected(payment.CodeExpired)},
		{row: guarded, name: "a command past its expiry is refused in a pause too", after: time.Hour, ask: expiring(a(), time.Hour), with: paused, want: rejected(payment.CodeExpired)},
		{row: guarded, name: "a wait ends at the expiry, in a pause too", begin: expiringWaiting, after: 59 * time.Minute, ask: a(), timer: true, with: paused, want: rejected(payment.CodeExpired)},
		{
			row: guarded, name: "a wait goes on until just before the expiry", begin: expiringWaiting, after: 59*time.Minute - 1, ask: a(), timer: true, with: paused,
			want: seen{Action: payment.ComeBack, Code: payment.CodePaused, At: "1ns"},
		},
		{row: guarded, name: "the expiry of a repeat does not count", begin: waiting, after: time.Hour, ask: expiring(a(), time.Minute), timer: true, want: start(1)},
		{row: guarded, name: "a refund that never got to the provider is given up", begin: blocked, after: patience, ask: a(), timer: true, with: broken, want: rejected(payment.CodeProviderUnavailable)},
		{row: guarded, name: "patience lasts until just before giveUpAfter", begin: blocked, after: patience - 1, ask: a(), timer: true, want: start(1)},
		{
			row: guarded, name: "nothing is given up during a pause", begin: blocked, after: patience, ask: a(), timer: true, with: paused,
			want: seen{
				Action: payment.ComeBack, Code: payment.CodePaused, At: "30s", Next: "30s", Event: payment.EventDeferred, EventCode: payment.CodePaused, Status: payment.StatusDeferred,
			},
		},
		{row: guarded, name: "nothing is given up right after a pause", begin: waiting, after: 2 * patience, ask: a(), timer: true, want: start(1)},
		{
			row: guarded, name: "a preparing read that finds nothing to give back refuses", ask: a(),
			with: both(askingAmount, func(in *payment.Input) {
				in.Reading = &payment.Reading{OK: true, Status: payment.PaymentRefunded}
			}),
			want: func() seen { s := rejected(payment.CodeAlreadyRefunded); s.Basis = payment.BasisQuery; return s }(),
		},
		{row: gaveUp, name: "a retried refund fails at its expiry", begin: expiringRetrying, after: time.Hour, ask: a(), timer: true, want: failed(payment.CodeExpired)},
		{row: gaveUp, name: "a retried refund goes on until just before its expiry", begin: expiringRetrying, after: time.Hour - 1, ask: a(), timer: true, want: start(2)},
		{row: gaveUp, name: "a retried refund fails at giveUpAfter", begin: retrying, after: patience, ask: a(), timer: true, want: failed(payment.CodeInsufficientBalance)},
		{row: gaveUp, name: "a retried refund goes on until just before giveUpAfter", begin: retrying, after: patience - 1, ask: a(), timer: true, want: start(2)},
		{
			row: gaveUp, name: "a wait of unknown cause is given up as provider unavailable", after: patience, ask: a(), timer: true,
			begin: func(s *story) {
				s.command(a()).answered(1, payment.Outcome{Result: payment.NotExecuted})
			},
			want: failed(payment.CodeProviderUnavailable),
		},
		{
			row: gaveUp, name: "an attempt after a long pause is not given up at once", after: 5 * time.Minute, ask: a(), timer: true,
			begin: func(s *story) {
				waiting(s)
				s.pass(2*patience).timer().answered(1, payment.Outcome{Result: payment.NotExecuted})
			},
			want: start(2),
		},
	}
}

func closed(in *payment.Input) { in.Instance.Breaker = payment.BreakerClosed }

// start is a call of attempt n, as every case sees it.
func start(n int) seen {
	return seen{Action: payment.Call, Event: payment.EventStarted, Attempt: n, CallUntil: "15s", Status: payment.StatusStarted}
}

func blockedCases() []decideCase {
	const row = "none, deferred | paused, breaker, in the way, no read"
	quiet := func(code payment.Code, at string) seen {
		return seen{Action: payment.ComeBack, Code: code, At: at}
	}
	deferred := func(code payment.Code, at string, attempt int) seen {
		return seen{
			Action: payment.ComeBack, Code: code, At: at, Next: at, Event: payment.EventDeferred, EventCode: code,
			Attempt: attempt, Status: payment.StatusDeferred,
		}
	}
	alone := func(in *payment.Input) { in.Traits.Parallel = false }
	busy := func(s *story) { s.with(alone).command(refund("first", 100)) }
	inReview := func(s *story) {
		s.with(alone).command(refund("first", 100)).told(payment.Outcome{})
		s.pass(time.Minute).told(payment.Outcome{Result: payment.Ambiguous})
	}
	inPause := func(s *story) { s.with(paused).pass(time.Minute).command(a()) }
	waitingForBreaker := func(s *story) { s.with(broken).pass(time.Minute).command(a()) }
	return []decideCase{
		{row: row, name: "a pause is quiet for a minute", after: time.Minute - 1, ask: a(), with: paused, want: quiet(payment.CodePaused, "30s")},
		{row: row, name: "a pause is said after a minute", after: time.Minute, ask: a(), with: paused, want: deferred(payment.CodePaused, "30s", 0)},
		{row: row, name: "an open breaker is quiet for a minute", ask: a(), with: broken, want: quiet(payment.CodeProviderUnavailable, "1s")},
		{row: row, name: "the wait for a breaker grows with the age", after: 40 * time.Second, ask: a(), with: broken, want: quiet(payment.CodeProviderUnavailable, "40s")},
		{row: row, name: "an open breaker is said after a minute", after: time.Minute, ask: a(), with: broken, want: deferred(payment.CodeProviderUnavailable, "1m0s", 0)},
		{row: row, name: "the wait grows to its longest", after: time.Hour, ask: a(), with: broken, want: deferred(payment.CodeProviderUnavailable, "5m0s", 0)},
		{row: row, name: "the probe of a breaker is called", ask: a(), with: probing, want: start(1)},
		{row: row, name: "an operation in the way is quiet for a minute", begin: busy, ask: a(), want: quiet(payment.CodeWaitingForOperation, "1s")},
		{row: row, name: "an operation in the way is said after a minute", begin: busy, after: time.Minute, ask: a(), want: deferred(payment.CodeWaitingForOperation, "1m0s", 0)},
		{row: row, name: "what is in the way is the cause, whatever the breaker does", begin: inReview, ask: a(), with: broken, want: deferred(payment.CodeWaitingForReview, "1m0s", 0)},
		{row: row, name: "an operation in review in the way is said so", begin: inReview, ask: a(), want: deferred(payment.CodeWaitingForReview, "1m0s", 0)},
		{row: row, name: "a reading that failed is quiet for a minute", ask: a(), with: both(askingAmount, unreadable), want: quiet(payment.CodeProviderUnavailable, "1s")},
		{
			row: row, name: "a reading that failed is said after a minute with its cause and the provider's wish", after: time.Minute, ask: a(),
			with: both(askingAmount, func(in *payment.Input) {
				in.Reading = &payment.Reading{Code: payment.CodeProviderAuthentication, RetryAfter: time.Hour}
			}),
			want: deferred(payment.CodeProviderAuthentication, "1h0m0s", 0),
		},
		{row: row, name: "a full refund whose amount cannot be read waits", ask: fullRefund("a"), with: func(in *payment.Input) { in.Reading = &payment.Reading{OK: true} }, want: quiet(payment.CodeProviderUnavailable, "1s")},
		{row: row, name: "the same cause is said once", begin: waitingForBreaker, after: time.Minute, ask: a(), timer: true, with: broken, want: quiet(payment.CodeProviderUnavailable, "2m0s")},
		{row: row, name: "another cause is said again", begin: waitingForBreaker, after: time.Minute, ask: a(), timer: true, with: both(broken, paused), want: deferred(payment.CodePaused, "30s", 0)},
		{row: row, name: "a pause is looked at again soon at first", begin: inPause, after: 30 * time.Second, ask: a(), timer: true, with: paused, want: quiet(payment.CodePaused, "30s")},
		{row: row, name: "a long pause is looked at seldom", begin: inPause, after: 7 * time.Minute, ask: a(), timer: true, with: paused, want: quiet(payment.CodePaused, "7m0s")},
		{row: row, name: "a pause is looked at once an hour at least", begin: inPause, after: 80 * time.Hour, ask: a(), timer: true, with: paused, want: quiet(payment.CodePaused, "1h0m0s")},
		{row: row, name: "the age of a pause counts, not that of the command", begin: retrying, after: 80 * time.Hour, ask: a(), timer: true, with: paused, want: deferred(payment.CodePaused, "30s", 1)},
		{
			row: row, name: "an expiry is not slept through in a pause", begin: func(s *story) { s.with(paused).pass(time.Minute).command(expiring(a(), 3*time.Hour)) },
			after: 2*time.Hour + 50*time.Minute, ask: a(), timer: true, with: paused, want: quiet(payment.CodePaused, "9m0s"),
		},
		{row: row, name: "a retry waits for the end of a pause", begin: retrying, after: time.Minute, ask: a(), timer: true, with: paused, want: deferred(payment.CodePaused, "30s", 1)},
		{row: row, name: "a retry waits for the breaker, past giveUpAfter too", begin: retrying, after: 80 * time.Hour, ask: a(), timer: true, with: broken, want: deferred(payment.CodeProviderUnavailable, "5m0s", 1)},
		{row: row, name: "a retry waits for the reading", begin: retrying, after: time.Minute, ask: a(), timer: true, with: both(askingAmount, unreadable), want: deferred(payment.CodeProviderUnavailable, "1m1s", 1)},
	}
}

func callingCases() []decideCase {
	const (
		over  = "deferred by a pause | it is over, and a timer comes"
		fresh = "none | guards pass"
		due   = "deferred | due"
	)
	refused := func(s *story) { // a waits after an attempt while another refund has used up what was captured
		retrying(s)
		s.command(captured(refund("b", 100), 500)).answered(1, payment.Outcome{Result: payment.Succeeded, Moved: inEGP(200)})
	}
	return []decideCase{
		{row: fresh, name: "a new refund is called", ask: a(), want: start(1)},
		{row: fresh, name: "a timer of a refund without an event is a new refund", ask: a(), timer: true, after: 30 * time.Second, want: start(1)},
		{row: fresh, name: "a new cancel is called", ask: cancel("a"), want: start(1)},
		{row: fresh, name: "a full refund of unknown amount is read first", ask: fullRefund("a"), want: seen{Action: payment.ReadPayment}},
		{row: fresh, name: "a full refund whose amount was read is called", ask: fullRefund("a"), with: func(in *payment.Input) { in.Reading = paid(400, 0) }, want: start(1)},
		{row: fresh, name: "a full refund of known amount is not read", ask: captured(fullRefund("a"), 400), want: start(1)},
		{row: fresh, name: "a kind that compares is always read", ask: a(), with: askingAmount, want: seen{Action: payment.ReadPayment}},
		{
			row: fresh, name: "a cancel that finds the payment cancelled has nothing to do", ask: cancel("a"),
			with: func(in *payment.Input) {
				in.Traits.Cancel.Prepare = payment.PrepareAlways
				in.Reading = &payment.Reading{OK: true, Status: payment.PaymentCancelled}
			},
			want: seen{
				Action: payment.Finish, Code: payment.CodeAlreadyCancelled, Event: payment.EventSucceeded, EventCode: payment.CodeAlreadyCancelled,
				Basis: payment.BasisQuery, Effect: payment.EffectNone, Status: payment.StatusSucceeded,
			},
		},
		{row: over, name: "the end of a pause makes due what was never called", begin: waiting, after: time.Second, ask: a(), timer: true, want: start(1)},
		{
			row: over, name: "the end of a pause makes a retry due", ask: a(), timer: true, want: start(2),
			begin: func(s *story) {
				retrying(s)
				s.pass(time.Minute).with(paused).timer().pass(time.Second).with(resumed)
			},
		},
		{row: "open | not due, or a repeat", name: "a repeat does not make it due", begin: waiting, after: time.Second, ask: a(), want: seen{Action: payment.ComeBack, Code: payment.CodePaused, At: "29s"}},
		{row: due, name: "a wait before any attempt is over when it is due", begin: waiting, after: 30 * time.Second, ask: a(), timer: true, want: start(1)},
		{row: due, name: "a retry is called when it is due", begin: retrying, after: time.Second, ask: a(), timer: true, want: start(2)},
		{row: due, name: "a retry is read anew", begin: retrying, after: time.Second, ask: a(), timer: true, with: askingAmount, want: seen{Action: payment.ReadPayment}},
		{
			row: due, name: "a retry that a guard refuses now has failed", begin: refused, after: time.Minute, ask: a(), timer: true,
			want: seen{
				Action: payment.Finish, Code: payment.CodeAmountExceedsRefundable, Event: payment.EventFailed,
				EventCode: payment.CodeAmountExceedsRefundable, Attempt: 1, Status: payment.StatusFailed,
			},
		},
		{
			row: due, name: "a retry that the reading refuses now has failed", begin: retrying, after: time.Minute, ask: a(), timer: true,
			with: both(askingAmount, func(in *payment.Input) { in.Reading = paid(400, 1) }),
			want: seen{
				Action: payment.Finish, Code: payment.CodeAmountExceedsRefundable, Event: payment.EventFailed, Basis: payment.BasisQuery,
				EventCode: payment.CodeAmountExceedsRefundable, Attempt: 1, Status: payment.StatusFailed,
			},
		},
	}
}

func TestAWaitForAReadingSaysInTheEventWhyItFailed(t *testing.T) {
	t.Parallel()
	s := tell(t, opay())
	s.with(askingAmount).with(func(in *payment.Input) {
		in.Reading = &payment.Reading{Code: payment.CodeProviderUnavailable, Message: "not sent: the port is closed"}
	})
	d := s.pass(time.Minute).command(a()).last
	if d.Event == nil || d.Event.Type != payment.EventDeferred || d.Event.Message != "not sent: the port is closed" {
		t.Errorf("decision %+v", d)
	}
}
