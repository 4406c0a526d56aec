package bento_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/simulator"
)

// tokenCalls counts the requests for tokens.
func (b bench) tokenCalls() int {
	n := 0
	for _, c := range b.sim.Calls() {
		if c.Operation == "token" {
			n++
		}
	}
	return n
}

func TestARevokedTokenIsRenewedWithoutSendingACallTwice(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{}, "")
	r := b.prepared(part(400))
	b.sim.RevokeTokens()
	o := b.Call(context.Background(), r)
	if o.Result != payment.NotExecuted || o.Code != payment.CodeProviderAuthentication || o.RetryAfter != 0 || b.puts() != 1 {
		t.Fatalf("with the revoked token: %+v, %d calls", o, b.puts())
	}
	if o = b.Call(context.Background(), r); o.Result != payment.Pending || b.puts() != 2 || b.tokenCalls() != 2 {
		t.Errorf("next: %+v, %d calls, %d tokens", o, b.puts(), b.tokenCalls())
	}
}

func TestAQuestionRenewsARefusedTokenOnce(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{}, "")
	b.prepared(part(400))
	b.sim.RevokeTokens()
	if got := b.Read(context.Background(), part(400)); !got.OK || b.tokenCalls() != 2 {
		t.Errorf("read %+v after %d tokens", got, b.tokenCalls())
	}
	var reads atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer"}`, reads.Load())
			return
		}
		reads.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	p := clientOf(t, server.URL, nil)
	if got := p.Read(context.Background(), part(1)); got.OK || !got.Unhealthy || reads.Load() != 2 {
		t.Errorf("read %+v, %d requests, want 2", got, reads.Load())
	}
}

// clientOf is a provider with a client's credentials and /token at the address.
func clientOf(t *testing.T, url string, now func() time.Time) *bento.Provider {
	t.Helper()
	p, err := bento.New(bento.Settings{
		BaseURL: url, Account: "shop-uk", TokenURL: url + "/token", ClientID: "client", ClientSecret: providers.NewSecret(testSecret),
	}, providers.NewClient(&providers.ClientOptions{Now: now}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestATokenIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		expires string
		kept    time.Duration // still used then; 0: for ever
	}{
		{`"expires_in":3600`, 59 * time.Minute},
		{`"expires_in":"3600"`, 59 * time.Minute},
		{`"expires_in":100`, 90 * time.Second},
		{`"expires_in":99999999999`, 24*time.Hour - time.Minute},
		{`"x":1`, 0},
		{`"expires_in":-5`, 0},
		{`"expires_in":"soon"`, 0},
	} {
		var tokens atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer",%s}`, tokens.Add(1), row.expires)
			}
		}))
		t.Cleanup(server.Close)
		var nanos atomic.Int64
		p := clientOf(t, server.URL, func() time.Time { return time.Unix(1_700_000_000, nanos.Load()) })
		at := func(d time.Duration) int32 {
			nanos.Store(int64(d))
			p.Read(context.Background(), part(1))
			return tokens.Load()
		}
		at(0)
		kept := row.kept
		if kept == 0 {
			kept = 1000 * time.Hour
		}
		if n := at(kept - time.Second); n != 1 {
			t.Errorf("%s: %d tokens before its end", row.expires, n)
		}
		if n := at(kept + time.Second); (n == 1) != (row.kept == 0) {
			t.Errorf("%s: %d tokens after its end", row.expires, n)
		}
	}
}

func TestManyCallersShareOneTokenRequest(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{}, "")
	if err := b.sim.Fault(simulator.Fault{Operation: "token", Mode: simulator.Delay, Times: 1}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if got := b.Read(context.Background(), part(1)); !got.OK {
				t.Errorf("read %+v", got)
			}
		})
	}
	if err := b.sim.WaitCalls(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	b.sim.Release()
	all.Wait()
	if n := b.tokenCalls(); n != 1 {
		t.Errorf("%d token requests", n)
	}
}

func TestOneCallersGivingUpDoesNotStopAnother(t *testing.T) {
	t.Parallel()
	b := simulated(t, bentosim.Options{}, "")
	if err := b.sim.Fault(simulator.Fault{Operation: "token", Mode: simulator.Delay, Times: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan payment.Outcome, 1)
	go func() { first <- b.Call(ctx, part(1)) }()
	if err := b.sim.WaitCalls(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if o := <-first; o.Result != payment.NotExecuted || o.Unhealthy || b.puts() != 0 {
		t.Errorf("given up: %+v, %d calls", o, b.puts())
	}
	if got := b.Read(context.Background(), part(1)); !got.OK {
		t.Errorf("the next: %+v", got)
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	t.Parallel()
	unavailable, credentials := payment.CodeProviderUnavailable, payment.CodeProviderAuthentication
	for name, row := range map[string]struct {
		status int
		body   string
		code   payment.Code
	}{
		"credentials refused":     {401, `{"error":"invalid_client"}`, credentials},
		"credentials refused too": {400, `{"error":"invalid_client"}`, credentials},
		"not allowed":             {403, ``, credentials},
		"limited":                 {429, ``, unavailable},
		"down":                    {503, ``, unavailable},
		"redirected":              {302, ``, unavailable},
		"no JSON":                 {200, `<html>`, unavailable},
		"no token":                {200, `{"token_type":"Bearer"}`, unavailable},
		"no bearer token":         {200, `{"access_token":"abc","token_type":"mac"}`, unavailable},
		"a token with a space":    {200, `{"access_token":"a b","token_type":"Bearer"}`, unavailable},
		"a token with a break":    {200, `{"access_token":"a\nb","token_type":"Bearer"}`, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var others atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					others.Add(1)
				}
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(row.status)
				_, _ = fmt.Fprint(w, row.body)
			}))
			t.Cleanup(server.Close)
			p := clientOf(t, server.URL, nil)
			o := p.Call(context.Background(), part(1))
			if o.Result != payment.NotExecuted || o.Code != row.code || o.Unhealthy != (row.code == credentials) {
				t.Errorf("refund %+v", o)
			}
			if row.status == 429 && o.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter %v", o.RetryAfter)
			}
			if got := p.QueryStatus(context.Background(), part(1)); got.Result != payment.Indeterminate {
				t.Errorf("query %+v", got)
			}
			if got := p.Read(context.Background(), part(1)); got.OK || got.Code != row.code {
				t.Errorf("read %+v", got)
			}
			if n := others.Load(); n != 0 {
				t.Errorf("%d requests went out without a token", n)
			}
		})
	}
}

func TestATokenEndpointThatIsNotReachedIsNamedWithTheCause(t *testing.T) {
	t.Parallel()
	o := clientOf(t, "http://127.0.0.1:1", nil).Call(context.Background(), part(1))
	if want := "not sent: the token endpoint gave no token (the port is closed)"; o.Result != payment.NotExecuted || !strings.Contains(o.Message, want) {
		t.Errorf("refund %+v, want %s", o, want)
	}
}

func TestATokenThatCannotBeSentMakesTheInstanceUnhealthy(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "two lines\nof it"} {
		c := &recorder{}
		server := httptest.NewServer(c)
		t.Cleanup(server.Close)
		p, err := bento.New(bento.Settings{BaseURL: server.URL, Account: "a", Token: providers.NewSecret(token)}, providers.NewClient(nil))
		if err != nil {
			t.Fatal(err)
		}
		if o := p.Call(context.Background(), part(1)); o.Result != payment.NotExecuted || !o.Unhealthy || len(c.sent) != 0 {
			t.Errorf("%+v, sent %q", o, c.sent)
		}
	}
}

// A token in a file is renewed by somebody else, and read for every call.
func TestAConfiguredTokenIsReadForEveryCall(t *testing.T) {
	t.Parallel()
	var token atomic.Value
	token.Store("first")
	c := &recorder{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	p, err := bento.New(bento.Settings{
		BaseURL: server.URL, Account: "a", Token: providers.NewSecretFunc(func() string { return token.Load().(string) }),
	}, providers.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	p.Call(context.Background(), part(1))
	token.Store("second")
	p.Call(context.Background(), part(1))
	if len(c.sent) != 2 || !strings.Contains(c.sent[0], "Bearer first") || !strings.Contains(c.sent[1], "Bearer second") {
		t.Errorf("sent %q", c.sent)
	}
}

func TestTheClientsCredentialsGoWhereTheSettingSays(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]string{
		bento.TokenAuthBody:  "POST /token  application/x-www-form-urlencoded client_id=client&client_secret=client%2Fsecret%2Bof%3Dthe+test&grant_type=client_credentials",
		bento.TokenAuthBasic: "POST /token Basic Y2xpZW50OmNsaWVudCUyRnNlY3JldCUyQm9mJTNEdGhlK3Rlc3Q= application/x-www-form-urlencoded grant_type=client_credentials",
	} {
		c := &recorder{}
		server := httptest.NewServer(c)
		t.Cleanup(server.Close)
		p := provider(t, bento.Settings{
			BaseURL: server.URL, TokenURL: server.URL + "/token", TokenAuth: how, ClientID: "client", ClientSecret: providers.NewSecret(testSecret),
		})
		p.Call(context.Background(), part(1))
		if len(c.sent) != 1 || c.sent[0] != want {
			t.Errorf("%s: sent %q", how, c.sent)
		}
	}
}

func TestALateRefusalOfAnOldTokenKeepsTheNewOne(t *testing.T) {
	t.Parallel()
	var tokens atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer"}`, tokens.Add(1))
			return
		case r.Method == http.MethodPut:
			close(arrived)
			<-release
		}
		if r.Header.Get("Authorization") == "Bearer token-1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	p := clientOf(t, server.URL, nil)
	slow := make(chan payment.Outcome, 1)
	go func() { slow <- p.Call(context.Background(), part(1)) }()
	<-arrived
	p.Read(context.Background(), part(1)) // refused, and renewed
	close(release)
	if o := <-slow; o.Result != payment.NotExecuted {
		t.Errorf("the slow call: %+v", o)
	}
	p.Read(context.Background(), part(1))
	if n := tokens.Load(); n != 2 {
		t.Errorf("%d tokens were asked for, want 2", n)
	}
}

func TestARefusalNobodySignedSaysNothingOfTheTransaction(t *testing.T) {
	t.Parallel()
	var status, requests atomic.Int32
	var body atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(int(status.Load()))
		_, _ = fmt.Fprint(w, body.Load())
	}))
	t.Cleanup(server.Close)
	p := provider(t, bento.Settings{BaseURL: server.URL})
	for _, row := range []struct {
		status int32
		body   string
		result payment.Result
	}{
		{404, `{"message":"Resource Not Found","causes":[]}`, payment.NotFound},
		{404, `404 page not found`, payment.Indeterminate},
		{404, `{}`, payment.Indeterminate},
		{401, `{"message":"Invalid Authentication Credentials"}`, payment.Indeterminate},
		{400, `{"message":"no"}`, payment.Indeterminate},
		{200, `{"message":"no"}`, payment.Indeterminate},
	} {
		status.Store(row.status)
		body.Store(row.body)
		requests.Store(0)
		if o := p.QueryStatus(context.Background(), part(1)); o.Result != row.result || requests.Load() != 1 {
			t.Errorf("%d %s: %s after %d requests", row.status, row.body, o.Result, requests.Load())
		}
		if got := p.Read(context.Background(), part(1)); got.OK || (got.Code == payment.CodePaymentNotFound) != (row.result == payment.NotFound) {
			t.Errorf("%d %s: reading %+v", row.status, row.body, got)
		}
	}
}
