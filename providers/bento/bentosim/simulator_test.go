package bentosim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/simulator"
)

const (
	path    = "/payments/v1/orders/or_01H84B0452F9X02H3YSZ03RFRG/transactions/tx_01H84D1GN7AGCBFACSDYC1D4AF"
	read    = "GET " + path
	cancel  = "PUT " + path + "/_cancel" // the one call that voids or refunds
	refused = `422 {"message":"Action Cannot Be Performed","causes":[]}`
)

// bench is one simulator with the documented sample's transaction.
type bench struct {
	*bentosim.Simulator
	t     *testing.T
	now   time.Time
	token string
}

func setup(t *testing.T, o bentosim.Options, state string) *bench {
	t.Helper()
	b := &bench{t: t, now: time.Date(2011, 10, 5, 14, 48, 0, 0, time.UTC), token: bentosim.DefaultToken}
	o.Now = func() time.Time { return b.now }
	b.Simulator = bentosim.New(o)
	t.Cleanup(b.Close)
	b.seed(state)
	return b
}

func (b *bench) seed(state string) {
	b.t.Helper()
	err := b.AddPayment(bentosim.Payment{
		OrderID: "or_01H84B0452F9X02H3YSZ03RFRG", TransactionID: "tx_01H84D1GN7AGCBFACSDYC1D4AF",
		Amount: 20000, Currency: "USD", State: state,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// send returns the answer's status and body.
func (b *bench) send(line, body string) (int, string) {
	b.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+b.token)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return w.Code, string(answer)
}

// want proves an answer in short, and what has moved by then. A transaction is
// shown as status, state, refunded amount and the outcomes of its history.
func (b *bench) want(line, body, answer string, moved ...int64) {
	b.t.Helper()
	code, text := b.send(line, body)
	if diff := cmp.Diff(answer, short(b.t, code, text)); diff != "" {
		b.t.Errorf("%s %s (-want +got):\n%s", line, body, diff)
	}
	got := []int64{}
	for _, m := range b.Ledger().Movements("") {
		got = append(got, m.Amount)
	}
	if diff := cmp.Diff(append([]int64{}, moved...), got); diff != "" {
		b.t.Errorf("%s %s moved (-want +got):\n%s", line, body, diff)
	}
}

func short(t *testing.T, code int, text string) string {
	t.Helper()
	var in struct {
		Data *struct {
			State    string
			Refunded int64 `json:"refundedAmount"`
			Total    int64 `json:"totalAmount"`
			Captured int64 `json:"capturedAmount"`
			Status   struct{ Outcome string }
			History  []struct{ Action, Result string }
		}
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		t.Fatal(err)
	}
	if in.Data == nil {
		return fmt.Sprintf("%d %s", code, text)
	}
	last := in.Data.History[len(in.Data.History)-1]
	return fmt.Sprintf("%d %s captured %d refunded %d left %d %s, %d entries to %s %s", code, in.Data.State, in.Data.Captured,
		in.Data.Refunded, in.Data.Total, in.Data.Status.Outcome, len(in.Data.History), last.Action, last.Result)
}

const (
	captured = "CaptureSucceeded captured 20000 refunded 0 left 20000 succeeded, 2 entries to Capture Success"
	held     = "AuthSucceeded captured 0 refunded 0 left 20000 succeeded, 1 entries to Authorize Success"
	gone     = "200 AuthVoided captured 0 refunded 0 left 20000 succeeded, 2 entries to Void Success"
	paidBack = "200 Refunded captured 20000 refunded 20000 left 0 succeeded, 3 entries to Refund Success"
	partBack = "200 Refunded captured 20000 refunded 400 left 19600 succeeded, 3 entries to Refund Success"
)

func TestTheAnswerIsTheDocumentedSample(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{}, "")
	code, got := b.send(cancel, `{"refundAmount":400}`)
	want, err := os.ReadFile("testdata/cancel.json")
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(compact.String(), got); diff != "" || code != http.StatusAccepted {
		t.Errorf("HTTP %d (-want +got):\n%s", code, diff)
	}
}

func TestARefundIsTakenOnceWhollyOrInPart(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{}, "")
	b.want(cancel, `{"refundAmount":20001}`, refused)
	b.want(cancel, `{"refundAmount":400}`, "202 "+captured, 400)
	b.want(cancel, `{"refundAmount":400}`, refused, 400)
	b.want(read, "", partBack, 400)
	b.want(cancel, `{}`, refused, 400)
	b.want(cancel, `{"refundAmount":1}`, refused, 400)
	whole := setup(t, bentosim.Options{Answer: bentosim.AnswerFinal}, "")
	whole.want(cancel, `{}`, strings.Replace(paidBack, "200", "202", 1), 20000)
	whole.want(cancel, `{}`, refused, 20000)
}

func TestBeforeTheCaptureAllIsVoidedWhateverTheAmount(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{SettleAfter: 3}, "AuthSucceeded")
	b.want(cancel, `{"refundAmount":400}`, "202 "+held, 0)
	b.want(cancel, `{}`, refused, 0)
	if b.Capture("tx_01H84D1GN7AGCBFACSDYC1D4AF") == nil {
		t.Error("captured while it is being voided")
	}
	b.want(read, "", gone, 0)
	b.want(cancel, `{}`, refused, 0)
}

func TestACaptureBetweenReadAndCallTurnsACancelIntoARefund(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{Answer: bentosim.AnswerAccepted}, "AuthSucceeded")
	b.strike(bentosim.CaptureFirst, "")
	b.want(cancel, `{}`, "202 Refunding captured 20000 refunded 0 left 20000 succeeded, 2 entries to Capture Success", 20000)
	b.want(read, "", paidBack, 20000)
	if m := b.Ledger().Movements("")[0]; m.Operation != "refund" {
		t.Errorf("the ledger calls it a %s", m.Operation)
	}
}

func (b *bench) strike(mode simulator.Mode, code string) {
	b.t.Helper()
	if err := b.Fault(simulator.Fault{Mode: mode, Code: code, Times: 1}); err != nil {
		b.t.Fatal(err)
	}
}

func TestARefundIsShownUnfinishedForAWhile(t *testing.T) {
	t.Parallel()
	const under = "200 Refunding captured 20000 refunded 0 left 20000 succeeded, 2 entries to Capture Success"
	b := setup(t, bentosim.Options{SettleAfter: 1}, "")
	b.want(cancel, `{"refundAmount":400}`, "202 "+captured, 400)
	b.want(read, "", under, 400)
	b.want(read, "", partBack, 400)
	b = setup(t, bentosim.Options{AmountAtOnce: true}, "")
	b.strike(bentosim.StayPending, "")
	b.want(cancel, `{"refundAmount":400}`, "202 "+captured, 400)
	for range 3 {
		b.want(read, "", "200 Refunding captured 20000 refunded 400 left 19600 succeeded, 2 entries to Capture Success", 400)
	}
	b.Settle()
	b.want(read, "", partBack, 400)
	b.strike(simulator.Lag, "")
	b.want(read, "", "200 "+captured, 400)
}

func TestADeclineMovesNothingAndIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{}, "")
	b.strike(bentosim.DeclineRetryable, "")
	b.want(cancel, `{}`, "202 CaptureSucceeded captured 20000 refunded 0 left 20000 failedRetryable, 3 entries to Refund Failure")
	b.strike(simulator.Decline, "PG0043")
	b.want(cancel, `{}`, "202 RefundFailed captured 20000 refunded 0 left 20000 failedNonRetryable, 4 entries to Refund Failure")
	b.want(cancel, `{}`, refused)
	later := setup(t, bentosim.Options{DeclineIn4xx: true}, "AuthSucceeded")
	later.strike(simulator.Decline, "")
	later.want(cancel, `{}`, `422 {"message":"Transaction was declined","causes":[],"status":{"code":"PG0005","description":"Do not honour","outcome":"failedNonRetryable"}}`)
	later.want(read, "", "200 AuthSucceeded captured 0 refunded 0 left 20000 failedNonRetryable, 2 entries to Void Failure")
	b = setup(t, bentosim.Options{SettleAfter: 1, AmountAtOnce: true}, "")
	b.strike(bentosim.DeclineLater, "")
	b.want(cancel, `{}`, "202 "+captured)
	b.want(read, "", "200 Refunding captured 20000 refunded 20000 left 0 succeeded, 2 entries to Capture Success")
	b.want(read, "", "200 RefundFailed captured 20000 refunded 0 left 20000 failedNonRetryable, 3 entries to Refund Failure")
}

func TestOnlyAnAuthorisedOrCapturedTransactionIsTaken(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"Authorizing", "AuthFailed", "AuthExpired", "AuthVoided", "Capturing", "CaptureFailed", "Refunding", "Refunded", "RefundFailed"} {
		b := setup(t, bentosim.Options{}, state)
		b.want(cancel, `{}`, refused)
		if _, text := b.send(read, ""); !strings.Contains(text, `"state":"`+state+`"`) {
			t.Errorf("%s is shown as %s", state, text)
		}
	}
}

func TestWhoIsNotLetInMovesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{}, "")
	for _, token := range []string{"", "wrong", bentosim.TokenOf(1)} {
		b.token = token
		b.want(cancel, `{}`, `401 {"message":"Invalid Authentication Credentials","causes":[]}`)
		b.want(read, ``, `401 {"message":"Invalid Authentication Credentials","causes":[]}`)
	}
	b = setup(t, bentosim.Options{Forbid: true}, "")
	b.want(cancel, `{}`, `403 {"message":"Invalid Authorization Credentials","causes":[]}`)
}

func TestWhatIsNotKnownOrMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{}, "")
	unknown := `404 {"message":"Resource Not Found","causes":[]}`
	b.want(strings.Replace(cancel, "tx_", "ty_", 1), `{}`, unknown)
	b.want(strings.Replace(cancel, "or_", "os_", 1), `{}`, unknown)
	b.want(strings.Replace(read, "or_", "os_", 1), ``, unknown)
	for _, body := range []string{``, `null`, `[]`, `{"refundAmount":"400"}`, `{"refundAmount":4.5}`, `{"refundAmount":0}`, `{"refundAmount":-1}`, `{"amount":400}`, `{}{}`} {
		b.want(cancel, body, `422 {"message":"Request body is not valid","causes":[]}`)
	}
}

// grant asks for a token and returns the answer.
func (b *bench) grant(contentType, body string, change func(*http.Request)) string {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, bentosim.TokenPath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return fmt.Sprintf("%d %s", w.Code, w.Body)
}

func TestTokensAreGivenForTheClientsCredentialsAndEnd(t *testing.T) {
	t.Parallel()
	const form, kind = "application/x-www-form-urlencoded", "grant_type=client_credentials"
	const good = kind + "&client_id=" + bentosim.DefaultClientID + "&client_secret=" + bentosim.DefaultClientSecret
	b := setup(t, bentosim.Options{TokenLife: time.Minute}, "")
	basic := func(r *http.Request) { r.SetBasicAuth(bentosim.DefaultClientID, bentosim.DefaultClientSecret) }
	for _, row := range []struct {
		contentType, body string
		change            func(*http.Request)
		want              string
	}{
		{form, good, nil, `200 {"access_token":"` + bentosim.TokenOf(1) + `","expires_in":60,"token_type":"Bearer"}`},
		{form, kind, basic, `200 {"access_token":"` + bentosim.TokenOf(2) + `","expires_in":60,"token_type":"Bearer"}`},
		{form, good + "x", nil, `401 {"error":"invalid_client"}`},
		{form, kind, nil, `401 {"error":"invalid_client"}`},
		{form, strings.Replace(good, "client_credentials", "password", 1), nil, `400 {"error":"unsupported_grant_type"}`},
		{"application/json", good, nil, `400 {"error":"invalid_request"}`},
	} {
		if diff := cmp.Diff(row.want, b.grant(row.contentType, row.body, row.change)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.body, diff)
		}
	}
	b.token = bentosim.TokenOf(1)
	b.want(read, "", "200 "+captured)
	b.now = b.now.Add(time.Minute)
	b.want(read, "", `401 {"message":"Invalid Authentication Credentials","causes":[]}`)
	b.grant(form, good, nil)
	b.token = bentosim.TokenOf(3)
	b.want(read, "", "200 "+captured)
	b.RevokeTokens()
	b.want(read, "", `401 {"message":"Invalid Authentication Credentials","causes":[]}`)
	for _, c := range b.Calls() {
		if strings.Contains(c.Body, bentosim.DefaultClientSecret) {
			t.Error("the secret is recorded")
		}
	}
}

func TestPaymentsAreSeededOnceAndWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{}, "")
	for name, p := range map[string]bentosim.Payment{
		"no order":       {TransactionID: "tx_2", Amount: 1, Currency: "USD"},
		"no transaction": {OrderID: "or_2", Amount: 1, Currency: "USD"},
		"no amount":      {OrderID: "or_2", TransactionID: "tx_2", Currency: "USD"},
		"no currency":    {OrderID: "or_2", TransactionID: "tx_2", Amount: 1},
		"no such state":  {OrderID: "or_2", TransactionID: "tx_2", Amount: 1, Currency: "USD", State: "Paid"},
		"too much back":  {OrderID: "or_2", TransactionID: "tx_2", Amount: 1, Currency: "USD", State: "Refunded", Refunded: 2},
		"taken":          {OrderID: "or_2", TransactionID: "tx_01H84D1GN7AGCBFACSDYC1D4AF", Amount: 1, Currency: "USD"},
	} {
		if err := b.AddPayment(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if code, body := b.send("POST /payments", `{"orderId":"or_2","transactionId":"tx_2","amount":500,"currency":"USD","state":"Refunded","refundedAmount":100}`); code != 200 {
		t.Errorf("seeding over HTTP: %d %s", code, body)
	}
	b.want("GET /payments/v1/orders/or_2/transactions/tx_2", "", "200 Refunded captured 500 refunded 100 left 400 succeeded, 3 entries to Refund Success")
	if code, _ := b.send("POST /payments", `{"transactionID":1}`); code != 400 {
		t.Errorf("a seed that is none: %d", code)
	}
	if b.SetState("tx_2", "Paid") == nil || b.SetState("tx_3", "Refunded") == nil {
		t.Error("a state or transaction nobody knows was set")
	}
}

func TestCallsAreNamedByWhatTheTransactionIsIn(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{"AuthSucceeded": "cancel", "CaptureSucceeded": "refund", "Refunded": "refund", "AuthVoided": "cancel"} {
		b := setup(t, bentosim.Options{}, state)
		b.send(cancel, `{}`)
		b.send(read, ``)
		calls := b.Calls()
		if len(calls) != 2 || calls[0].Operation != want || calls[1].Operation != "read" || calls[0].Payment != "tx_01H84D1GN7AGCBFACSDYC1D4AF" {
			t.Errorf("%s: calls %+v", state, calls)
		}
	}
}

func TestASimulatorRemembersOverARestart(t *testing.T) {
	t.Parallel()
	b := setup(t, bentosim.Options{SettleAfter: 1}, "")
	b.grant("application/x-www-form-urlencoded", "grant_type=client_credentials&client_id="+bentosim.DefaultClientID+"&client_secret="+bentosim.DefaultClientSecret, nil)
	b.want(cancel, `{"refundAmount":400}`, "202 "+captured, 400)
	kept, err := b.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := &bench{t: t, now: b.now, token: bentosim.TokenOf(1)}
	again.Simulator = bentosim.New(bentosim.Options{SettleAfter: 1, Now: func() time.Time { return again.now }})
	t.Cleanup(again.Close)
	if err := again.Load(kept); err != nil {
		t.Fatal(err)
	}
	again.want(cancel, `{"refundAmount":400}`, refused, 400)
	again.want(read, "", "200 Refunding captured 20000 refunded 0 left 20000 succeeded, 2 entries to Capture Success", 400)
	again.strike(simulator.Lag, "")
	again.want(read, "", "200 "+captured, 400)
	again.want(read, "", partBack, 400)
	if len(again.Calls()) != 6 {
		t.Errorf("%d calls are remembered", len(again.Calls()))
	}
	if err := again.Load([]byte("{")); err == nil {
		t.Error("a memory that is none was loaded")
	}
}
