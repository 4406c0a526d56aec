package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity/witness"
	"github.com/countermand/countermand/internal/app"
	"github.com/countermand/countermand/internal/natstest"
)

// refunded has a service refund this many payments, partially and at a kind that
// stops no second refund, and waits for their results.
func (w *world) refunded(n int) {
	w.t.Helper()
	results := w.follow()
	for i := range n {
		w.refundAtOpenpay(i, fmt.Sprintf("lost-%d", i))
	}
	results.await(func(all []event) string {
		ended := 0
		for _, e := range all {
			if e.terminal() {
				ended++
			}
		}
		if ended < n {
			return fmt.Sprintf("%d results, there are %d", n, ended)
		}
		return ""
	})
}

// repeats publishes the same commands again.
func (w *world) repeats(n int) {
	w.t.Helper()
	for i := range n {
		id := fmt.Sprintf("lost-%d", i)
		w.publish(w.openpayCommand("again-"+id, i, id))
	}
}

// openpayCommand is the refund of number i once more.
func (w *world) openpayCommand(event string, i int, id string) *nats.Msg {
	return command(event, "refund", map[string]any{
		"idempotencyKey": id, "provider": "openpay-eu", "payment": map[string]any{"transactionId": id, "orderId": id},
		"amount": map[string]any{"value": oddAmount(i), "currency": "EUR"},
	})
}

// paid counts the refunds that Openpay's own ledger shows.
func (w *world) paid() int { return w.openpay.Ledger().Count("", "") }

func (w *world) provisionAgain() {
	w.t.Helper()
	topology := app.Topology(w.cfg)
	topology.AckWait = ackWait
	if _, err := broker.Provision(w.t.Context(), w.js, topology); err != nil {
		w.t.Fatal(err)
	}
}

// acknowledged counts the commands that were answered.
func (w *world) acknowledged() uint64 {
	w.t.Helper()
	c, err := w.js.Consumer(w.t.Context(), w.cfg.Streams.Commands, w.cfg.Consumer)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.CachedInfo().AckFloor.Stream
}

// back waits until the server answers again.
func (w *world) back() {
	w.t.Helper()
	w.poll("the server is not back", func() bool {
		_, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Commands)
		return err == nil
	})
}

const lost = 20

func TestAJournalThatIsMadeAnewUnderTheServiceMovesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.refunded(lost)
	w.quiet()
	before := w.acknowledged()
	reached := natstest.Messages(t, w.js, w.cfg.Streams.Events) // two each, and more where a call took too long
	w.server.DeleteStream(t, w.js, w.cfg.Streams.Events)
	w.provisionAgain()
	w.repeats(lost)
	// A reading notices it, or, where the repeats are quicker, the first append.
	w.awaitReady(http.StatusServiceUnavailable, fmt.Sprintf("known to reach %d", reached))
	w.awaitReady(http.StatusServiceUnavailable, "journal broken: ")
	if n := w.paid(); n != lost {
		t.Errorf("%d payouts for %d refunds", n, lost)
	}
	if after := w.acknowledged(); after != before {
		t.Errorf("%d commands were answered from a journal that is not whole", after-before)
	}
}

func TestAnOlderCopyOfEverythingIsNoticedByTheWitness(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Journal.Witness.File = filepath.Join(t.TempDir(), "mark")
	old := w.server.Copy(t)
	w.back()
	stop := w.serve(nil)
	w.refunded(lost)
	w.quiet()
	stop()
	w.server.Restore(t, old)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.back()
	w.repeats(lost)
	w.awaitReady(http.StatusServiceUnavailable, "journal broken: the journal ends at 0; it was known to reach")
	if n := w.paid(); n != lost {
		t.Errorf("%d payouts for %d refunds", n, lost)
	}
}

func TestALostBucketOfPausesEndsNoPause(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.refunded(1)
	w.say("openpay-eu", true)
	w.poll("not paused", func() bool {
		_, metrics := w.ask("/metrics")
		return strings.Contains(metrics, `countermand_instance_paused{provider="openpay-eu"} 1`)
	})
	if err := w.js.DeleteKeyValue(t.Context(), "PAYMENT_CONTROL"); err != nil {
		t.Fatal(err)
	}
	w.provisionAgain()
	w.refundAtOpenpay(7, "after")
	w.awaitReady(http.StatusServiceUnavailable, "stream KV_PAYMENT_CONTROL ")
	w.poll("not every provider is paused", func() bool {
		_, metrics := w.ask("/metrics")
		return strings.Contains(metrics, `countermand_instance_paused{provider="opay-eg"} 1`)
	})
	if n := w.paid(); n != 1 {
		t.Errorf("%d payouts, want one", n)
	}
}

func TestAPauseThatIsLostWhileNothingRunsEndsNoPause(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Journal.Witness.File = filepath.Join(t.TempDir(), "mark")
	stop := w.serve(nil)
	w.refunded(1)
	w.say("openpay-eu", true)
	w.poll("the witness does not know of the pause", func() bool {
		held, err := witness.NewFile(w.cfg.Journal.Witness.File).Load(t.Context())
		return err == nil && held.Pauses["openpay-eu"].Sequence > 0
	})
	stop()
	w.refundAtOpenpay(7, "held")
	bucket, err := w.js.Stream(t.Context(), "KV_PAYMENT_CONTROL")
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{100 * time.Millisecond, 0} { // for a moment
		aged := bucket.CachedInfo().Config
		aged.MaxAge, aged.Duplicates = age, age
		if bucket, err = w.js.UpdateStream(t.Context(), aged); err != nil {
			t.Fatal(err)
		}
		w.poll("the bucket is not empty", func() bool {
			info, err := bucket.Info(t.Context())
			return err == nil && info.State.Msgs == 0
		})
	}
	for range 2 { // the second start finds a bucket that has lost nothing since
		w.cfg.Admin.Listen = natstest.FreeAddress(t)
		stop = w.serve(nil)
		w.awaitReady(http.StatusOK, "ok")
		w.quiet()
		for _, provider := range []string{"openpay-eu", "opay-eg"} {
			if _, metrics := w.ask("/metrics"); !strings.Contains(metrics, `countermand_instance_paused{provider="`+provider+`"} 1`) {
				t.Errorf("%s is not paused", provider)
			}
		}
		if n := w.paid(); n != 1 {
			t.Errorf("%d payouts, want one", n)
		}
		stop()
	}
}

// A timer that knows more than the journal shows is the last witness of what was
// lost. It stays, and nothing else is carried out.
func TestATimerThatKnowsMoreThanTheJournalStopsTheService(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Admin.Listen = natstest.FreeAddress(t)
	w.serve(nil)
	w.refunded(1)
	w.quiet()
	holds := natstest.Messages(t, w.js, w.cfg.Streams.Events) // of one payment: its version
	timer := func(n int) {
		t.Helper()
		version := fmt.Sprint(n)
		m := w.openpayCommand("timer-"+version, 0, "lost-0")
		m.Subject = "payment.due.refund"
		m.Header.Set("Countermand-Origin-Sequence", "1")
		m.Header.Set("Countermand-Origin-Time", "2026-11-21T12:00:00Z")
		m.Header.Set("Countermand-Version", version)
		m.Header.Set("Countermand-Operation-Version", version)
		if _, err := w.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	timer(holds)
	w.quiet()
	w.awaitReady(http.StatusOK, "")
	before := w.acknowledged()
	timer(holds + 1)
	w.awaitReady(http.StatusServiceUnavailable, "journal broken: a timer of operation openpay-eu/lost-0/refund/")
	w.repeats(1)
	w.awaitReady(http.StatusServiceUnavailable, fmt.Sprintf(" knew version %d of its payment; the journal shows %d", holds+1, holds))
	if n := w.paid(); n != 1 {
		t.Errorf("%d payouts, want one", n)
	}
	if after := w.acknowledged(); after != before {
		t.Errorf("%d commands were answered", after-before)
	}
	if n := natstest.Messages(t, w.js, w.cfg.Streams.Due); n != 1 {
		t.Errorf("%d timers are left, want the one", n)
	}
}
