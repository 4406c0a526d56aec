package tranzzo_test

import (
	"context"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/providertest"
	"github.com/countermand/countermand/providers/tranzzo"
)

// asking is one way to ask: which operation, what was known before, and whether
// an earlier attempt may have left.
type asking struct {
	providers.Request
	query, read bool
}

func askings() []asking {
	earlier := fullRefund()
	earlier.Snapshot = &payment.Reading{
		OK: true, Status: payment.PaymentPartiallyRefunded, Captured: uah(fullAmount), Refunded: uah(400),
		Movements: []payment.Movement{{Reference: "op-0", Amount: uah(400)}},
	}
	earlierPart := partialRefund(400)
	earlierPart.Snapshot = earlier.Snapshot
	var list []asking
	for _, r := range []providers.Request{
		fullRefund(), partialRefund(400), earlier, earlierPart, cancelOf(payment.PaymentUnpaid), cancelOf(payment.PaymentAuthorized),
	} {
		list = append(list, asking{r, false, false})
		r.InDoubt = true
		list = append(list, asking{r, false, false}, asking{r, true, false})
	}
	return append(list, asking{fullRefund(), false, true})
}

// answers are Tranzzo's samples, with our identifiers, and their neighbours.
func answers() []string {
	operation := func(id, method, status, code, amount, more string) string {
		return `{"operation_id":"` + id + `","payment_id":"p-1","order_id":"order-1","pos_id":"` + testPos + `","mode":"hosted","method":"` + method +
			`","amount":` + amount + `,"currency":"UAH","status":"` + status + `","status_code":"` + code + `","status_description":"text"` + more + `}`
	}
	bought := operation("", "purchase", "success", "1000", "400.00", "")
	return []string{
		"[" + operation("", "purchase", "failure", "6007", "1", "") + "]",
		"[" + operation("", "purchase", "success", "1000", "400", "") + "]",
		operation("op-1", "void", "success", "1000", "400", ""),
		operation("op-1", "refund", "success", "1000", "4.00", ""),
		operation("op-1", "refund", "failure", "2002", `"4.00"`, ""),
		"[" + bought + "," + operation("op-1", "refund", "success", "1000", "4.00", `,"comment":"return-1"`) + "]",
		"[" + bought + "," + operation("op-0", "refund", "success", "1000", "4.00", "") + "," + operation("op-1", "refund", "success", "1000", "396", "") + "]",
		"[" + bought + "," + operation("op-1", "refund", "failure", "2002", "4.00", "") + "]",
		"[" + operation("", "auth", "success", "1000", "400", "") + "," + operation("op-1", "void", "success", "1000", "400", "") + "]",
		"[" + operation("", "auth", "success", "1000", "400", "") + "," + operation("op-1", "void", "failure", "2002", "400", `,"comment":"return-1"`) + "]",
		`{"message":"no","args":{"code":"S-400"}}`,
		"[]",
	}
}

// words are what Tranzzo documents, and what could be taken for it.
func words() []string {
	return []string{
		`"init"`, `"pending"`, `"success"`, `"failure"`, `"Success"`, `"rejected"`, `"6007"`, `6007`, `"1000"`, `"2002"`, `"purchase"`, `"auth"`, `"capture"`,
		`"void"`, `"refund"`, `"hosted"`, `"direct"`, `"order-1"`, `"order-2"`, `"` + testPos + `"`, `"another-pos"`, `"return-1"`, `"return-2"`,
		`"op-0"`, `"op-1"`, `"op-2"`, `4`, `"4.00"`, `4.001`, `"4,00"`, `396`, `400`, `"UAH"`, `"uah"`, `"KWD"`, `"USD"`,
		`"` + testSecret + `"`, `"key ` + testKey + ` unknown"`, `"` + testEndpoints + `"`, providertest.Escaped("key " + testSecret),
	}
}

func interview() providertest.Interview[asking] {
	return providertest.Interview[asking]{Ways: askings(), Answers: answers(), Words: words(), Ask: ask}
}

func FuzzAnAnswerIsAYesOrANoOnlyWithEvidence(f *testing.F) { interview().Fuzz(f) }

func TestNoChangeOfAnAnswerMakesAYesOrANo(t *testing.T) {
	t.Parallel()
	interview().EveryNth(t, 89)
}

// ask asks once and judges what is made of the answer.
func ask(t *testing.T, a asking, client *providers.Client, say providertest.Saying) {
	t.Helper()
	p, err := tranzzo.New(settings("http://127.0.0.1:1"), client)
	if err != nil {
		t.Fatal(err)
	}
	j := judge{a, providertest.ReadEvidence(say.Body), say.Status, !say.Cut}
	switch {
	case a.read:
		j.reading(t, p.Read(context.Background(), a.Request))
	case a.query:
		j.outcome(t, p.QueryStatus(context.Background(), a.Request), j.listedYes, j.listedNo)
	default:
		j.outcome(t, p.Call(context.Background(), a.Request), j.calledYes, j.calledNo)
	}
}

// judge knows Tranzzo's pages and nothing of the adapter.
type judge struct {
	asking
	e      *providertest.Evidence
	status int
	whole  bool
}

func (j judge) outcome(t *testing.T, o payment.Outcome, yes func(payment.Outcome) bool, no func() bool) {
	t.Helper()
	providertest.CheckPlain(t, o, events.Mask, testSecret, testKey, testEndpoints)
	switch {
	case o.Result == payment.Succeeded && !yes(o):
		t.Errorf("a yes without evidence: %+v", o)
	case o.Result == payment.Failed && !no():
		t.Errorf("a no without evidence: %+v", o)
	}
}

// one is the one operation of an answer to a call, if it is about our order at
// our point of sale.
func (j judge) one() (*providertest.Evidence, bool) {
	op := j.e
	if list, ok := j.e.Items(); ok {
		if len(list) != 1 {
			return nil, false
		}
		op = list[0]
	}
	return op, j.whole && ours(op)
}

func ours(op *providertest.Evidence) bool {
	return op.At("order_id").Is("order-1") && (!op.At("pos_id").Present() || op.At("pos_id").Is(testPos, ""))
}

// method is what the call asked for is named in its answer.
func (j judge) method() []string {
	switch {
	case j.Op == payment.Refund:
		return []string{"refund"}
	case j.Snapshot.Status == payment.PaymentAuthorized:
		return []string{"void"}
	default:
		return []string{"purchase", "auth"}
	}
}

func (j judge) calledYes(o payment.Outcome) bool {
	op, ok := j.one()
	if !ok || j.status/100 != 2 || !op.At("method").Is(j.method()...) {
		return false
	}
	if j.method()[0] == "purchase" {
		closed := op.At("status_code").Is("6007") == (o.Effect == payment.EffectClosed)
		return op.At("status").Is("failure") && closed && o.Moved == nil
	}
	return op.At("status").Is("success") && isAmount(op, o.Moved)
}

func (j judge) calledNo() bool {
	if j.InDoubt || !j.whole || j.status/100 != 2 && j.status/100 != 4 || slices.Contains([]int{401, 403, 408, 429}, j.status) {
		return false
	}
	op, ok := j.one()
	if !ok {
		return slices.Contains([]int{400, 404, 405, 406}, j.status) && j.e.At("message").Present() && j.e.At("args").Present() && !j.e.At("status").Is("success", "pending", "init", "failure")
	}
	if j.method()[0] == "purchase" {
		return j.status/100 == 2 && op.At("method").Is("purchase", "auth") && op.At("status").Is("success")
	}
	return op.At("method").Is(j.method()...) && op.At("status").Is("failure")
}

// isAmount reports whether an operation says exactly this amount; nil: none.
func isAmount(op *providertest.Evidence, m *payment.Money) bool {
	text, ok := op.At("amount").Text()
	if !ok || text == "" {
		return m == nil && !op.At("amount").Present() || text == ""
	}
	if m == nil {
		return op.At("method").Is("void")
	}
	said, ok := new(big.Rat).SetString(text)
	digits, known := m.Currency.Exponent()
	if !ok || !known || strings.ContainsAny(text, "eE/+_") || !op.At("currency").Is(string(m.Currency)) {
		return false
	}
	for range digits {
		said.Mul(said, big.NewRat(10, 1))
	}
	return said.Cmp(big.NewRat(m.Value, 1)) == 0
}

// listed are the operations of a listing by their method; false for one that
// says nothing certain of our order.
func (j judge) listed(method ...string) ([]*providertest.Evidence, bool) {
	list, ok := j.e.Items()
	var found []*providertest.Evidence
	for _, op := range list {
		ok = ok && ours(op)
		if op.At("method").Is("purchase", "auth", "capture", "void", "refund") {
			ok = ok && op.At("status").Is("init", "pending", "success", "failure")
		}
		if op.At("method").Is(method...) {
			found = append(found, op)
		}
	}
	return found, ok && j.whole && j.status/100 == 2
}

// fresh are those that were not there before and can be ours: by our key, or
// where no comment is shown at all by the amount.
func (j judge) fresh(list []*providertest.Evidence, statuses ...string) []*providertest.Evidence {
	shown := slices.ContainsFunc(list, func(op *providertest.Evidence) bool { return op.At("comment").Present() && !op.At("comment").Is("") })
	return slices.DeleteFunc(slices.Clone(list), func(op *providertest.Evidence) bool {
		known := slices.ContainsFunc(j.Snapshot.Movements, func(m payment.Movement) bool { return op.At("operation_id").Is(m.Reference) })
		other := shown && !op.At("comment").Is("return-1")
		amount := j.Op == payment.Cancel || j.Full && shown || isAmount(op, j.wanted())
		return known || other || !amount || !op.At("status").Is(statuses...)
	})
}

// wanted is the amount of our refund.
func (j judge) wanted() *payment.Money {
	if !j.Full {
		return j.Amount
	}
	if j.Snapshot.Refunded == nil {
		return j.Snapshot.Captured
	}
	left, _ := j.Snapshot.Captured.Sub(*j.Snapshot.Refunded)
	return &left
}

func (j judge) listedYes(o payment.Outcome) bool {
	refunds, sound := j.listed("refund")
	if j.Op == payment.Refund {
		mine := j.fresh(refunds, "success")
		return sound && len(mine) == 1 && len(j.fresh(refunds, "success", "init", "pending")) == 1 && isAmount(mine[0], o.Moved)
	}
	payments, _ := j.listed("purchase", "auth")
	took, _ := j.listed("purchase", "capture")
	voids, _ := j.listed("void")
	if !sound || has(took, "success") {
		return false
	}
	switch o.Effect {
	case payment.EffectVoided:
		return j.method()[0] == "void" && len(j.fresh(voids, "success")) > 0
	case payment.EffectClosed:
		return slices.ContainsFunc(payments, func(op *providertest.Evidence) bool {
			return op.At("status").Is("failure") && op.At("status_code").Is("6007")
		})
	default:
		return has(voids, "success") || !has(payments, "success") && has(payments, "failure")
	}
}

func (j judge) listedNo() bool {
	refunds, sound := j.listed("refund")
	if j.Op == payment.Refund {
		return sound && len(j.fresh(refunds, "failure")) > 0 && len(j.fresh(refunds, "success", "init", "pending")) == 0
	}
	payments, _ := j.listed("purchase", "auth")
	took, _ := j.listed("purchase", "capture")
	voids, _ := j.listed("void")
	switch {
	case !sound || len(j.fresh(voids, "success", "init", "pending")) > 0:
		return false
	case has(took, "success"):
		return true
	case j.method()[0] == "void":
		return has(payments, "success") && len(j.fresh(voids, "failure")) > 0
	default:
		return has(payments, "success")
	}
}

func has(list []*providertest.Evidence, status string) bool {
	return slices.ContainsFunc(list, func(op *providertest.Evidence) bool { return op.At("status").Is(status) })
}

// reading: what is known of a payment is what the listing of our order says.
func (j judge) reading(t *testing.T, got payment.Reading) {
	t.Helper()
	list, sound := j.listed("purchase", "auth", "capture", "void", "refund")
	switch {
	case !got.OK:
	case got.Status == payment.PaymentAbsent:
		refused := j.status == 404 && j.e.At("message").Present() && j.e.At("args").Present()
		items, ok := j.e.Items()
		if !j.whole || !refused && (!ok || len(items) > 0 || j.status/100 != 2) {
			t.Error("absent without evidence")
		}
	case !sound:
		t.Errorf("%q without evidence", got.Status)
	case (got.Captured != nil || got.Status == payment.PaymentAuthorized) && !has(list, "success"),
		got.Status == payment.PaymentUnpaid && !has(list, "init"), got.Status == payment.PaymentFailed && !has(list, "failure"):
		t.Errorf("%q without evidence", got.Status)
	}
}
