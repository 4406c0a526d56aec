package openpaysim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

const (
	form   = "application/x-www-form-urlencoded"
	asJSON = "application/json"
	refund = "/pw/v3/payment/refund"
	status = "/pw/v3/payment/status"
	ours   = "apiKey=" + openpaysim.DefaultAPIKey + "&transactionId=t-1&referenceNo=r-1"
	part   = ours + "&amount=400&currency=EUR"
)

// bench is one simulator with one payment of 12.34 EUR.
type bench struct {
	*openpaysim.Simulator
	t *testing.T
}

func setup(t *testing.T, o openpaysim.Options, p openpaysim.Payment) bench {
	t.Helper()
	o.Now = func() time.Time { return time.Unix(1476187198, 0) }
	if o.Status == openpaysim.StatusAbsent {
		o.Status = openpaysim.StatusFull
	}
	sim := openpaysim.New(o)
	t.Cleanup(sim.Close)
	p.TransactionID, p.ReferenceNo, p.Amount, p.Currency = "t-1", "r-1", 1234, "EUR"
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	return bench{sim, t}
}

// post returns the answer's status and body.
func (b bench) post(path, contentType, body string) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return w.Code, string(answer)
}

// want proves an answer and how often money has moved by then.
func (b bench) want(path, body, answer string, movements int) {
	b.t.Helper()
	code, got := b.post(path, form, body)
	if diff := cmp.Diff(answer, fmt.Sprintf("%d %s", code, got)); diff != "" {
		b.t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(b.Ledger().Movements("")); n != movements {
		b.t.Errorf("%d movements, want %d", n, movements)
	}
}

const tail = `"transactionId":"t-1","referenceNo":"r-1",`

func approved(amount int) string {
	return fmt.Sprintf(`200 {"code":"00","status":"APPROVED","message":"Approved",%s"amount":"%d","currency":"EUR","date":1476187198,"isLive":false}`, tail, amount)
}

func declined(code int, message string) string {
	return fmt.Sprintf(`200 {"code":%d,"status":"DECLINED","message":%q,%s"amount":"1234","currency":"EUR","date":1476187198}`, code, message, tail)
}

func described(word, more string) string {
	message := map[string]string{"APPROVED": "APPROVED", "REFUNDED": "Refunded", "PARTIALLY_REFUNDED": "Partially refunded", "FAILED": "FAILED"}[word]
	return fmt.Sprintf(`200 {"code":"00","status":%q,"message":%q,%s"amount":"1234",%s"currency":"EUR","date":1476187198,"isLive":false}`, word, message, tail, more)
}

func TestAFullRefundMovesMoneyOnceAndItsRepeatIsDeclined(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{})
	b.want(refund, ours, approved(1234), 1)
	b.want(refund, ours, declined(32, "Already refunded"), 1)
	b.want(status, ours, described("REFUNDED", ""), 1)
}

func TestARepeatedPartialRefundMovesMoneyTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{PartialRefunds: true}, openpaysim.Payment{})
	b.want(refund, part, approved(400), 1)
	b.want(refund, part, approved(400), 2)
	b.want(status, ours, described("APPROVED", ""), 2)
	b.want(refund, part, approved(400), 3)
	b.want(refund, part, declined(openpaysim.CodeTooMuch, "Invalid amount"), 3)
	b.want(refund, ours, approved(34), 4)
	b.want(refund, part, declined(32, "Already refunded"), 4)
	if got := b.Ledger().Total("t-1")["EUR"]; got != 1234 {
		t.Errorf("moved %d", got)
	}
}

func TestPartialRefundsAreOffByDefault(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{})
	b.want(refund, part, declined(openpaysim.CodeNoPartialRefunds, "Partial refund is not allowed"), 0)
	whole := ours + "&amount=1234&currency=EUR"
	b.want(refund, whole, declined(openpaysim.CodeNoPartialRefunds, "Partial refund is not allowed"), 0)
}

func TestTheStatusShowsWhatItsSwitchesSay(t *testing.T) {
	t.Parallel()
	hiding := setup(t, openpaysim.Options{Status: openpaysim.StatusPaid}, openpaysim.Payment{})
	hiding.want(refund, ours, approved(1234), 1)
	hiding.want(status, ours, described("APPROVED", ""), 1)
	showing := setup(t, openpaysim.Options{PartialRefunds: true, Status: openpaysim.StatusParts}, openpaysim.Payment{})
	showing.want(refund, part, approved(400), 1)
	showing.want(status, ours, described("PARTIALLY_REFUNDED", `"refundedAmount":"400",`), 1)
	if err := showing.Fault(simulator.Fault{Mode: simulator.Lag, Operation: "query", Times: 1}); err != nil {
		t.Fatal(err)
	}
	showing.want(status, ours, described("APPROVED", ""), 1)
	blank := setup(t, openpaysim.Options{Status: openpaysim.StatusBlank}, openpaysim.Payment{})
	blank.want(status, ours, fmt.Sprintf(`404 {"code":%d,"status":"DECLINED","message":"Transaction not found"}`, openpaysim.CodeNotFound), 0)
	wrong := setup(t, openpaysim.Options{Status: openpaysim.StatusWrong}, openpaysim.Payment{})
	wrong.want(status, ours, strings.Replace(described("FAILED", ""), "FAILED\",\"transaction", "Failed\",\"transaction", 1), 0)
	absent := openpaysim.New(openpaysim.Options{})
	t.Cleanup(absent.Close)
	if code, body := (bench{absent, t}).post(status, form, ours); code != http.StatusNotFound || strings.HasPrefix(body, "{") {
		t.Errorf("a call that is not there answers %d %s", code, body)
	}
	failed := setup(t, openpaysim.Options{}, openpaysim.Payment{Status: "FAILED"})
	failed.want(status, ours, described("FAILED", ""), 0)
	failed.want(refund, ours, declined(openpaysim.CodeNotRefundable, "Transaction is not refundable"), 0)
}

func TestAMissingFieldIsAValidationErrorThatNamesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{PartialRefunds: true}, openpaysim.Payment{})
	key := "apiKey=" + openpaysim.DefaultAPIKey
	missing := func(field string) string {
		return fmt.Sprintf(`200 {"code":188,"status":"DECLINED","message":"The %s field is required."}`, field)
	}
	b.want(refund, "transactionId=t-1&referenceNo=r-1", missing("apiKey"), 0)
	b.want(refund, key+"&referenceNo=r-1", missing("transactionId"), 0)
	b.want(refund, key+"&transactionId=t-1", missing("referenceNo"), 0)
	b.want(refund, ours+"&amount=400", missing("currency"), 0)
	b.want(refund, ours+"&currency=EUR", missing("amount"), 0)
	b.want(refund, ours+"&amount=4.00&currency=EUR", missing("amount"), 0)
	b.want(status, key, missing("referenceNo"), 0)
}

func TestWhoIsNotLetInMovesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{})
	b.want(refund, "apiKey=wrong&transactionId=t-1&referenceNo=r-1", `401 {"status":"ERROR","message":"Invalid API key"}`, 0)
	closed := setup(t, openpaysim.Options{RefuseAddress: true}, openpaysim.Payment{})
	closed.want(refund, ours, "403 IP address is not registered", 0)
	closed.want(status, ours, "403 IP address is not registered", 0)
}

func TestWhatIsNotKnownOrNotRefundableIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{Method: "IDEAL"})
	unknown := fmt.Sprintf(`404 {"code":%d,"status":"DECLINED","message":"Transaction not found"}`, openpaysim.CodeNotFound)
	b.want(refund, strings.Replace(ours, "t-1", "t-2", 1), unknown, 0)
	b.want(refund, strings.Replace(ours, "r-1", "r-2", 1), unknown, 0)
	b.want(status, strings.Replace(ours, "r-1", "r-2", 1), unknown, 0)
	code, body := b.post(refund, form, ours)
	if code != 200 || !strings.Contains(body, `"status":"ERROR"`) {
		t.Errorf("a method that cannot be refunded: %d %s", code, body)
	}
}

func TestJSONBodiesAreAcceptedToo(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{PartialRefunds: true}, openpaysim.Payment{})
	code, body := b.post(refund, asJSON, `{"apiKey":"`+openpaysim.DefaultAPIKey+`","transactionId":"t-1","referenceNo":"r-1","amount":400,"currency":"EUR"}`)
	if diff := cmp.Diff(approved(400), fmt.Sprintf("%d %s", code, body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, unreadable := range []string{`{"apiKey":`, `[]`} {
		if code, body := b.post(refund, asJSON, unreadable); code != 200 || !strings.Contains(body, "188") {
			t.Errorf("unreadable body: %d %s", code, body)
		}
	}
	if _, body := b.post(refund, "text/plain", ours); !strings.Contains(body, "188") {
		t.Errorf("unknown content type: %s", body)
	}
}

func TestADeclineFaultDeclinesWithItsCode(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{})
	err := b.Fault(
		simulator.Fault{Mode: simulator.Decline, Times: 1},
		simulator.Fault{Mode: simulator.Decline, Times: 1, Code: "51"},
	)
	if err != nil {
		t.Fatal(err)
	}
	b.want(refund, ours, declined(openpaysim.CodeDeclined, "Do not honor"), 0)
	b.want(refund, ours, declined(51, "Do not honor"), 0)
	b.want(refund, ours, approved(1234), 1)
}

func TestPaymentsAreSeededOnceAndWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{})
	for name, p := range map[string]openpaysim.Payment{
		"no amount":        {TransactionID: "t-2", ReferenceNo: "r-2", Currency: "EUR"},
		"no currency":      {TransactionID: "t-2", ReferenceNo: "r-2", Amount: 1},
		"no transaction":   {ReferenceNo: "r-2", Amount: 1, Currency: "EUR"},
		"transaction used": {TransactionID: "t-1", ReferenceNo: "r-2", Amount: 1, Currency: "EUR"},
		"reference used":   {TransactionID: "t-2", ReferenceNo: "r-1", Amount: 1, Currency: "EUR"},
	} {
		if err := b.AddPayment(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if code, body := b.post("/payments", asJSON, `{"transactionId":"t-2","referenceNo":"r-2","amount":5,"currency":"EUR"}`); code != 200 {
		t.Errorf("seeding over HTTP: %d %s", code, body)
	}
	if code, _ := b.post("/payments", asJSON, `{"transactionID":1}`); code != 400 {
		t.Errorf("a seed that is none: %d", code)
	}
	b.want(refund, "apiKey="+openpaysim.DefaultAPIKey+"&transactionId=t-2&referenceNo=r-2",
		strings.NewReplacer("t-1", "t-2", "r-1", "r-2").Replace(approved(5)), 1)
}

func TestCallsAreRecordedByPaymentAndWithoutTheKey(t *testing.T) {
	t.Parallel()
	b := setup(t, openpaysim.Options{}, openpaysim.Payment{})
	b.post(refund, form, ours)
	b.post(status, form, "apiKey="+openpaysim.DefaultAPIKey+"&referenceNo=r-1")
	calls := b.Calls()
	if len(calls) != 2 || calls[0].Operation != "refund" || calls[1].Operation != "query" {
		t.Fatalf("calls %+v", calls)
	}
	for _, c := range calls {
		if c.Payment != "t-1" || c.Reference != "r-1" || !c.Executed || c.Status != 200 {
			t.Errorf("call %+v", c)
		}
		if strings.Contains(c.Body, openpaysim.DefaultAPIKey) {
			t.Error("the key is recorded")
		}
	}
}
