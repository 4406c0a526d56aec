package e2e_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/desk/remote"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
)

// lostRefund has a partial refund's answer lost at Openpay, which cannot be
// asked about it: only a person can settle it.
func (w *world) lostRefund(transaction string, mode simulator.Mode) {
	w.t.Helper()
	if err := w.openpay.AddPayment(openpaysim.Payment{TransactionID: transaction, ReferenceNo: "ref-" + transaction, Amount: 40000, Currency: "EUR"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.openpay.Fault(simulator.Fault{Operation: "refund", Mode: mode, Times: 1}); err != nil {
		w.t.Fatal(err)
	}
	w.publish(command("c-"+transaction, "refund", map[string]any{
		"idempotencyKey": "return-1", "provider": "openpay-eu",
		"payment": map[string]any{"transactionId": transaction, "orderId": "ref-" + transaction},
		"amount":  map[string]any{"value": 400, "currency": "EUR"},
	}))
}

// operator is a client of the desk under a name that is only typed.
func (w *world) operator(name string) *remote.Client {
	w.t.Helper()
	nc, err := nats.Connect(w.server.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return remote.NewClient(nc, name)
}

// inQueue waits until so many operations need a person.
func (w *world) inQueue(c *remote.Client, n int) *desk.Queue {
	w.t.Helper()
	var q *desk.Queue
	w.poll("not in the queue", func() bool {
		var err error
		q, err = c.Queue(w.t.Context(), desk.Filter{})
		return err == nil && len(q.Items) == n
	})
	return q
}

// audits are the subjects of operators' actions, in order.
func (w *world) audits(action string) []*jetstream.RawStreamMsg {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), w.cfg.Streams.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for sequence := uint64(1); ; {
		m, err := s.GetMsg(w.t.Context(), sequence, jetstream.WithGetMsgSubject("payment.operator."+action+".*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		if err != nil {
			w.t.Fatal(err)
		}
		all, sequence = append(all, m), m.Sequence+1
	}
}

// rulingOn is a ruling on the one operation of a story.
func rulingOn(s *desk.Story, as desk.As) desk.Ruling {
	o := s.Operations[0]
	return desk.Ruling{
		Provider: s.Provider, Payment: s.Payment, Operation: o.Operation, Key: o.Key, Version: s.Version, Seen: s.Seen,
		As: as, Reason: "asked the provider", Evidence: "ticket 4711",
	}
}

func faultOf(err error) desk.Fault {
	var no *desk.Error
	if errors.As(err, &no) {
		return no.Fault
	}
	return ""
}

func TestARefundNobodyCanAskAboutIsSettledByAPersonOnceAmongTwoReplicas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Desk.SelfAsserted = true
	w.serve(nil)
	w.serve(nil)
	l := w.follow()
	w.lostRefund("529-1-2", simulator.CutAfter)
	alice, bob := w.operator("alice"), w.operator("bob.b@shop")
	q := w.inQueue(alice, 1)
	if i := q.Items[0]; i.AtRisk == nil || i.AtRisk.Value != 400 || i.Payment != "529-1-2" || i.Version == 0 {
		t.Fatalf("queue holds %+v", i)
	}
	id := payment.ID{Provider: "openpay-eu", Native: "529-1-2"}
	story, err := alice.Payment(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if o := story.Operations[0]; len(o.Attempts) != 1 || len(o.Attempts[0].Answers) == 0 || o.Review == nil || len(o.Choices) != 3 {
		t.Fatalf("story tells %+v", o)
	}
	reply, err := alice.Ask(t.Context(), id, payment.Refund, "return-1")
	if err != nil || reply.Clear || reply.Payment == nil {
		t.Fatalf("provider says %+v, %v", reply, err)
	}
	r := rulingOn(story, desk.AsSucceeded)
	r.Moved, r.ProviderReference = &payment.Money{Value: 400, Currency: "EUR"}, "rf-1"
	done, err := alice.Resolve(t.Context(), r)
	if err != nil || !done.Applied || done.Status != payment.StatusSucceeded {
		t.Fatalf("ruled: %+v, %v", done, err)
	}
	// The second resolver's view is stale, and is told so with the new state.
	_, err = bob.Resolve(t.Context(), r)
	var no *desk.Error
	if !errors.As(err, &no) || no.Fault != desk.FaultStale || no.Now == nil || no.Now.Operations[0].Status != payment.StatusSucceeded {
		t.Fatalf("the second resolver is told %v", err)
	}
	events := l.await(func(all []event) string { return lacking(all, 1) })
	var terminal []event
	for _, e := range events {
		if e.terminal() {
			terminal = append(terminal, e)
		}
	}
	if len(terminal) != 1 || terminal[0].Data.Moved == nil || terminal[0].Data.Moved.Value != 400 {
		t.Fatalf("terminal events %+v", terminal)
	}
	s, err := w.js.Stream(t.Context(), w.cfg.Streams.Events)
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.GetLastMsgForSubject(t.Context(), terminal[0].Subject)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(result.Data), `"resolvedBy":{"operator":"alice","reason":"asked the provider","evidence":"ticket 4711"}`) {
		t.Errorf("the result does not say who ruled: %s", result.Data)
	}
	audits := w.audits("resolve")
	if len(audits) != 1 || audits[0].Sequence >= result.Sequence || !strings.Contains(string(audits[0].Data), `"identity":"asserted"`) {
		t.Errorf("%d audit events; the first must lie before the result", len(audits))
	}
	if asks := w.audits("ask"); len(asks) != 1 {
		t.Errorf("%d questions recorded, want 1", len(asks))
	}
	w.inQueue(alice, 0)
}

// lacking says how many terminal events are missing.
func lacking(all []event, want int) string {
	n := 0
	for _, e := range all {
		if e.terminal() {
			n++
		}
	}
	if n < want {
		return "terminal events"
	}
	return ""
}

func TestARetryThatCouldPayTwiceNeedsTheAmountTypedOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Desk.SelfAsserted = true
	w.serve(nil)
	l := w.follow()
	w.lostRefund("529-1-3", simulator.CutBefore)
	alice := w.operator("alice")
	w.inQueue(alice, 1)
	story, err := alice.Payment(t.Context(), payment.ID{Provider: "openpay-eu", Native: "529-1-3"})
	if err != nil {
		t.Fatal(err)
	}
	r := rulingOn(story, desk.AsRetry)
	if _, err := alice.Resolve(t.Context(), r); faultOf(err) != desk.FaultRefused || !strings.Contains(err.Error(), "4.00 EUR") {
		t.Errorf("without the amount: %v", err)
	}
	r.ConfirmAmount = &payment.Money{Value: 40, Currency: "EUR"}
	if _, err := alice.Resolve(t.Context(), r); faultOf(err) != desk.FaultRefused {
		t.Errorf("with another amount: %v", err)
	}
	r.ConfirmAmount.Value = 400
	// On a busy machine the time to send may have passed: then the call is made a little later.
	done, err := alice.Resolve(t.Context(), r)
	if err != nil || done.Status != payment.StatusSucceeded && done.Status != payment.StatusDeferred {
		t.Errorf("with the amount: %+v, %v", done, err)
	}
	l.await(func(all []event) string { return lacking(all, 1) })
	if moved := w.openpay.Ledger().Movements("529-1-3"); len(moved) != 1 {
		t.Errorf("money moved %d times: %+v", len(moved), moved)
	}
}

func TestWithoutLoginANameThatIsOnlyTypedRulesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.serve(nil)
	c := w.operator("alice")
	w.poll("nobody answers", func() bool {
		_, err := c.Queue(t.Context(), desk.Filter{})
		return faultOf(err) == desk.FaultForbidden
	})
	_, err := c.Resolve(t.Context(), desk.Ruling{})
	if faultOf(err) != desk.FaultForbidden {
		t.Errorf("ruling: %v", err)
	}
}

func TestOfTwoOperatorsWhoRuleAtOnceOneIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.cfg.Desk.SelfAsserted = true
	w.serve(nil)
	w.serve(nil)
	l := w.follow()
	w.lostRefund("529-1-4", simulator.CutAfter)
	names := []string{"alice", "bob", "carol", "dana"}
	alice := w.operator(names[0])
	w.inQueue(alice, 1)
	story, err := alice.Payment(t.Context(), payment.ID{Provider: "openpay-eu", Native: "529-1-4"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, len(names))
	for _, name := range names {
		c, r := w.operator(name), rulingOn(story, desk.AsFailed)
		go func() {
			_, err := c.Resolve(t.Context(), r)
			ended <- err
		}()
	}
	accepted := 0
	for range names {
		switch err := <-ended; {
		case err == nil:
			accepted++
		case faultOf(err) != desk.FaultStale:
			t.Errorf("a rival is told %v", err)
		}
	}
	if accepted != 1 {
		t.Errorf("%d rulings were accepted, want 1", accepted)
	}
	terminal := 0
	for _, e := range l.await(func(all []event) string { return lacking(all, 1) }) {
		if e.terminal() {
			terminal++
		}
	}
	if terminal != 1 {
		t.Errorf("%d terminal results, want 1", terminal)
	}
}
