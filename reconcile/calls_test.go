package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// rowsOf are rows about refunds of 500, one an hour, under one reference of the provider's.
func rowsOf(statuses string) []reconcile.Row {
	var rows []reconcile.Row
	for i, status := range strings.Fields(statuses) {
		status, amount, other := strings.Cut(status, ":")
		r := unnamed(row(status, 500))
		if other {
			_, _ = fmt.Sscan(amount, &r.Amount.Value)
		}
		r.Line, r.ExecutedAt = i+2, noon().Add(time.Duration(i)*time.Minute)
		rows = append(rows, r)
	}
	return rows
}

// found is what a sink finds where operations and rows share the provider's reference.
func found(t *testing.T, references payment.ReferenceScope, ops []reconcile.Operation, rows []reconcile.Row) *books {
	t.Helper()
	b := newBooks()
	b.sink.References = references
	var claims []reconcile.Claim
	for _, o := range ops {
		claims = append(claims, reconcile.Claim{Operation: o})
	}
	strays := reconcile.Match(claims, rows, false, references)
	for _, c := range claims {
		if err := b.sink.Judge(c.Operation, c.Rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.sink.Strays(strays, ""); err != nil {
		t.Fatal(err)
	}
	return b
}

// Openpay answers every refund of a payment under the payment's transactionId.
func TestWhereTheReferenceIsThePaymentsNoRowTakesAnotherBack(t *testing.T) {
	t.Parallel()
	five := func(last payment.EventType, attempts int) reconcile.Operation {
		return with(refund(last), func(o *reconcile.Operation) {
			o.Amount, o.Attempt = egp(500), attempts
			if o.Moved != nil {
				o.Moved = egp(500)
			}
		})
	}
	done, declined, open := five(payment.EventSucceeded, 1), five(payment.EventFailed, 1), five(payment.EventIndeterminate, 1)
	repeated := five(payment.EventSucceeded, 2)
	back := with(done, func(o *reconcile.Operation) { o.Fact = payment.EventReturned })
	full := with(done, func(o *reconcile.Operation) { o.Full, o.Amount, o.Moved = true, nil, nil })
	six := with(done, func(o *reconcile.Operation) { o.Amount, o.Moved = egp(600), egp(600) })
	never := five(payment.EventRejected, 0)
	type operations = []reconcile.Operation
	for _, c := range []struct {
		name   string
		ops    operations
		rows   string
		want   string
		agreed int
	}{
		{"one", operations{done}, "succeeded", "", 1},
		{"twice, with a failure between", operations{done}, "succeeded failed succeeded", "moved_twice", 0},
		{"twice, with a pending row between", operations{done}, "succeeded pending succeeded", "moved_twice", 0},
		{"three times", operations{done}, "succeeded pending succeeded pending succeeded", "moved_twice moved_twice", 0},
		{"twice, back between", operations{done}, "succeeded returned succeeded", "moved_twice returned", 0},
		{"twice, in full, and no amount is known", operations{full}, "succeeded failed succeeded", "moved_twice", 0},
		{"another was declined", operations{done, declined}, "succeeded failed", "", 2},
		{"another was declined before", operations{declined, done}, "failed succeeded", "", 2},
		{"another was declined after a pause", operations{declined, done}, "succeeded pending failed", "", 2},
		{"another is open", operations{open, done}, "succeeded failed", "", 2},
		{"the repeat was declined", operations{repeated}, "succeeded failed", "", 1},
		{"the repeat was declined after a pause", operations{repeated}, "succeeded pending failed", "", 1},
		{"more was declined than was called", operations{repeated}, "succeeded failed failed", "not_executed", 0},
		{"nothing explains the failure", operations{done}, "succeeded failed", "not_executed", 0},
		{"nothing explains the pending row", operations{done}, "succeeded pending", "not_executed", 0},
		{"nor one that was never called", operations{done, never}, "succeeded failed", "not_executed", 1},
		{"a failure of another amount", operations{done}, "succeeded failed:7", "", 1},
		{"failed, then succeeded", operations{done}, "failed succeeded", "", 1},
		{"pending, then succeeded", operations{done, done}, "pending succeeded pending succeeded", "", 2},
		{"two, with a failure between", operations{done, done}, "succeeded failed succeeded", "", 2},
		{"two, and one of them failed there", operations{done, done}, "succeeded failed", "not_executed", 1},
		{"two, and one of them failed there first", operations{done, done}, "failed succeeded", "not_executed", 1},
		{"two, and three there", operations{done, done}, "succeeded failed succeeded succeeded", "moved_twice", 1},
		{"two, and one came back", operations{done, done}, "succeeded succeeded returned", "returned", 1},
		{"two, and that one came back for us too", operations{done, back}, "succeeded succeeded returned", "", 2},
		{"two amounts", operations{done, six}, "failed:600 succeeded succeeded:600", "", 2},
		{"two amounts, one failed there", operations{done, six}, "succeeded failed:600", "not_executed", 1},
		{"declined here, executed there", operations{declined}, "failed succeeded", "executed_anyway", 0},
		{"declined here, executed, then failed there", operations{declined}, "succeeded failed", "executed_anyway", 0},
		{"nobody's", nil, "succeeded failed succeeded", "unknown_money unknown_money", 0},
	} {
		b := found(t, payment.ReferenceOfPayment, c.ops, rowsOf(c.rows))
		if got := strings.Join(b.found, " "); got != c.want || b.sink.Report.Agreed != c.agreed {
			t.Errorf("%s: found %q, want %q; %d agree, want %d", c.name, got, c.want, b.sink.Report.Agreed, c.agreed)
		}
	}
	b := found(t, payment.ReferenceOfPayment, operations{done}, rowsOf("succeeded failed"))
	const note = "line 2 said succeeded, and no repeat and no operation of ours explains line 3"
	if len(b.all) != 1 || b.all[0].Note != note || b.all[0].Line != 3 {
		t.Errorf("found %+v, want the note %q", b.all, note)
	}
}

// Where each refund has a reference of its own, the newest row still counts.
func TestWhereTheReferenceIsOfOneMovementTheNewestRowCounts(t *testing.T) {
	t.Parallel()
	for rows, want := range map[string]string{
		"succeeded":                    "",
		"succeeded failed":             "not_executed",
		"succeeded pending":            "not_executed",
		"failed succeeded":             "",
		"succeeded failed succeeded":   "",
		"succeeded returned":           "returned",
		"succeeded returned succeeded": "",
	} {
		done := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) { o.Moved, o.Attempt = egp(500), 2 })
		b := found(t, payment.ReferenceOfMovement, []reconcile.Operation{done}, rowsOf(rows))
		if got := strings.Join(b.found, " "); got != want {
			t.Errorf("%s: found %q, want %q", rows, got, want)
		}
	}
}

// A cancel without an amount is never money, and money is never such a cancel.
func TestACancelThatMovedNoMoneyDoesNotExplainARefund(t *testing.T) {
	t.Parallel()
	voided := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) {
		o.Op, o.Effect, o.Moved, o.Amount = payment.Cancel, payment.EffectVoided, nil, nil
	})
	closed := with(voided, func(o *reconcile.Operation) { o.Effect = payment.EffectClosed })
	became := with(voided, func(o *reconcile.Operation) { o.Effect, o.Moved = payment.EffectRefunded, egp(400) })
	unknown := with(became, func(o *reconcile.Operation) { o.Moved = nil })
	refunded, failed, open := refund(payment.EventSucceeded), refund(payment.EventFailed), refund(payment.EventIndeterminate)
	void := row("succeeded", 0)
	void.Op, void.Amount = payment.Cancel, nil
	money, paid, pounds := row("succeeded", 400), row("succeeded", 400), row("succeeded", 9900)
	paid.Op, pounds.Amount = payment.Cancel, &payment.Money{Value: 9900, Currency: "GBP"}
	other := func(r reconcile.Row) reconcile.Row {
		r.ProviderReference, r.ExecutedAt = "theirs-2", noon().Add(time.Hour)
		return r
	}
	type rows = []reconcile.Row
	for name, c := range map[string]struct {
		ours    reconcile.Operation
		rows    rows
		want    string
		cancels int
	}{
		"closed, refunded there":                         {closed, rows{money}, "unknown_money", 0},
		"voided, refunded there in another currency":     {voided, rows{pounds}, "unknown_money", 0},
		"voided, cancelled there with an amount":         {voided, rows{paid}, "unknown_money", 0},
		"closed and closed, and refunded there":          {closed, rows{void, other(money)}, "unknown_money", 0},
		"closed, refunded twice there":                   {closed, rows{money, other(money)}, "moved_twice unknown_money", 0},
		"a cancel that refunded, there too":              {became, rows{money}, "", 0},
		"a cancel that refunded another amount there":    {became, rows{row("succeeded", 401)}, "amount_differs", 0},
		"a cancel that refunded, of what is not known":   {unknown, rows{money}, "", 0},
		"a cancel that refunded, no money there":         {became, rows{void}, "not_executed", 0},
		"refunded, cancelled there without an amount":    {refunded, rows{void}, "not_executed", 1},
		"refunded, and cancelled there too":              {refunded, rows{money, other(void)}, "", 1},
		"failed, cancelled there without an amount":      {failed, rows{void}, "", 1},
		"open, cancelled there without an amount, twice": {open, rows{void, other(void)}, "", 2},
	} {
		for scope, sure := range map[payment.ReferenceScope]bool{payment.ReferenceOfMovement: true, payment.ReferenceOfPayment: false} {
			b := newBooks()
			b.sink.References = scope
			if err := b.sink.Judge(c.ours, c.rows); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(b.found, " "); got != c.want || b.sink.Report.Cancels != c.cancels || (b.sink.Report.Agreed == 1) != (c.want == "") {
				t.Errorf("%s, %s: found %q, want %q; %+v", name, scope, got, c.want, b.sink.Report)
			}
			// The same if the rows carry only the provider's reference.
			if !sure && len(c.rows) == 1 {
				b := found(t, scope, []reconcile.Operation{c.ours}, []reconcile.Row{unnamed(c.rows[0])})
				if got := strings.Join(b.found, " "); got != c.want {
					t.Errorf("%s, without our reference: found %q, want %q", name, got, c.want)
				}
			}
		}
	}
}

func TestExplainDoesNotBookMoneyByACancelNorSettleWhatMayHaveFailed(t *testing.T) {
	t.Parallel()
	voided := with(refund(payment.EventSucceeded), func(o *reconcile.Operation) {
		o.Op, o.Effect, o.Moved, o.Amount = payment.Cancel, payment.EffectVoided, nil, nil
	})
	became := with(voided, func(o *reconcile.Operation) { o.Effect = payment.EffectRefunded })
	done, failed, open := refund(payment.EventSucceeded), refund(payment.EventFailed), refund(payment.EventIndeterminate)
	money, void := row("succeeded", 400), row("succeeded", 0)
	void.Op, void.Amount = payment.Cancel, nil
	later := stated(money, "failed")
	later.ExecutedAt = noon().Add(time.Hour)
	again := money
	again.ExecutedAt = noon().Add(2 * time.Hour)
	type rows = []reconcile.Row
	type standings = []reconcile.Standing
	for name, c := range map[string]struct {
		ours       reconcile.Operation
		rows       rows
		references payment.ReferenceScope
		want       standings
	}{
		"voided, refunded there":            {voided, rows{money}, payment.ReferenceOfMovement, standings{reconcile.MovementUnexplained}},
		"became a refund":                   {became, rows{void, money}, payment.ReferenceOfMovement, standings{reconcile.MovementBooked, reconcile.MovementBooked}},
		"refunded, cancelled there":         {done, rows{void}, payment.ReferenceOfMovement, standings{reconcile.MovementUnexplained}},
		"failed, cancelled there":           {failed, rows{void}, payment.ReferenceOfMovement, standings{reconcile.MovementUnexplained}},
		"one movement's: it failed":         {open, rows{money, later}, payment.ReferenceOfMovement, nil},
		"the payment's: it may have failed": {open, rows{money, later}, payment.ReferenceOfPayment, standings{reconcile.MovementDoubtful}},
		"the payment's: it moved":           {open, rows{money}, payment.ReferenceOfPayment, standings{reconcile.MovementSettles}},
		"the payment's: it moved twice": {
			done, rows{money, later, again}, payment.ReferenceOfPayment, standings{reconcile.MovementBooked, reconcile.MovementUnexplained},
		},
	} {
		var got standings
		for _, m := range reconcile.Explain(true, []reconcile.Operation{c.ours}, c.rows, c.references) {
			got = append(got, m.Standing)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// An answer that was lost brought no reference; where that is the payment's it is known.
func TestALostRefundIsFoundByThePaymentsReference(t *testing.T) {
	t.Parallel()
	lost := with(refund(payment.EventIndeterminate), func(o *reconcile.Operation) { o.Details.TransactionID = "t-1" })
	for name, c := range map[string]struct {
		ours       reconcile.Operation
		references payment.ReferenceScope
		want       string
	}{
		"lost":            {lost, payment.ReferenceOfPayment, "t-1"},
		"of one movement": {lost, payment.ReferenceOfMovement, ""},
		"never called":    {with(lost, func(o *reconcile.Operation) { o.Attempt = 0 }), payment.ReferenceOfPayment, ""},
		"answered":        {with(lost, func(o *reconcile.Operation) { o.ProviderReference = "9" }), payment.ReferenceOfPayment, "9"},
	} {
		if got := c.ours.Theirs(c.references); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
