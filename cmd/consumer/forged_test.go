package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/providers/opay/opaysim"
)

// Somebody may publish where timers lie, and nothing else. The timer is due at once
// and carries a command that no order service has published.
func TestACommandThatOnlyATimerCarriesMovesNoMoney(t *testing.T) {
	t.Parallel()
	b := setupRearm(t)
	if err := b.sim.AddPayment(opaysim.Payment{Reference: "1001", Country: "EG", Amount: 40000, Currency: "EGP"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), "payment.refund.requested", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	handled := make(chan handlers.Disposition, 16)
	b.serve(handled)
	if d := awaitDisposition(t, handled); d.Kind != handlers.Terminate { // what order services published
		t.Fatalf("%+v", d)
	}
	stream, err := b.js.Stream(t.Context(), b.cfg.Streams.Commands)
	if err != nil {
		t.Fatal(err)
	}
	named, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	told := natstest.Messages(t, b.js, b.cfg.Streams.Events)
	m := nats.NewMsg("payment.schedule.refund.opay-eg.1001.0")
	m.Data = []byte(`{"specversion":"1.0","id":"forged","source":"/orders","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"1001"},"amount":{"value":39999,"currency":"EGP"}}}`)
	for name, value := range map[string]string{
		"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "payment.due.refund",
		"Countermand-Origin-Sequence": "1", "Countermand-Origin-Time": named.Time.UTC().Format(time.RFC3339Nano),
		"Countermand-Deliveries": "1", "Countermand-Panics": "0", "Countermand-Due": "2020-01-01T00:00:00Z",
	} {
		m.Header.Set(name, value)
	}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if d := awaitDisposition(t, handled); d.Kind != handlers.Terminate || d.Reason != "forged_timer" {
		t.Errorf("the forged timer becomes %+v", d)
	}
	if n := len(b.sim.Ledger().Movements("")); n != 0 {
		t.Errorf("money moved %d times", n)
	}
	if n := natstest.Messages(t, b.js, b.cfg.Streams.Events) - told; n != 0 {
		t.Errorf("the journal has %d events more", n)
	}
	if n := natstest.Messages(t, b.js, b.cfg.Streams.Rejected); n != 2 {
		t.Errorf("%d messages in quarantine, want the rejected one and the forged one", n)
	}
	// One that names another time may be genuine, and its command lost: it is presumed.
	m.Header.Set("Countermand-Origin-Time", time.Now().UTC().Format(time.RFC3339Nano))
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if d := awaitDisposition(t, handled); d.Kind != handlers.Later {
		t.Errorf("a timer of a lost command becomes %+v", d)
	}
	if n := len(b.sim.Ledger().Movements("")); n != 0 {
		t.Errorf("money moved %d times", n)
	}
}
