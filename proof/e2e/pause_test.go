package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// replica is one instance of the service whose standing tests may look at. What
// waits for a provider is tried again soon.
type replica struct {
	*app.App

	stop func()
}

func (w *world) replica() replica {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	nc, err := app.Connect(w.cfg.NATS, "e2e replica", log)
	if err != nil {
		w.t.Fatal(err)
	}
	instances, err := app.Instances(w.cfg, log)
	if err != nil {
		w.t.Fatal(err)
	}
	service, err := app.New(nc, w.cfg, instances, &app.Options{Logger: log, AckWait: ackWait, Wrap: comeBackSoon})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("run service: %v", err)
		}
		nc.Close()
	})
	w.t.Cleanup(stop)
	return replica{service, stop}
}

// say pauses or resumes a provider in the bucket, whether a service runs or not.
func (w *world) say(provider string, paused bool) {
	w.t.Helper()
	control := broker.NewControl(w.js, app.Topology(w.cfg))
	is, err := control.At(w.t.Context(), provider)
	if err != nil {
		w.t.Fatal(err)
	}
	p := broker.Pause{Paused: paused, Reason: "a test", Since: time.Now()}
	if _, err := control.Set(w.t.Context(), provider, p, is.Revision); err != nil {
		w.t.Fatal(err)
	}
}

// refunds counts the refund calls that OPay has seen.
func (w *world) refunds() (n int) {
	for _, c := range w.opay.Calls() {
		if c.Operation == "refund" {
			n++
		}
	}
	return n
}

// succeeded asks for n terminal successes at a provider.
func succeeded(provider string, n int) func([]event) string {
	return func(all []event) string {
		got := 0
		for _, e := range all {
			if e.terminal() && e.Data.Provider == provider && e.Data.Status == "succeeded" {
				got++
			}
		}
		if got == n {
			return ""
		}
		return fmt.Sprintf("%d of %d successes at %s", n-got, n, provider)
	}
}

func TestAPauseUnderLoadStopsTheCallsOfEveryReplicaAndNoOtherProvider(t *testing.T) {
	t.Parallel()
	w := setup(t)
	results := w.follow()
	replicas := []replica{w.replica(), w.replica()}
	const before, during = 120, 30
	for i := range before {
		w.refundAtOPay(i, fmt.Sprintf("before-%d", i))
	}
	if err := w.opay.WaitCalls(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	w.say("opay-eg", true)
	w.poll("not every replica follows, or calls do not end", func() bool {
		for _, r := range replicas {
			if s := r.Isolation().States()["opay-eg"]; !s.Paused || s.UnderWay > 0 {
				return false
			}
		}
		return true
	})
	sent := w.refunds()
	for i := range during {
		w.refundAtOPay(before+i, fmt.Sprintf("during-%d", i))
		w.refundAtOpenpay(i, fmt.Sprintf("other-%d", i))
	}
	results.await(succeeded("openpay-eu", during))
	w.quiet()
	if now := w.refunds(); now != sent {
		t.Errorf("%d calls were sent to a paused provider", now-sent)
	}
	w.say("opay-eg", false)
	results.await(succeeded("opay-eg", before+during))
	if got := w.opay.Ledger().Count("", ""); got != before+during {
		t.Errorf("money moved %d times, want %d", got, before+during)
	}
}

// late is a handler whose timers come back in an hour, if they wait for the end of a
// pause: as they do when the pause has lasted long.
type late struct{ broker.Handler }

func (l late) Handle(ctx context.Context, d handlers.Delivery) handlers.Disposition {
	disposition := l.Handler.Handle(ctx, d)
	if disposition.Timer.Paused {
		disposition.Timer.At = time.Now().Add(time.Hour)
	}
	return disposition
}

func TestTheEndOfALongPauseBringsBackWhatWaitsThoughAReplicaDiesThen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	results := w.follow()
	w.say("opay-eg", true)
	o := func() *app.Options {
		return &app.Options{
			Logger: slog.New(slog.DiscardHandler),
			Wrap:   func(h broker.Handler) broker.Handler { return late{h} },
		}
	}
	stop := w.run(w.cfg, o())
	w.run(w.cfg, o())
	const n = 80
	for i := range n {
		w.refundAtOPay(i, fmt.Sprintf("long-%d", i))
	}
	w.quiet()
	if got := w.refunds(); got != 0 {
		t.Fatalf("%d calls were sent to a paused provider", got)
	}
	w.say("opay-eg", false)
	if err := w.opay.WaitCalls(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	stop()
	results.await(succeeded("opay-eg", n))
	if got := w.opay.Ledger().Count("", ""); got != n {
		t.Errorf("money moved %d times, want %d", got, n)
	}
}

func TestAServiceToldToStartInPauseCallsNobodyUntilItIsResumed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.StartPaused = true
	results := w.follow()
	w.say("opay-eg", false) // before the start, which counts for nothing
	w.refundAtOPay(0, "after-the-incident")
	r := w.replica()
	w.poll("the service does not start", func() bool { ok, _ := r.Ready(); return ok })
	w.quiet()
	if got := w.refunds(); got != 0 || !r.Isolation().States()["openpay-eu"].Paused {
		t.Errorf("%d calls; standing %+v", got, r.Isolation().States())
	}
	w.say("opay-eg", false)
	results.await(succeeded("opay-eg", 1))
}

func TestWithoutTheBucketNothingIsCarriedOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	if err := w.js.DeleteKeyValue(t.Context(), "PAYMENT_CONTROL"); err != nil {
		t.Fatal(err)
	}
	results := w.follow()
	w.refundAtOPay(0, "waits-for-the-bucket")
	w.replica()
	w.awaitReady(http.StatusServiceUnavailable, "it is not known which providers are paused: ")
	if _, err := broker.Provision(t.Context(), w.js, app.Topology(w.cfg)); err != nil {
		t.Fatal(err)
	}
	results.await(succeeded("opay-eg", 1))
}

func TestAServiceThatNeverLearnsOfPausesStopsWhenTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.Shutdown(t)
	w.replica().stop()
}

func TestRetryAfterIsHonouredByEveryCallOfTheInstance(t *testing.T) {
	t.Parallel()
	w := setup(t)
	results := w.follow()
	if err := w.opay.Fault(simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 3, Times: 1}); err != nil {
		t.Fatal(err)
	}
	r := w.replica()
	w.refundAtOPay(0, "limited")
	w.poll("the instance is not stopped", func() bool { return r.Isolation().States()["opay-eg"].Breaker == payment.BreakerOpen })
	for i := range 20 {
		w.refundAtOPay(1+i, fmt.Sprintf("after-%d", i))
		w.refundAtOpenpay(i, fmt.Sprintf("other-%d", i))
	}
	results.await(succeeded("openpay-eu", 20))
	results.await(succeeded("opay-eg", 21))
	calls := w.opay.Calls()
	if gap := calls[1].Time.Sub(calls[0].Time); gap < 3*time.Second-50*time.Millisecond {
		t.Errorf("the next call came %s after one that said three seconds", gap)
	}
	if got := w.opay.Ledger().Count("", ""); got != 21 {
		t.Errorf("money moved %d times, want 21", got)
	}
}

func TestABrokenProviderIsProbedByOneCallAtATimeUntilItIsMended(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range w.cfg.Providers {
		w.cfg.Providers[i].Retry.Max = time.Second // between two probes
	}
	results := w.follow()
	const commands = 40
	if err := w.opay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.RateLimit}); err != nil {
		t.Fatal(err)
	}
	r := w.replica()
	for i := range commands {
		w.refundAtOPay(i, fmt.Sprintf("opay-%d", i))
	}
	w.poll("the breaker does not open", func() bool { return r.Isolation().States()["opay-eg"].Breaker == payment.BreakerOpen })
	w.poll("calls do not end", func() bool { return r.Isolation().States()["opay-eg"].UnderWay == 0 })
	opened := w.opay.Calls()
	for i := range commands {
		w.refundAtOpenpay(i, fmt.Sprintf("other-%d", i))
	}
	results.await(succeeded("openpay-eu", commands))
	w.poll("the provider is not probed", func() bool { return len(w.opay.Calls()) >= len(opened)+3 })
	probes := w.opay.Calls()[len(opened):]
	for i := 1; i < len(probes); i++ {
		if gap := probes[i].Time.Sub(probes[i-1].Time); gap < time.Second-50*time.Millisecond {
			t.Errorf("probe %d came %s after the one before it", i, gap)
		}
	}
	w.opay.ClearFaults()
	results.await(succeeded("opay-eg", commands))
	if got := w.opay.Ledger().Count("", ""); got != commands {
		t.Errorf("money moved %d times, want %d", got, commands)
	}
}
