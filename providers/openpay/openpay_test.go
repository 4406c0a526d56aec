package openpay_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// recorder answers every request with one body and keeps what was sent.
type recorder struct {
	mu          sync.Mutex
	path        string
	contentType string
	sent        string
	requests    int
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a short body shows in the comparison
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.path, c.contentType, c.sent = r.URL.Path, r.Header.Get("Content-Type"), string(body)
	_, _ = fmt.Fprint(w, `{"code":"00","status":"APPROVED","transactionId":"t-1","referenceNo":"r-1"}`)
}

func recording(t *testing.T, s openpay.Settings) (*openpay.Provider, *recorder) {
	t.Helper()
	c := &recorder{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	s.BaseURL = server.URL + s.BaseURL
	return provider(t, s), c
}

func provider(t *testing.T, s openpay.Settings) *openpay.Provider {
	t.Helper()
	if s.Account == "" {
		s.Account = "shop-eu"
	}
	if s.APIKey.Reveal() == "" {
		s.APIKey = providers.NewSecret(testKey)
	}
	p, err := openpay.New(s, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fullRefund() providers.Request {
	return providers.Request{
		Op: payment.Refund, Full: true, Attempt: 1,
		Payment: payment.Details{TransactionID: "t-1", OrderID: "r-1"},
	}
}

func partialRefund(value int64) providers.Request {
	r := fullRefund()
	r.Full, r.Amount = false, &payment.Money{Value: value, Currency: "EUR"}
	return r
}

func TestRequestsAreWrittenAsDocumented(t *testing.T) {
	t.Parallel()
	known := fullRefund()
	known.Amount = &payment.Money{Value: 1234, Currency: "EUR"}
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	rows := []struct {
		name        string
		encoding    openpay.Encoding
		request     providers.Request
		contentType string
		sent        string
	}{
		{"a full refund names neither amount nor currency", "", fullRefund(), form, "apiKey=" + testKey + "&referenceNo=r-1&transactionId=t-1"},
		{"nor where the amount is known", "", known, form, "apiKey=" + testKey + "&referenceNo=r-1&transactionId=t-1"},
		{"a partial refund names both", "", partialRefund(400), form, "amount=400&apiKey=" + testKey + "&currency=EUR&referenceNo=r-1&transactionId=t-1"},
		{"a full refund as JSON", openpay.EncodingJSON, known, asJSON, `{"apiKey":"` + testKey + `","referenceNo":"r-1","transactionId":"t-1"}`},
		{"a partial refund as JSON, its amount a number", openpay.EncodingJSON, partialRefund(400), asJSON, `{"amount":400,"apiKey":"` + testKey + `","currency":"EUR","referenceNo":"r-1","transactionId":"t-1"}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p, c := recording(t, openpay.Settings{Encoding: row.encoding, PartialRefunds: true})
			if o := p.Call(context.Background(), row.request); o.Result != payment.Succeeded {
				t.Fatalf("result %s: %s", o.Result, o.Message)
			}
			if diff := cmp.Diff([]string{"/pw/v3/payment/refund", row.contentType, row.sent}, []string{c.path, c.contentType, c.sent}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAQuestionNamesTheReferenceOnly(t *testing.T) {
	t.Parallel()
	p, c := recording(t, openpay.Settings{BaseURL: "/gateway/", StatusPath: statusPath})
	before := time.Now().Add(-time.Second)
	reading := p.Read(context.Background(), fullRefund())
	if !reading.OK || reading.Status != payment.PaymentPaid || reading.At.Before(before) {
		t.Errorf("reading %+v", reading)
	}
	want := []string{"/gateway/pw/v3/payment/status", "apiKey=" + testKey + "&referenceNo=r-1"}
	if diff := cmp.Diff(want, []string{c.path, c.sent}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPathsAreSettings(t *testing.T) {
	t.Parallel()
	p, c := recording(t, openpay.Settings{RefundPath: "/pw/v4/refund", StatusPath: "/pw/v4/status"})
	p.Call(context.Background(), fullRefund())
	if c.path != "/pw/v4/refund" {
		t.Errorf("refund went to %s", c.path)
	}
	p.QueryStatus(context.Background(), fullRefund())
	if c.path != "/pw/v4/status" {
		t.Errorf("query went to %s", c.path)
	}
}

func TestWhatCannotBeARefundIsNotSent(t *testing.T) {
	t.Parallel()
	change := func(f func(*providers.Request)) providers.Request {
		r := partialRefund(400)
		f(&r)
		return r
	}
	rows := []struct {
		name     string
		request  providers.Request
		settings openpay.Settings
		result   payment.Result
		code     payment.Code
	}{
		{"no transaction id", change(func(r *providers.Request) { r.Payment.TransactionID = "" }), openpay.Settings{PartialRefunds: true}, payment.Failed, payment.CodeInvalidCommand},
		{"no order id", change(func(r *providers.Request) { r.Payment.OrderID = "" }), openpay.Settings{PartialRefunds: true}, payment.Failed, payment.CodeInvalidCommand},
		{"an identifier of 33 characters", change(func(r *providers.Request) { r.Payment.OrderID = strings.Repeat("1", 33) }), openpay.Settings{PartialRefunds: true}, payment.Failed, payment.CodeInvalidCommand},
		{"a part without an amount", change(func(r *providers.Request) { r.Amount = nil }), openpay.Settings{PartialRefunds: true}, payment.Failed, payment.CodeInvalidCommand},
		{"a part of nothing", partialRefund(0), openpay.Settings{PartialRefunds: true}, payment.Failed, payment.CodeInvalidCommand},
		{"a part while they are off", partialRefund(400), openpay.Settings{}, payment.Failed, payment.CodePartialRefundUnsupported},
		{"a cancel", change(func(r *providers.Request) { r.Op = payment.Cancel }), openpay.Settings{PartialRefunds: true}, payment.Failed, payment.CodeUnsupportedOperation},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p, c := recording(t, row.settings)
			o := p.Call(context.Background(), row.request)
			if o.Result != row.result || o.Code != row.code {
				t.Errorf("got %s %s, want %s %s", o.Result, o.Code, row.result, row.code)
			}
			if c.requests != 0 {
				t.Error("it was sent")
			}
		})
	}
}

func TestAnEmptiedKeyMakesTheInstanceUnhealthyAndSendsNothing(t *testing.T) {
	t.Parallel()
	c := &recorder{}
	server := httptest.NewServer(c)
	defer server.Close()
	p, err := openpay.New(openpay.Settings{BaseURL: server.URL, Account: "shop-eu", APIKey: providers.NewSecret("")}, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	o := p.Call(context.Background(), fullRefund())
	if o.Result != payment.NotExecuted || !o.Unhealthy || o.Code != payment.CodeProviderAuthentication || c.requests != 0 {
		t.Errorf("%+v, %d requests", o, c.requests)
	}
}

func TestTraitsFollowTheSettings(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		for path, prepare := range map[string]payment.Prepare{"": payment.PrepareNever, statusPath: payment.PrepareHelpful} {
			want := payment.Traits{
				Kind: "openpay", Identity: payment.IdentityTransaction, RequiresOrderID: true, MaxIdentifier: 32,
				Asks:          payment.AsksNone,
				FullRefund:    payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, Prepare: prepare},
				PartialRefund: payment.OperationTraits{Supported: on, Repeat: payment.RepeatUnsafe, Prepare: prepare},
			}
			if path != "" {
				want.Asks = payment.AsksHelpful
			}
			p := provider(t, openpay.Settings{BaseURL: "https://api.openpaydpsp.com", PartialRefunds: on, StatusPath: path})
			if diff := cmp.Diff(want, p.Traits()); diff != "" {
				t.Errorf("partialRefunds %v, statusPath %q (-want +got):\n%s", on, path, diff)
			}
		}
	}
}

func TestTheAccountIsHostAndLabel(t *testing.T) {
	t.Parallel()
	account := func(base, label, key string) string {
		return provider(t, openpay.Settings{BaseURL: base, Account: label, APIKey: providers.NewSecret(key)}).Account()
	}
	one := account("https://api.openpaydpsp.com", "shop-eu", "key-one")
	for _, same := range []string{
		account("https://api.openpaydpsp.com", "shop-eu", "key-two"),
		account("https://API.openpaydpsp.com:443/prefix/", "shop-eu", "key-one"),
	} {
		if same != one {
			t.Error("one account has two hashes")
		}
	}
	for _, other := range []string{
		account("https://testapi.openpaydpsp.com", "shop-eu", "key-one"),
		account("https://api.openpaydpsp.com", "shop-uk", "key-one"),
	} {
		if other == one {
			t.Error("two accounts have one hash")
		}
	}
	if want := payment.AccountHash("openpay", "api.openpaydpsp.com", "shop-eu"); one != want {
		t.Errorf("account %s, want %s: journals hold it for ever", one, want)
	}
}

func TestEveryFaultOfTheSettingsIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := openpay.New(openpay.Settings{
		BaseURL: "ftp://api.example", Encoding: "xml", RefundPath: "refund", StatusPath: "/status?x",
		APIKey: providers.NewSecret(testKey),
		Codes:  openpay.Codes{Approved: []string{}, Waiting: []string{"32"}},
	}, providers.NewClient(nil))
	if err == nil {
		t.Fatal("settings full of faults were accepted")
	}
	for _, want := range []string{
		"baseURL: must be https", "account:", `encoding: "xml"`, "refundPath:", "statusPath:",
		`"32" is in both alreadyRefunded and waiting`, "approved must not be empty",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), testKey) {
		t.Error("the error shows the key")
	}
}

func TestBaseURLsThatCouldLeakTheKeyAreRefused(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"https://api.openpaydpsp.com":  true,
		"https://gateway.example/a/b/": true,
		"http://127.0.0.1:8080":        true,
		"http://localhost:8080":        true,
		"http://[::1]:8080":            true,
		"http://api.openpaydpsp.com":   false,
		"https://user:pw@api.example":  false,
		"https://api.example?a=b":      false,
		"https://api.example#a":        false,
		"api.openpaydpsp.com":          false,
		"https://":                     false,
		"":                             false,
		"://":                          false,
	} {
		_, err := openpay.New(openpay.Settings{BaseURL: base, Account: "a", APIKey: providers.NewSecret(testKey)}, providers.NewClient(nil))
		if (err == nil) != want {
			t.Errorf("%q: error %v, want accepted %v", base, err, want)
		}
	}
}

func TestAProviderNeedsAClient(t *testing.T) {
	t.Parallel()
	if _, err := openpay.New(openpay.Settings{BaseURL: "https://api.example", Account: "a"}, nil); err == nil {
		t.Error("accepted without a client")
	}
}

// simulated is a provider in front of its simulator with one payment.
func simulated(t *testing.T, o openpaysim.Options, p openpaysim.Payment) (*openpay.Provider, *openpaysim.Simulator) {
	t.Helper()
	sim := openpaysim.New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	p.TransactionID, p.ReferenceNo, p.Amount, p.Currency = "t-1", "r-1", 1234, "EUR"
	if err := sim.AddPayment(p); err != nil {
		t.Fatal(err)
	}
	return provider(t, openpay.Settings{BaseURL: server.URL, APIKey: providers.NewSecret(openpaysim.DefaultAPIKey), PartialRefunds: true, StatusPath: statusPath}), sim
}

func TestAnAddressNotRegisteredIsTheInstancesFault(t *testing.T) {
	t.Parallel()
	p, sim := simulated(t, openpaysim.Options{RefuseAddress: true, Status: openpaysim.StatusFull}, openpaysim.Payment{})
	o := p.Call(context.Background(), fullRefund())
	if o.Result != payment.NotExecuted || !o.Unhealthy || o.Code != payment.CodeProviderAuthentication {
		t.Errorf("refund: %+v", o)
	}
	o = p.QueryStatus(context.Background(), fullRefund())
	if o.Result != payment.Indeterminate || !o.Unhealthy {
		t.Errorf("query: %+v", o)
	}
	if got := len(sim.Ledger().Movements("")); got != 0 {
		t.Errorf("%d movements", got)
	}
}

func TestAMethodThatCannotBeRefundedIsInDoubtUntilItsAnswerIsKnown(t *testing.T) {
	t.Parallel()
	p, sim := simulated(t, openpaysim.Options{}, openpaysim.Payment{Method: "IDEAL"})
	if o := p.Call(context.Background(), fullRefund()); o.Result != payment.Indeterminate {
		t.Errorf("got %s", o.Result)
	}
	if got := len(sim.Ledger().Movements("")); got != 0 {
		t.Errorf("%d movements", got)
	}
}

func TestNoAbsenceFollowsFromWhatTheStatusDoesNotFind(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]openpaysim.StatusCall{
		"there is no such call": openpaysim.StatusAbsent, "it knows no payment": openpaysim.StatusBlank,
	} {
		p, _ := simulated(t, openpaysim.Options{Status: status}, openpaysim.Payment{})
		if got := p.Read(context.Background(), fullRefund()); got.OK || got.Code != payment.CodeProviderUnavailable {
			t.Errorf("%s, read: %+v", name, got)
		}
		if got := p.QueryStatus(context.Background(), fullRefund()); got.Result != payment.Indeterminate {
			t.Errorf("%s, query: %+v", name, got)
		}
	}
}

// By the provider's own page: one call, and code 32 for its repeat.
func TestALostFullRefundMadeByUsIsTakenFromTheRefusalOfItsRepeat(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", statusPath} {
		sim := openpaysim.New(openpaysim.Options{})
		server := httptest.NewServer(sim)
		t.Cleanup(func() { sim.Close(); server.Close() })
		if err := sim.AddPayment(openpaysim.Payment{TransactionID: "t-1", ReferenceNo: "r-1", Amount: 1234, Currency: "EUR"}); err != nil {
			t.Fatal(err)
		}
		p := provider(t, openpay.Settings{BaseURL: server.URL, APIKey: providers.NewSecret(openpaysim.DefaultAPIKey), StatusPath: path})
		r := fullRefund()
		if err := sim.Fault(simulator.Fault{Mode: simulator.CutAfter, Operation: "refund", Times: 1}); err != nil {
			t.Fatal(err)
		}
		if o := p.Call(context.Background(), r); o.Result != payment.Indeterminate {
			t.Fatalf("first: %s", o.Result)
		}
		r.InDoubt = true
		if o := p.QueryStatus(context.Background(), r); o.Result != payment.Indeterminate {
			t.Fatalf("query: %s", o.Result)
		}
		o := p.Call(context.Background(), r)
		if o.Result != payment.Succeeded || o.Basis != payment.BasisInferred || o.Code != payment.CodeAlreadyRefunded || o.Moved == nil || o.Moved.Value != 1234 {
			t.Errorf("repeat: %+v", o)
		}
		if got := sim.Ledger().Total("")["EUR"]; got != 1234 {
			t.Errorf("moved %d", got)
		}
	}
}

func TestAKeyThatNeedsEscapingReachesTheProviderWhole(t *testing.T) {
	t.Parallel()
	const odd = "k&y=+%/ 1"
	p, c := recording(t, openpay.Settings{APIKey: providers.NewSecret(odd)})
	p.Call(context.Background(), fullRefund())
	form, err := url.ParseQuery(c.sent)
	if err != nil || form.Get("apiKey") != odd {
		t.Errorf("apiKey arrived as %q (%v)", form.Get("apiKey"), err)
	}
}
