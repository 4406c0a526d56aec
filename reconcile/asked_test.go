package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

func answer(r payment.Result, moved *payment.Money) *payment.Outcome {
	return &payment.Outcome{Result: r, Moved: moved}
}

func TestAnOperationIsJudgedByTheAnswerAboutIt(t *testing.T) {
	t.Parallel()
	executed, failed := refund(payment.EventSucceeded), refund(payment.EventFailed)
	returned := with(executed, func(o *reconcile.Operation) { o.Fact = payment.EventReturned })
	old := with(refund(payment.EventPending), func(o *reconcile.Operation) { o.RequestedAt = noon().Add(-72 * time.Hour) })
	for name, c := range map[string]struct {
		ours            reconcile.Operation
		answer          *payment.Outcome
		want            string
		untold, unheard int
	}{
		"both say executed":               {ours: executed, answer: answer(payment.Succeeded, egp(400))},
		"executed, amount not said":       {ours: executed, answer: answer(payment.Succeeded, nil)},
		"another amount":                  {ours: executed, answer: answer(payment.Succeeded, egp(401)), want: "amount_differs"},
		"known there with another one":    {ours: executed, answer: answer(payment.Ambiguous, egp(401)), want: "amount_differs"},
		"several fit":                     {ours: executed, answer: answer(payment.Ambiguous, nil), untold: 1},
		"failed there":                    {ours: executed, answer: answer(payment.Failed, nil), want: "not_executed"},
		"not known there":                 {ours: executed, answer: answer(payment.NotFound, nil), want: "not_executed"},
		"pending there":                   {ours: executed, answer: answer(payment.Pending, nil), want: "not_executed"},
		"an answer nobody can read":       {ours: executed, answer: answer(payment.Indeterminate, nil), untold: 1},
		"no answer":                       {ours: executed, answer: &payment.Outcome{Code: payment.CodeProviderUnavailable}, unheard: 1},
		"wrong credentials":               {ours: executed, answer: &payment.Outcome{Unhealthy: true}, unheard: 1},
		"failed here and there":           {ours: failed, answer: answer(payment.Failed, nil)},
		"failed here, not known there":    {ours: failed, answer: answer(payment.NotFound, nil)},
		"failed here, executed there":     {ours: failed, answer: answer(payment.Succeeded, egp(400)), want: "executed_anyway"},
		"returned here, executed there":   {ours: returned, answer: answer(payment.Succeeded, egp(400))},
		"open, not too old":               {ours: refund(payment.EventPending), answer: answer(payment.Succeeded, egp(400))},
		"open, too old":                   {ours: old, answer: answer(payment.Pending, nil), want: "open_too_old"},
		"open, too old, and not known":    {ours: old, answer: answer(payment.NotFound, nil), want: "open_too_old"},
		"outside the period: not asked":   {ours: executed},
		"rejected, the provider not told": {ours: with(refund(payment.EventRejected), func(o *reconcile.Operation) { o.Attempt = 0 })},
	} {
		b := newBooks()
		if err := b.sink.JudgeAsked([]reconcile.Operation{c.ours}, reconcile.Answers{Outcomes: []*payment.Outcome{c.answer}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.found, " "); got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
		if r := b.sink.Report; r.CannotTell != c.untold || r.Unanswered != c.unheard {
			t.Errorf("%s: cannot tell %d, unanswered %d, want %d and %d", name, r.CannotTell, r.Unanswered, c.untold, c.unheard)
		}
	}
}

// reading is a payment of 40000 of which so much was refunded.
func reading(status payment.PaymentStatus, refunded *payment.Money) *payment.Reading {
	return &payment.Reading{OK: true, Status: status, Captured: egp(40000), Refunded: refunded}
}

func TestAPaymentIsJudgedByWhatWasRefundedInAll(t *testing.T) {
	t.Parallel()
	one, failed := refund(payment.EventSucceeded), refund(payment.EventFailed)
	two := with(one, func(o *reconcile.Operation) { o.Key, o.Moved = "k2", egp(600) })
	open := with(refund(payment.EventIndeterminate), func(o *reconcile.Operation) { o.Key = "k3" })
	voided := with(one, func(o *reconcile.Operation) {
		o.Op, o.Effect, o.Moved, o.Amount = payment.Cancel, payment.EffectVoided, nil, nil
	})
	unsure := answer(payment.Ambiguous, nil)
	const partly, paid, all, gone = payment.PaymentPartiallyRefunded, payment.PaymentPaid, payment.PaymentRefunded, payment.PaymentCancelled
	for name, c := range map[string]struct {
		ops     []reconcile.Operation
		reading *payment.Reading
		answers []*payment.Outcome
		want    string
		amount  int64
	}{
		"the sum agrees":                      {ops: []reconcile.Operation{one, two}, reading: reading(partly, egp(1000))},
		"more than ours, none of which":       {ops: []reconcile.Operation{one, two}, reading: reading(partly, egp(1700)), answers: []*payment.Outcome{unsure, unsure}, want: "unknown_money", amount: 700},
		"more than ours: the failed one":      {ops: []reconcile.Operation{failed}, reading: reading(partly, egp(400)), answers: []*payment.Outcome{answer(payment.Succeeded, egp(400))}, want: "executed_anyway"},
		"more than ours: may be the open":     {ops: []reconcile.Operation{one, open}, reading: reading(partly, egp(800)), answers: []*payment.Outcome{answer(payment.Succeeded, egp(400)), unsure}},
		"more than the open can be":           {ops: []reconcile.Operation{one, open}, reading: reading(partly, egp(900)), answers: []*payment.Outcome{answer(payment.Succeeded, egp(400)), unsure}, want: "unknown_money", amount: 100},
		"less than ours, which is told":       {ops: []reconcile.Operation{one, two}, reading: reading(partly, egp(400)), answers: []*payment.Outcome{answer(payment.Succeeded, egp(400)), answer(payment.NotFound, nil)}, want: "not_executed"},
		"less than ours, which is not told":   {ops: []reconcile.Operation{one, two}, reading: reading(paid, nil), answers: []*payment.Outcome{unsure, unsure}, want: "not_executed"},
		"how much is not told":                {ops: []reconcile.Operation{one}, reading: reading(partly, nil), answers: []*payment.Outcome{answer(payment.NotFound, nil)}},
		"all of it":                           {ops: []reconcile.Operation{with(one, func(o *reconcile.Operation) { o.Moved = egp(40000) })}, reading: reading(all, nil)},
		"cancelled":                           {ops: []reconcile.Operation{voided}, reading: &payment.Reading{OK: true, Status: gone}},
		"cancelled here, paid there":          {ops: []reconcile.Operation{voided}, reading: reading(paid, nil), answers: []*payment.Outcome{answer(payment.NotFound, nil)}, want: "not_executed"},
		"a failed one beside one that did it": {ops: []reconcile.Operation{failed, two}, reading: reading(partly, egp(601)), answers: []*payment.Outcome{answer(payment.Succeeded, nil), answer(payment.Succeeded, egp(600))}, want: "unknown_money", amount: 1},
	} {
		b := newBooks()
		if err := b.sink.JudgeAsked(c.ops, reconcile.Answers{Reading: c.reading, Outcomes: c.answers}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.found, " "); got != c.want {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
			continue
		}
		if c.amount != 0 && b.all[0].TheirAmount.Value != c.amount {
			t.Errorf("%s: %d, want %d", name, b.all[0].TheirAmount.Value, c.amount)
		}
	}
}

// A status that does not show partial refunds says "paid" before and after one.
func TestAPartialRefundThatTheProviderDoesNotShowIsNoDifference(t *testing.T) {
	t.Parallel()
	one := refund(payment.EventSucceeded)
	two := with(one, func(o *reconcile.Operation) { o.Key, o.Moved = "k2", egp(600) })
	full := with(one, func(o *reconcile.Operation) { o.Full, o.Amount, o.Moved = true, nil, egp(40000) })
	none := answer(payment.NotFound, nil)
	for name, c := range map[string]struct {
		ops     []reconcile.Operation
		reading *payment.Reading
		hides   bool
		want    string
		untold  int
	}{
		"parts, paid":                  {ops: []reconcile.Operation{one, two}, reading: reading(payment.PaymentPaid, nil), hides: true, untold: 2},
		"parts, paid, of another kind": {ops: []reconcile.Operation{one, two}, reading: reading(payment.PaymentPaid, nil), want: "not_executed not_executed"},
		"parts, never paid":            {ops: []reconcile.Operation{one}, reading: reading(payment.PaymentFailed, nil), hides: true, want: "not_executed"},
		"all of it, paid":              {ops: []reconcile.Operation{full}, reading: reading(payment.PaymentPaid, nil), hides: true, want: "not_executed"},
	} {
		b := newBooks()
		a := reconcile.Answers{Reading: c.reading, HidesParts: c.hides, Outcomes: []*payment.Outcome{none, none}[:len(c.ops)]}
		if err := b.sink.JudgeAsked(c.ops, a); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.found, " "); got != c.want || b.sink.Report.CannotTell != c.untold {
			t.Errorf("%s: found %q, %d cannot be told; want %q and %d", name, got, b.sink.Report.CannotTell, c.want, c.untold)
		}
	}
}
