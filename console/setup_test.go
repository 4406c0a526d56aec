package console_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

const (
	viewerToken   = "vera-0123456789abcdef"
	operatorToken = "olaf-0123456789abcdef"
)

// fakeDesk holds one payment with one operation that needs a person, and keeps
// what it was asked to do.
type fakeDesk struct {
	mu    sync.Mutex
	story desk.Story
	no    error // what Resolve and Ask answer, if set
	ruled []desk.Ruling
	by    []desk.Operator
	// silent: nobody answers, as when NATS is there and says nothing. asked counts.
	silent bool
	asked  int
}

// hang waits as long as it may, if nobody answers.
func (d *fakeDesk) hang(ctx context.Context) error {
	d.mu.Lock()
	silent := d.silent
	d.asked++
	d.mu.Unlock()
	if !silent {
		return nil
	}
	<-ctx.Done()
	return &desk.Error{Fault: desk.FaultUnavailable, Message: "could not read: " + ctx.Err().Error()}
}

func (d *fakeDesk) Queue(ctx context.Context, _ desk.Filter) (*desk.Queue, error) {
	if err := d.hang(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &desk.Queue{Complete: true, Items: []desk.Item{{
		Provider: d.story.Provider, Payment: d.story.Payment, Operation: payment.Refund, Key: "k-1",
		Question: "Was it executed?", Since: began, AtRisk: &payment.Money{Value: 400, Currency: "EGP"},
	}}}, nil
}

func (d *fakeDesk) Payment(ctx context.Context, id payment.ID) (*desk.Story, error) {
	if err := d.hang(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id.Native != d.story.Payment {
		return nil, &desk.Error{Fault: desk.FaultNotFound, Message: "there is no such payment"}
	}
	s := d.story
	return &s, nil
}

func (d *fakeDesk) Ask(_ context.Context, who desk.Operator, _ payment.ID, _ payment.Op, _ payment.Key) (*desk.Reply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by = append(d.by, who)
	return &desk.Reply{At: began, Result: "not_found", ProviderMessage: "<b>nothing</b>"}, d.no
}

func (d *fakeDesk) Resolve(_ context.Context, who desk.Operator, r desk.Ruling) (desk.Done, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ruled, d.by = append(d.ruled, r), append(d.by, who)
	return desk.Done{Applied: d.no == nil}, d.no
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// bundle is a console with its clock and its desk.
type bundle struct {
	t    *testing.T
	desk *fakeDesk
	feed *console.Feed
	*console.Console

	mu   sync.Mutex
	now  time.Time
	away time.Time // since when there is no connection to NATS
}

func setup(t *testing.T, access console.Access) *bundle {
	t.Helper()
	b := &bundle{t: t, now: began.Add(time.Hour)}
	b.desk = &fakeDesk{story: desk.Story{
		Provider: "opay-eg", Payment: `1/<i>"x`, Version: 3, Seen: b.now, Complete: true,
		Operations: []desk.Operation{{
			Operation: payment.Refund, Key: "k-1", Status: payment.StatusIndeterminate,
			AtRisk: &payment.Money{Value: 400, Currency: "EGP"}, Amount: &payment.Money{Value: 400, Currency: "EGP"},
			Review: &payment.Review{Reason: "unsafe", Question: "Was it executed?", Since: began, SafeActions: []string{"ask"}},
			Choices: []desk.Choice{
				{As: desk.AsSucceeded, Allowed: true, NeedsMoved: true},
				{As: desk.AsFailed, Allowed: true},
				{As: desk.AsRetry, Allowed: true, Why: "it could pay twice", Confirm: &payment.Money{Value: 400, Currency: "EGP"}},
			},
		}},
	}}
	b.feed = console.NewFeed(b.clock)
	var err error
	b.Console, err = console.New(b.desk, b.feed, console.Service{
		Ready: func() (bool, string) { return true, "" },
		Away: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.away
		},
		Standing: func() []console.Standing {
			return []console.Standing{{Provider: "opay-eg", Kind: "opay", Breaker: payment.BreakerOpen, Until: b.clock()}}
		},
	}, &console.Options{Access: access, Now: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bundle) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bundle) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// people are a viewer and an operator with tokens.
func people() console.Access {
	return console.Access{
		Viewers:   []console.Person{{Name: "vera", Token: providers.NewSecret(viewerToken)}},
		Operators: []console.Person{{Name: "olaf", Token: providers.NewSecret(operatorToken)}},
	}
}

// change alters a request before it is sent.
type change func(*http.Request)

func header(name, value string) change { return func(r *http.Request) { r.Header.Add(name, value) } }

func from(address string) change { return func(r *http.Request) { r.RemoteAddr = address } }

func host(name string) change { return func(r *http.Request) { r.Host = name } }

func with(c *http.Cookie) change { return func(r *http.Request) { r.AddCookie(c) } }

// send sends a request from this machine; form is nil for a GET.
func (b *bundle) send(path string, form url.Values, changes ...change) *http.Response {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.RemoteAddr, r.Host = "127.0.0.1:40000", "127.0.0.1:9090"
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Result()
}

func (b *bundle) want(r *http.Response, status int) string {
	b.t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if r.StatusCode != status {
		b.t.Errorf("status %d, want %d: %s", r.StatusCode, status, body)
	}
	return string(body)
}

// signIn returns the session's cookie.
func (b *bundle) signIn(token string) *http.Cookie {
	b.t.Helper()
	r := b.send("/console/login", url.Values{"token": {token}})
	b.want(r, http.StatusSeeOther)
	if len(r.Cookies()) != 1 {
		b.t.Fatalf("cookies %v", r.Cookies())
	}
	return r.Cookies()[0]
}

// page is the payment's, and its resolve form.
const (
	paymentPage = "/console/payments/opay-eg/1=2F=3Ci=3E=22x"
	resolvePath = paymentPage + "/resolve"
)

func ruling(changed ...string) url.Values {
	v := url.Values{
		"operation": {"refund"}, "key": {"k-1"}, "version": {"3"}, "seen": {"2026-03-04T06:06:07Z"}, "as": {"succeeded"},
		"moved": {"4.00 EGP"}, "reference": {"rf-1"}, "reason": {"asked"}, "evidence": {"ticket 4711"},
	}
	for i := 0; i < len(changed); i += 2 {
		v.Set(changed[i], changed[i+1])
	}
	return v
}
