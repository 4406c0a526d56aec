package tranzzosim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

const (
	pos     = tranzzosim.DefaultPosID
	orders  = "/api/v1/pos/" + pos + "/orders/o-1"
	cancel  = "/api/v1/pos/" + pos + "/order/o-1/cancel"
	refund  = "/api/v1/refund"
	void    = "/api/v1/void"
	ours    = `{"pos_id":"` + pos + `","order_id":"o-1","order_currency":"UAH","comment":"key-1"}`
	asJSON  = "application/json"
	keyName = "X-API-Key"
	auth    = "X-API-Auth"
)

func part(amount string) string { return ours[:len(ours)-1] + `,"refund_amount":` + amount + "}" }

// bench is one simulator with one order of 400.00 UAH.
type bench struct {
	*tranzzosim.Simulator
	t      *testing.T
	header map[string]string
}

func setup(t *testing.T, o tranzzosim.Options, p tranzzosim.Payment) bench {
	t.Helper()
	o.Now = func() time.Time { return time.Date(2018, 10, 10, 10, 10, 22, 100e6, time.UTC) }
	sim := tranzzosim.New(o)
	t.Cleanup(sim.Close)
	p.OrderID, p.Amount, p.Currency = "o-1", 40000, "UAH"
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	return bench{sim, t, map[string]string{
		keyName: tranzzosim.DefaultEndpointsKey, auth: "CPAY " + tranzzosim.DefaultAPIKey + ":" + tranzzosim.DefaultAPISecret, "Content-Type": asJSON,
	}}
}

// send returns the answer's status and body.
func (b bench) send(method, path, body string) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for name, value := range b.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// want proves a POST's HTTP status, the words in its answer and how often the
// simulator has executed something by then.
func (b bench) want(path, body string, status, executions int, words ...string) {
	b.t.Helper()
	code, got := b.send(http.MethodPost, path, body)
	if code != status {
		b.t.Errorf("%s: %d %s, want %d", path, code, got, status)
	}
	for _, word := range words {
		if !strings.Contains(got, word) {
			b.t.Errorf("%s: %s lacks %s", path, got, word)
		}
	}
	if n := len(b.Ledger().Movements("")); n != executions {
		b.t.Errorf("%d executions, want %d", n, executions)
	}
}

// list returns method, status, amount and comment of each operation listed.
func (b bench) list() []string {
	b.t.Helper()
	code, body := b.send(http.MethodGet, orders, "")
	var list []map[string]any
	if err := json.Unmarshal([]byte(body), &list); err != nil || code != 200 {
		b.t.Fatalf("%d %s", code, body)
	}
	var out []string
	for _, op := range list {
		out = append(out, fmt.Sprint(op["method"], " ", op["status"], " ", op["amount"], " ", op["comment"]))
	}
	return out
}

func (b bench) wantList(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.list()); diff != "" {
		b.t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestASuccessfulCancelIsAFailedPaymentInAnArray(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Status: "init"})
	code, body := b.send(http.MethodPost, cancel, "")
	want := `[{"amount":400,"cc_mask":null,"created_at":"2018-10-10T10:10:22.100","currency":"UAH","customer_ip":"194.183.171.239",` +
		`"method":"purchase","mode":"hosted","order_id":"o-1","payment_id":"10000000-0000-4000-8000-000000000001","pos_id":"` + pos + `",` +
		`"processed_at":"2018-10-10T10:10:22.100","status":"failure","status_code":"6007","status_description":"simulated"}]`
	if diff := cmp.Diff("200 "+want, fmt.Sprint(code, " ", body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.want(cancel, "", 200, 1, "6007")
	if got := b.Ledger().Total("")["UAH"]; got != 0 {
		t.Errorf("a cancel moved %d", got)
	}
}

func TestOnlyAnUnpaidHostedPaymentIsCancelled(t *testing.T) {
	t.Parallel()
	for _, p := range []tranzzosim.Payment{
		{}, {Method: "auth"}, {Status: "pending"}, {Status: "failure"}, {Status: "init", Mode: "direct"},
	} {
		setup(t, tranzzosim.Options{}, p).want(cancel, "", 400, 0, "args")
	}
	b := setup(t, tranzzosim.Options{RefuseRepeats: true}, tranzzosim.Payment{Status: "init"})
	b.want(cancel, "", 200, 1, "6007")
	b.want(cancel, "", 400, 1, "args")
	b.want(strings.Replace(cancel, "o-1", "o-2", 1), "", 404, 1, "S-404")
	b.want(strings.Replace(cancel, "/order/", "/orders/", 1), "", 404, 1)
	code, _ := b.send(http.MethodGet, strings.Replace(orders, "/orders/", "/order/", 1), "")
	if code != 404 {
		t.Errorf("listing under the path to cancel: %d", code)
	}
}

func TestAVoidReleasesAHoldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Method: "auth"})
	b.want(void, ours, 200, 1, `"method":"void"`, `"status":"success"`, `"comment":"key-1"`, `"operation_id"`)
	b.want(void, ours, 200, 1, `"method":"void"`)
	b.wantList("auth success 400 <nil>", "void success 400 <nil>")
	b.want(refund, ours, 400, 1)
	if err := b.Capture("o-1"); err == nil {
		t.Error("a voided payment was captured")
	}
	strict := setup(t, tranzzosim.Options{RefuseRepeats: true}, tranzzosim.Payment{Method: "auth"})
	strict.want(void, ours, 200, 1)
	strict.want(void, ours, 400, 1)
	setup(t, tranzzosim.Options{}, tranzzosim.Payment{}).want(void, ours, 400, 0)
	taken := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Method: "auth"})
	if err := taken.Capture("o-1"); err != nil {
		t.Fatal(err)
	}
	taken.want(void, ours, 400, 0)
	taken.want(refund, ours, 200, 1)
}

func TestAFullRefundMovesMoneyOnceAndItsRepeatIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{ShowComments: true}, tranzzosim.Payment{})
	b.want(refund, ours, 200, 1, `"amount":400`, `"method":"refund"`)
	b.want(refund, ours, 400, 1, "Nothing to refund")
	b.wantList("purchase success 400 <nil>", "refund success 400 key-1")
	if got := b.Ledger().Total("o-1")["UAH"]; got != 40000 {
		t.Errorf("moved %d", got)
	}
}

func TestARepeatedPartialRefundMovesMoneyTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	b.want(refund, part(`"150.50"`), 200, 1, `"amount":150.5,`)
	b.want(refund, part(`150.5`), 200, 2)
	b.want(refund, part(`99.01`), 400, 2, "refund_amount")
	b.want(refund, part(`99`), 200, 3)
	b.wantList("purchase success 400 <nil>", "refund success 150.5 <nil>", "refund success 150.5 <nil>", "refund success 99 <nil>")
	if got := b.Ledger().Total("o-1")["UAH"]; got != 40000 {
		t.Errorf("moved %d", got)
	}
}

func TestAmountsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	for _, amount := range []string{`0`, `-1`, `"+1"`, `1.005`, `"1,50"`, `1e1`, `"5."`, `""`, `"x"`, `{}`, `null`, `true`} {
		b.want(refund, part(amount), 400, 0)
	}
	text := setup(t, tranzzosim.Options{AmountsAsText: true}, tranzzosim.Payment{})
	text.want(refund, part(`"0.05"`), 200, 1, `"amount":"0.05"`)
}

func TestWhoIsNotLetInMovesNothing(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(bench){
		"no endpoints key":    func(b bench) { delete(b.header, keyName) },
		"wrong endpoints key": func(b bench) { b.header[keyName] += "x" },
		"no keys":             func(b bench) { delete(b.header, auth) },
		"wrong secret":        func(b bench) { b.header[auth] += "x" },
		"another scheme":      func(b bench) { b.header[auth] = strings.Replace(b.header[auth], "CPAY", "cpay", 1) },
		"no scheme":           func(b bench) { b.header[auth] = strings.TrimPrefix(b.header[auth], "CPAY ") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
			spoil(b)
			b.want(refund, ours, 401, 0, "S-401")
			b.want(void, ours, 401, 0)
			b.want(cancel, "", 401, 0)
			if code, _ := b.send(http.MethodGet, orders, ""); code != 401 {
				t.Errorf("listing: %d", code)
			}
		})
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	without := func(field string) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(ours), &m); err != nil {
			t.Fatal(err)
		}
		delete(m, field)
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for _, field := range []string{"pos_id", "order_id", "order_currency"} {
		b.want(refund, without(field), 400, 0, field)
		b.want(void, without(field), 400, 0, field)
	}
	b.want(refund, strings.Replace(ours, "o-1", "o-2", 1), 404, 0, "S-404")
	b.want(refund, strings.Replace(ours, pos, "other", 1), 404, 0, "POS")
	b.want(refund, strings.Replace(ours, "UAH", "USD", 1), 400, 0, "order_currency")
	b.want(refund, strings.Replace(ours, "key-1", strings.Repeat("k", 2049), 1), 400, 0, "comment")
	b.want(refund, ours[:20], 400, 0)
	b.header["Content-Type"] = "text/plain"
	b.want(refund, ours, 406, 0)
}

func TestPendingIsDecidedBySettleOrByListing(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{Pending: true}, tranzzosim.Payment{})
	b.want(refund, part("4"), 200, 0, `"status":"pending"`)
	b.want(refund, part("396.01"), 400, 0) // what is under way is reserved
	b.wantList("purchase success 400 <nil>", "refund pending 4 <nil>")
	b.Settle()
	b.Settle()
	b.wantList("purchase success 400 <nil>", "refund success 4 <nil>")
	if n := b.Ledger().Count("refund", "o-1"); n != 1 {
		t.Errorf("%d refunds", n)
	}
	listed := setup(t, tranzzosim.Options{Pending: true, SettleAfter: 1}, tranzzosim.Payment{Method: "auth"})
	listed.want(void, ours, 200, 0, `"status":"pending"`)
	listed.wantList("auth success 400 <nil>", "void pending 400 <nil>")
	listed.wantList("auth success 400 <nil>", "void success 400 <nil>")
}

func TestFaultsDeclineAndLag(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	fault := func(f simulator.Fault) {
		t.Helper()
		if err := b.Fault(f); err != nil {
			t.Fatal(err)
		}
	}
	fault(simulator.Fault{Mode: simulator.Decline, Operation: "refund", Code: "3001", Times: 1})
	b.want(refund, part("4"), 200, 0, `"status":"failure"`, `"3001"`)
	b.want(refund, part("4"), 200, 1)
	fault(simulator.Fault{Mode: simulator.Lag, Operation: "query", Times: 1})
	b.wantList("purchase success 400 <nil>")
	b.wantList("purchase success 400 <nil>", "refund failure 4 <nil>", "refund success 4 <nil>")

	unpaid := setup(t, tranzzosim.Options{}, tranzzosim.Payment{Status: "init"})
	if err := unpaid.Fault(simulator.Fault{Mode: simulator.Decline, Times: 1}); err != nil {
		t.Fatal(err)
	}
	unpaid.want(cancel, "", 400, 0)
	unpaid.want(cancel, "", 200, 1)
	if err := unpaid.Fault(simulator.Fault{Mode: simulator.Lag, Times: 1}); err != nil {
		t.Fatal(err)
	}
	unpaid.wantList("purchase init 400 <nil>")
	unpaid.wantList("purchase failure 400 <nil>")
}

func TestOthersActOnAnOrderToo(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{ShowComments: true}, tranzzosim.Payment{Status: "init"})
	if b.RefundElsewhere("o-1", 1, "") == nil || b.Capture("o-1") == nil || b.Pay("o-2") == nil {
		t.Error("an unpaid order was refunded or captured, or an unknown one paid")
	}
	if err := b.Pay("o-1"); err != nil {
		t.Error(err)
	}
	if b.Pay("o-1") == nil {
		t.Error("an order was paid twice")
	}
	if err := b.RefundElsewhere("o-1", 100, "portal"); err != nil {
		t.Error(err)
	}
	b.wantList("purchase success 400 <nil>", "refund success 1 portal")
	if n := b.Ledger().Count("portal", "o-1"); n != 1 {
		t.Errorf("%d entries in the ledger", n)
	}
}

func TestPaymentsAreSeededOnceAndWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	for name, p := range map[string]tranzzosim.Payment{
		"no order":         {Amount: 1, Currency: "UAH"},
		"no amount":        {OrderID: "o-2", Currency: "UAH"},
		"no currency":      {OrderID: "o-2", Amount: 1},
		"three decimals":   {OrderID: "o-2", Amount: 1, Currency: "KWD"},
		"order taken":      {OrderID: "o-1", Amount: 1, Currency: "UAH"},
		"a method of none": {OrderID: "o-2", Amount: 1, Currency: "UAH", Method: "refund"},
		"a mode of none":   {OrderID: "o-2", Amount: 1, Currency: "UAH", Mode: "x"},
		"a status of none": {OrderID: "o-2", Amount: 1, Currency: "UAH", Status: "paid"},
	} {
		if err := b.AddPayment(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if code, body := b.send(http.MethodPost, "/payments", `{"orderId":"o 2/x","amount":500,"currency":"JPY"}`); code != 200 {
		t.Errorf("seeding over HTTP: %d %s", code, body)
	}
	if code, _ := b.send(http.MethodPost, "/payments", `{"orderID":1}`); code != 400 {
		t.Errorf("a seed that is none: %d", code)
	}
	if code, body := b.send(http.MethodGet, "/api/v1/pos/"+pos+"/orders/o%202%2Fx", ""); code != 200 || !strings.Contains(body, `"amount":500,`) {
		t.Errorf("an order that needs encoding: %d %s", code, body)
	}
}

func TestItsMemorySurvivesItsProcess(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{Pending: true, ShowComments: true}, tranzzosim.Payment{})
	b.want(refund, part("4"), 200, 0)
	saved, err := b.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := tranzzosim.New(tranzzosim.Options{Pending: true, ShowComments: true})
	t.Cleanup(again.Close)
	if err := again.Load(saved); err != nil {
		t.Fatal(err)
	}
	after := bench{again, t, b.header}
	after.wantList("purchase success 400 <nil>", "refund pending 4 key-1")
	after.Settle()
	if n := again.Ledger().Count("refund", "o-1"); n != 1 || len(again.Calls()) != 2 {
		t.Errorf("%d refunds, %d calls", n, len(again.Calls()))
	}
	after.want(refund, part("1"), 200, 1)
	resaved, err := again.Save()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(resaved), `"00000000-0000-4000-8000-000000000003"`) != 1 {
		t.Error("a number was given twice, or none")
	}
	if err := again.Load([]byte("{")); err == nil {
		t.Error("a memory that is none was loaded")
	}
}

func TestCallsAreRecordedWithoutTheKeys(t *testing.T) {
	t.Parallel()
	b := setup(t, tranzzosim.Options{}, tranzzosim.Payment{})
	b.want(refund, strings.Replace(ours, "key-1", tranzzosim.DefaultAPISecret, 1), 200, 1)
	b.list()
	b.send(http.MethodPost, cancel, "")
	b.send(http.MethodPost, void, ours)
	var got []string
	for _, c := range b.Calls() {
		got = append(got, c.Operation+" "+c.Payment)
		if strings.Contains(c.Body, tranzzosim.DefaultAPISecret) {
			t.Error("a secret is recorded")
		}
	}
	if diff := cmp.Diff([]string{"refund o-1", "query o-1", "cancel o-1", "cancel o-1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
