package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
	"github.com/countermand/countermand/status/service"
)

// fake answers as it is told.
type fake struct {
	mu      sync.Mutex
	asked   []status.Query
	entered chan struct{} // payment "slow" is in hand
	release chan struct{} // it may end
}

func (f *fake) Ask(_ context.Context, q status.Query) (status.Answer, error) {
	f.mu.Lock()
	f.asked = append(f.asked, q)
	f.mu.Unlock()
	switch q.Payment {
	case "slow":
		f.entered <- struct{}{}
		<-f.release
	case "panics":
		panic("a reader that fails")
	case "fails":
		return status.Answer{}, errors.New("secret cause")
	case "none":
		return status.Answer{}, &status.Error{Code: status.CodeNotFound, Message: "the payment has no event, yet"}
	case "busy":
		return status.Answer{}, &status.Error{Code: status.CodeTooMany, Message: "more slowly"}
	case "many":
		return status.Answer{Provider: q.Provider, Operations: make([]status.Operation, 50_000)}, nil
	}
	return status.Answer{Provider: q.Provider, Payment: q.Payment, Version: 3, Operations: []status.Operation{}}, nil
}

func newFake() *fake {
	return &fake{entered: make(chan struct{}), release: make(chan struct{})}
}

// connect connects to the server until the test ends.
func connect(t testing.TB, s *natstest.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// serve answers until the returned function is called, or the test ends.
func serve(t testing.TB, s *natstest.Server, r service.Reader, rate float64) (stop func()) {
	t.Helper()
	nc := connect(t, s)
	running, err := service.Serve(nc, r, &service.Options{Rate: rate, SchemaPrefix: "https://schemas.example/v1/"})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		if err := running.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// told is an answer, or an error with its code.
type told struct {
	status.Answer

	Number string `json:"-"`
	Error  *struct {
		Code    status.Code     `json:"code"`
		Message string          `json:"message"`
		Faults  []payment.Fault `json:"faults"`
	} `json:"error"`
}

func ask(t *testing.T, nc *nats.Conn, subject, body string) told {
	t.Helper()
	m, err := nc.RequestWithContext(t.Context(), subject, []byte(body))
	if err != nil {
		t.Fatalf("%s on %s: %v", body, subject, err)
	}
	var out told
	if err := json.Unmarshal(m.Data, &out); err != nil {
		t.Fatalf("%s is answered %s: %v", body, m.Data, err)
	}
	out.Number = m.Header.Get(micro.ErrorCodeHeader)
	return out
}

func TestARequestIsAnsweredOnBothSubjectsAndEveryNoHasItsCode(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	serve(t, s, f, 1000)
	nc := connect(t, s)
	for _, subject := range []string{"payments.status", "payments.status.opay-eg"} {
		for body, want := range map[string]string{
			`{"provider":"opay-eg","payment":"1"}`:      "",
			`{"provider":"opay-eg","payment":"none"}`:   "404 not_found",
			`{"provider":"opay-eg","payment":"busy"}`:   "429 too_many_requests",
			`{"provider":"opay-eg","payment":"panics"}`: "503 unavailable",
			`{"provider":"opay-eg","payment":"fails"}`:  "503 unavailable",
			`{"provider":"opay-eg","payment":"many"}`:   "503 unavailable",
			`{"provider":"opay-eg"}`:                    "400 invalid_request",
			``:                                          "400 invalid_request",
		} {
			got := ask(t, nc, subject, body)
			if got.Error == nil {
				if want != "" || got.Provider != "opay-eg" || got.Version != 3 {
					t.Errorf("%s on %s is answered %+v, want %q", body, subject, got, want)
				}
				continue
			}
			if no := got.Number + " " + string(got.Error.Code); no != want || strings.Contains(got.Error.Message, "secret") || (len(got.Error.Faults) > 0) != (got.Number == "400") {
				t.Errorf("%s on %s is refused with %s, %+v, want %q", body, subject, no, got.Error, want)
			}
		}
	}
}

func TestASubjectWithAProviderTellsOfNoOther(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	serve(t, s, f, 1000)
	nc := connect(t, s)
	got := ask(t, nc, "payments.status.opay-eg", `{"provider":"opay-ng","payment":"1"}`)
	if got.Number != "403" || got.Error.Code != status.CodeWrongProvider || got.Error.Faults[0].Pointer != "/provider" {
		t.Errorf("another provider: %+v", got.Error)
	}
	ask(t, nc, "payments.status.opay-eg", `{"commandId":"e","commandSource":"/s"}`)
	ask(t, nc, "payments.status", `{"commandId":"e","commandSource":"/s"}`)
	want := []status.Query{{Provider: "opay-eg", CommandID: "e", CommandSource: "/s"}, {CommandID: "e", CommandSource: "/s"}}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestNoAnswerGoesWhereAnEventCouldLie(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake(), 1000)
	nc := connect(t, s)
	forged := []string{"payment.refund.succeeded.opay-eg.1.9", "payments._INBOX.x", "x_INBOX.1", "$JS.API.STREAM.PURGE.PAYMENT_DUE"}
	var all []*nats.Subscription
	for _, reply := range forged {
		sub, err := nc.SubscribeSync(reply)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sub)
		for _, body := range []string{`{"provider":"p","payment":"1"}`, `{`} {
			if err := nc.PublishRequest("payments.status", reply, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Behind them on the same endpoint: once this is answered, those were looked at.
	ask(t, nc, "payments.status", `{"provider":"p","payment":"1"}`)
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range all {
		if n, _, err := sub.Pending(); err != nil || n != 0 {
			t.Errorf("%d answers on %s, %v", n, sub.Subject, err)
		}
	}
}

func TestWhoAsksTooFastOrWithTooManyAtOnceIsToldSoAndTheOthersAreAnswered(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake(), 5)
	nc := connect(t, s)
	answered, refused := 0, 0
	for range 50 {
		if got := ask(t, nc, "payments.status", `{"provider":"p","payment":"1"}`); got.Error == nil {
			answered++
		} else if got.Number == "429" {
			refused++
		}
	}
	if answered < 5 || refused < 30 || answered+refused != 50 {
		t.Errorf("of 50 at 5 a second %d were answered and %d refused", answered, refused)
	}
	other := natstest.Start(t, nil)
	f := newFake()
	serve(t, other, f, 1000)
	nc = connect(t, other)
	for range 64 {
		if err := nc.PublishRequest("payments.status", nats.NewInbox(), []byte(`{"provider":"p","payment":"slow"}`)); err != nil {
			t.Fatal(err)
		}
		<-f.entered
	}
	if got := ask(t, nc, "payments.status", `{"provider":"p","payment":"1"}`); got.Number != "429" {
		t.Errorf("the 65th at once is told %+v", got)
	}
	close(f.release)
}

func TestAReplicaThatStopsEndsWhatIsInHandAndLeavesTheRestToTheOthers(t *testing.T) {
	t.Parallel()
	s, f := natstest.Start(t, nil), newFake()
	stop := serve(t, s, f, 1000)
	nc := connect(t, s)
	slow := make(chan error, 1)
	go func() {
		_, err := nc.RequestWithContext(context.Background(), "payments.status", []byte(`{"provider":"p","payment":"slow"}`))
		slow <- err
	}()
	<-f.entered
	serve(t, s, newFake(), 1000)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	for i := range 50 {
		if got := ask(t, nc, "payments.status", fmt.Sprintf(`{"provider":"p","payment":"%d"}`, i)); got.Error != nil {
			t.Fatalf("while one stops: %+v", got.Error)
		}
	}
	select {
	case <-stopped:
		t.Error("it stopped with a request in hand")
	default:
	}
	close(f.release)
	if err := <-slow; err != nil {
		t.Errorf("what was in hand: %v", err)
	}
	<-stopped
}

func TestTheServiceIsDiscoveredWithItsSchemas(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, nil)
	serve(t, s, newFake(), 1000)
	nc := connect(t, s)
	ask(t, nc, "payments.status", `{}`)
	m, err := nc.RequestWithContext(t.Context(), "$SRV.INFO.payments-status", nil)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(m.Data, &info); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]string{}
	for _, e := range info.Endpoints {
		got[e.Subject] = maps.Clone(e.Metadata)
	}
	schemas := map[string]string{
		"request-schema": "https://schemas.example/v1/payments.status.request.json", "response-schema": "https://schemas.example/v1/payments.status.response.json",
	}
	if diff := cmp.Diff(map[string]map[string]string{"payments.status": schemas, "payments.status.*": schemas}, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	m, err = nc.RequestWithContext(t.Context(), "$SRV.STATS.payments-status", nil)
	if err != nil {
		t.Fatal(err)
	}
	var stats micro.Stats
	if err := json.Unmarshal(m.Data, &stats); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for _, e := range stats.Endpoints {
		requests += e.NumRequests
	}
	if requests != 1 {
		t.Errorf("%d requests are counted", requests)
	}
}
