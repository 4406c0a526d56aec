package roles_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/app"
)

// At full size: go test ./proof/roles -run Junk -junk 20000 -v.
var junk = flag.Int("junk", 3000, "messages of two bytes in the attack")

// Whoever may publish commands can publish junk. It was answered in the journal, with
// 991 bytes a message that nobody may purge.
func TestJunkAddsNoByteToTheJournalAndHonestRefundsGoThrough(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	sim, paysAt := simulated(t)
	cfg := w.serviceConfig(w.server.ClientURL(), paysAt)
	// The smallest bound: the attack is larger than what is kept of its answers.
	const bound = 1 << 20
	topology := app.Topology(cfg)
	topology.RefusalsBytes = bound
	observed := w.stream(observer())
	if _, err := observed.UpdateStream(w.ctx(), topology.RefusalsConfig()); err != nil {
		t.Fatal(err)
	}
	cfg.Streams.MaxBytes.Refusals = bound
	w.serve(cfg)
	attacker := w.connect(ordersEG())
	js := w.stream(ordersUA())
	w.honest(sim, w.connect(ordersEG()), "before", 5)
	before := w.info("PAYMENT_EVENTS")

	for i := range *junk {
		if err := attacker.Publish("payment.refund.requested.opay-eg", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if i%500 == 499 {
			if err := attacker.FlushWithContext(w.ctx()); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.answered(uint64(*junk))
	after, refusals := w.info("PAYMENT_EVENTS"), w.info("PAYMENT_REFUSALS")
	if after.Bytes != before.Bytes || after.LastSeq != before.LastSeq {
		t.Errorf("the journal has grown from %d to %d bytes, from message %d to %d", before.Bytes, after.Bytes, before.LastSeq, after.LastSeq)
	}
	if refusals.Bytes > bound || refusals.LastSeq != uint64(*junk) {
		t.Errorf("the refusals hold %d bytes of %d after %d answers", refusals.Bytes, bound, refusals.LastSeq)
	}
	if refusals.FirstSeq == 1 {
		t.Errorf("the attack was too small to reach the bound: %d bytes", refusals.Bytes)
	}
	took := w.honest(sim, w.connect(ordersEG()), "after", 5)
	t.Logf("%d messages: the refusals hold %d of them in %d bytes; five refunds took %s", *junk, refusals.Msgs, refusals.Bytes, took)
	// The victim of a typo meanwhile is answered as ever.
	ack, err := js.Publish(w.ctx(), "payment.refund.requested.tranzzo-ua", []byte(`{"typo":1}`))
	if err != nil {
		t.Fatal(err)
	}
	w.answered(uint64(*junk) + 1)
	m, err := w.lastRefusal()
	if err != nil || !strings.HasPrefix(m.Subject, fmt.Sprintf("payment.command.rejected.%d-", ack.Sequence)) {
		t.Errorf("the typo is answered by %v, %v", m, err)
	}
}

// A store of refusals that takes none stops nobody: the junk comes back, refunds go on.
func TestAStoreOfRefusalsThatTakesNoneStopsNoRefund(t *testing.T) {
	t.Parallel()
	w := start(t, layout(t), byKey(t))
	sim, paysAt := simulated(t)
	cfg := w.serviceConfig(w.server.ClientURL(), paysAt)
	full := app.Topology(cfg).RefusalsConfig()
	full.Discard, full.MaxMsgs = jetstream.DiscardNew, 1
	observed := w.stream(observer())
	if _, err := observed.UpdateStream(w.ctx(), full); err != nil {
		t.Fatal(err)
	}
	if _, err := observed.Publish(w.ctx(), "payment.command.rejected.0-0", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	w.serveAny(cfg)
	attacker := w.connect(ordersEG())
	for range 50 {
		if err := attacker.Publish("payment.refund.requested.opay-eg", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := attacker.FlushWithContext(w.ctx()); err != nil {
		t.Fatal(err)
	}
	w.honest(sim, w.connect(ordersEG()), "meanwhile", 5)
	if n := w.info("PAYMENT_REFUSALS").LastSeq; n != 1 {
		t.Errorf("the full store has taken %d", n)
	}
	if n := w.info("PAYMENT_EVENTS").LastSeq; n != 10 {
		t.Errorf("the journal holds %d events of five refunds", n)
	}
	// With room again the messages that came back are answered.
	full.Discard, full.MaxMsgs = jetstream.DiscardOld, -1
	if _, err := observed.UpdateStream(w.ctx(), full); err != nil {
		t.Fatal(err)
	}
	w.answered(51)
}

// info is the state of a stream.
func (w *world) info(stream string) jetstream.StreamState {
	w.t.Helper()
	s, err := w.stream(observer()).Stream(w.ctx(), stream)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.CachedInfo().State
}

// lastRefusal is the newest answer to a message that was no command.
func (w *world) lastRefusal() (*jetstream.RawStreamMsg, error) {
	w.t.Helper()
	s, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_REFUSALS")
	if err != nil {
		return nil, err
	}
	return s.GetLastMsgForSubject(w.ctx(), "payment.command.rejected.*")
}

// answered waits until so many refusals were stored.
func (w *world) answered(n uint64) {
	w.t.Helper()
	s, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_REFUSALS")
	if err != nil {
		w.t.Fatal(err)
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), patience+time.Duration(n)*10*time.Millisecond)
	defer cancel()
	for {
		info, err := s.Info(ctx)
		if err != nil {
			w.t.Fatalf("%d answers are awaited: %v", n, err)
		}
		if info.State.LastSeq >= n {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%d of %d messages are answered", info.State.LastSeq, n)
		case <-again.C:
		}
	}
}
