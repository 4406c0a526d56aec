package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// hangingWorld is a service with four providers, of which the first may hang.
type hangingWorld struct {
	t    testing.TB
	js   jetstream.JetStream
	cfg  *config.Config
	sims []*opaysim.Simulator
}

// fourProviders starts server and simulators; each has a payment for every
// command to come.
func fourProviders(t testing.TB, payments int) *hangingWorld {
	t.Helper()
	server := natstest.Start(t, nil)
	w := &hangingWorld{t: t, js: server.JetStream(t)}
	var text strings.Builder
	fmt.Fprintf(&text, "nats: {url: %q, replicas: 1}\nproviders:\n", server.URL())
	for n := range 4 {
		sim := opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})
		web := httptest.NewServer(sim)
		t.Cleanup(web.Close)
		t.Cleanup(sim.Close)
		for i := range payments {
			p := opaysim.Payment{Reference: fmt.Sprintf("order-%d", i), Country: "EG", Amount: 40000, Currency: "EGP"}
			if err := sim.AddPayment(p); err != nil {
				t.Fatal(err)
			}
		}
		w.sims = append(w.sims, sim)
		fmt.Fprintf(&text, "  - {name: shop-%d, kind: opay, baseURL: %q, merchantID: %q, secretKey: {env: OPAY}, callbackURL: \"https://shop.example/opay\", country: EG}\n",
			n, web.URL, opaysim.DefaultMerchantID)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	w.cfg, err = config.Load(file, func(string) string { return opaysim.DefaultSecretKey })
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Admin.Listen = ""
	if _, err := broker.Provision(context.Background(), w.js, app.Topology(w.cfg)); err != nil {
		t.Fatal(err)
	}
	for i := range payments {
		for n := range 4 {
			m := command(fmt.Sprintf("c-%d-%d", n, i), "refund", map[string]any{
				"idempotencyKey": "k", "provider": fmt.Sprintf("shop-%d", n),
				"payment": map[string]any{"orderId": fmt.Sprintf("order-%d", i)}, "amount": map[string]any{"value": 400, "currency": "EGP"},
			})
			if _, err := w.js.PublishMsgAsync(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	select {
	case <-w.js.PublishAsyncComplete():
	case <-time.After(patience):
		t.Fatal("commands are not stored")
	}
	return w
}

// healthyIn runs the service until the last three providers have as many
// results as commands, and returns how long that took.
func (w *hangingWorld) healthyIn(want int) time.Duration {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	nc, err := app.Connect(w.cfg.NATS, "bench", log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	instances, err := app.Instances(w.cfg, log)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range instances {
		instances[i].Account = instances[i].Name // one simulated merchant each, at four addresses
	}
	service, err := app.New(nc, w.cfg, instances, &app.Options{Logger: log})
	if err != nil {
		w.t.Fatal(err)
	}
	ledger, err := w.js.OrderedConsumer(context.Background(), w.cfg.Streams.Events, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"payment.refund.succeeded.shop-1.>", "payment.refund.succeeded.shop-2.>", "payment.refund.succeeded.shop-3.>"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	got := 0
	following, err := ledger.Consume(func(jetstream.Msg) {
		if got++; got == 3*want {
			close(done)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer following.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- service.Run(ctx) }()
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		w.t.Error("the healthy providers' commands were not carried out")
	}
	took := time.Since(began)
	w.sims[0].ClearFaults()
	w.sims[0].Release()
	cancel()
	if err := <-ended; err != nil {
		w.t.Error(err)
	}
	return took
}

// BenchmarkOneProviderHangs carries 4 × N commands out, N for each provider,
// all of them waiting in the stream; once with every provider well, once with
// the first never answering. ratio is the throughput of the other three in the
// second, as a share of theirs in the first: 1 is no difference. The figures are
// medians of five rounds (-short: one small one); what else the machine does is in them.
func BenchmarkOneProviderHangs(b *testing.B) {
	for _, c := range []struct {
		name    string
		n       int
		latency time.Duration // of each answer of the providers that are well
		timeout time.Duration // of a call: how long one that hangs is waited for
	}{
		{"at_once", 4000, 0, 10 * time.Second},
		{"breaker_opens", 4000, 0, time.Second},
		{"slow_answers", 2000, 40 * time.Millisecond, 10 * time.Second},
	} {
		rounds := 5
		if testing.Short() { // that it works, and no figures
			rounds, c.n = 1, c.n/10
		}
		b.Run(c.name, func(b *testing.B) {
			measure := func(hangs bool) time.Duration {
				w := fourProviders(b, c.n)
				for n := range w.cfg.Providers {
					w.cfg.Providers[n].Timeout = c.timeout
					if c.latency > 0 && (n > 0 || !hangs) {
						w.fault(n, simulator.Fault{Mode: simulator.Delay, Delay: simulator.Wait(c.latency)})
					}
				}
				if hangs {
					w.fault(0, simulator.Fault{Mode: simulator.HangAfter})
				}
				return w.healthyIn(c.n)
			}
			for b.Loop() {
				var ratios, wells, hanging []float64
				for range rounds {
					well, hangs := measure(false).Seconds(), measure(true).Seconds()
					ratios = append(ratios, well/hangs)
					wells = append(wells, float64(3*c.n)/well)
					hanging = append(hanging, float64(3*c.n)/hangs)
				}
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(median(wells), "well_cmds/s")
				b.ReportMetric(median(hanging), "hanging_cmds/s")
			}
		})
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

func (w *hangingWorld) fault(n int, f simulator.Fault) {
	w.t.Helper()
	if err := w.sims[n].Fault(f); err != nil {
		w.t.Fatal(err)
	}
}
