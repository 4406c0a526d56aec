package tranzzo

// White-box: finding out is a pure comparison of a listing with a snapshot, and
// the tests walk its rows.

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// ask is a request of an attempt whose answer was lost.
func ask(r providers.Request, attempt int, before ...string) providers.Request {
	r.InDoubt, r.Attempt = true, attempt
	if r.Snapshot != nil {
		s := *r.Snapshot
		for _, reference := range before {
			s.Movements = append(s.Movements, payment.Movement{Reference: reference, Amount: uah(400)})
		}
		r.Snapshot = &s
	}
	return r
}

func blind(r providers.Request) providers.Request {
	r.Snapshot = nil
	return r
}

// certain is a request of which no earlier attempt is in doubt.
func certain(r providers.Request) providers.Request {
	r.InDoubt = false
	return r
}

func (i item) said(comment string) item {
	i.comment = comment
	return i
}

func (i item) coded(code string) item {
	i.code = code
	return i
}

// finding is what a row of a comparison promises.
type finding struct {
	result payment.Result
	basis  payment.Basis
	ref    string
	code   payment.Code
	effect payment.Effect
}

func findingOf(o payment.Outcome) finding {
	return finding{o.Result, o.Basis, o.ProviderReference, o.Code, o.Effect}
}

func TestEveryRowOfTheRefundComparison(t *testing.T) {
	t.Parallel()
	part, full := ask(partRefund(), 1), ask(fullRefund(), 1)
	yes := func(ref string, b payment.Basis) finding {
		return finding{payment.Succeeded, b, ref, "", payment.EffectRefunded}
	}
	soon := func(ref string, b payment.Basis) finding { return finding{payment.Pending, b, ref, "", ""} }
	no := func(ref string, b payment.Basis) finding {
		return finding{payment.Failed, b, ref, payment.CodeDeclined, ""}
	}
	nothing, unclear := finding{result: payment.NotFound}, finding{result: payment.Ambiguous}
	const query, inferred = payment.Basis(""), payment.BasisInferred // the core fills "query" in
	r := refund
	for _, row := range []struct {
		name    string
		request providers.Request
		refunds []item
		want    finding
	}{
		{"nothing listed", part, nil, nothing},
		{"nothing new", ask(partRefund(), 1, "r-1"), []item{r("r-1", "success", "4")}, nothing},

		{"ours by comment", part, []item{r("r-1", "success", "4").said("our-key")}, yes("r-1", query)},
		{"ours by comment, under way", part, []item{r("r-1", "pending", "4").said("our-key")}, soon("r-1", query)},
		{"ours by comment, created", part, []item{r("r-1", "init", "4").said("our-key")}, soon("r-1", query)},
		{"ours by comment, failed", part, []item{r("r-1", "failure", "4").said("our-key")}, no("r-1", query)},
		{"ours by comment, failed, no amount", part, []item{r("r-1", "failure", "").said("our-key")}, no("r-1", query)},
		{"ours by comment beside another's", part, []item{r("r-1", "success", "4").said("other"), r("r-2", "success", "4").said("our-key")}, yes("r-2", query)},
		{"ours by comment beside one unmarked", part, []item{r("r-1", "success", "4"), r("r-2", "success", "4").said("our-key")}, yes("r-2", query)},
		{"ours by comment, once failed", part, []item{r("r-1", "failure", "4").said("our-key"), r("r-2", "success", "4").said("our-key")}, yes("r-2", query)},
		{"ours by comment, twice", part, []item{r("r-1", "success", "4").said("our-key"), r("r-2", "success", "4").said("our-key")}, unclear},
		{"ours by comment, once more under way", part, []item{r("r-1", "success", "4").said("our-key"), r("r-2", "pending", "4").said("our-key")}, unclear},
		{"ours by comment, another amount", part, []item{r("r-1", "success", "5").said("our-key")}, unclear},
		{"ours by comment, but listed before", ask(partRefund(), 1, "r-1"), []item{r("r-1", "success", "4").said("our-key")}, nothing},
		{"ours by comment, no snapshot", blind(part), []item{r("r-1", "success", "4").said("our-key")}, yes("r-1", query)},
		{"a key that begins like ours", part, []item{r("r-1", "success", "4").said("our-key-2")}, nothing},
		{"a key in other letters", part, []item{r("r-1", "success", "4").said("Our-Key")}, nothing},
		{"comments are shown, ours is not among them", part, []item{r("r-0", "failure", "4").said("other"), r("r-1", "success", "4")}, nothing},
		{"comments are shown on what was before", ask(partRefund(), 1, "r-0"), []item{r("r-0", "success", "9").said("other"), r("r-1", "success", "4")}, nothing},

		{"one new of this amount", part, []item{r("r-1", "success", "4.00")}, yes("r-1", inferred)},
		{"one new beside an old one", ask(partRefund(), 1, "r-0"), []item{r("r-0", "success", "4"), r("r-1", "success", "4")}, yes("r-1", inferred)},
		{"one new of this amount beside another", part, []item{r("r-0", "success", "5"), r("r-1", "success", "4")}, yes("r-1", inferred)},
		{"one new of this amount, under way", part, []item{r("r-1", "pending", "4")}, soon("r-1", inferred)},
		{"one new of another amount", part, []item{r("r-1", "success", "4.01")}, nothing},
		{"two new of this amount", part, []item{r("r-1", "success", "4"), r("r-2", "success", "4")}, unclear},
		{"two new of this amount, one under way", part, []item{r("r-1", "success", "4"), r("r-2", "pending", "4")}, unclear},
		{"two new of this amount, one failed", part, []item{r("r-1", "failure", "4"), r("r-2", "success", "4")}, unclear},
		{"two new of this amount, both failed", part, []item{r("r-1", "failure", "4"), r("r-2", "failure", "4")}, nothing},
		{"one new failed", part, []item{r("r-1", "failure", "4")}, no("r-1", inferred)},
		{"one new failed beside another amount", part, []item{r("r-1", "failure", "4"), r("r-2", "success", "5")}, nothing},
		{"one new failed, no amount", part, []item{r("r-1", "failure", "")}, nothing},
		{"one new failed, attempts before were not executed", ask(partRefund(), 3), []item{r("r-1", "failure", "4")}, no("r-1", inferred)},
		{"no snapshot, no refund", blind(part), nil, nothing},
		{"no snapshot, a refund", blind(part), []item{r("r-1", "success", "4")}, unclear},

		{"full: one new, all of it", full, []item{r("r-1", "success", "400")}, yes("r-1", inferred)},
		{"full: one new, under way", full, []item{r("r-1", "pending", "400")}, soon("r-1", inferred)},
		{"full: one new, a part", full, []item{r("r-1", "success", "4")}, nothing},
		{"full: two new that make it up", full, []item{r("r-1", "success", "4"), r("r-2", "success", "396")}, unclear},
		{"full: one new, failed", full, []item{r("r-1", "failure", "400")}, no("r-1", inferred)},
		{"full: one new, failed, of two attempts", ask(fullRefund(), 2), []item{r("r-1", "failure", "400")}, nothing},
		{"full: one new, failed, accepted after attempts that did not leave", certain(ask(fullRefund(), 3)), []item{r("r-1", "failure", "400")}, no("r-1", inferred)},
		{"full: ours failed, accepted after attempts that did not leave", certain(ask(fullRefund(), 3)), []item{r("r-1", "failure", "400").said("our-key")}, no("r-1", query)},
		{"full: ours by comment", full, []item{r("r-1", "success", "400").said("our-key")}, yes("r-1", query)},
		{"full: ours by comment, what was left", full, []item{r("r-1", "success", "396").said("our-key")}, yes("r-1", query)},
		{"full: ours by comment, one failed of two attempts", ask(fullRefund(), 2), []item{r("r-1", "failure", "400").said("our-key")}, nothing},
		{"full: ours by comment, two failed of two attempts", ask(fullRefund(), 2), []item{r("r-1", "failure", "400").said("our-key"), r("r-2", "failure", "400").said("our-key")}, no("r-2", query)},
		{"full: ours by comment, the second worked", ask(fullRefund(), 2), []item{r("r-1", "failure", "400").said("our-key"), r("r-2", "success", "400").said("our-key")}, yes("r-2", query)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o, _, ok := readAll(t, row.request, listing(append([]item{purchase("success")}, row.refunds...)...))
			if !ok {
				t.Fatal("the listing is not read")
			}
			out := compareRefund(defaults(), row.request, o)
			if got := findingOf(out); got != row.want {
				t.Errorf("got %+v (%s), want %+v", got, out.Message, row.want)
			}
			if out.Result == payment.Succeeded && out.Moved == nil {
				t.Error("the success does not say what moved")
			}
			if out.Message == "" {
				t.Error("the outcome does not say what was seen")
			}
		})
	}
}

func TestWhatAFullRefundLeavesIsReckonedFromTheSnapshot(t *testing.T) {
	t.Parallel()
	r := fullRefund()
	r.Snapshot.Refunded = uah(400)
	if diff := cmp.Diff(uah(39600), left(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.Snapshot.Captured = nil
	if left(r) != nil {
		t.Error("what is left is known without what was captured")
	}
	o, _, _ := readAll(t, r, listing(purchase("success"), refund("r-1", "success", "7")))
	if out := compareRefund(defaults(), ask(r, 1), o); out.Result != payment.Succeeded || out.Basis != payment.BasisInferred {
		t.Errorf("one new refund where the captured amount was not known: %+v", out)
	}
}

func TestAFailedRefundForLackOfBalanceSaysSo(t *testing.T) {
	t.Parallel()
	o, _, _ := readAll(t, partRefund(), listing(purchase("success"), refund("r-1", "failure", "4").said("our-key").coded("3001")))
	out := compareRefund(defaults(), ask(partRefund(), 1), o)
	if out.Result != payment.Failed || out.Code != payment.CodeInsufficientBalance {
		t.Errorf("got %+v", out)
	}
}

func TestEveryRowOfTheCancelComparison(t *testing.T) {
	t.Parallel()
	cancel, hold := ask(cancelling(), 1), ask(voiding(), 1)
	closed := finding{result: payment.Succeeded, effect: payment.EffectClosed}
	released := func(ref string, b payment.Basis) finding {
		return finding{payment.Succeeded, b, ref, "", payment.EffectVoided}
	}
	none := func(c payment.Code) finding {
		return finding{result: payment.Succeeded, effect: payment.EffectNone, code: c}
	}
	failed := func(c payment.Code) finding { return finding{result: payment.Failed, code: c} }
	nothing, unclear := finding{result: payment.NotFound}, finding{result: payment.Ambiguous}
	gone := func(i item) item { return i.coded("6007") }
	for _, row := range []struct {
		name    string
		request providers.Request
		items   []item
		want    finding
	}{
		{"cancel: still unpaid", cancel, []item{purchase("init")}, nothing},
		{"cancel: at the bank", cancel, []item{purchase("pending")}, nothing},
		{"cancel: cancelled", cancel, []item{gone(purchase("failure"))}, closed},
		{"cancel: failed by itself", cancel, []item{purchase("failure")}, none(payment.CodePaymentFailed)},
		{"cancel: paid meanwhile", cancel, []item{purchase("success")}, failed(payment.CodePaymentAlreadyPaid)},
		{"cancel: paid and refunded meanwhile", cancel, []item{purchase("success"), refund("r", "success", "400")}, failed(payment.CodePaymentAlreadyPaid)},
		{"cancel: authorised meanwhile", cancel, []item{auth("success")}, failed(payment.CodePaymentNotCancellable)},
		{"cancel: authorised meanwhile, being voided", cancel, []item{auth("success"), voided("v", "pending")}, nothing},
		{"cancel: authorised and voided meanwhile", cancel, []item{auth("success"), voided("v", "success")}, none(payment.CodeAlreadyCancelled)},

		{"void: still authorised", hold, []item{auth("success")}, nothing},
		{"void: voided, ours by comment", hold, []item{auth("success"), voided("v", "success").said("our-key")}, released("v", "")},
		{"void: voided, comments not shown", hold, []item{auth("success"), voided("v", "success")}, released("v", payment.BasisInferred)},
		{"void: voided by somebody else", hold, []item{auth("success"), voided("v", "success").said("other")}, none(payment.CodeAlreadyCancelled)},
		{"void: under way", hold, []item{auth("success"), voided("v", "pending")}, finding{result: payment.Pending, ref: "v"}},
		{"void: failed, ours by comment", hold, []item{auth("success"), voided("v", "failure").said("our-key")}, finding{payment.Failed, "", "v", payment.CodeDeclined, ""}},
		{"void: failed, comments not shown", hold, []item{auth("success"), voided("v", "failure")}, finding{payment.Failed, payment.BasisInferred, "v", payment.CodeDeclined, ""}},
		{"void: another's failed", hold, []item{auth("success"), voided("v", "failure").said("other")}, nothing},
		{"void: one failed of two attempts", ask(voiding(), 2), []item{auth("success"), voided("v", "failure").said("our-key")}, nothing},
		{"void: one failed of two attempts, comments not shown", ask(voiding(), 2), []item{auth("success"), voided("v", "failure")}, nothing},
		{"void: two failed of two attempts", ask(voiding(), 2), []item{auth("success"), voided("v", "failure").said("our-key"), voided("w", "failure").said("our-key")}, finding{payment.Failed, "", "w", payment.CodeDeclined, ""}},
		{"void: failed before", ask(voiding(), 1, "v"), []item{auth("success"), voided("v", "failure").said("our-key")}, nothing},
		{"void: captured meanwhile", hold, []item{auth("success"), capture("success", "400")}, failed(payment.CodePaymentAlreadyPaid)},
		{"void: being captured", hold, []item{auth("success"), capture("pending", "400")}, nothing},
		{"void: captured and voided", hold, []item{auth("success"), capture("success", "400"), voided("v", "success")}, unclear},
		{"void: the hold is gone by itself", hold, []item{gone(auth("failure"))}, none(payment.CodeAlreadyCancelled)},
		{"void: failed by itself", hold, []item{auth("failure")}, none(payment.CodePaymentFailed)},

		{"no snapshot: cancelled", blind(cancel), []item{gone(purchase("failure"))}, none(payment.CodeAlreadyCancelled)},
		{"no snapshot: authorised", blind(cancel), []item{auth("success")}, nothing},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o, now, ok := readAll(t, row.request, listing(row.items...))
			if !ok {
				t.Fatal("the listing is not read")
			}
			out := compareCancel(defaults(), row.request, o, now)
			if got := findingOf(out); got != row.want {
				t.Errorf("got %+v (%s), want %+v", got, out.Message, row.want)
			}
			if out.Moved != nil {
				t.Errorf("a cancel moved %s", out.Moved)
			}
		})
	}
}

func TestOnlyWhatTheFirstReadingSaidDecidesBetweenCancelAndVoid(t *testing.T) {
	t.Parallel()
	for status, want := range map[payment.PaymentStatus]call{
		payment.PaymentUnpaid: callCancel, payment.PaymentAuthorized: callVoid,
	} {
		if c, ok := frozenCall(providers.Request{Snapshot: &payment.Reading{OK: true, Status: status}}); !ok || c != want {
			t.Errorf("%s: %v %v", status, c, ok)
		}
	}
	for _, s := range []*payment.Reading{
		nil, {}, {Status: payment.PaymentUnpaid}, {OK: true}, {OK: true, Status: payment.PaymentPaid}, {OK: true, Status: payment.PaymentCancelled},
	} {
		if c, ok := frozenCall(providers.Request{Snapshot: s}); ok {
			t.Errorf("%+v decides for call %d", s, c)
		}
	}
}
