package tranzzo_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/tranzzo"
)

// recorder answers every request with one body and keeps what was sent.
type recorder struct {
	mu       sync.Mutex
	answer   string
	sent     []string // method, path, content type, body
	header   http.Header
	requests int
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a short body shows in the comparison
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.sent, c.header = []string{r.Method, r.URL.EscapedPath(), r.Header.Get("Content-Type"), string(body)}, r.Header
	_, _ = fmt.Fprint(w, c.answer)
}

// recording is a provider in front of a recorder.
func recording(t *testing.T, change func(*tranzzo.Settings)) (*tranzzo.Provider, *recorder) {
	t.Helper()
	c := &recorder{answer: "[]"}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	s := settings(server.URL)
	if change != nil {
		change(&s)
	}
	p, err := tranzzo.New(s, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

func fullRefund() providers.Request {
	return providers.Request{
		Op: payment.Refund, Full: true, Attempt: 1, Key: "return-1", Reason: "customer Tom Hanks", Reference: "0123",
		Payment:  payment.Details{OrderID: "order-1", Currency: "UAH"},
		Snapshot: &payment.Reading{OK: true, Status: payment.PaymentPaid, Captured: uah(fullAmount)},
	}
}

func partialRefund(value int64) providers.Request {
	r := fullRefund()
	r.Full, r.Amount = false, uah(value)
	return r
}

func cancelOf(status payment.PaymentStatus) providers.Request {
	r := fullRefund()
	r.Op, r.Full = payment.Cancel, false
	r.Snapshot = &payment.Reading{OK: true, Status: status}
	return r
}

func uah(value int64) *payment.Money { return &payment.Money{Value: value, Currency: "UAH"} }

func TestRequestsAreWrittenAsDocumented(t *testing.T) {
	t.Parallel()
	const asJSON = "application/json"
	common := `{"comment":"return-1","order_currency":"UAH","order_id":"order-1","pos_id":"` + testPos + `"`
	known := fullRefund()
	known.Amount = uah(fullAmount)
	elsewhere := fullRefund()
	elsewhere.Payment.Currency = ""
	for _, row := range []struct {
		name    string
		form    tranzzo.AmountForm
		request providers.Request
		want    []string
	}{
		{"an unpaid payment is cancelled, path order, no body", "", cancelOf(payment.PaymentUnpaid), []string{"POST", "/api/v1/pos/" + testPos + "/order/order-1/cancel", "", ""}},
		{"an authorised one is voided", "", cancelOf(payment.PaymentAuthorized), []string{"POST", "/api/v1/void", asJSON, common + "}"}},
		{"a full refund leaves the amount out", "", fullRefund(), []string{"POST", "/api/v1/refund", asJSON, common + "}"}},
		{"also where it is known", "", known, []string{"POST", "/api/v1/refund", asJSON, common + "}"}},
		{"the instance's currency where the command names none", "", elsewhere, []string{"POST", "/api/v1/refund", asJSON, common + "}"}},
		{"a partial refund is a decimal as text", "", partialRefund(40050), []string{"POST", "/api/v1/refund", asJSON, common + `,"refund_amount":"400.50"}`}},
		{"or as a number", tranzzo.AmountNumber, partialRefund(29), []string{"POST", "/api/v1/refund", asJSON, common + `,"refund_amount":0.29}`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p, c := recording(t, func(s *tranzzo.Settings) { s.AmountForm = row.form })
			p.Call(context.Background(), row.request)
			if diff := cmp.Diff(row.want, c.sent); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := c.header.Get("X-API-Key") + "|" + c.header.Get("X-API-Auth"); got != testEndpoints+"|CPAY "+testKey+":"+testSecret {
				t.Errorf("keys are sent as %q", got)
			}
		})
	}
}

func TestAQuestionListsTheOrder(t *testing.T) {
	t.Parallel()
	p, c := recording(t, func(s *tranzzo.Settings) { s.BaseURL += "/gateway/" })
	if got := p.Read(context.Background(), fullRefund()); !got.OK || got.Status != payment.PaymentAbsent {
		t.Errorf("an empty listing: %+v", got)
	}
	want := []string{"GET", "/gateway/api/v1/pos/" + testPos + "/orders/order-1", "", ""}
	if diff := cmp.Diff(want, c.sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c.answer = `[{"payment_id":"p","order_id":"order-1","method":"auth","mode":"hosted","status":"success","amount":1,"currency":"UAH"}]`
	before := time.Now().Add(-time.Second)
	if got := p.Read(context.Background(), fullRefund()); !got.OK || got.Status != payment.PaymentAuthorized || got.At.Before(before) {
		t.Errorf("reading %+v", got)
	}
}

func TestIdentifiersAreEncodedInPaths(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"a/b":             "a%2Fb",
		"../orders":       "..%2Forders",
		"a?b#c":           "a%3Fb%23c",
		"a%2fb":           "a%252fb",
		"...":             "...",
		"{posId}":         "%7BposId%7D",
		`a"b\c`:           "a%22b%5Cc",
		"order;v=1&x=2+3": "order;v=1&x=2+3",
	} {
		p, c := recording(t, nil)
		r := cancelOf(payment.PaymentUnpaid)
		r.Payment.OrderID = id
		p.Call(context.Background(), r)
		p.Read(context.Background(), r)
		if c.requests != 2 {
			t.Errorf("%s: %d requests", id, c.requests)
		}
		// The server decodes what it must not take for structure; compare decoded.
		if got := strings.TrimPrefix(c.sent[1], "/api/v1/pos/"+testPos+"/orders/"); !same(got, want) {
			t.Errorf("%s is sent as %s, want %s", id, got, want)
		}
	}
}

// same compares two encoded path segments by what they hold, and that neither
// holds a bare slash.
func same(got, want string) bool {
	a, b := httptest.NewRequest(http.MethodGet, "/"+got, nil).URL, httptest.NewRequest(http.MethodGet, "/"+want, nil).URL
	return a.Path == b.Path && !strings.Contains(got, "/")
}

func TestPathsAreSettings(t *testing.T) {
	t.Parallel()
	p, c := recording(t, func(s *tranzzo.Settings) {
		s.Paths = tranzzo.Paths{Cancel: "/v2/{orderId}/stop", Orders: "/v2/{orderId}", Void: "/v2/free", Refund: "/v2/back"}
	})
	for path, r := range map[string]providers.Request{
		"/v2/order-1/stop": cancelOf(payment.PaymentUnpaid), "/v2/free": cancelOf(payment.PaymentAuthorized), "/v2/back": fullRefund(),
	} {
		if p.Call(context.Background(), r); c.sent[1] != path {
			t.Errorf("sent to %s, want %s", c.sent[1], path)
		}
	}
	if p.QueryStatus(context.Background(), fullRefund()); c.sent[1] != "/v2/order-1" {
		t.Errorf("asked at %s", c.sent[1])
	}
}

func TestWhatCannotBeCarriedOutIsNotSent(t *testing.T) {
	t.Parallel()
	change := func(r providers.Request, f func(*providers.Request)) providers.Request {
		f(&r)
		return r
	}
	order := func(id string) providers.Request {
		return change(partialRefund(400), func(r *providers.Request) { r.Payment.OrderID = id })
	}
	in := func(r providers.Request, c payment.Currency) providers.Request {
		r.Payment.Currency, r.Snapshot = c, &payment.Reading{OK: true, Status: payment.PaymentUnpaid}
		if r.Amount != nil {
			r.Amount = &payment.Money{Value: r.Amount.Value, Currency: c}
		}
		return r
	}
	for _, row := range []struct {
		name    string
		request providers.Request
		result  payment.Result
		code    payment.Code
	}{
		{"no order", order(""), payment.Failed, payment.CodeInvalidCommand},
		{"a dot", order("."), payment.Failed, payment.CodeInvalidCommand},
		{"two dots", order(".."), payment.Failed, payment.CodeInvalidCommand},
		{"two dots to cancel", change(cancelOf(payment.PaymentUnpaid), func(r *providers.Request) { r.Payment.OrderID = ".." }), payment.Failed, payment.CodeInvalidCommand},
		{"an order of 65 characters", order(strings.Repeat("1", 65)), payment.Failed, payment.CodeInvalidCommand},
		{"no key", change(partialRefund(400), func(r *providers.Request) { r.Key = "" }), payment.Failed, payment.CodeInvalidCommand},
		{"a part without an amount", change(partialRefund(400), func(r *providers.Request) { r.Amount = nil }), payment.Failed, payment.CodeInvalidCommand},
		{"a part of nothing", partialRefund(0), payment.Failed, payment.CodeInvalidCommand},
		{"a part of less", partialRefund(-400), payment.Failed, payment.CodeInvalidCommand},
		{"a part in a currency of three decimals", in(partialRefund(400), "KWD"), payment.Failed, payment.CodeUnsupportedCurrency},
		{"all in a currency of three decimals", in(fullRefund(), "BHD"), payment.Failed, payment.CodeUnsupportedCurrency},
		{"a cancel in a currency of four decimals", in(cancelOf(payment.PaymentUnpaid), "CLF"), payment.Failed, payment.CodeUnsupportedCurrency},
		{"no currency of ISO 4217", in(fullRefund(), "XXX"), payment.Failed, payment.CodeUnsupportedCurrency},
		{"an amount in another currency than the order", change(partialRefund(400), func(r *providers.Request) { r.Payment.Currency = "EUR" }), payment.Failed, payment.CodeCurrencyMismatch},
		{"another currency than was paid", change(fullRefund(), func(r *providers.Request) { r.Payment.Currency = "EUR" }), payment.Failed, payment.CodeCurrencyMismatch},
		{"a cancel without a reading", change(cancelOf(""), func(r *providers.Request) { r.Snapshot = nil }), payment.NotExecuted, payment.CodeInternalError},
		{"a cancel of what was paid", cancelOf(payment.PaymentPaid), payment.NotExecuted, payment.CodeInternalError},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p, c := recording(t, nil)
			o := p.Call(context.Background(), row.request)
			if o.Result != row.result || o.Code != row.code {
				t.Errorf("got %s %s (%s), want %s %s", o.Result, o.Code, o.Message, row.result, row.code)
			}
			if c.requests != 0 {
				t.Error("it was sent")
			}
		})
	}
}

func TestAQuestionAboutNoOrderIsNotSent(t *testing.T) {
	t.Parallel()
	p, c := recording(t, nil)
	r := fullRefund()
	r.Payment.OrderID = ".."
	if got := p.Read(context.Background(), r); !got.OK || got.Status != payment.PaymentAbsent || c.requests != 0 {
		t.Errorf("%+v, %d requests", got, c.requests)
	}
}

func TestTheLongestOrderIsASetting(t *testing.T) {
	t.Parallel()
	p, c := recording(t, func(s *tranzzo.Settings) { s.MaxOrderID = 32 })
	if got := p.Traits().MaxIdentifier; got != 32 {
		t.Errorf("the traits say %d", got)
	}
	r := fullRefund()
	r.Payment.OrderID = strings.Repeat("1", 33)
	if o := p.Call(context.Background(), r); o.Result != payment.Failed || c.requests != 0 {
		t.Errorf("%s, %d requests", o.Result, c.requests)
	}
}

func TestAnEmptiedKeyMakesTheInstanceUnhealthyAndSendsNothing(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(*tranzzo.Settings){
		"endpointsKey": func(s *tranzzo.Settings) { s.EndpointsKey = providers.Secret{} },
		"apiKey":       func(s *tranzzo.Settings) { s.APIKey = providers.Secret{} },
		"apiSecret":    func(s *tranzzo.Settings) { s.APISecret = providers.Secret{} },
	} {
		p, c := recording(t, empty)
		o := p.Call(context.Background(), fullRefund())
		if o.Result != payment.NotExecuted || !o.Unhealthy || o.Code != payment.CodeProviderAuthentication || c.requests != 0 {
			t.Errorf("%s: %+v, %d requests", name, o, c.requests)
		}
	}
}

func TestARotatedKeyIsUsedAtOnceAndMaskedInItsAnswer(t *testing.T) {
	t.Parallel()
	now := "first-secret"
	p, c := recording(t, func(s *tranzzo.Settings) { s.APISecret = providers.NewSecretFunc(func() string { return now }) })
	p.Call(context.Background(), fullRefund())
	now = "second-secret"
	c.answer = `{"order_id":"order-1","method":"refund","status":"failure","operation_id":"o","status_description":"wrong second-secret"}`
	o := p.Call(context.Background(), fullRefund())
	if got := c.header.Get("X-API-Auth"); got != "CPAY "+testKey+":second-secret" {
		t.Errorf("sent %q", got)
	}
	if o.ProviderMessage != "wrong ***" {
		t.Errorf("shown %q", o.ProviderMessage)
	}
}

func TestTraitsSayWhatMayBeRepeated(t *testing.T) {
	t.Parallel()
	p, _ := recording(t, nil)
	operation := func(r payment.Repeat) payment.OperationTraits {
		return payment.OperationTraits{Supported: true, Repeat: r, Prepare: payment.PrepareAlways}
	}
	want := payment.Traits{
		Kind: "tranzzo", Identity: payment.IdentityOrder, RequiresOrderID: true, RequiresCurrency: true, MaxIdentifier: 64, ShowsRefunds: true, TellsEnded: true,
		Cancel: operation(payment.RepeatHarmless), FullRefund: operation(payment.RepeatRefused), PartialRefund: operation(payment.RepeatUnsafe),
	}
	if diff := cmp.Diff(want, p.Traits()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheAccountIsHostAndPointOfSale(t *testing.T) {
	t.Parallel()
	of := func(base, pos, secret string) string {
		t.Helper()
		s := settings(base)
		s.PosID, s.APISecret = pos, providers.NewSecret(secret)
		p, err := tranzzo.New(s, providers.NewClient(nil))
		if err != nil {
			t.Fatal(err)
		}
		return p.Account()
	}
	first := of("https://cpay.tranzzo.com", "pos-1", "a")
	for _, same := range []string{of("https://CPAY.tranzzo.com:443/prefix/", "pos-1", "b")} {
		if same != first {
			t.Error("another spelling or another secret is another account")
		}
	}
	for _, other := range []string{of("https://cpay.tranzzo.com", "pos-2", "a"), of("https://test.tranzzo.com", "pos-1", "a")} {
		if other == first {
			t.Error("another point of sale or host is the same account")
		}
	}
}

func TestEveryFaultOfTheSettingsIsListedWithoutAValue(t *testing.T) {
	t.Parallel()
	for rule, spoil := range map[string]func(*tranzzo.Settings){
		"baseURL: must be https":         func(s *tranzzo.Settings) { s.BaseURL = "http://cpay.tranzzo.com" },
		"baseURL: must be scheme":        func(s *tranzzo.Settings) { s.BaseURL = "cpay.tranzzo.com" },
		"baseURL: must carry":            func(s *tranzzo.Settings) { s.BaseURL = "https://hush@cpay.tranzzo.com" },
		"posID":                          func(s *tranzzo.Settings) { s.PosID = ".." },
		"currency":                       func(s *tranzzo.Settings) { s.Currency = "KWD" },
		"amountForm":                     func(s *tranzzo.Settings) { s.AmountForm = "float" },
		"maxOrderID":                     func(s *tranzzo.Settings) { s.MaxOrderID = 65 },
		"cancelledCodes":                 func(s *tranzzo.Settings) { s.CancelledCodes = []string{} },
		"balanceCodes":                   func(s *tranzzo.Settings) { s.BalanceCodes = []string{"6007"} },
		"failureStatuses: must not be":   func(s *tranzzo.Settings) { s.FailureStatuses = []string{} },
		"failureStatuses: must not hold": func(s *tranzzo.Settings) { s.FailureStatuses = []string{"success"} },
		"paths.cancel: must name":        func(s *tranzzo.Settings) { s.Paths.Cancel = "/cancel" },
		"paths.orders: must start":       func(s *tranzzo.Settings) { s.Paths.Orders = "orders/{orderId}" },
		"paths.refund: must start":       func(s *tranzzo.Settings) { s.Paths.Refund = "/refund?x=1" },
	} {
		s := settings("https://cpay.tranzzo.com")
		spoil(&s)
		_, err := tranzzo.New(s, providers.NewClient(nil))
		if err == nil || !strings.Contains(err.Error(), rule) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", rule, err)
		}
	}
	bad := settings("http://x")
	bad.PosID, bad.MaxOrderID = "", -1
	if _, err := tranzzo.New(bad, nil); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("three faults are told as: %v", err)
	}
	if _, err := tranzzo.New(settings("http://127.0.0.1:1"), nil); err == nil {
		t.Error("a provider without a client")
	}
}
