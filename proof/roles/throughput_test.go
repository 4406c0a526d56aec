package roles_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/providers/opay/opaysim"
)

// Measured at full size: go test ./proof/roles -run Throughput -rounds 9 -refunds 2000 -v.
var (
	rounds  = flag.Int("rounds", 1, "pairs of rounds, one without and one with the attack")
	refunds = flag.Int("refunds", 50, "honest refunds in a round")
	// For comparison: it shows that the measurement sees the attack at all.
	unbounded = flag.Bool("unbounded", false, "take the bounds off the readers' consumers")
)

// withoutBounds puts consumers as a server makes them by default in the readers' place.
func (w *world) withoutBounds() {
	w.t.Helper()
	js := w.stream(operator())
	for _, p := range []party{ordersEGRead(), ordersUARead(), ledger()} {
		if err := js.DeleteConsumer(w.ctx(), "PAYMENT_EVENTS", p.durable()); err != nil {
			w.t.Fatal(err)
		}
		if _, err := js.CreateConsumer(w.ctx(), "PAYMENT_EVENTS", jetstream.ConsumerConfig{Durable: p.durable(), AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// hostile pulls without end, as often as the server lets it, with as much as it lets it,
// and takes everything it gets.
func (w *world) hostile(ctx context.Context, p party, heartbeat time.Duration) {
	w.t.Helper()
	nc := w.connect(p)
	inbox, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := inbox.SetPendingLimits(-1, -1); err != nil {
		w.t.Fatal(err)
	}
	pull := func() {
		const subject = "$JS.payments.API.CONSUMER.MSG.NEXT.PAYMENT_EVENTS."
		_ = nc.PublishRequest(subject+p.durable(), inbox.Subject, fmt.Appendf(nil, `{"batch":256,"idle_heartbeat":%d,"expires":29000000000}`, heartbeat))
	}
	for range 20 { // of which the server keeps as many as its bound says
		pull()
	}
	for {
		m, err := inbox.NextMsgWithContext(ctx)
		if err != nil {
			return
		}
		switch status := m.Header.Get("Status"); {
		case status == "" && m.Reply != "":
			_ = m.Ack()
		case status == "408":
			pull()
		case status == "409" && m.Header.Get("Description") == "Batch Completed":
			pull()
		}
	}
}

// honest carries a round of refunds out and returns how long it took.
func (w *world) honest(sim *opaysim.Simulator, nc *nats.Conn, round string, n int) time.Duration {
	w.t.Helper()
	for i := range n {
		if err := sim.AddPayment(opaysim.Payment{Reference: fmt.Sprintf("%s-%d", round, i), Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
			w.t.Fatal(err)
		}
	}
	before := w.stored("PAYMENT_EVENTS")
	began := time.Now()
	for i := range n {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%[1]s-%[2]d","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"%[1]s-%[2]d"},"amount":{"value":400,"currency":"EGP"}}}`, round, i)
		if err := nc.Publish("payment.refund.requested.opay-eg", []byte(body)); err != nil {
			w.t.Fatal(err)
		}
	}
	js := w.stream(consumer())
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		s, err := js.Stream(w.ctx(), "PAYMENT_EVENTS")
		if err != nil {
			w.t.Fatal(err)
		}
		if s.CachedInfo().State.LastSeq >= before+2*uint64(n) { // started and succeeded
			return time.Since(began)
		}
		select {
		case <-again.C:
		case <-w.ctx().Done():
			w.t.Fatalf("round %s: %d events of %d", round, s.CachedInfo().State.LastSeq-before, 2*n)
		}
	}
}

// With the quick tests' size this shows that honest refunds are carried out while three
// accounts attack; a figure needs more rounds, on a quiet machine.
func TestThroughputOfHonestRefundsWhileThreeAccountsPullAllTheyMay(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	sim, paysAt := simulated(t)
	cfg := w.serviceConfig(w.server.ClientURL(), paysAt)
	cfg.Providers[0].Timeout = 20 * time.Second // a busy machine makes no lost answers
	w.serve(cfg)
	if *unbounded {
		w.withoutBounds()
	}
	nc := w.connect(ordersEG())
	w.honest(sim, nc, "warm", *refunds)
	var shares []float64
	for i := range *rounds {
		quiet := w.honest(sim, nc, fmt.Sprintf("quiet%d", i), *refunds)
		ctx, cancel := context.WithCancel(t.Context())
		var attack sync.WaitGroup
		for _, p := range []party{ordersEGRead(), ordersUARead(), ledger()} {
			attack.Go(func() { w.hostile(ctx, p, 1) })
		}
		loud := w.honest(sim, nc, fmt.Sprintf("loud%d", i), *refunds)
		cancel()
		attack.Wait()
		shares = append(shares, quiet.Seconds()/loud.Seconds())
		t.Logf("round %d: %.0f/s without, %.0f/s with the attack: %.0f %%", i, float64(*refunds)/quiet.Seconds(), float64(*refunds)/loud.Seconds(), 100*shares[i])
	}
	slices.Sort(shares)
	median := shares[len(shares)/2]
	t.Logf("median of %d rounds: honest refunds keep %.0f %% of their throughput", *rounds, 100*median)
	if *rounds >= 5 && !*unbounded && median < 0.8 {
		t.Errorf("honest refunds keep %.0f %% of their throughput, want 80 %%", 100*median)
	}
}
