package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/providers/simulator"
)

// bank is the smallest simulated provider: POST /pay moves 5 EGP each time.
type bank struct {
	*simulator.Base
	url    string
	client *http.Client
}

func setup(t *testing.T) *bank {
	t.Helper()
	b := &bank{Base: simulator.NewBase(&simulator.Options{Secrets: []string{"hush"}, Modes: []simulator.Mode{"tired"}})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pay", func(w http.ResponseWriter, r *http.Request) {
		body, ok := b.Read(r)
		if !ok {
			b.Refuse(w, simulator.Call{Operation: "refund"}, simulator.Reply{Status: 413})
			return
		}
		call := simulator.Call{Operation: "refund", Payment: "p1", Reference: r.URL.Query().Get("ref"), Body: string(body)}
		b.Serve(w, r, call, func(f simulator.Fault) simulator.Reply { return b.pay(call, f) })
	})
	simulator.Mount(b.Base, mux, func(struct {
		ID string `json:"id"`
	},
	) error {
		return nil
	})
	// Under a prefix, as the command mounts simulators.
	root := http.NewServeMux()
	root.Handle("/bank/", http.StripPrefix("/bank", mux))
	server := httptest.NewServer(root)
	b.url, b.client = server.URL+"/bank", server.Client()
	t.Cleanup(func() { b.Close(); server.Close() }) // in this order: Close ends calls that hang
	return b
}

func (b *bank) pay(c simulator.Call, f simulator.Fault) simulator.Reply {
	if f.Mode == simulator.Decline || f.Mode == "tired" {
		return simulator.Reply{Status: 200, Body: []byte("no: " + f.Code)}
	}
	b.Ledger().Record(simulator.Movement{Time: b.Now(), Operation: c.Operation, Payment: c.Payment, Reference: c.Reference, Amount: 5, Currency: "EGP"})
	return simulator.Reply{Status: 200, Body: []byte("paid")}
}

// do returns "<status> <body>", or the kind of failure.
func (b *bank) do(ctx context.Context, method, path, body string) string {
	request, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.GetBody = nil // or Go's client replays what was cut, and follows a 307
	response, err := b.client.Do(request)
	if err != nil {
		return "no answer"
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "cut"
	}
	if len(text) > 100 {
		return fmt.Sprintf("%d oversized", response.StatusCode)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(text)))
}

func TestEveryModeExecutesAndAnswersAsItSays(t *testing.T) {
	t.Parallel()
	rows := []struct {
		fault    simulator.Fault
		answer   string
		executed int
	}{
		{simulator.Fault{Mode: simulator.CutBefore}, "no answer", 0},
		{simulator.Fault{Mode: simulator.CutAfter}, "no answer", 1},
		{simulator.Fault{Mode: simulator.Late}, "no answer", 0},
		{simulator.Fault{Mode: simulator.StatusBefore, Status: 503}, "503 Service Unavailable", 0},
		{simulator.Fault{Mode: simulator.StatusAfter}, "500 Internal Server Error", 1},
		{simulator.Fault{Mode: simulator.GarbageBefore}, "200 {\"code\":\"000\x00<html>\xff\xfe", 0},
		{simulator.Fault{Mode: simulator.GarbageAfter}, "200 {\"code\":\"000\x00<html>\xff\xfe", 1},
		{simulator.Fault{Mode: simulator.OversizedAfter}, "200 oversized", 1},
		{simulator.Fault{Mode: simulator.RedirectBefore}, "307 ", 0},
		{simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 9}, "429 ", 0},
		{simulator.Fault{Mode: simulator.Delay, Delay: 1}, "200 paid", 1},
		{simulator.Fault{Mode: simulator.Decline, Code: "05"}, "200 no: 05", 0},
		{simulator.Fault{Mode: "tired"}, "200 no:", 0},
	}
	for _, row := range rows {
		b := setup(t)
		row.fault.Times = 1
		if err := b.Fault(row.fault); err != nil {
			t.Fatal(err)
		}
		if got := b.do(t.Context(), http.MethodPost, "/pay", "x"); got != row.answer {
			t.Errorf("%s: answered %q", row.fault.Mode, got)
		}
		if n := b.Ledger().Count("refund", "p1"); n != row.executed {
			t.Errorf("%s: executed %d times", row.fault.Mode, n)
		}
		if got := b.do(t.Context(), http.MethodPost, "/pay", "x"); got != "200 paid" {
			t.Errorf("%s: struck again: %q", row.fault.Mode, got)
		}
	}
}

func TestTheLedgerCountsADoubleExecution(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		b.do(t.Context(), http.MethodPost, "/pay?ref=r1", "x")
	}
	if n := b.Ledger().Count("", ""); n != 2 {
		t.Errorf("%d executions counted", n)
	}
	if diff := cmp.Diff(map[string]int64{"EGP": 10}, b.Ledger().Total("p1")); diff != "" {
		t.Error(diff)
	}
}

func TestALateCallIsExecutedAtReleaseAndOnlyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_ = b.Fault(simulator.Fault{Mode: simulator.Late})
	if got := b.do(t.Context(), http.MethodPost, "/pay", "x"); got != "no answer" {
		t.Fatal(got)
	}
	if n := b.Ledger().Count("", ""); n != 0 {
		t.Fatalf("executed %d times before release", n)
	}
	if got := b.do(t.Context(), http.MethodPost, "/release", ""); got != `200 {"executed":1}` {
		t.Error(got)
	}
	if b.Release() != 0 || b.Ledger().Count("", "") != 1 || !b.Calls()[0].Executed {
		t.Errorf("executed %d times", b.Ledger().Count("", ""))
	}
}

func TestALateCallIsExecutedByItsDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bank{Base: simulator.NewBase(nil)}
		_ = b.Fault(simulator.Fault{Mode: simulator.Late, Delay: simulator.Wait(time.Minute)})
		call := simulator.Call{Operation: "refund", Payment: "p1"}
		func() {
			// Without a connection to close, the cut is the server's own abort.
			defer func() {
				if r, ok := recover().(error); !ok || !errors.Is(r, http.ErrAbortHandler) {
					t.Errorf("cut by %v", r)
				}
			}()
			b.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil), call,
				func(f simulator.Fault) simulator.Reply { return b.pay(call, f) })
		}()
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		before := b.Ledger().Count("", "")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if after := b.Ledger().Count("", ""); before != 0 || after != 1 {
			t.Errorf("executed %d times before, %d after", before, after)
		}
	})
}

func TestWaitingCallsGoOnAtReleaseEvenWhenTheirCallersAreGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_ = b.Fault(simulator.Fault{Mode: simulator.Delay, Times: 1}, simulator.Fault{Mode: simulator.HangAfter})
	ctx, leave := context.WithCancel(t.Context())
	delayed, hung := make(chan string), make(chan string)
	go func() { delayed <- b.do(ctx, http.MethodPost, "/pay?ref=1", "x") }()
	if err := b.WaitCalls(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	go func() { hung <- b.do(t.Context(), http.MethodPost, "/pay?ref=2", "x") }()
	if err := b.WaitExecuted(t.Context(), "refund", 1); err != nil {
		t.Fatal(err)
	}
	leave()
	if got := <-delayed; got != "no answer" || b.Ledger().Count("", "") != 1 {
		t.Errorf("%q, executed %d times", got, b.Ledger().Count("", ""))
	}
	b.Release()
	if got := <-hung; got != "no answer" {
		t.Error(got)
	}
	if err := b.WaitMovements(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
}

func TestWaitingEndsWithTheContextOrTheSimulator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.WaitCalls(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.Close()
	if err := b.WaitMovements(t.Context(), 1); err == nil {
		t.Error("waited for a closed simulator")
	}
}

func TestFaultsStrikeOnlyTheCallsTheyName(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simulator.Fault{
		"operation": {Operation: "cancel"}, "payment": {Payment: "p2"}, "reference": {Reference: "r2"},
	} {
		b := setup(t)
		f.Mode = simulator.StatusBefore
		_ = b.Fault(f)
		if got := b.do(t.Context(), http.MethodPost, "/pay?ref=r1", "x"); got != "200 paid" {
			t.Errorf("another %s: %q", name, got)
		}
	}
	b := setup(t)
	_ = b.Fault(simulator.Fault{Operation: "refund", Payment: "p1", Reference: "r1", Mode: simulator.StatusBefore, Times: 2})
	got := []string{}
	for range 3 {
		got = append(got, b.do(t.Context(), http.MethodPost, "/pay?ref=r1", "x")[:3])
	}
	if diff := cmp.Diff([]string{"500", "500", "200"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsAreSetAndClearedOverHTTPAndMisspeltOnesRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, bad := range []string{
		`[{"mode":"cut_befor"}]`, `[{"mode":""}]`, `[{"mode":"late","dealy":"1s"}]`, `[{"mode":"late","delay":"-1s"}]`,
		`[{"mode":"late","times":-1}]`, `[{"mode":"status_after","status":42}]`, `{}`, `[] x`, ``,
	} {
		if got := b.do(t.Context(), http.MethodPost, "/faults", bad); !strings.HasPrefix(got, "400 ") {
			t.Errorf("%s: %q", bad, got)
		}
	}
	if got := b.do(t.Context(), http.MethodPost, "/faults", `[{"mode":"tired","delay":"1s"}]`); got != "200 {}" {
		t.Error(got)
	}
	struck := b.do(t.Context(), http.MethodPost, "/pay", "x")
	b.do(t.Context(), "DELETE", "/faults", "")
	if after := b.do(t.Context(), http.MethodPost, "/pay", "x"); struck != "200 no:" || after != "200 paid" {
		t.Errorf("struck %q, cleared %q", struck, after)
	}
	if got := b.do(t.Context(), http.MethodPost, "/payments", `{"id":"p","x":1}`); !strings.HasPrefix(got, "400 ") {
		t.Error(got)
	}
}

func TestTheRecordMasksSecretsAndShowsWhatWasExecuted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_ = b.Fault(simulator.Fault{Mode: simulator.StatusBefore, Times: 1})
	b.do(t.Context(), http.MethodPost, "/pay?ref=1", "key=hush&a=1")
	b.do(t.Context(), http.MethodPost, "/pay?ref=2", strings.Repeat("x", 2<<20))
	b.do(t.Context(), http.MethodPost, "/pay?ref=3", "y")
	calls := b.Calls()
	for i := range calls {
		calls[i].Time = time.Time{}
	}
	want := []simulator.Call{
		{Number: 1, Operation: "refund", Payment: "p1", Reference: "1", Body: "key=***&a=1", Fault: simulator.StatusBefore, Status: 500},
		{Number: 2, Operation: "refund", Status: 413},
		{Number: 3, Operation: "refund", Payment: "p1", Reference: "3", Body: "y", Executed: true, Status: 200},
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
	ledger := b.do(t.Context(), "GET", "/ledger", "")
	if !strings.HasPrefix(ledger, "200") || strings.Contains(b.do(t.Context(), "GET", "/calls", ""), "hush") {
		t.Error(ledger)
	}
}

func TestANotificationIsDeliveredToThisMachineOnly(t *testing.T) {
	t.Parallel()
	got := make(chan string, 2)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Method + " " + r.Header.Get("Content-Type") + " " + string(body)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(receiver.Close)
	status, err := simulator.Deliver(t.Context(), receiver.URL+"/n", "text/plain", []byte("hello"))
	if err != nil || status != http.StatusFound || <-got != "POST text/plain hello" || len(got) != 0 {
		t.Errorf("%d, %v, and %d more", status, err, len(got))
	}
	for _, elsewhere := range []string{"http://192.0.2.1/n", "https://provider.example/n", "http://127.0.0.1.example/n", "", "::"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing would go out even so
		if _, err := simulator.Deliver(ctx, elsewhere, "text/plain", nil); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("%q: %v", elsewhere, err)
		}
	}
}
