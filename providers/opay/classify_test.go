package opay_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
)

// answering returns an adapter whose every call gets the one answer.
func answering(t *testing.T, status int, body string) *opay.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return adapter(t, settings(server.URL))
}

var ignoreMessage = cmpopts.IgnoreFields(payment.Outcome{}, "Message")

func TestEachCodeMeansWhatTheTableSays(t *testing.T) {
	t.Parallel()
	const (
		doubt, failed, not = payment.Indeterminate, payment.Failed, payment.NotExecuted
		duplicate, absent  = payment.Duplicate, payment.NotFound
	)
	type results struct{ close, refund, query payment.Result }
	type row struct {
		results
		code      payment.Code
		unhealthy bool
	}
	credentials := row{results{not, not, doubt}, payment.CodeProviderAuthentication, true}
	request := row{results{failed, failed, doubt}, payment.CodeProviderRejectedRequest, false}
	unavailable := row{results{doubt, doubt, doubt}, payment.CodeProviderUnavailable, false}
	acquirer := row{results{doubt, failed, doubt}, payment.CodeDeclined, false}
	unlisted := row{results{doubt, doubt, doubt}, payment.CodeOther, false}
	rows := map[string]row{
		"02000": credentials, "02002": credentials, "02007": credentials,
		"02001": request, "02003": request, "97": request, "98": request, "99": request,
		"50003": unavailable, "09": unavailable, "90": unavailable, "91": unavailable, "96": unavailable,
		"05": acquirer, "13": acquirer, "51": acquirer, "54": acquirer, "57": acquirer, "62": acquirer,
		"02004": {results{doubt, duplicate, doubt}, payment.CodeOther, false},
		"20000": {results{doubt, duplicate, doubt}, payment.CodeOther, false},
		"02006": {results{failed, failed, absent}, payment.CodePaymentNotFound, false},
		"00012": {results{doubt, doubt, absent}, payment.CodeOther, false},
		"02812": {results{doubt, doubt, absent}, payment.CodeOther, false},
		"00":    unlisted, "0": unlisted, "31337": unlisted, "2000": unlisted,
	}
	for code, row := range rows {
		p := answering(t, 200, fmt.Sprintf(`{"code":%q,"message":"m"}`, code))
		r := refund("r1", 400)
		for call, got := range map[string]payment.Outcome{
			"close": p.Call(t.Context(), cancel("paid")), "refund": p.Call(t.Context(), r),
			"query": p.QueryStatus(t.Context(), r), "status": p.QueryStatus(t.Context(), cancel("paid")),
		} {
			want := payment.Outcome{Code: row.code, Unhealthy: row.unhealthy, ProviderCode: code, ProviderMessage: "m"}
			want.Result = map[string]payment.Result{"close": row.close, "refund": row.refund, "query": row.query, "status": row.query}[call]
			if want.Result == duplicate || want.Result == absent {
				want.Code = ""
			}
			if diff := cmp.Diff(want, got, ignoreMessage); diff != "" {
				t.Errorf("%s to %s: %s", code, call, diff)
			}
		}
	}
}

func TestEachStatusOfARefundMeansWhatTheTableSays(t *testing.T) {
	t.Parallel()
	about := `"reference":"r1","originalReference":"paid","orderNo":"9"`
	known := payment.Outcome{ProviderReference: "9", ProviderCode: "00000", ProviderMessage: "SUCCESSFUL"}
	with := func(change func(*payment.Outcome)) payment.Outcome { o := known; change(&o); return o }
	doubt := payment.Outcome{Code: payment.CodeOther, ProviderCode: "00000"}
	collision := payment.Outcome{Result: payment.Ambiguous, Code: payment.CodeOther, ProviderReference: "9", ProviderCode: "00000"}
	succeeded := func(moved *payment.Money) payment.Outcome {
		return with(func(o *payment.Outcome) {
			o.Result, o.Effect, o.Moved = payment.Succeeded, payment.EffectRefunded, moved
		})
	}
	pending := with(func(o *payment.Outcome) { o.Result = payment.Pending })
	ambiguous := func(moved *payment.Money) payment.Outcome { o := collision; o.Moved = moved; return o }
	rows := []struct {
		name, data    string
		create, query payment.Outcome
	}{
		{"done", about + `,"orderStatus":"SUCCESS","refundAmount":{"total":400,"currency":"EGP"}`, succeeded(egp(400)), succeeded(egp(400))},
		{"done, amount as text", about + `,"orderStatus":"SUCCESS","amount":{"total":"400","currency":"EGP"}`, succeeded(egp(400)), succeeded(egp(400))},
		{"done, no amount", about + `,"orderStatus":"SUCCESS"`, succeeded(nil), succeeded(nil)},
		{"done, no original", `"reference":"r1","orderNo":9,"orderStatus":"SUCCESS"`, succeeded(nil), succeeded(nil)},
		{"initial", about + `,"orderStatus":"INITIAL"`, pending, pending},
		{"pending", about + `,"orderStatus":"PENDING"`, pending, pending},
		{
			"failed", about + `,"orderStatus":"FAIL","errorCode":"91","errorMsg":"no"`,
			with(func(o *payment.Outcome) {
				o.Result, o.Code, o.ProviderCode, o.ProviderMessage = payment.Failed, payment.CodeDeclined, "91", "no"
			}),
			with(func(o *payment.Outcome) {
				o.Result, o.Code, o.ProviderCode, o.ProviderMessage = payment.Failed, payment.CodeDeclined, "91", "no"
			}),
		},
		{
			"failed, no code", about + `,"orderStatus":"FAIL"`,
			with(func(o *payment.Outcome) { o.Result, o.Code = payment.Failed, payment.CodeDeclined }),
			with(func(o *payment.Outcome) { o.Result, o.Code = payment.Failed, payment.CodeDeclined }),
		},
		{
			"unlisted status", about + `,"orderStatus":"CLOSE"`,
			with(func(o *payment.Outcome) { o.Code = payment.CodeOther }), with(func(o *payment.Outcome) { o.Code = payment.CodeOther }),
		},
		{"amount unreadable", about + `,"orderStatus":"SUCCESS","amount":{"total":4.00,"currency":"EGP"}`, doubt, doubt},
		{"amount negative", about + `,"orderStatus":"SUCCESS","amount":{"total":-400,"currency":"EGP"}`, doubt, doubt},
		{"other reference", `"reference":"r2","originalReference":"paid","orderNo":"9","orderStatus":"SUCCESS"`, doubt, doubt},
		{"no reference", `"orderNo":"9","orderStatus":"SUCCESS"`, doubt, doubt},
		{"other payment", `"reference":"r1","originalReference":"p2","orderNo":"9","orderStatus":"SUCCESS"`, doubt, ambiguous(nil)},
		{"other amount", about + `,"orderStatus":"SUCCESS","amount":{"total":401,"currency":"EGP"}`, succeeded(egp(401)), ambiguous(egp(401))},
		{
			"other currency", about + `,"orderStatus":"FAIL","amount":{"total":400,"currency":"NGN"}`,
			with(func(o *payment.Outcome) { o.Result, o.Code = payment.Failed, payment.CodeDeclined }),
			ambiguous(&payment.Money{Value: 400, Currency: "NGN"}),
		},
	}
	for _, row := range rows {
		p := answering(t, 200, `{"code":"00000","message":"SUCCESSFUL","data":{`+row.data+`}}`)
		if diff := cmp.Diff(row.create, p.Call(t.Context(), refund("r1", 400)), ignoreMessage); diff != "" {
			t.Errorf("%s, create: %s", row.name, diff)
		}
		if diff := cmp.Diff(row.query, p.QueryStatus(t.Context(), refund("r1", 400)), ignoreMessage); diff != "" {
			t.Errorf("%s, query: %s", row.name, diff)
		}
	}
}

func TestEachStatusOfAPaymentMeansWhatTheTableSaysForACancel(t *testing.T) {
	t.Parallel()
	type end struct {
		Result payment.Result
		Effect payment.Effect
		Code   payment.Code
	}
	doubt := end{Code: payment.CodeOther}
	closed := end{payment.Succeeded, payment.EffectClosed, ""}
	paid := end{payment.Failed, "", payment.CodePaymentAlreadyPaid}
	none := end{payment.Succeeded, payment.EffectNone, payment.CodePaymentFailed}
	pending, absent := end{Result: payment.Pending}, end{Result: payment.NotFound}
	rows := []struct {
		data         string
		close, query end
	}{
		{`"orderStatus":"CLOSE","status":"CLOSE"`, closed, closed},
		{`"orderStatus":"SUCCESS","status":"SUCCESS"`, paid, paid},
		{`"orderStatus":"FAIL","status":"FAIL"`, none, none},
		{`"orderStatus":"INITIAL","status":"INITIAL"`, pending, absent},
		{`"orderStatus":"PENDING","status":"PENDING"`, pending, absent},
		{`"orderStatus":"VOID","status":"VOID"`, doubt, doubt},
		{`"other":1`, doubt, doubt},
		{`"orderStatus":7,"status":7`, doubt, doubt},
		{`"orderStatus":"CLOSE","status":"SUCCESS","isVoided":true`, closed, doubt},
	}
	short := func(o payment.Outcome) end { return end{o.Result, o.Effect, o.Code} }
	for _, row := range rows {
		for reference, mine := range map[string]bool{"paid": true, "p2": false} {
			p := answering(t, 200, fmt.Sprintf(`{"code":"00000","data":{"reference":%q,"orderNo":"9",%s}}`, reference, row.data))
			want := []end{row.close, row.query}
			if !mine {
				want = []end{doubt, doubt}
			}
			got := []end{short(p.Call(t.Context(), cancel("paid"))), short(p.QueryStatus(t.Context(), cancel("paid")))}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %s: %s", row.data, reference, diff)
			}
		}
	}
}

func TestWhatIsNoAnswerOfOPaysIsInDoubt(t *testing.T) {
	t.Parallel()
	success := `{"code":"00000","data":{"reference":"r1","orderStatus":"SUCCESS"}}`
	rows := []struct {
		status int
		body   string
		want   payment.Result
	}{
		{200, ``, payment.Indeterminate},
		{200, `null`, payment.Indeterminate},
		{200, `{}`, payment.Indeterminate},
		{200, `[]`, payment.Indeterminate},
		{200, `{"code":null,"data":{"reference":"r1","orderStatus":"SUCCESS"}}`, payment.Indeterminate},
		{200, `{"code":"00000"}`, payment.Indeterminate},
		{200, `{"code":"00000","data":null}`, payment.Indeterminate},
		{200, `{"code":"00000","data":"SUCCESS"}`, payment.Indeterminate},
		{200, success + success, payment.Indeterminate},
		{200, `<html>maintenance</html>`, payment.Indeterminate},
		{302, success, payment.Indeterminate},
		{404, `not found`, payment.Indeterminate},
		{403, `blocked`, payment.Indeterminate},
		{400, success, payment.Indeterminate},
		{500, success, payment.Indeterminate},
		{500, `{"code":"02001"}`, payment.Indeterminate},
		{400, `{"code":"02001"}`, payment.Failed},
		{401, ``, payment.NotExecuted},
		{401, `{"code":"02000"}`, payment.NotExecuted},
		{429, success, payment.NotExecuted},
		{200, success, payment.Succeeded},
	}
	for _, row := range rows {
		p := answering(t, row.status, row.body)
		if got := p.Call(t.Context(), refund("r1", 400)); got.Result != row.want {
			t.Errorf("%d %s: %v", row.status, row.body, got.Result)
		}
		// A question never says that something failed or was not executed
		// because the question itself went wrong.
		got := p.QueryStatus(t.Context(), refund("r1", 400)).Result
		if row.want != payment.Succeeded && got != payment.Indeterminate {
			t.Errorf("%d %s, query: %v", row.status, row.body, got)
		}
	}
}

func TestCodesOfTheSettingsReplaceTheDefaults(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"code":"777"}`)) }))
	t.Cleanup(server.Close)
	s := settings(server.URL)
	s.DuplicateCodes, s.NotFoundCodes = []string{"777"}, []string{"777"}
	p := adapter(t, s)
	create, query := p.Call(t.Context(), refund("r1", 1)).Result, p.QueryStatus(t.Context(), refund("r1", 1)).Result
	if create != payment.Duplicate || query != payment.NotFound {
		t.Errorf("create %v, query %v", create, query)
	}
}

var _ interface {
	providers.Provider
	Account() string
} = (*opay.Provider)(nil)

// Each of these once passed for a refund that was made, or that was not.
func TestAnAnswerThatCanBeReadInTwoWaysIsNotBelieved(t *testing.T) {
	t.Parallel()
	const about = `"reference":"r1","originalReference":"paid","orderNo":"9"`
	for name, body := range map[string]string{
		"the code twice":                 `{"code":"02006","code":"00000","data":{` + about + `,"orderStatus":"SUCCESS"}}`,
		"the refusal's code twice":       `{"code":"00000","code":"02001"}`,
		"the status twice":               `{"code":"00000","data":{` + about + `,"orderStatus":"PENDING","orderStatus":"FAIL"}}`,
		"the status under another name":  `{"code":"00000","data":{` + about + `,"ORDERSTATUS":"SUCCESS"}}`,
		"the code under another name":    `{"Code":"02001"}`,
		"two amounts that differ":        `{"code":"00000","data":{` + about + `,"orderStatus":"SUCCESS","refundAmount":{"total":400,"currency":"EGP"},"amount":{"total":401,"currency":"EGP"}}}`,
		"an amount with a sign":          `{"code":"00000","data":{` + about + `,"orderStatus":"SUCCESS","refundAmount":{"total":"+400","currency":"EGP"}}}`,
		"an amount filled up with zeros": `{"code":"00000","data":{` + about + `,"orderStatus":"SUCCESS","refundAmount":{"total":"0400","currency":"EGP"}}}`,
		"an amount beyond all amounts":   `{"code":"00000","data":{` + about + `,"orderStatus":"SUCCESS","refundAmount":{"total":9007199254740993,"currency":"EGP"}}}`,
		"a currency that is none":        `{"code":"00000","data":{` + about + `,"orderStatus":"SUCCESS","refundAmount":{"total":400,"currency":"egp"}}}`,
	} {
		if got := answering(t, 200, body).Call(t.Context(), refund("r1", 400)); got.Result != payment.Indeterminate {
			t.Errorf("%s: %s (%s)", name, got.Result, got.Message)
		}
	}
}

func TestAReferenceTooLongForTheStateIsLeftOut(t *testing.T) {
	t.Parallel()
	body := `{"code":"00000","data":{"reference":"r1","orderNo":"` + strings.Repeat("9", 1<<19) + `","orderStatus":"SUCCESS"}}`
	got := answering(t, 200, body).Call(t.Context(), refund("r1", 400))
	if got.Result != payment.Succeeded || got.ProviderReference != "" {
		t.Errorf("%s, a reference of %d characters", got.Result, len(got.ProviderReference))
	}
}
