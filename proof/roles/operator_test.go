package roles_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/providers/opay/opaysim"
)

// An operator's attacks on the money, as one with the shipped file would make them.

// refundOf is a whole, valid command that nobody has asked for.
const refundOf = `{"specversion":"1.0","id":"e-attack","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"attack","provider":"opay-eg","payment":{"orderId":"paid"},"amount":{"value":40000,"currency":"EGP"}}}`

// attacked is a running service with one payment that can be refunded.
func attacked(t *testing.T) (*world, *opaysim.Simulator) {
	t.Helper()
	w := start(t, layout(t), byKey(t))
	sim := opaysim.New(opaysim.Options{FirstStatus: "SUCCESS"})
	t.Cleanup(sim.Close)
	web := httptest.NewServer(sim)
	t.Cleanup(web.Close)
	if err := sim.AddPayment(opaysim.Payment{Reference: "paid", Country: "EG", Amount: 40000, Currency: "EGP", Status: "SUCCESS"}); err != nil {
		t.Fatal(err)
	}
	w.serve(w.serviceConfig(w.server.ClientURL(), web.URL))
	return w, sim
}

// nothingMoved has an order service refund another payment: what was published before it has
// been carried out by then, if it is ever.
func (w *world) nothingMoved(sim *opaysim.Simulator) {
	w.t.Helper()
	if err := sim.AddPayment(opaysim.Payment{Reference: "honest", Country: "EG", Amount: 40000, Currency: "EGP", Status: "SUCCESS"}); err != nil {
		w.t.Fatal(err)
	}
	honest := `{"specversion":"1.0","id":"e-honest","source":"/shop","type":"payment.refund.requested","data":{"idempotencyKey":"k","provider":"opay-eg","payment":{"orderId":"honest"},"amount":{"value":400,"currency":"EGP"}}}`
	if _, err := w.stream(ordersEG()).Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte(honest)); err != nil {
		w.t.Fatal(err)
	}
	w.await("payment.refund.succeeded.opay-eg.honest.*")
	if n := sim.Ledger().Count("refund", "paid"); n != 0 {
		w.t.Errorf("the attacker has refunded the payment %d times", n)
	}
}

// A timer carries a command, and comes back to the service as one.
func TestAnOperatorsTimerIsRefusedAndRefundsNothing(t *testing.T) {
	t.Parallel()
	w, sim := attacked(t)
	nc := w.connect(operator())
	before := w.held()["PAYMENT_DUE"]
	err := w.objection(nc, func() error {
		return nc.PublishMsg(&nats.Msg{
			Subject: "payment.schedule.refund.opay-eg.paid.0", Data: []byte(refundOf), Header: nats.Header{
				"Nats-Schedule":        {"@at " + time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)},
				"Nats-Schedule-Target": {"payment.due.refund"},
			},
		})
	})
	if !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("the server says %v", err)
	}
	if after := w.held()["PAYMENT_DUE"]; after != before {
		t.Errorf("the timers were %s, and are %s", before, after)
	}
	w.nothingMoved(sim)
}
