package bento_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/simulator"
)

// recorder answers every request with 202 and keeps what was sent.
type recorder struct {
	mu   sync.Mutex
	sent []string
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a short body shows in the comparison
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}, " "))
	w.WriteHeader(http.StatusAccepted)
}

func recording(t *testing.T, s bento.Settings) (*bento.Provider, *recorder) {
	t.Helper()
	c := &recorder{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	s.BaseURL = server.URL + s.BaseURL
	return provider(t, s), c
}

func provider(t *testing.T, s bento.Settings) *bento.Provider {
	t.Helper()
	if s.Account == "" {
		s.Account = "shop-uk"
	}
	if s.TokenURL == "" {
		s.Token = providers.NewSecret(testToken)
	}
	p, err := bento.New(s, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(op payment.Op) providers.Request {
	return providers.Request{
		Op: op, Full: op == payment.Refund, Attempt: 1,
		Payment: payment.Details{TransactionID: "tx_1", OrderID: "or_1"},
	}
}

func part(value int64) providers.Request {
	r := request(payment.Refund)
	r.Full, r.Amount = false, &payment.Money{Value: value, Currency: "GBP"}
	return r
}

func TestRequestsAreWrittenAsDocumented(t *testing.T) {
	t.Parallel()
	known := request(payment.Refund)
	known.Amount = &payment.Money{Value: 20000, Currency: "GBP"}
	odd := part(1)
	odd.Payment = payment.Details{OrderID: "a/../b?c#d", TransactionID: "{orderId}%2e:"}
	const call = "PUT /payments/v1/orders/or_1/transactions/tx_1/_cancel Bearer " + testToken + " application/json "
	rows := []struct {
		name     string
		settings bento.Settings
		request  providers.Request
		want     string
	}{
		{"a cancel", bento.Settings{}, request(payment.Cancel), call + "{}"},
		{"a full refund leaves the amount out", bento.Settings{}, request(payment.Refund), call + "{}"},
		{"also where it is known", bento.Settings{}, known, call + "{}"},
		{"a partial refund names it in minor units", bento.Settings{}, part(400), call + `{"refundAmount":400}`},
		{"behind a prefix", bento.Settings{BaseURL: "/gateway/"}, part(1), strings.Replace(call, "PUT ", "PUT /gateway", 1) + `{"refundAmount":1}`},
		{"identifiers are encoded", bento.Settings{}, odd, strings.NewReplacer("or_1", "a%2F..%2Fb%3Fc%23d", "tx_1", "%7BorderId%7D%252e:").Replace(call) + `{"refundAmount":1}`},
		{
			"the path is a setting",
			bento.Settings{CancelPath: "/v2/{transactionId}/_cancel"},
			part(1),
			strings.Replace(call, "/payments/v1/orders/or_1/transactions/tx_1", "/v2/tx_1", 1) + `{"refundAmount":1}`,
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p, c := recording(t, row.settings)
			p.Call(context.Background(), row.request)
			if diff := cmp.Diff([]string{row.want}, c.sent); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAQuestionIsAReadOfTheTransaction(t *testing.T) {
	t.Parallel()
	p, c := recording(t, bento.Settings{})
	other, d := recording(t, bento.Settings{ReadPath: "/v2/{transactionId}"})
	p.Read(context.Background(), request(payment.Refund))
	p.QueryStatus(context.Background(), request(payment.Cancel))
	other.Read(context.Background(), request(payment.Refund))
	ask := "GET /payments/v1/orders/or_1/transactions/tx_1 Bearer " + testToken + "  "
	if diff := cmp.Diff([]string{ask, ask}, c.sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(d.sent) != 1 || !strings.HasPrefix(d.sent[0], "GET /v2/tx_1 ") {
		t.Errorf("sent %q", d.sent)
	}
}

func TestWhatNamesNoTransactionIsNotSent(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]payment.Details{
		"no transaction": {OrderID: "or_1"}, "no order": {TransactionID: "tx_1"},
		"a dot": {OrderID: ".", TransactionID: "tx_1"}, "two dots": {OrderID: "or_1", TransactionID: ".."},
		"too long": {OrderID: "or_1", TransactionID: strings.Repeat("t", 65)},
	} {
		p, c := recording(t, bento.Settings{})
		for _, r := range []providers.Request{request(payment.Cancel), request(payment.Refund)} {
			r.Payment = d
			o := p.Call(context.Background(), r)
			if o.Result != payment.Failed || o.Code != payment.CodeInvalidCommand {
				t.Errorf("%s: %s is %s %s", name, r.Op, o.Result, o.Code)
			}
			if got := p.Read(context.Background(), r); !got.OK || got.Status != payment.PaymentAbsent {
				t.Errorf("%s: read %+v", name, got)
			}
			if got := p.QueryStatus(context.Background(), r); got.Result != payment.NotFound {
				t.Errorf("%s: query %s", name, got.Result)
			}
		}
		if len(c.sent) != 0 {
			t.Errorf("%s was sent: %q", name, c.sent)
		}
	}
}

func TestWhatCannotBeARefundIsNotSent(t *testing.T) {
	t.Parallel()
	p, c := recording(t, bento.Settings{})
	without := part(1)
	without.Amount = nil
	for _, r := range []providers.Request{part(0), part(-1), without} {
		if o := p.Call(context.Background(), r); o.Result != payment.Failed {
			t.Errorf("%+v is %s", r, o.Result)
		}
	}
	if len(c.sent) != 0 {
		t.Errorf("sent %q", c.sent)
	}
}

func TestTheTraitsAreTheProvidersPromises(t *testing.T) {
	t.Parallel()
	once := payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, Prepare: payment.PrepareAlways}
	want := payment.Traits{
		Kind: "bento", Identity: payment.IdentityTransaction, RequiresOrderID: true, MaxIdentifier: 64, ShowsRefunds: true, TellsEnded: true,
		Cancel: once, FullRefund: once, PartialRefund: once,
	}
	if diff := cmp.Diff(want, provider(t, bento.Settings{BaseURL: "https://api.example"}).Traits()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheAccountIsHostAndLabel(t *testing.T) {
	t.Parallel()
	one := provider(t, bento.Settings{BaseURL: "https://api.example"}).Account()
	if want := payment.AccountHash("bento", "api.example", "shop-uk"); one != want {
		t.Errorf("account %s, want %s: journals hold it for ever", one, want)
	}
	client := bento.Settings{
		BaseURL: "https://API.example:443/prefix/", TokenURL: "https://id.example/token",
		ClientID: "c", ClientSecret: providers.NewSecret(testSecret),
	}
	if provider(t, client).Account() != one {
		t.Error("one account has two hashes")
	}
	for _, other := range []bento.Settings{{BaseURL: "https://test.example"}, {BaseURL: "https://api.example", Account: "shop-eu"}} {
		if provider(t, other).Account() == one {
			t.Error("two accounts have one hash")
		}
	}
}

func TestEveryFaultOfTheSettingsIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := bento.New(bento.Settings{
		BaseURL: "http://api.example", TokenURL: "https://u:p@id.example", TokenAuth: "jwt", ClientSecret: providers.NewSecret(testSecret),
		CancelPath: "cancel", ReadPath: "/v1/{orderId}",
	}, providers.NewClient(nil))
	if err == nil {
		t.Fatal("settings full of faults were accepted")
	}
	for _, want := range []string{
		"baseURL: must be https", "account:", "tokenURL: must carry no user", "clientID: is required",
		`tokenAuth: "jwt"`, "cancelPath: must start", "readPath: must name {transactionId}",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), testSecret) {
		t.Error("the error shows the secret")
	}
	if _, err := bento.New(bento.Settings{BaseURL: "https://api.example", Account: "a", ClientID: "c"}, providers.NewClient(nil)); err == nil {
		t.Error("a client without a token endpoint was accepted")
	}
	if _, err := bento.New(bento.Settings{BaseURL: "https://api.example", Account: "a"}, nil); err == nil {
		t.Error("accepted without an HTTP client")
	}
}

// bench is a provider in front of its simulator with one transaction of 200 GBP.
type bench struct {
	*bento.Provider
	sim *bentosim.Simulator
	t   *testing.T
}

func simulated(t *testing.T, o bentosim.Options, state string) bench {
	t.Helper()
	sim := bentosim.New(o)
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	if err := sim.AddPayment(bentosim.Payment{OrderID: "or_1", TransactionID: "tx_1", Amount: fullAmount, Currency: "GBP", State: state}); err != nil {
		t.Fatal(err)
	}
	p := provider(t, bento.Settings{
		BaseURL: server.URL, TokenURL: server.URL + bentosim.TokenPath,
		ClientID: bentosim.DefaultClientID, ClientSecret: providers.NewSecret(bentosim.DefaultClientSecret),
	})
	return bench{p, sim, t}
}

// prepared is the request with the reading the core would freeze.
func (b bench) prepared(r providers.Request) providers.Request {
	b.t.Helper()
	reading := b.Read(context.Background(), r)
	if !reading.OK {
		b.t.Fatalf("reading %+v", reading)
	}
	r.Snapshot = &reading
	return r
}

func (b bench) fault(mode simulator.Mode) {
	b.t.Helper()
	if err := b.sim.Fault(simulator.Fault{Mode: mode, Times: 1}); err != nil {
		b.t.Fatal(err)
	}
}

// puts counts the calls that void or refund.
func (b bench) puts() int {
	n := 0
	for _, c := range b.sim.Calls() {
		if c.Operation == "cancel" || c.Operation == "refund" {
			n++
		}
	}
	return n
}

func doubtful(r providers.Request) providers.Request {
	r.InDoubt, r.Attempt = true, 2
	return r
}

func TestACancelThatMeetsACaptureReportsTheRefundThatHappened(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]bentosim.Options{"shown at once": {Answer: bentosim.AnswerFinal}, "shown later": {SettleAfter: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := simulated(t, o, "AuthSucceeded")
			r := b.prepared(request(payment.Cancel))
			b.fault(bentosim.CaptureFirst)
			got := b.Call(context.Background(), r)
			if o.SettleAfter > 0 {
				if got.Result != payment.Pending {
					t.Fatalf("answer %+v", got)
				}
				if got = b.QueryStatus(context.Background(), r); got.Result != payment.Pending {
					t.Fatalf("while refunding: %+v", got)
				}
				got = b.QueryStatus(context.Background(), r)
			}
			if got.Result != payment.Succeeded || got.Effect != payment.EffectRefunded || got.Moved == nil || got.Moved.Value != fullAmount {
				t.Errorf("got %+v", got)
			}
			if total := b.sim.Ledger().Total("")["GBP"]; total != fullAmount {
				t.Errorf("moved %d", total)
			}
		})
	}
}

func TestAPartialRefundBeforeTheCaptureReportsTheVoidThatHappened(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{Answer: bentosim.AnswerFinal}, "AuthSucceeded")
	r := b.prepared(part(400))
	if r.Snapshot.Status != payment.PaymentAuthorized {
		t.Errorf("the guard would let it pass: %s", r.Snapshot.Status)
	}
	got := b.Call(context.Background(), r)
	if got.Result != payment.Succeeded || got.Effect != payment.EffectVoided || got.Moved != nil {
		t.Errorf("got %+v", got)
	}
}

// A cancel in doubt whose transaction was captured meanwhile must not be sent
// again: it would refund a customer nobody wanted to refund.
func TestACancelInDoubtIsNotRepeatedOnACapturedTransaction(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{}, "AuthSucceeded")
	r := b.prepared(request(payment.Cancel))
	b.fault(simulator.CutBefore)
	if o := b.Call(context.Background(), r); o.Result != payment.Indeterminate {
		t.Fatalf("first: %+v", o)
	}
	if err := b.sim.Capture("tx_1"); err != nil {
		t.Fatal(err)
	}
	r = doubtful(r)
	if o := b.QueryStatus(context.Background(), r); o.Result != payment.NotFound {
		t.Errorf("query: %+v", o)
	}
	if o := b.Call(context.Background(), r); o.Result != payment.Duplicate || b.puts() != 1 {
		t.Errorf("repeat: %+v, %d calls", o, b.puts())
	}
	if n := len(b.sim.Ledger().Movements("")); n != 0 {
		t.Errorf("%d movements", n)
	}
}

func TestARepeatOfACancelLooksFirst(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		state  string
		mode   simulator.Mode // strikes the look
		result payment.Result
		puts   int
	}{
		"still authorised":  {"AuthSucceeded", "", payment.Pending, 1},
		"voided":            {"AuthVoided", "", payment.Succeeded, 0},
		"expired":           {"AuthExpired", "", payment.Succeeded, 0},
		"capturing":         {"Capturing", "", payment.Duplicate, 0},
		"refund failed":     {"RefundFailed", "", payment.Duplicate, 0},
		"refunding":         {"Refunding", "", payment.Pending, 0},
		"could not be read": {"AuthSucceeded", simulator.StatusBefore, payment.NotExecuted, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := simulated(t, bentosim.Options{}, row.state)
			r := doubtful(request(payment.Cancel))
			r.Snapshot = &payment.Reading{OK: true, Status: payment.PaymentAuthorized}
			b.Read(context.Background(), r) // fetches the token
			if row.mode != "" {
				b.fault(row.mode)
			}
			if o := b.Call(context.Background(), r); o.Result != row.result || b.puts() != row.puts {
				t.Errorf("%s after %d calls, want %s after %d (%s)", o.Result, b.puts(), row.result, row.puts, o.Message)
			}
		})
	}
	b := simulated(t, bentosim.Options{}, "AuthSucceeded")
	r := doubtful(request(payment.Cancel))
	r.Payment.OrderID = "or_2"
	if o := b.Call(context.Background(), r); o.Result != payment.Duplicate || b.puts() != 0 {
		t.Errorf("no such transaction: %s after %d calls", o.Result, b.puts())
	}
}

// A refusal of a first attempt is explained by the transaction.
func TestARefusedFirstAttemptIsSettledByTheTransactionsState(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		op     payment.Op
		state  string
		now    string // the state when the call arrives
		result payment.Result
		code   payment.Code
	}{
		{"a cancel while it is being captured", payment.Cancel, "AuthSucceeded", "Capturing", payment.Failed, payment.CodePaymentPending},
		{"a cancel of what expired", payment.Cancel, "AuthSucceeded", "AuthExpired", payment.Succeeded, payment.CodePaymentExpired},
		{"a cancel of what somebody voided", payment.Cancel, "AuthSucceeded", "AuthVoided", payment.Duplicate, ""},
		{"a refund somebody made before", payment.Refund, "CaptureSucceeded", "Refunded", payment.Duplicate, ""},
		{"a refund somebody tries", payment.Refund, "CaptureSucceeded", "Refunding", payment.Duplicate, ""},
		{"a refund of what is being captured", payment.Refund, "CaptureSucceeded", "Capturing", payment.Failed, payment.CodePaymentPending},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := simulated(t, bentosim.Options{}, row.state)
			r := b.prepared(request(row.op))
			if err := b.sim.SetState("tx_1", row.now); err != nil {
				t.Fatal(err)
			}
			o := b.Call(context.Background(), r)
			if o.Result != row.result || o.Code != row.code {
				t.Errorf("got %s %q, want %s %q (%s)", o.Result, o.Code, row.result, row.code, o.Message)
			}
		})
	}
	b := simulated(t, bentosim.Options{}, "")
	o := b.Call(context.Background(), b.prepared(part(fullAmount+1)))
	if o.Result != payment.Failed || o.Code != payment.CodeProviderRejectedRequest {
		t.Errorf("a refund of more than was captured: %s %s", o.Result, o.Code)
	}
}

func TestARefusedFirstAttemptThatCannotBeExplainedIsInDoubt(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{}, "")
	r := b.prepared(part(fullAmount + 1))
	if err := b.sim.Fault(simulator.Fault{Operation: "read", Mode: simulator.CutBefore}); err != nil {
		t.Fatal(err)
	}
	if o := b.Call(context.Background(), r); o.Result != payment.Indeterminate {
		t.Errorf("got %+v", o)
	}
}

func TestARefundIsSentOnceForEver(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{Answer: bentosim.AnswerFinal}, "")
	if o := b.Call(context.Background(), b.prepared(part(400))); o.Result != payment.Succeeded || o.Moved.Value != 400 {
		t.Fatalf("first: %+v", o)
	}
	if got := b.Read(context.Background(), part(1)); got.Status != payment.PaymentNotRefundable || got.Refunded.Value != 400 {
		t.Errorf("a second part would be let through: %+v", got)
	}
}

func TestARefundAcceptedAndThenFailedIsFailed(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{SettleAfter: 1}, "")
	r := b.prepared(part(400))
	b.fault(bentosim.DeclineLater)
	if o := b.Call(context.Background(), r); o.Result != payment.Pending {
		t.Fatalf("answer: %+v", o)
	}
	if o := b.QueryStatus(context.Background(), r); o.Result != payment.Pending {
		t.Errorf("while refunding: %+v", o)
	}
	if o := b.QueryStatus(context.Background(), r); o.Result != payment.Failed || o.Code != payment.CodeDeclined || o.ProviderCode != "PG0005" {
		t.Errorf("at its end: %+v", o)
	}
	if n := len(b.sim.Ledger().Movements("")); n != 0 {
		t.Errorf("%d movements", n)
	}
}

func TestADeclineThatMayBeRetriedIsNotExecuted(t *testing.T) {
	t.Parallel()
	for _, later := range []bool{false, true} {
		b := simulated(t, bentosim.Options{DeclineIn4xx: later}, "")
		r := b.prepared(part(400))
		b.fault(bentosim.DeclineRetryable)
		if o := b.Call(context.Background(), r); o.Result != payment.NotExecuted || o.Code != payment.CodeDeclined || o.Unhealthy {
			t.Errorf("got %+v", o)
		}
		if o := b.Call(context.Background(), b.prepared(part(400))); o.Result != payment.Pending {
			t.Errorf("the next try: %+v", o)
		}
	}
}

func TestAClientThatIsNotAllowedIsTheInstancesFault(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{Forbid: true}, "")
	if o := b.Call(context.Background(), part(1)); o.Result != payment.NotExecuted || !o.Unhealthy || o.Code != payment.CodeProviderAuthentication {
		t.Errorf("refund: %+v", o)
	}
	if o := b.QueryStatus(context.Background(), part(1)); o.Result != payment.Indeterminate || !o.Unhealthy {
		t.Errorf("query: %+v", o)
	}
	if got := b.Read(context.Background(), part(1)); got.OK || !got.Unhealthy {
		t.Errorf("read: %+v", got)
	}
}
