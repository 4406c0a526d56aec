package roles_test

import (
	"encoding/json"
	"errors"
	"strings"
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
	sim, paysAt := simulated(t)
	if err := sim.AddPayment(opaysim.Payment{Reference: "paid", Country: "EG", Amount: 40000, Currency: "EGP", Status: "SUCCESS"}); err != nil {
		t.Fatal(err)
	}
	w.serve(w.serviceConfig(w.server.ClientURL(), paysAt))
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

// A stream that publishes anew what lies on a subject an operator may publish to: its
// next request to the desk is a command.
func TestAnOperatorsStreamIsRefusedAndItsRequestsAreNoCommands(t *testing.T) {
	t.Parallel()
	w, sim := attacked(t)
	nc := w.connect(operator())
	for _, api := range []string{"$JS.API.", "$JS.payments.API."} {
		if _, answered := w.request(nc, api+"STREAM.CREATE.EVIL", map[string]any{
			"name": "EVIL", "subjects": []string{"payments.desk.queue.operator"}, "retention": "limits", "storage": "file", "discard": "old",
			"republish": map[string]string{"src": ">", "dest": "payment.refund.requested.opay-eg"},
		}); answered {
			t.Errorf("%sSTREAM.CREATE.EVIL is answered", api)
		}
	}
	if err := nc.Publish("payments.desk.queue.operator", []byte(refundOf)); err != nil {
		t.Fatal(err)
	}
	// Nor does an answer of the desk lie where a command could.
	w.forge(operator(), "payments.desk.queue.operator", refundOf)
	w.nothingMoved(sim)
	if n := w.stored("PAYMENT_COMMANDS"); n != 1 {
		t.Errorf("%d commands are stored, want the honest one", n)
	}
}

// Attack 3: the journal lives for 200 ms and back, and an honest repeat is paid twice.
func TestAnOperatorErasesNothingAndARepeatIsNotPaidTwice(t *testing.T) {
	t.Parallel()
	w, sim := attacked(t)
	order := w.stream(ordersEG())
	honest := strings.ReplaceAll(refundOf, "40000", "400")
	publish := func(event string) {
		if _, err := order.Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte(strings.Replace(honest, "e-attack", event, 1))); err != nil {
			t.Fatal(err)
		}
	}
	publish("e-first")
	w.await("payment.refund.succeeded.opay-eg.paid.*")
	before := w.held()["PAYMENT_EVENTS"]
	s, err := w.stream(observer()).Stream(w.ctx(), "PAYMENT_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	short := s.CachedInfo().Config
	short.MaxAge = 200 * time.Millisecond
	nc := w.connect(operator())
	for _, api := range []string{"$JS.API.", "$JS.payments.API."} {
		for _, verb := range []string{"UPDATE", "PURGE", "DELETE"} {
			if _, answered := w.request(nc, api+"STREAM."+verb+".PAYMENT_EVENTS", short); answered {
				t.Errorf("%sSTREAM.%s.PAYMENT_EVENTS is answered", api, verb)
			}
		}
	}
	if after := w.held()["PAYMENT_EVENTS"]; after != before {
		t.Errorf("the journal was %s, and is %s", before, after)
	}
	publish("e-repeat")
	if err := sim.AddPayment(opaysim.Payment{Reference: "honest", Country: "EG", Amount: 40000, Currency: "EGP", Status: "SUCCESS"}); err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer(`"paid"`, `"honest"`, "e-attack", "e-other").Replace(honest)
	if _, err := order.Publish(w.ctx(), "payment.refund.requested.opay-eg", []byte(other)); err != nil {
		t.Fatal(err)
	}
	w.await("payment.refund.succeeded.opay-eg.honest.*")
	if n := sim.Ledger().Count("refund", "paid"); n != 1 {
		t.Errorf("the payment was refunded %d times", n)
	}
}

// The import of people is shared: the server says whose login asks, and an operator
// cannot say it in its place.
func TestTheServerTellsTheServiceWhoseLoginAsks(t *testing.T) {
	t.Parallel()
	dir := layout(t)
	for name, as := range logins(t, dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, dir, as)
			serving := w.connect(consumer())
			service, err := serving.SubscribeSync("payments.control.*.*")
			if err != nil {
				t.Fatal(err)
			}
			if err := serving.Flush(); err != nil { // the operator asks over another connection
				t.Fatal(err)
			}
			if err := service.SetPendingLimits(-1, -1); err != nil {
				t.Fatal(err)
			}
			nc := w.connect(operator())
			forged := &nats.Msg{
				Subject: "payments.control.pause.operator", Reply: nc.NewInbox(), Data: []byte("{}"),
				Header: nats.Header{"Nats-Request-Info": {`{"acc":"PEOPLE","user":"alice"}`}},
			}
			if err := nc.PublishMsg(forged); err != nil {
				t.Fatal(err)
			}
			m, err := service.NextMsgWithContext(w.ctx())
			if err != nil {
				t.Fatal(err)
			}
			var who struct {
				Account string `json:"acc"`
				User    string `json:"user"`
			}
			said := m.Header.Values("Nats-Request-Info")
			if len(said) != 1 {
				t.Fatalf("the server says %d times who asks", len(said))
			}
			if err := json.Unmarshal([]byte(said[0]), &who); err != nil || who.Account == "" || who.User == "alice" || !strings.HasPrefix(m.Reply, "_R_.") {
				t.Errorf("the server says account %q, user %q; the answer goes to %s; %v", who.Account, who.User, m.Reply, err)
			}
		})
	}
}
