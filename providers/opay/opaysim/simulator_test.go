package opaysim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

const prefix = "/api/v1/international"

func setup(t *testing.T, o opaysim.Options) *opaysim.Simulator {
	t.Helper()
	sim := opaysim.New(o)
	t.Cleanup(sim.Close)
	if err := sim.AddPayment(opaysim.Payment{Reference: "p1", Country: "EG", Amount: 1000, Currency: "EGP"}); err != nil {
		t.Fatal(err)
	}
	return sim
}

// call sends a body with the headers OPay asks for, changed by change, and
// returns "<code> <orderStatus>".
func call(t *testing.T, sim *opaysim.Simulator, path, body string, change func(http.Header)) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, prefix+path, strings.NewReader(body))
	request.Header = http.Header{
		"Content-Type": {"application/json"}, "Merchantid": {opaysim.DefaultMerchantID},
		"Authorization": {"Bearer " + opay.Sign([]byte(body), opaysim.DefaultSecretKey)},
	}
	if change != nil {
		change(request.Header)
	}
	recorder := httptest.NewRecorder()
	sim.ServeHTTP(recorder, request)
	var answer struct {
		Code string `json:"code"`
		Data struct {
			OrderStatus string `json:"orderStatus"`
		} `json:"data"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s: %d %s", path, recorder.Code, recorder.Body)
	}
	return strings.TrimSpace(answer.Code + " " + answer.Data.OrderStatus)
}

func refundBody(reference, total string) string {
	return `{"amount":{"currency":"EGP","total":` + total + `},"callbackUrl":"https://m.example/cb","country":"EG","originalReference":"p1","reference":"` + reference + `"}`
}

func TestACallWithoutProperAuthenticationIsRefusedUnexecuted(t *testing.T) {
	t.Parallel()
	sim := setup(t, opaysim.Options{FirstStatus: "SUCCESS"})
	body := refundBody("r1", "100")
	unsorted := `{"reference":"r1","originalReference":"p1","country":"EG","callbackUrl":"https://m.example/cb","amount":{"currency":"EGP","total":100}}`
	signed := func(text string) func(http.Header) {
		return func(h http.Header) { h.Set("Authorization", text) }
	}
	right := opay.Sign([]byte(body), opaysim.DefaultSecretKey)
	rows := map[string]struct {
		body   string
		change func(http.Header)
	}{
		"no signature":        {body, func(h http.Header) { h.Del("Authorization") }},
		"no scheme":           {body, signed(right)},
		"other key":           {body, signed("Bearer " + opay.Sign([]byte(body), "x"))},
		"other body":          {body, signed("Bearer " + opay.Sign([]byte(body+" "), opaysim.DefaultSecretKey))},
		"upper case":          {body, signed("Bearer " + strings.ToUpper(right))},
		"no merchant":         {body, func(h http.Header) { h.Del("MerchantId") }},
		"other merchant":      {body, func(h http.Header) { h.Set("MerchantId", "1") }},
		"no content type":     {body, func(h http.Header) { h.Del("Content-Type") }},
		"signed but unsorted": {unsorted, nil},
		"signed but spaced":   {strings.ReplaceAll(body, ",", ", "), nil},
	}
	for name, row := range rows {
		if got := call(t, sim, "/payment/refund/create", row.body, row.change); got != "02000" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if sim.Ledger().Count("", "") != 0 {
		t.Error("executed")
	}
	if got := call(t, sim, "/payment/refund/create", body, nil); got != "00000 SUCCESS" {
		t.Errorf("authenticated: %s", got)
	}
}

func TestRefundsFollowOPaysRules(t *testing.T) {
	t.Parallel()
	sim := setup(t, opaysim.Options{FirstStatus: "INITIAL", SettleAfter: 1})
	if err := sim.AddPayment(opaysim.Payment{Reference: "p2", Country: "EG", Amount: 1000, Currency: "EGP", Status: "INITIAL"}); err != nil {
		t.Fatal(err)
	}
	query := `{"country":"EG","reference":"r1"}`
	steps := []struct{ path, body, want string }{
		{"/payment/refund/query", query, "02006"},
		{"/payment/refund/create", refundBody("r1", "600"), "00000 INITIAL"},
		{"/payment/refund/create", refundBody("r1", "600"), "02004"},
		{"/payment/refund/create", refundBody("r1", "1"), "02004"},
		{"/payment/refund/create", refundBody("r2", "401"), "02001"}, // more than is left
		{"/payment/refund/create", refundBody("r2", "0"), "02001"},
		{"/payment/refund/create", refundBody("r2", `"400"`), "02001"},
		{"/payment/refund/create", strings.ReplaceAll(refundBody("r2", "1"), "p1", "p9"), "02006"},
		{"/payment/refund/create", strings.ReplaceAll(refundBody("r2", "1"), `"EG"`, `"NG"`), "02006"},
		{"/payment/refund/create", strings.ReplaceAll(refundBody("r2", "1"), `"EGP"`, `"NGN"`), "02001"},
		{"/payment/refund/create", strings.ReplaceAll(refundBody("r2", "1"), "p1", "p2"), "02001"}, // not paid
		{"/payment/refund/query", query, "00000 INITIAL"},
		{"/payment/refund/query", query, "00000 SUCCESS"},
		{"/payment/refund/create", refundBody("r2", "400"), "00000 INITIAL"},
		{"/payment/close", `{"country":"EG","reference":"p1"}`, "00000 SUCCESS"},
		{"/payment/close", `{"country":"EG","reference":"p2"}`, "00000 CLOSE"},
		{"/payment/close", `{"country":"EG","reference":"p2"}`, "00000 CLOSE"},
		{"/payment/close", `{"country":"EG","reference":"p9"}`, "02006"},
		{"/payment/close", `{"reference":"p2"}`, "02001"},
		{"/payment/close", `{"country":"EG","reference":"p2","unknown":1}`, "02001"},
	}
	for i, step := range steps {
		if got := call(t, sim, step.path, step.body, nil); got != step.want {
			t.Errorf("step %d, %s %s: %s, want %s", i, step.path, step.body, got, step.want)
		}
	}
	if diff := cmp.Diff(map[string]int64{"EGP": 1000}, sim.Ledger().Total("")); diff != "" || sim.Ledger().Count("cancel", "p2") != 1 {
		t.Errorf("closed %d times, %s", sim.Ledger().Count("cancel", "p2"), diff)
	}
}

func TestARepeatThatExecutesIsCountedTwice(t *testing.T) {
	t.Parallel()
	sim := setup(t, opaysim.Options{RepeatsExecute: true})
	for range 2 {
		call(t, sim, "/payment/refund/create", refundBody("r1", "400"), nil)
	}
	if n, total := sim.Ledger().Count("refund", "p1"), sim.Ledger().Total("p1")["EGP"]; n != 2 || total != 800 {
		t.Errorf("%d executions, %d moved", n, total)
	}
}

func TestARefundEndsAsItsFaultSays(t *testing.T) {
	t.Parallel()
	sim := setup(t, opaysim.Options{})
	if err := sim.Fault(
		simulator.Fault{Reference: "stays", Mode: opaysim.StayPending}, simulator.Fault{Operation: "refund", Reference: "later", Mode: opaysim.DeclineLater},
		simulator.Fault{Reference: "now", Operation: "refund", Mode: simulator.Decline}, simulator.Fault{Reference: "code", Operation: "refund", Mode: simulator.Decline, Code: "50003"},
	); err != nil {
		t.Fatal(err)
	}
	shown := map[string][]string{}
	for _, reference := range []string{"stays", "later", "now", "code"} {
		query := `{"country":"EG","reference":"` + reference + `"}`
		created := call(t, sim, "/payment/refund/create", refundBody(reference, "100"), nil)
		shown[reference] = []string{created, call(t, sim, "/payment/refund/query", query, nil)}
		if reference == "stays" {
			if err := sim.Settle(reference); err != nil {
				t.Fatal(err)
			}
			shown[reference] = append(shown[reference], call(t, sim, "/payment/refund/query", query, nil))
		}
	}
	want := map[string][]string{
		"stays": {"00000 PENDING", "00000 PENDING", "00000 SUCCESS"}, "later": {"00000 PENDING", "00000 FAIL"},
		"now": {"00000 FAIL", "00000 FAIL"}, "code": {"50003", "02006"},
	}
	if diff := cmp.Diff(want, shown); diff != "" || sim.Ledger().Count("", "") != 1 {
		t.Errorf("%d executions, %s", sim.Ledger().Count("", ""), diff)
	}
}

func TestSeedsAreCheckedAndKeptApart(t *testing.T) {
	t.Parallel()
	sim := setup(t, opaysim.Options{})
	seed := func(body string) int {
		recorder := httptest.NewRecorder()
		sim.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/payments", strings.NewReader(body)))
		return recorder.Code
	}
	for body, want := range map[string]int{
		`{"reference":"p7","country":"EG","amount":5,"currency":"EGP"}`:                 200,
		`{"reference":"p1","country":"EG","amount":5,"currency":"EGP"}`:                 400, // taken
		`{"reference":"p8","country":"EG","amount":0,"currency":"EGP"}`:                 400,
		`{"reference":"p8","country":"EG","amount":5,"currency":"EGP","status":"PAID"}`: 400,
		`{"reference":"p8","country":"EG","amount":5,"currency":"EGP","x":1}`:           400,
		`{"country":"EG","amount":5,"currency":"EGP"}`:                                  400,
	} {
		if got := seed(body); got != want {
			t.Errorf("%s: %d", body, got)
		}
	}
	if sim.SetStatus("p9", "FAIL") == nil || sim.Settle("r9") == nil {
		t.Error("changed what does not exist")
	}
}
