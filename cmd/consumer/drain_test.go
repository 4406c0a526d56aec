package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/cmd/consumer/cli"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

const (
	drained       = 1200
	drains        = 4
	providerTakes = 40 * time.Millisecond
	// graceTime is what Kubernetes gives a process by default.
	graceTime = 30 * time.Second
)

// slowed makes a provider answer as slowly as real ones do.
func slowed(t *testing.T, provider http.Handler) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(providerTakes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
		provider.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return web.URL
}

func TestSIGTERMUnderLoadLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.write("config.yaml", fmt.Sprintf(`nats: {url: %q, replicas: 1}
admin: {listen: %q}
concurrency: 64
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {file: secret}, callbackURL: "https://shop.example/opay", country: EG}
`, s.js.Conn().ConnectedUrl(), s.admin, slowed(t, s.opay), opaysim.DefaultMerchantID))
	if code, p := runProgram(t, s.dir, "provision", "--config", "config.yaml"); code != cli.ExitOK {
		t.Fatalf("provision: exit code %d: %s", code, p.stderr)
	}
	for n := range drained {
		order := fmt.Sprintf("drained-%d", n)
		if err := s.opay.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
			t.Fatal(err)
		}
		body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[1]s","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"%[1]s"},"amount":{"value":400,"currency":"EGP"}}}`, order)
		if _, err := s.js.PublishMsgAsync(&nats.Msg{Subject: "payment.refund.requested", Data: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	<-s.js.PublishAsyncComplete()
	var took []time.Duration
	for n := range drains {
		p := start(t, s.dir, "run", "--config", "config.yaml")
		s.awaitResults((n + 1) * drained / (drains + 2))
		told := time.Now()
		p.terminate()
		code := p.exit()
		took = append(took, time.Since(told).Round(time.Millisecond))
		if left := drained - s.results(); code != cli.ExitOK || left == 0 {
			t.Errorf("drain %d: exit code %d with %d operations left", n, code, left)
		}
		if !strings.Contains(p.stderr.String(), "nothing is in hand") {
			t.Errorf("drain %d ended so:\n%s", n, p.stderr)
		}
		if took[n] > graceTime {
			t.Errorf("drain %d took %s", n, took[n])
		}
	}
	began := time.Now()
	last := start(t, s.dir, "run", "--config", "config.yaml")
	s.awaitResults(drained)
	if rest := time.Since(began); rest > broker.DefaultAckWait*9/10 {
		t.Errorf("the rest took %s: it was not handed back, the server had to wait for it", rest)
	}
	last.terminate()
	if code := last.exit(); code != cli.ExitOK {
		t.Errorf("the last process: exit code %d", code)
	}
	// Each operation was called once: what SIGTERM met was finished or not begun.
	if all, succeeded := s.count("payment.*.*.opay-eg.*.*"), s.results(); all != 2*drained || succeeded != drained {
		t.Errorf("%d events and %d results, want %d and %d", all, succeeded, 2*drained, drained)
	}
	calls := 0
	for _, c := range s.opay.Calls() {
		if c.Operation == "refund" {
			calls++
		}
	}
	if moved := len(s.opay.Ledger().Movements("")); moved != drained || calls != drained {
		t.Errorf("money moved %d times in %d calls, want %d", moved, calls, drained)
	}
	t.Logf("%d commands, %d stops under load: 0 lost, 0 doubled; time to stop %v", drained, drains, took)
}

// results counts the results there are.
func (s *service) results() int { return s.count("payment.*.succeeded.opay-eg.*.*") }

// awaitResults waits until there are so many.
func (s *service) awaitResults(n int) {
	s.t.Helper()
	again, deadline := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer again.Stop()
	for s.results() < n {
		select {
		case <-again.C:
		case <-deadline:
			s.t.Fatalf("%d of %d results", s.results(), n)
		}
	}
}
