package handlers_test

import (
	"testing"

	"github.com/countermand/countermand/payment"
)

func tranzzoID() payment.ID { return payment.ID{Provider: "tranzzo-ua", Native: "o/1"} }

func TestACancelOfAPaidTranzzoOrderIsRejectedUnsent(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	b.seed(subject{id: tranzzoID(), op: payment.Refund})
	b.deliver(b.command(payment.Cancel, `{"idempotencyKey":"`+key+`","provider":"tranzzo-ua","payment":{"orderId":"o/1","currency":"UAH"}}`))
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
	b.seed(subject{id: tranzzoID(), op: payment.Refund})
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
