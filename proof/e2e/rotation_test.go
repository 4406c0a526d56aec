package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

const (
	rotations       = 6
	rotatedCommands = (rotations + 1) * 60 // a part before each rotation, and one after the last
)

// gatekeeper stands before a simulated provider and takes other keys than the
// simulator's: those that count now.
type gatekeeper struct {
	simulator http.Handler

	mu       sync.Mutex
	accepted []string
	refused  int           // calls with another key
	calls    int           // calls with a right one
	changed  chan struct{} // closed and replaced with each call
}

// ServeHTTP checks the key and signs the request anew for the simulator; a
// wrong signature stays wrong.
func (g *gatekeeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	shown := r.Header.Get("Authorization")
	g.mu.Lock()
	right := slices.ContainsFunc(g.accepted, func(key string) bool { return shown == "Bearer "+opay.Sign(body, key) })
	if right {
		g.calls++
	} else {
		g.refused++
	}
	close(g.changed)
	g.changed = make(chan struct{})
	g.mu.Unlock()
	if right {
		r.Header.Set("Authorization", "Bearer "+opay.Sign(body, opaysim.DefaultSecretKey))
	}
	g.simulator.ServeHTTP(w, r)
}

// accept sets the keys that count from now on.
func (g *gatekeeper) accept(keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accepted = keys
}

func (g *gatekeeper) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

func (g *gatekeeper) refusals() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// await waits until so many calls were refused and taken, in all.
func (g *gatekeeper) await(t *testing.T, refused, calls int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		g.mu.Lock()
		enough, news := g.refused >= refused && g.calls >= calls, g.changed
		g.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatal("no more calls reach the provider")
		}
	}
}

// mounted is a secret as Kubernetes mounts it: a link to a link to a directory
// that is exchanged as a whole.
type mounted struct {
	t     *testing.T
	dir   string
	count int
}

func (m *mounted) file() string { return filepath.Join(m.dir, "secretKey") }

func (m *mounted) put(key string) {
	m.t.Helper()
	m.count++
	version := fmt.Sprintf("..%d", m.count)
	if err := os.Mkdir(filepath.Join(m.dir, version), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, version, "secretKey"), []byte(key), 0o600); err != nil {
		m.t.Fatal(err)
	}
	temporary, data := filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")
	if err := os.Symlink(version, temporary); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(temporary, data); err != nil {
		m.t.Fatal(err)
	}
	if m.count == 1 {
		if err := os.Symlink(filepath.Join("..data", "secretKey"), m.file()); err != nil {
			m.t.Fatal(err)
		}
		return
	}
	if err := os.RemoveAll(filepath.Join(m.dir, fmt.Sprintf("..%d", m.count-1))); err != nil {
		m.t.Fatal(err)
	}
}

func TestASecretRotatedUnderLoadFailsNoCommand(t *testing.T) {
	t.Parallel()
	for name, overlap := range map[string]bool{"both keys count for a while": true, "the old key ends before the new one is there": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			gate := &gatekeeper{simulator: w.opay, changed: make(chan struct{})}
			web := httptest.NewServer(gate)
			t.Cleanup(web.Close)
			t.Cleanup(w.opay.Close)
			secret := &mounted{t: t, dir: t.TempDir()}
			key := func(n int) string { return fmt.Sprintf("OPAYPRV-rotated-%d", n) }
			secret.put(key(0))
			gate.accept(key(0))
			w.load(fmt.Sprintf(`nats: {url: %q, replicas: 1}
concurrency: 64
providers:
  - {name: opay-eg, kind: opay, baseURL: %q, merchantID: %q, secretKey: {file: %q}, callbackURL: "https://shop.example/opay",
     timeout: 2s, retry: {initial: 1s, max: 2s}, poll: {initial: 1s, max: 2s}, reviewAfter: 20s}
`, w.server.URL(), web.URL, opaysim.DefaultMerchantID, secret.file()))
			if app.Topology(w.cfg).Concurrency != 64 {
				t.Fatal("the configuration is not the one that was written")
			}
			results := w.follow()
			w.serve(nil)
			began := time.Now()
			var publishing sync.WaitGroup
			pace := make(chan struct{})
			publishing.Go(func() {
				for n := range rotatedCommands {
					if n%(rotatedCommands/(rotations+1)) == 0 && n > 0 {
						<-pace // the next part after the next rotation has begun
					}
					w.refundWith(n)
				}
			})
			before := 0 // calls before this part of the commands
			for n := 1; n <= rotations; n++ {
				gate.await(t, 0, before+10)
				before = gate.count()
				if overlap {
					// Old keys count for two rotations: longer than any call that was
					// signed with one is under way, and not for ever.
					gate.accept(key(max(n-2, 0)), key(n-1), key(n))
					secret.put(key(n))
					pace <- struct{}{}
					continue
				}
				gate.accept(key(n))
				pace <- struct{}{}
				gate.await(t, gate.refusals()+1, 0) // the service goes on with the old key
				secret.put(key(n))
			}
			publishing.Wait()
			all := results.await(func(all []event) string { return unsettled(all, rotatedCommands) })
			w.nothingFailed(all, overlap, gate)
			t.Logf("%d commands, %d rotations, %d calls refused for their key, %d taken, told after %s",
				rotatedCommands, rotations, gate.refused, gate.calls, time.Since(began).Round(time.Millisecond))
		})
	}
}

// refundWith publishes the n-th refund, of a payment of its own; one in twenty
// loses its answer.
func (w *world) refundWith(n int) {
	order := fmt.Sprintf("rotated-%d", n)
	if err := w.opay.AddPayment(opaysim.Payment{Reference: order, Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		w.t.Error(err)
	}
	if n%20 == 0 {
		if err := w.opay.Fault(simulator.Fault{Operation: "refund", Payment: order, Mode: simulator.CutAfter, Times: 1}); err != nil {
			w.t.Error(err)
		}
	}
	m := command("e-"+order, "refund", map[string]any{
		"idempotencyKey": "k", "provider": "opay-eg", "payment": map[string]any{"orderId": order, "country": "EG"}, "amount": egp(400),
	})
	if _, err := w.js.PublishMsg(w.t.Context(), m); err != nil {
		w.t.Error(err)
	}
}

// unsettled says how many of n operations have no end yet.
func unsettled(all []event, n int) string {
	ended := map[string]bool{}
	for _, e := range all {
		if e.settled() {
			ended[e.Data.operation()] = true
		}
	}
	if len(ended) == n {
		return ""
	}
	return fmt.Sprintf("%d of %d results", n-len(ended), n)
}

func (w *world) nothingFailed(all []event, overlap bool, gate *gatekeeper) {
	w.t.Helper()
	for _, e := range all {
		if e.settled() && e.Data.Status != "succeeded" || e.rejection() {
			w.t.Errorf("%s: %s %s", e.Subject, e.Data.Status, e.Data.Code)
		}
	}
	for n := range rotatedCommands {
		if moved := w.opay.Ledger().Count(string(payment.Refund), fmt.Sprintf("rotated-%d", n)); moved != 1 {
			w.t.Errorf("payment %d was refunded %d times", n, moved)
		}
	}
	gate.mu.Lock()
	defer gate.mu.Unlock()
	if overlap && gate.refused > 0 {
		w.t.Errorf("%d calls had a key that did not count, although both did for a while", gate.refused)
	}
	if !overlap && gate.refused < rotations {
		w.t.Errorf("%d calls were refused in %d rotations: the test shows nothing", gate.refused, rotations)
	}
}
