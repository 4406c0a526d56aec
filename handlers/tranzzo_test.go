package handlers_test

import (
	"fmt"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

const (
	tranzzoData = `{"idempotencyKey":"` + key + `","provider":"tranzzo-ua","payment":{"orderId":"o/1","currency":"UAH"}%s}`
	tranzzoVoid = "tranzzo void"
)

func tranzzoID() payment.ID { return payment.ID{Provider: "tranzzo-ua", Native: "o/1"} }

// tranzzoSubjects are Tranzzo's rows of the lost-answer matrix. Its listing
// shows a partial refund that was made, never that none will be.
func tranzzoSubjects() []subject {
	id, data := tranzzoID(), tranzzoData
	return []subject{
		{name: "tranzzo refund full", op: payment.Refund, id: id, data: fmt.Sprintf(data, `,"full":true`), movesMoney: true},
		{name: "tranzzo refund partial", op: payment.Refund, id: id, data: fmt.Sprintf(data, `,"amount":{"value":450,"currency":"UAH"}`), movesMoney: true, knowsOnlyYes: true},
		{name: "tranzzo cancel", op: payment.Cancel, id: id, data: fmt.Sprintf(data, "")},
		{name: tranzzoVoid, op: payment.Cancel, id: id, data: fmt.Sprintf(data, "")},
	}
}

// addTranzzo adds an instance of Tranzzo in front of its simulator.
func (s *setup) addTranzzo(client *providers.Client, policy payment.Policy) {
	s.t.Helper()
	s.tranzzo = tranzzosim.New(tranzzosim.Options{Now: s.clock.Now})
	p, err := tranzzo.New(tranzzo.Settings{
		BaseURL: serve(s.t, s.tranzzo, s.tranzzo.Base), PosID: tranzzosim.DefaultPosID,
		EndpointsKey: providers.NewSecret(tranzzosim.DefaultEndpointsKey),
		APIKey:       providers.NewSecret(tranzzosim.DefaultAPIKey), APISecret: providers.NewSecret(tranzzosim.DefaultAPISecret),
	}, client)
	if err != nil {
		s.t.Fatal(err)
	}
	s.instances = append(s.instances, providers.Instance{
		Name: "tranzzo-ua", Kind: "tranzzo", Account: p.Account(), Provider: p, Policy: policy, MaxConcurrent: 8,
	})
}

// seedTranzzo seeds the subject's order: a cancel wants one that is unpaid, a
// void one that is authorised.
func (s *setup) seedTranzzo(row subject) *simulator.Base {
	s.t.Helper()
	p := tranzzosim.Payment{OrderID: row.id.Native, Amount: 40000, Currency: "UAH"}
	switch {
	case row.name == tranzzoVoid:
		p.Method = "auth"
	case row.op == payment.Cancel:
		p.Status = "init"
	}
	if err := s.tranzzo.AddPayment(p); err != nil {
		s.t.Fatal(err)
	}
	return s.tranzzo.Base
}

func TestACancelOfAPaidTranzzoOrderIsRejectedUnsent(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	b.seedTranzzo(subject{id: tranzzoID(), op: payment.Refund})
	b.deliver(b.command(payment.Cancel, fmt.Sprintf(tranzzoData, "")))
	op := b.operation(tranzzoID(), payment.Cancel, key)
	if op.Status != payment.StatusRejected || op.Code != payment.CodePaymentAlreadyPaid {
		t.Errorf("ended %s (%s)", op.Status, op.Code)
	}
	for _, c := range b.tranzzo.Calls() {
		if c.Operation != "query" {
			t.Errorf("a %s was sent", c.Operation)
		}
	}
}

func TestAnAmountTranzzoCannotWriteEndsUnsent(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	b.seedTranzzo(subject{id: tranzzoID(), op: payment.Refund})
	b.deliver(b.command(payment.Refund, `{"idempotencyKey":"`+key+`","provider":"tranzzo-ua","payment":{"orderId":"o/1","currency":"KWD"},"amount":{"value":450,"currency":"KWD"}}`))
	b.drive(func() bool { return b.operation(tranzzoID(), payment.Refund, key).Status.Terminal() })
	op := b.operation(tranzzoID(), payment.Refund, key)
	if op.Status != payment.StatusRejected && op.Status != payment.StatusFailed {
		t.Errorf("ended %s (%s)", op.Status, op.Code)
	}
	if n := b.tranzzo.Ledger().Count("", ""); n != 0 {
		t.Errorf("%d executions", n)
	}
}
