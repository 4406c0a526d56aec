package openpay_test

import (
	"context"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/providertest"
)

// asking is one way to ask: how much, what was known before, and whether an
// earlier attempt may have left.
type asking struct {
	providers.Request
	query, read bool
}

func askings() []asking {
	eur := func(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "EUR"} }
	before := []*payment.Reading{
		{OK: true, Status: payment.PaymentPaid, Captured: eur(1234)},
		{OK: true, Status: payment.PaymentPartiallyRefunded, Captured: eur(1234), Refunded: eur(34)},
		{OK: true, Status: payment.PaymentRefunded, Captured: eur(1234), Refunded: eur(1234)},
		nil,
	}
	var list []asking
	for _, r := range []providers.Request{fullRefund(), partialRefund(400)} {
		for _, snapshot := range before {
			r.Snapshot, r.InDoubt = snapshot, false
			list = append(list, asking{r, false, false})
			r.InDoubt = true
			list = append(list, asking{r, false, false}, asking{r, true, false})
		}
	}
	return append(list, asking{fullRefund(), false, true})
}

// answers are Openpay's samples, with our identifiers, and their neighbours.
func answers() []string {
	about := `"message":"text","transactionId":"t-1","referenceNo":"r-1","amount":"1234","currency":"EUR","date":1476187198`
	return []string{
		`{"code":"00","status":"APPROVED",` + about + `,"isLive":false}`,
		`{"code":32,"status":"DECLINED",` + about + `}`,
		`{"code":188,"status":"DECLINED","message":"required field"}`,
		`{"code":283,"status":"WAITING",` + about + `}`,
		`{"code":"00","status":"REFUNDED",` + about + `}`,
		`{"code":"00","status":"PARTIALLY_REFUNDED",` + about + `,"refundedAmount":"434"}`,
		`{"code":"00","status":"APPROVED",` + about + `,"refundedAmount":400}`,
	}
}

// words are what Openpay and its sister brands document, and what could be taken for it.
func words() []string {
	return []string{
		`"00"`, `0`, `"0"`, `"000"`, `32`, `"32"`, `188`, `283`, `4711`, `"APPROVED"`, `"approved"`, `"DECLINED"`, `"PENDING"`, `"WAITING"`, `"ERROR"`,
		`"CANCELLED"`, `"REFUNDED"`, `"PARTIALLY_REFUNDED"`, `"FAILED"`, `"t-1"`, `"t-2"`, `"r-1"`, `"r-2"`, `"1234"`, `1234`, `"0400"`, `400`, `434`, `1234.0`,
		`"EUR"`, `"eur"`, `"USD"`, `"` + testKey + `"`, `"key ` + testKey + ` unknown"`, providertest.Escaped("key " + testKey),
	}
}

func interview() providertest.Interview[asking] {
	return providertest.Interview[asking]{Ways: askings(), Answers: answers(), Words: words(), Ask: ask}
}

func FuzzAnAnswerIsAYesOrANoOnlyWithEvidence(f *testing.F) { interview().Fuzz(f) }

func TestNoChangeOfAnAnswerMakesAYesOrANo(t *testing.T) {
	t.Parallel()
	interview().EveryNth(t, 29)
}

// ask asks once and judges what is made of the answer.
func ask(t *testing.T, a asking, client *providers.Client, say providertest.Saying) {
	t.Helper()
	p, err := openpay.New(openpay.Settings{
		BaseURL: "http://127.0.0.1:1", Account: "shop-eu", APIKey: providers.NewSecret(testKey), PartialRefunds: true, StatusPath: statusPath,
	}, client)
	if err != nil {
		t.Fatal(err)
	}
	j := judge{a, providertest.ReadEvidence(say.Body), say.Status, !say.Cut}
	switch {
	case a.read:
		j.reading(t, p.Read(context.Background(), a.Request))
	case a.query:
		j.found(t, p.QueryStatus(context.Background(), a.Request))
	default:
		j.called(t, p.Call(context.Background(), a.Request))
	}
}

// judge knows Openpay's pages and nothing of the adapter.
type judge struct {
	asking
	e      *providertest.Evidence
	status int
	whole  bool
}

// foreign: the answer names another payment.
func (j judge) foreign() bool {
	id, reference := j.e.At("transactionId"), j.e.At("referenceNo")
	return id.Present() && !id.Is("t-1", "") || reference.Present() && !reference.Is("r-1", "")
}

// called: a yes is APPROVED with its code under 2xx and names our payment, or
// "already refunded" after a lost full refund of ours; a no is DECLINED with a
// code that says neither yes nor later.
func (j judge) called(t *testing.T, o payment.Outcome) {
	t.Helper()
	providertest.CheckPlain(t, o, events.Mask, testKey)
	code, status := j.e.At("code"), j.e.At("status")
	definite := j.whole && !j.foreign() && (j.status/100 == 2 || j.status/100 == 4 && j.status != 401 && j.status != 403 && j.status != 408 && j.status != 429)
	declined := definite && status.Is("DECLINED")
	switch o.Result {
	case payment.Succeeded:
		approved := definite && j.status/100 == 2 && status.Is("APPROVED") && code.Is("00", "0") && j.e.At("transactionId").Is("t-1")
		before := j.Snapshot
		earlier := declined && code.Is("32") && j.InDoubt && j.Full && (before == nil || before.Status != payment.PaymentRefunded)
		if !approved && !earlier {
			t.Errorf("a yes without evidence: %+v", o)
		}
		if earlier && (o.Basis != payment.BasisInferred || o.Code != payment.CodeAlreadyRefunded) {
			t.Errorf("what is inferred is not called so: %+v", o)
		}
		j.said(t, "amount", o.Moved)
	case payment.Failed:
		if !declined || !code.Present() || code.Is("00", "0", "283", "") || code.Is("32") && j.InDoubt {
			t.Errorf("a no without evidence: %+v", o)
		}
	default: // nothing final is said
	}
}

// said: the amount is the answer's.
func (j judge) said(t *testing.T, name string, m *payment.Money) {
	t.Helper()
	if m == nil {
		return
	}
	currency := j.e.At("currency")
	value, ok := j.e.At(name).Integer()
	if !ok || value != m.Value || currency.Present() && !currency.Is(string(m.Currency), "") {
		t.Errorf("%s %v without evidence", name, m)
	}
}

// found: a question is never answered with a no, and a yes is a refund since
// the reading from before.
func (j judge) found(t *testing.T, o payment.Outcome) {
	t.Helper()
	providertest.CheckPlain(t, o, events.Mask, testKey)
	switch o.Result {
	case payment.Failed:
		t.Errorf("a question is answered with a no: %+v", o)
	case payment.Succeeded:
		named := j.e.At("transactionId").Is("t-1") || j.e.At("referenceNo").Is("r-1")
		if !j.whole || j.status/100 != 2 || j.foreign() || !named || j.Snapshot == nil || o.Basis != payment.BasisInferred || !j.refundedSince() {
			t.Errorf("a yes without evidence: %+v", o)
		}
	default: // nothing final is said
	}
}

func (j judge) refundedSince() bool {
	status := j.e.At("status")
	if j.Full {
		return status.Is("REFUNDED") && j.Snapshot.Status != payment.PaymentRefunded
	}
	before := int64(0)
	if j.Snapshot.Refunded != nil {
		before = j.Snapshot.Refunded.Value
	}
	now, ok := j.e.At("refundedAmount").Integer()
	if !ok && status.Is("REFUNDED") {
		now, ok = j.e.At("amount").Integer()
	}
	return ok && now-before == 400 && status.Is("REFUNDED", "PARTIALLY_REFUNDED", "APPROVED")
}

// reading: what is known of a payment is what an answer about ours says.
func (j judge) reading(t *testing.T, got payment.Reading) {
	t.Helper()
	if !got.OK {
		return
	}
	status := j.e.At("status")
	want := map[payment.PaymentStatus][]string{
		payment.PaymentPaid: {"APPROVED"}, payment.PaymentRefunded: {"REFUNDED"}, payment.PaymentPartiallyRefunded: {"PARTIALLY_REFUNDED", "APPROVED"},
		payment.PaymentCancelled: {"CANCELLED"}, payment.PaymentFailed: {"FAILED", "DECLINED"}, payment.PaymentPending: {"PENDING", "WAITING"},
	}[got.Status]
	if !j.whole || j.status/100 != 2 || j.foreign() || !status.Is(want...) {
		t.Errorf("%q without evidence", got.Status)
	}
	j.said(t, "amount", got.Captured)
	if got.Status != payment.PaymentRefunded {
		j.said(t, "refundedAmount", got.Refunded)
	}
}
