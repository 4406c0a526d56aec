package bento_test

import (
	"context"
	"testing"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/providertest"
)

// asking is one way to ask: which operation, what was known before, and whether
// an earlier attempt may have left.
type asking struct {
	providers.Request
	query, read bool
}

// askings are all ways, four readings from before each.
func askings() []asking {
	gbp := func(v int64) *payment.Money { return &payment.Money{Value: v, Currency: "GBP"} }
	before := []*payment.Reading{
		{OK: true, Status: payment.PaymentPaid, Captured: gbp(20000)},
		{OK: true, Status: payment.PaymentAuthorized},
		{OK: true, Status: payment.PaymentNotRefundable, Captured: gbp(20000), Refunded: gbp(400), Movements: []payment.Movement{{Reference: "Refund"}}},
		nil,
	}
	var list []asking
	for _, r := range []providers.Request{request(payment.Cancel), request(payment.Refund), part(400)} {
		for _, snapshot := range before {
			for _, doubt := range []bool{false, true} {
				r.Snapshot, r.InDoubt = snapshot, doubt
				list = append(list, asking{r, false, false})
			}
			list = append(list, asking{r, true, false}) // a question is asked in doubt
		}
	}
	return append(list, asking{request(payment.Refund), false, true})
}

// answers are Bento's samples, with our identifiers, and their neighbours.
func answers() []string {
	transaction := func(state, refunded, last, history string) string {
		const status = `"status":{"code":"PG0000","description":"Approved","outcome":"`
		return `{"data":{"orderId":"or_1","transactionId":"tx_1","totalAmount":20000,"capturedAmount":20000,"refundedAmount":` + refunded +
			`,"currency":"GBP","state":"` + state + `",` + status + last + `"},"history":[` +
			`{"amount":20000,"result":"Success","action":"Capture",` + status + `succeeded"},"created":"2011-10-05T14:48:00.000Z"}` + history + `]}}`
	}
	entry := func(action, result, outcome string) string {
		return `,{"amount":400,"result":"` + result + `","action":"` + action + `","status":{"code":"PG0051","description":"d","outcome":"` + outcome + `"},"created":"2011-10-05T14:49:00.000Z"}`
	}
	return []string{
		transaction("CaptureSucceeded", "0", "succeeded", ""),
		transaction("Refunded", "400", "succeeded", entry("Refund", "Success", "succeeded")),
		transaction("Refunded", "20000", "succeeded", entry("Refund", "Success", "succeeded")),
		transaction("Refunding", "400", "succeeded", entry("Refund", "Success", "succeeded")),
		transaction("RefundFailed", "0", "failedNonRetryable", entry("Refund", "Failure", "failedNonRetryable")),
		transaction("CaptureSucceeded", "0", "failedNonRetryable", entry("Refund", "Failure", "failedNonRetryable")),
		transaction("AuthVoided", "0", "succeeded", entry("Void", "Success", "succeeded")),
		transaction("AuthSucceeded", "0", "succeeded", ""),
		`{"message":"declined","status":{"code":"PG0051","description":"funds","outcome":"failedNonRetryable"}}`,
		`{"message":"action cannot be performed","causes":[{"message":"state"}]}`,
	}
}

// words are what Bento documents, and what could be taken for it.
func words() []string {
	return []string{
		`"Authorizing"`, `"AuthFailed"`, `"AuthSucceeded"`, `"AuthExpired"`, `"AuthVoided"`, `"Capturing"`, `"CaptureFailed"`, `"CaptureSucceeded"`,
		`"Refunding"`, `"Refunded"`, `"RefundFailed"`, `"refunded"`, `"Charged"`, `"succeeded"`, `"failedRetryable"`, `"failedNonRetryable"`, `"failed"`,
		`"Void"`, `"Refund"`, `"Poll"`, `"Success"`, `"Failure"`, `"tx_1"`, `"tx_2"`, `"or_1"`, `"or_2"`, `400`, `"400"`, `401`, `20000`, `400.0`,
		`"GBP"`, `"gbp"`, `"USD"`, `"` + testToken + `"`, `"token ` + testToken + ` refused"`, providertest.Escaped("key " + testToken),
	}
}

func FuzzAnAnswerIsAYesOrANoOnlyWithEvidence(f *testing.F) {
	scripts := providertest.Scripts(len(askings()) * len(answers()))
	for i := range askings() {
		for k, body := range answers() {
			script := scripts[i*len(answers())+k]
			f.Add(uint8(i), uint16(102), false, []byte(body), []byte(answers()[i%len(answers())]), []byte{})
			f.Add(uint8(i), uint16(102), false, []byte(body), []byte(body), script)
			f.Add(uint8(i), uint16(322), i%3 == 0, []byte(body), []byte(answers()[0]), script)
		}
	}
	f.Fuzz(func(t *testing.T, ask uint8, status uint16, cut bool, first, second, script []byte) {
		answered(t, askings()[int(ask)%len(askings())],
			providertest.Saying{Status: 100 + int(status)%500, Body: providertest.Reshape(first, script, words()...), Cut: cut},
			providertest.Saying{Status: 200, Body: providertest.Reshape(second, script, words()...)})
	})
}

// TestNoChangeOfAnAnswerMakesAYesOrANo tries some of all single changes, always
// the same ones.
func TestNoChangeOfAnAnswerMakesAYesOrANo(t *testing.T) {
	t.Parallel()
	n, every := 0, providertest.Sparse(457)
	for _, a := range askings() {
		for k, text := range answers() {
			for script := range providertest.EveryChange([]byte(text), len(words())) {
				if n++; n%every == 0 {
					status := []int{202, 202, 422, 404}[n%4]
					answered(t, a, providertest.Saying{Status: status, Body: providertest.Reshape([]byte(text), script, words()...)},
						providertest.Saying{Status: 200, Body: []byte(answers()[(k+n)%len(answers())])})
				}
			}
		}
	}
}

// answered asks once, has what is sent answered in turn, and judges the outcome.
func answered(t *testing.T, a asking, first, second providertest.Saying) {
	t.Helper()
	line := providertest.NewLine(first, second)
	client := providers.NewClient(&providers.ClientOptions{Dial: line.Dial})
	p, err := bento.New(bento.Settings{BaseURL: "http://127.0.0.1:1", Account: "shop-uk", Token: providers.NewSecret(testToken)}, client)
	if err != nil {
		t.Fatal(err)
	}
	call, read := judgeOf(a, first), judgeOf(a, second)
	switch {
	case a.read:
		call.reading(t, p.Read(context.Background(), a.Request))
	case a.query:
		judgeOutcome(t, a, p.QueryStatus(context.Background(), a.Request), judge{asking: a, e: &providertest.Evidence{}}, call)
	case a.Op == payment.Cancel && a.InDoubt: // reads before it calls
		judgeOutcome(t, a, p.Call(context.Background(), a.Request), read, call)
	default:
		judgeOutcome(t, a, p.Call(context.Background(), a.Request), call, read)
	}
	if line.Asked() > 3 {
		t.Errorf("%d requests", line.Asked())
	}
	client.CloseIdle()
	line.Wait()
	if t.Failed() {
		t.Fatalf("%+v\nHTTP %d, cut %v: %q\nthen HTTP %d: %q", a, first.Status, first.Cut, first.Body, second.Status, second.Body)
	}
}

// judge knows Bento's pages and nothing of the adapter; it judges one answer.
type judge struct {
	asking
	e       *providertest.Evidence
	status  int
	spoken  bool // the answer came whole
	present bool
}

func judgeOf(a asking, s providertest.Saying) judge {
	return judge{a, providertest.ReadEvidence(s.Body), s.Status, !s.Cut, true}
}

// judgeOutcome: a yes must be shown by the transaction, in the answer to the
// call or to a question; a no too, or be said by a refusal of the call.
func judgeOutcome(t *testing.T, a asking, o payment.Outcome, call, read judge) {
	t.Helper()
	providertest.CheckPlain(t, o, events.Mask, testToken)
	switch o.Result {
	case payment.Succeeded:
		if !call.yes(o) && !read.yes(o) {
			t.Errorf("a yes without evidence: %+v", o)
		}
	case payment.Failed:
		refused := call.refuses() && (call.status == 404 && !call.e.At("data").Present() || read.unchanged())
		evident := call.declines() || call.refundFailed() || refused
		if a.query && !read.refundFailed() || !a.query && (a.InDoubt || !evident) {
			t.Errorf("a no without evidence: %+v", o)
		}
	default: // nothing final is said
	}
}

// ours: a whole transaction of ours under 2xx.
func (j judge) ours() bool {
	return j.present && j.spoken && j.status/100 == 2 && j.about()
}

func (j judge) about() bool {
	order := j.e.At("data", "orderId")
	return j.e.At("data", "transactionId").Is("tx_1") && (!order.Present() || order.Is("or_1", ""))
}

// untouched: nobody had refunded it before the first attempt.
func (j judge) untouched() bool {
	s := j.Snapshot
	return s != nil && s.OK && s.Refunded == nil
}

func (j judge) yes(o payment.Outcome) bool {
	if !j.ours() {
		return false
	}
	data := j.e.At("data")
	switch o.Effect {
	case payment.EffectVoided:
		return data.At("state").Is("AuthVoided")
	case payment.EffectNone:
		return j.Op == payment.Cancel && data.At("state").Is("AuthExpired", "AuthFailed", "CaptureFailed")
	case payment.EffectRefunded:
		want, _ := data.At("capturedAmount").Integer()
		if j.Amount != nil {
			want = j.Amount.Value
		}
		refunded, ok := data.At("refundedAmount").Integer()
		return ok && refunded == want && data.At("state").Is("Refunded") && j.untouched() && o.Moved != nil && o.Moved.Value == refunded &&
			data.At("currency").Is(string(o.Moved.Currency)) && (j.Amount == nil || o.Moved.Currency == j.Amount.Currency)
	default:
		return false
	}
}

func (j judge) refundFailed() bool {
	return j.ours() && j.untouched() && j.e.At("data", "state").Is("RefundFailed")
}

// declines: an explicit final decline, of this call: in a 2xx by a failed entry
// of the history, in a 4xx by the status in the body.
func (j judge) declines() bool {
	if j.status/100 == 4 {
		data := j.e.At("data")
		final := j.e.At("status", "outcome").Is("failedNonRetryable") ||
			!j.e.At("status", "outcome").Present() && data.At("status", "outcome").Is("failedNonRetryable")
		return j.definite() && final && (!data.Present() || j.about())
	}
	history, _ := j.e.At("data", "history").Items()
	for _, entry := range history {
		if j.ours() && entry.At("result").Is("Failure") && entry.At("action").Is("Void", "Refund") && entry.At("status", "outcome").Is("failedNonRetryable") {
			return true
		}
	}
	return false
}

// definite: the HTTP status is a refusal that speaks of the payment.
func (j judge) definite() bool {
	return j.present && j.spoken && j.status/100 == 4 && j.status != 401 && j.status != 408 && j.status != 429
}

// refuses: the API's error form.
func (j judge) refuses() bool {
	return j.definite() && j.status != 403 && j.e.At("message").Present() && !j.e.At("message").Is("") && !j.e.At("status", "outcome").Is("succeeded")
}

// unchanged: the transaction shows neither void nor refund.
func (j judge) unchanged() bool {
	return j.ours() && !j.e.At("data", "state").Is("AuthVoided", "Refunding", "Refunded", "RefundFailed")
}

// reading: what is known of a payment is what an answer about ours says.
func (j judge) reading(t *testing.T, got payment.Reading) {
	t.Helper()
	if !got.OK {
		return
	}
	if got.Status == payment.PaymentAbsent {
		t.Error("absent, by an answer to a call that nobody documents")
	}
	data := j.e.At("data")
	want := map[payment.PaymentStatus][]string{
		payment.PaymentPending: {"Authorizing", "Capturing"}, payment.PaymentAuthorized: {"AuthSucceeded"},
		payment.PaymentFailed: {"AuthFailed", "CaptureFailed"}, payment.PaymentExpired: {"AuthExpired"}, payment.PaymentCancelled: {"AuthVoided"},
		payment.PaymentPaid: {"CaptureSucceeded"}, payment.PaymentRefunded: {"Refunded"},
		payment.PaymentNotRefundable: {"CaptureSucceeded", "Refunding", "RefundFailed", "Refunded"},
	}[got.Status]
	if !j.ours() || !data.At("state").Is(want...) {
		t.Errorf("%q without evidence", got.Status)
	}
	for name, m := range map[string]*payment.Money{"capturedAmount": got.Captured, "refundedAmount": got.Refunded} {
		if m == nil {
			continue
		}
		if value, ok := data.At(name).Integer(); !ok || value != m.Value || value > payment.MaxAmount || !data.At("currency").Is(string(m.Currency)) {
			t.Errorf("%s %v without evidence", name, m)
		}
	}
}
