package opay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

const secret = "OPAYPRV-test-secret"

func settings(url string) opay.Settings {
	return opay.Settings{
		BaseURL: url, MerchantID: "256612345678901", SecretKey: providers.NewSecret(secret),
		CallbackURL: "https://merchant.example/cb", Country: "EG",
	}
}

// setup returns an adapter on a simulator with one paid and one unpaid payment.
func setup(t *testing.T, o opaysim.Options) (*opay.Provider, *opaysim.Simulator) {
	t.Helper()
	o.SecretKey = secret
	sim := opaysim.New(o)
	server := httptest.NewServer(http.StripPrefix("/opay", sim))
	t.Cleanup(func() { sim.Close(); server.Close() })
	for _, p := range []opaysim.Payment{
		{Reference: "paid", Country: "EG", Amount: 40000, Currency: "EGP"},
		{Reference: "unpaid", Country: "EG", Amount: 40000, Currency: "EGP", Status: "INITIAL"},
	} {
		if err := sim.AddPayment(p); err != nil {
			t.Fatal(err)
		}
	}
	return adapter(t, settings(server.URL+"/opay")), sim
}

func adapter(t *testing.T, s opay.Settings) *opay.Provider {
	t.Helper()
	p, err := opay.New(s, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func egp(value int64) *payment.Money { return &payment.Money{Value: value, Currency: "EGP"} }

func refund(reference string, value int64) providers.Request {
	return providers.Request{
		Op: payment.Refund, Payment: payment.Details{OrderID: "paid", Country: "EG"}, Amount: egp(value),
		Reference: reference, SendBefore: time.Now().Add(time.Hour),
	}
}

func cancel(order string) providers.Request {
	return providers.Request{Op: payment.Cancel, Payment: payment.Details{OrderID: order, Country: "EG"}, SendBefore: time.Now().Add(time.Hour)}
}

func TestSignaturesMatchTheVectors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"country":"NG","reference":"96315454"}`: "a86ad084c85ee7b4606ae866dbe69fca4d60bd27c405f8fe6677247f36d5e217362843b3beac5bf6325e418ced71da130405c473f538f90f75136d295017aedd",
		`{"amount":{"currency":"EGP","total":400},"callbackUrl":"https://merchant.example/cb","country":"EG","originalReference":"03948512","reference":"03948512001"}`: "592a543fb1c77c1d4ec3dc573286b3b8b88dc9170d997e4b62c04624f5b72f6a397d9f5d7cdf75464e8120269cfedb2c367bffe3766a9391d2af7871506146f9",
	} {
		if got := opay.Sign([]byte(body), "test-secret-key"); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
}

func TestARefundIsAcceptedThenFoundDone(t *testing.T) {
	t.Parallel()
	p, sim := setup(t, opaysim.Options{SettleAfter: 1})
	r := refund("r1", 400)
	r.Reason = "broken & <late>"
	results := []payment.Result{p.Call(t.Context(), r).Result, p.QueryStatus(t.Context(), r).Result}
	if diff := cmp.Diff([]payment.Result{payment.Pending, payment.Pending}, results); diff != "" {
		t.Error(diff)
	}
	got := p.QueryStatus(t.Context(), r)
	if got.Result != payment.Succeeded || got.Effect != payment.EffectRefunded || got.Moved == nil || *got.Moved != *egp(400) || got.ProviderReference == "" {
		t.Errorf("%+v", got)
	}
	want := `{"amount":{"currency":"EGP","total":400},"callbackUrl":"https://merchant.example/cb","country":"EG",` +
		`"originalReference":"paid","reference":"r1","refundReason":"broken    late"}`
	if body := sim.Calls()[0].Body; body != want {
		t.Errorf("sent %s", body)
	}
	if diff := cmp.Diff(map[string]int64{"EGP": 400}, sim.Ledger().Total("paid")); diff != "" {
		t.Error(diff)
	}
}

func TestAReasonIsSentAsEveryEncoderOfJSONWritesIt(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"item returned":            `,"refundReason":"item returned"`,
		"two  lines":               `,"refundReason":"two  lines"`,
		`she said "no" + \n` + "`": `,"refundReason":"she said  no     n"`,
		"returned \U0001f44d — ok": `,"refundReason":"returned     ok"`,
		"«returned» \u200b":        `,"refundReason":"returned"`,
		"المنتج مرتجع":             "",
		"café closed":              "",
		"cafe\u0301 closed":        "",
		"\U0001f44d":               "",
		"line\nbreak\u2028\u0085.": `,"refundReason":"line break  ."`,
	} {
		p, sim := setup(t, opaysim.Options{})
		r := refund("r1", 400)
		r.Reason = reason
		p.Call(t.Context(), r)
		body := `{"amount":{"currency":"EGP","total":400},"callbackUrl":"https://merchant.example/cb","country":"EG",` +
			`"originalReference":"paid","reference":"r1"` + want + `}`
		if got := sim.Calls()[0].Body; got != body {
			t.Errorf("%q is sent as %s, want %s", reason, got, body)
		}
	}
}

func TestALostAnswerIsInDoubtAndFoundByItsReference(t *testing.T) {
	t.Parallel()
	for _, mode := range []simulator.Mode{simulator.CutAfter, simulator.StatusAfter, simulator.GarbageAfter, simulator.OversizedAfter} {
		p, sim := setup(t, opaysim.Options{})
		_ = sim.Fault(simulator.Fault{Operation: "refund", Mode: mode, Times: 1}, simulator.Fault{Operation: "query", Mode: simulator.Lag, Times: 1})
		r := refund("r1", 400)
		got := []payment.Result{
			p.Call(t.Context(), r).Result, p.QueryStatus(t.Context(), r).Result,
			p.Call(t.Context(), r).Result, p.QueryStatus(t.Context(), r).Result,
		}
		want := []payment.Result{payment.Indeterminate, payment.NotFound, payment.Duplicate, payment.Succeeded}
		if diff := cmp.Diff(want, got); diff != "" || sim.Ledger().Count("refund", "paid") != 1 {
			t.Errorf("%s: %d executions, %s", mode, sim.Ledger().Count("refund", "paid"), diff)
		}
	}
}

func TestACallThatRunsLateAfterItsRepeatMovesNothing(t *testing.T) {
	t.Parallel()
	for _, duplicate := range []string{"02004", "20000"} {
		p, sim := setup(t, opaysim.Options{DuplicateCode: duplicate, FirstStatus: "SUCCESS"})
		_ = sim.Fault(simulator.Fault{Operation: "refund", Mode: simulator.Late, Times: 1})
		r := refund("r1", 400)
		got := []payment.Result{p.Call(t.Context(), r).Result, p.QueryStatus(t.Context(), r).Result, p.Call(t.Context(), r).Result}
		sim.Release()
		got = append(got, p.Call(t.Context(), r).Result)
		want := []payment.Result{payment.Indeterminate, payment.NotFound, payment.Succeeded, payment.Duplicate}
		if diff := cmp.Diff(want, got); diff != "" || sim.Ledger().Count("", "") != 1 {
			t.Errorf("%d executions, %s", sim.Ledger().Count("", ""), diff)
		}
	}
}

func TestCallsThatExecutedNothingForSureSaySo(t *testing.T) {
	t.Parallel()
	p, sim := setup(t, opaysim.Options{})
	_ = sim.Fault(simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 7, Times: 2})
	got := p.Call(t.Context(), refund("r1", 400))
	if got.Result != payment.NotExecuted || got.RetryAfter != 7*time.Second || got.Unhealthy {
		t.Errorf("limited: %+v", got)
	}
	if got := p.QueryStatus(t.Context(), refund("r1", 400)); got.Result != payment.Indeterminate || got.RetryAfter != 7*time.Second {
		t.Errorf("limited query: %+v", got)
	}
	late := refund("r1", 400)
	late.SendBefore = time.Now().Add(-time.Second)
	if got := p.Call(t.Context(), late); got.Result != payment.NotExecuted || len(sim.Calls()) != 2 {
		t.Errorf("late: %+v, %d calls", got, len(sim.Calls()))
	}
	noAmount := refund("r1", 400)
	noAmount.Amount, noAmount.Full = nil, true
	if got := p.Call(t.Context(), noAmount); got.Result != payment.NotExecuted || got.Code != payment.CodeInternalError || len(sim.Calls()) != 2 {
		t.Errorf("without amount: %+v", got)
	}
	for _, mode := range []simulator.Mode{simulator.CutBefore, simulator.StatusBefore, simulator.RedirectBefore, simulator.GarbageBefore} {
		_ = sim.Fault(simulator.Fault{Mode: mode, Times: 1})
		if got := p.Call(t.Context(), refund("r1", 400)); got.Result != payment.Indeterminate {
			t.Errorf("%s looks to the caller as if executed, got %v", mode, got.Result)
		}
	}
	if n := sim.Ledger().Count("", ""); n != 0 {
		t.Errorf("%d executions", n)
	}
}

func TestCancelsEndByThePaymentsStatus(t *testing.T) {
	t.Parallel()
	p, sim := setup(t, opaysim.Options{})
	_ = sim.Fault(simulator.Fault{Operation: "cancel", Mode: simulator.Late, Times: 1})
	r := cancel("unpaid")
	got := []payment.Outcome{p.Call(t.Context(), r), p.QueryStatus(t.Context(), r)}
	sim.Release()
	got = append(got, p.QueryStatus(t.Context(), r), p.Call(t.Context(), r), p.Call(t.Context(), cancel("paid")), p.Call(t.Context(), cancel("none")))
	type short struct {
		Result payment.Result
		Effect payment.Effect
		Code   payment.Code
	}
	var shown []short
	for _, o := range got {
		shown = append(shown, short{o.Result, o.Effect, o.Code})
	}
	want := []short{
		{payment.Indeterminate, "", payment.CodeProviderUnavailable},
		{payment.NotFound, "", ""},
		{payment.Succeeded, payment.EffectClosed, ""},
		{payment.Succeeded, payment.EffectClosed, ""},
		{payment.Failed, "", payment.CodePaymentAlreadyPaid},
		{payment.Failed, "", payment.CodePaymentNotFound},
	}
	if diff := cmp.Diff(want, shown); diff != "" || sim.Ledger().Count("cancel", "unpaid") != 1 {
		t.Errorf("closed %d times, %s", sim.Ledger().Count("cancel", "unpaid"), diff)
	}
}

func TestAReadingSaysWhatThePaymentIsIn(t *testing.T) {
	t.Parallel()
	p, sim := setup(t, opaysim.Options{})
	read := func() payment.Reading {
		got := p.Read(t.Context(), cancel("unpaid"))
		if got.At.IsZero() {
			t.Error("undated reading")
		}
		got.At, got.Message = time.Time{}, ""
		return got
	}
	for status, want := range map[string]payment.Reading{
		"INITIAL": {OK: true, Status: payment.PaymentUnpaid},
		"PENDING": {OK: true, Status: payment.PaymentPending},
		"SUCCESS": {OK: true, Status: payment.PaymentPaid, Captured: egp(40000)},
		"FAIL":    {OK: true, Status: payment.PaymentFailed},
		"CLOSE":   {OK: true, Status: payment.PaymentCancelled},
		"NEW":     {Code: payment.CodeOther},
	} {
		if err := sim.SetStatus("unpaid", status); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("%s: %s", status, diff)
		}
	}
	for _, row := range []struct {
		fault simulator.Fault
		want  payment.Reading
	}{
		{simulator.Fault{Mode: simulator.Lag}, payment.Reading{OK: true, Status: payment.PaymentAbsent}},
		{simulator.Fault{Mode: simulator.Decline, Code: "02000"}, payment.Reading{Code: payment.CodeProviderAuthentication, Unhealthy: true}},
		{simulator.Fault{Mode: simulator.CutBefore}, payment.Reading{Code: payment.CodeProviderUnavailable}},
		{simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 3}, payment.Reading{Code: payment.CodeProviderUnavailable, RetryAfter: 3 * time.Second}},
	} {
		row.fault.Times = 1
		_ = sim.Fault(row.fault)
		if diff := cmp.Diff(row.want, read()); diff != "" {
			t.Errorf("%s: %s", row.fault.Mode, diff)
		}
	}
}

func TestWrongCredentialsAreTheInstancesFaultAndNotThePayments(t *testing.T) {
	t.Parallel()
	_, sim := setup(t, opaysim.Options{})
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	key, merchant := settings(server.URL), settings(server.URL)
	key.SecretKey, merchant.MerchantID = providers.NewSecret("another"), "256000000000000"
	for _, s := range []opay.Settings{key, merchant} {
		p := adapter(t, s)
		got := p.Call(t.Context(), refund("r1", 400))
		if got.Result != payment.NotExecuted || !got.Unhealthy || got.Code != payment.CodeProviderAuthentication {
			t.Errorf("%+v", got)
		}
		if got := p.QueryStatus(t.Context(), refund("r1", 400)); got.Result != payment.Indeterminate || !got.Unhealthy {
			t.Errorf("query: %+v", got)
		}
	}
	if sim.Ledger().Count("", "") != 0 {
		t.Error("executed without credentials")
	}
}

func TestTheSecretKeyIsInNoOutcomeWhateverOPayEchoes(t *testing.T) {
	t.Parallel()
	echo, _ := json.Marshal(secret)
	signed := func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"code":"02001","message":%q}`, "bad "+r.Header.Get("Authorization"))
	}
	server := httptest.NewServer(http.HandlerFunc(signed))
	t.Cleanup(server.Close)
	if got := adapter(t, settings(server.URL)).Call(t.Context(), refund("r1", 400)).ProviderMessage; got != "bad Bearer ***" {
		t.Errorf("the signature shows: %s", got)
	}
	for _, answer := range []string{
		fmt.Sprintf(`{"code":"02001","message":%s}`, echo),
		fmt.Sprintf(`{"code":%s,"message":"no"}`, echo),
		fmt.Sprintf(`{"code":"00000","data":{"reference":"r1","orderStatus":"FAIL","orderNo":%s,"errorCode":%s,"errorMsg":%s}}`, echo, echo, echo),
		secret,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		p := adapter(t, settings(server.URL))
		out := fmt.Sprintf("%+v %+v %+v", p.Call(t.Context(), refund("r1", 400)), p.QueryStatus(t.Context(), cancel("r1")), p.Read(t.Context(), cancel("r1")))
		server.Close()
		if strings.Contains(out, secret) {
			t.Errorf("%s: leaked into %s", answer, out)
		}
	}
}

func TestSettingsAreRefusedWithAllTheirFaults(t *testing.T) {
	t.Parallel()
	_, err := opay.New(opay.Settings{
		BaseURL: "http://api.opaycheckout.com", CallbackURL: "https://m.example/cb?a=1", RefundWay: "BankAccount",
		RefundRepeat: "maybe", DuplicateCodes: []string{"00000"},
	}, providers.NewClient(nil))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"baseURL", "merchantID", "secretKey", "callbackURL", "refundWay", "refundRepeat", "duplicateCodes"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
}

func TestTheAccountIsHostAndMerchantWhateverThePath(t *testing.T) {
	t.Parallel()
	account := func(url, merchant string) string {
		s := settings(url)
		s.MerchantID = merchant
		return adapter(t, s).Account()
	}
	one := account("https://api.opaycheckout.com", "1")
	if one != payment.AccountHash("opay", "api.opaycheckout.com", "1") || one != account("https://API.opaycheckout.com:443/prefix/", "1") {
		t.Error("one account has two names")
	}
	if one == account("https://api.opaycheckout.com", "2") || one == account("https://liveapi.opaycheckout.com", "1") {
		t.Error("two accounts have one name")
	}
}

func TestARefundsRepeatIsWhatTheSettingDeclares(t *testing.T) {
	t.Parallel()
	s := settings("https://api.opaycheckout.com")
	for declared, want := range map[string]payment.Repeat{"": payment.RepeatRefused, "refused": payment.RepeatRefused, "unsafe": payment.RepeatUnsafe} {
		s.RefundRepeat = declared
		traits := adapter(t, s).Traits()
		if traits.FullRefund.Repeat != want || traits.PartialRefund.Repeat != want || traits.Cancel.Repeat != payment.RepeatHarmless {
			t.Errorf("%q: %+v", declared, traits)
		}
	}
}
