package opay_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/providertest"
)

// question is one of the calls an answer can be to.
type question int

const (
	askClose question = iota
	askRefund
	askFullRefund
	askRepeat
	askRefundQuery
	askCancelQuery
	askRead
	questions
)

func (q question) request() providers.Request {
	switch q {
	case askClose, askCancelQuery, askRead:
		return cancel("paid")
	default:
		r := refund("r1", 400)
		r.Full = q == askFullRefund
		r.InDoubt = q == askRepeat
		return r
	}
}

// answers are OPay's samples, with our identifiers.
func answers() []string {
	return []string{
		`{"code":"00000","message":"SUCCESSFUL","data":{"reference":"paid","orderNo":"211009140896593010","country":"EG","orderStatus":"CLOSE","amount":{"total":40000,"currency":"EGP"}}}`,
		`{"code":"00000","message":"SUCCESSFUL","data":{"reference":"r1","originalReference":"paid","orderNo":"2110","originalOrderNo":"2109","country":"EG","orderStatus":"SUCCESS","refundAmount":{"total":400,"currency":"EGP"}}}`,
		`{"code":"00000","message":"SUCCESSFUL","data":{"reference":"r1","originalReference":"paid","orderNo":"2110","country":"EG","orderStatus":"FAIL","amount":{"total":400,"currency":"EGP"},"errorCode":"51","errorMsg":"insufficient"}}`,
		`{"code":"00000","message":"SUCCESSFUL","data":{"reference":"r1","originalReference":"paid","orderNo":"2110","country":"EG","orderStatus":"SUCCESS","amount":{"total":400,"currency":"EGP"}}}`,
		`{"code":"00000","message":"SUCCESSFUL","data":{"reference":"paid","orderNo":"2109","amount":{"total":40000,"currency":"EGP"},"status":"FAIL","isVoided":false,"failureCode":"54","failureReason":"expired"}}`,
		`{"code":"02001","message":"request params not valid"}`,
	}
}

// words are what OPay documents beside the samples, and what could be taken for it.
func words() []string {
	return []string{
		`"00000"`, `"00"`, `"02000"`, `"02001"`, `"02004"`, `"02006"`, `"50003"`, `"91"`, `91`, `"31337"`,
		`"INITIAL"`, `"PENDING"`, `"SUCCESS"`, `"FAIL"`, `"CLOSE"`, `"success"`, `"REVERSED"`, `"r1"`, `"r2"`, `"paid"`, `"other"`,
		`400`, `"400"`, `"+400"`, `"0400"`, `400.0`, `401`, `"EGP"`, `"egp"`, `"USD"`, `"` + secret + `"`, `"key ` + secret + ` unknown"`, providertest.Escaped("key " + secret),
	}
}

func FuzzAnAnswerIsAYesOrANoOnlyWithEvidence(f *testing.F) {
	for ask := range questions {
		for _, body := range answers() {
			f.Add(uint8(ask), uint16(100), true, []byte(body), []byte{})
			for _, script := range providertest.Scripts(12) {
				f.Add(uint8(ask), uint16(100), false, []byte(body), script)
				f.Add(uint8(ask), uint16(300), false, []byte(body), script)
			}
		}
	}
	f.Fuzz(func(t *testing.T, ask uint8, status uint16, cut bool, text, script []byte) {
		answered(t, question(ask)%questions, providertest.Saying{
			Status: 100 + int(status)%500, Body: providertest.Reshape(text, script, words()...), Cut: cut,
		})
	})
}

// TestNoChangeOfAnAnswerMakesAYesOrANo tries some of all single changes, always
// the same ones.
func TestNoChangeOfAnAnswerMakesAYesOrANo(t *testing.T) {
	t.Parallel()
	n, every := 0, providertest.Sparse(19)
	for q := range questions {
		for _, text := range answers() {
			for script := range providertest.EveryChange([]byte(text), len(words())) {
				if n++; n%every == 0 {
					status := []int{200, 200, 400}[n%3]
					answered(t, q, providertest.Saying{Status: status, Body: providertest.Reshape([]byte(text), script, words()...)})
				}
			}
		}
	}
}

// answered puts one question, has it answered and judges what is made of it.
func answered(t *testing.T, q question, say providertest.Saying) {
	t.Helper()
	line := providertest.NewLine(say)
	client := providers.NewClient(&providers.ClientOptions{Dial: line.Dial})
	p, err := opay.New(settings("http://127.0.0.1:1"), client)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	j := judge{e: providertest.ReadEvidence(say.Body), status: say.Status, cut: say.Cut, r: q.request()}
	if q == askRead {
		j.reading(t, p.Read(context.Background(), j.r))
	} else {
		j.outcome(t, q, put(p, q, j.r))
	}
	if took := time.Since(began); took > providers.DefaultTimeout+5*time.Second {
		t.Errorf("took %s", took)
	}
	client.CloseIdle()
	line.Wait()
	if t.Failed() {
		t.Fatalf("%d: HTTP %d, cut %v: %q", q, say.Status, say.Cut, say.Body)
	}
}

func put(p *opay.Provider, q question, r providers.Request) payment.Outcome {
	switch q {
	case askClose, askRefund, askFullRefund, askRepeat:
		return p.Call(context.Background(), r)
	default:
		return p.QueryStatus(context.Background(), r)
	}
}

// judge knows OPay's pages and nothing of the adapter.
type judge struct {
	e      *providertest.Evidence
	status int
	cut    bool
	r      providers.Request
}

// outcome: a yes needs success in the envelope, our reference and a final
// status; a no needs that too, or a code that is documented as final.
func (j judge) outcome(t *testing.T, q question, o payment.Outcome) {
	t.Helper()
	providertest.CheckPlain(t, o, events.Mask, secret)
	switch {
	case o.Result == payment.Succeeded && !j.saysYes(q):
		t.Errorf("a yes without evidence: %+v", o)
	case o.Result == payment.Failed && !j.saysNo(q):
		t.Errorf("a no without evidence: %+v", o)
	case o.Result == payment.Succeeded && o.Effect == payment.EffectRefunded:
		j.moved(t, q, o.Moved)
	}
}

func (j judge) saysYes(q question) bool {
	data := j.e.At("data")
	switch q {
	case askClose:
		return j.understood() && j.ours(q) && data.At("orderStatus").Is("CLOSE", "FAIL")
	case askCancelQuery:
		return j.understood() && j.ours(q) && data.At("status").Is("CLOSE", "FAIL") && !data.At("isVoided").True()
	default:
		return j.understood() && j.ours(q) && data.At("orderStatus").Is("SUCCESS")
	}
}

func (j judge) saysNo(q question) bool {
	data := j.e.At("data")
	final := []string{"02001", "02003", "02006", "97", "98", "99"}
	switch {
	case q == askCancelQuery && j.understood():
		return j.ours(q) && data.At("status").Is("SUCCESS")
	case q == askClose && j.understood():
		return j.ours(q) && data.At("orderStatus").Is("SUCCESS")
	case j.understood():
		return j.ours(q) && data.At("orderStatus").Is("FAIL")
	case q == askRefundQuery || q == askCancelQuery:
		return false
	case q != askClose:
		final = append(final, "05", "13", "51", "54", "57", "62")
	}
	spoken := j.status/100 == 2 || j.status/100 == 4 && j.status != 408 && j.status != 429
	return spoken && !j.cut && j.e.At("code").Is(final...)
}

// understood: HTTP and envelope say that the data is to be read.
func (j judge) understood() bool {
	return j.status/100 == 2 && !j.cut && j.e.At("code").Is("00000")
}

// ours: the data names the operation.
func (j judge) ours(q question) bool {
	data := j.e.At("data")
	if q == askClose || q == askCancelQuery {
		return data.At("reference").Is(j.r.Payment.OrderID)
	}
	original := data.At("originalReference")
	return data.At("reference").Is(j.r.Reference) && (!original.Present() || original.Is(j.r.Payment.OrderID, ""))
}

// moved: what is said to have moved is what the answer says, and a refund that
// was asked about is of the amount that was asked for.
func (j judge) moved(t *testing.T, q question, got *payment.Money) {
	t.Helper()
	var said []payment.Money
	for _, name := range []string{"amount", "refundAmount"} {
		amount := j.e.At("data", name)
		if value, ok := amount.At("total").Integer(); ok {
			currency, _ := amount.At("currency").Text()
			said = append(said, payment.Money{Value: value, Currency: payment.Currency(currency)})
		} else if amount.At("total").Present() && !amount.At("total").Is("") {
			t.Errorf("a yes whose %s cannot be read: moved %v", name, got)
		}
	}
	switch {
	case len(said) == 0 && got != nil, len(said) > 0 && (got == nil || !slices.Contains(said, *got)):
		t.Errorf("moved %v, the answer says %v", got, said)
	case len(said) == 2 && said[0] != said[1]:
		t.Errorf("moved %v by an answer that contradicts itself: %v", got, said)
	case q == askRefundQuery && got != nil && *got != *j.r.Amount:
		t.Errorf("a refund of %v is taken for ours of %v", got, j.r.Amount)
	}
}

// reading: what is known of a payment is what the answer says of ours.
func (j judge) reading(t *testing.T, got payment.Reading) {
	t.Helper()
	if !got.OK {
		return
	}
	data := j.e.At("data")
	if got.Status == payment.PaymentAbsent {
		if j.cut || j.status >= 500 || !j.e.At("code").Is("02006", "00012", "02812") {
			t.Errorf("absent without evidence")
		}
		return
	}
	want := map[payment.PaymentStatus][]string{
		payment.PaymentPaid: {"SUCCESS"}, payment.PaymentUnpaid: {"INITIAL"}, payment.PaymentPending: {"PENDING"},
		payment.PaymentFailed: {"FAIL"}, payment.PaymentCancelled: {"CLOSE", "SUCCESS"},
	}[got.Status]
	if !j.understood() || !data.At("reference").Is(j.r.Payment.OrderID) || !data.At("status").Is(want...) {
		t.Errorf("%q without evidence", got.Status)
	}
	if got.Status == payment.PaymentPaid && data.At("isVoided").True() {
		t.Error("a voided payment is read as paid")
	}
	if m := got.Captured; m != nil {
		value, ok := data.At("amount", "total").Integer()
		if !ok || value != m.Value || m.Value > payment.MaxAmount || !data.At("amount", "currency").Is(string(m.Currency)) {
			t.Errorf("captured %v without evidence", m)
		}
	}
}
