package handlers_test

import (
	"fmt"
	"testing"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/simulator"
)

// addBento adds an instance of Bento in front of its simulator.
func (s *setup) addBento(client *providers.Client, policy payment.Policy) {
	s.t.Helper()
	s.bento = bentosim.New(bentosim.Options{Now: s.clock.Now, SettleAfter: 1})
	s.bases["bento-uk"] = s.bento.Base
	url := s.serve(s.bento, s.bento.Base)
	p, err := bento.New(bento.Settings{
		BaseURL: url, Account: "shop-uk", TokenURL: url + bentosim.TokenPath,
		ClientID: bentosim.DefaultClientID, ClientSecret: providers.NewSecret(bentosim.DefaultClientSecret),
	}, client)
	if err != nil {
		s.t.Fatal(err)
	}
	s.instances = append(s.instances, providers.Instance{
		Name: "bento-uk", Kind: "bento", Account: p.Account(), Provider: p, Policy: policy, MaxConcurrent: 8,
	})
}

// atBento seeds tx_1 in a state and returns the setup.
func atBento(t *testing.T, state string) *setup {
	t.Helper()
	b := newSetup(t)
	err := b.bento.AddPayment(bentosim.Payment{OrderID: "or_1", TransactionID: "tx_1", Amount: 40000, Currency: "GBP", State: state})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// play delivers one command for tx_1 and follows it to its end or a review.
func (s *setup) play(op payment.Op, k payment.Key, more string) payment.Operation {
	s.t.Helper()
	id := payment.ID{Provider: "bento-uk", Native: "tx_1"}
	s.deliver(s.command(op, fmt.Sprintf(`{"idempotencyKey":%q,"provider":"bento-uk","payment":{"transactionId":"tx_1","orderId":"or_1"}%s}`, k, more)))
	s.drive(func() bool {
		o := s.operation(id, op, k)
		return o.Status.Terminal() || (o.Open != nil && o.Open.Review != nil)
	})
	return s.operation(id, op, k)
}

// bentoCalls counts the calls that void or refund.
func (s *setup) bentoCalls() int {
	n := 0
	for _, c := range s.bento.Calls() {
		if c.Operation == "cancel" || c.Operation == "refund" {
			n++
		}
	}
	return n
}

const four = `,"amount":{"value":400,"currency":"GBP"}`

func TestBentosOneRefundIsNeverAskedForTwice(t *testing.T) {
	t.Parallel()
	b := atBento(t, "CaptureSucceeded")
	if op := b.play(payment.Refund, "first", four); op.Status != payment.StatusSucceeded || op.Moved == nil || op.Moved.Value != 400 {
		t.Fatalf("first: %+v", op)
	}
	if op := b.play(payment.Refund, "second", four); op.Status != payment.StatusRejected || op.Code != payment.CodePaymentNotRefundable {
		t.Errorf("second: %s %s", op.Status, op.Code)
	}
	if b.bentoCalls() != 1 || b.bento.Ledger().Total("")["GBP"] != 400 {
		t.Errorf("%d calls, %v moved", b.bentoCalls(), b.bento.Ledger().Total(""))
	}
}

func TestWhatBentosStateForbidsIsRejectedUnsent(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		state string
		op    payment.Op
		more  string
		code  payment.Code
	}{
		{"CaptureSucceeded", payment.Cancel, "", payment.CodePaymentAlreadyPaid},
		{"Refunding", payment.Cancel, "", payment.CodePaymentAlreadyPaid},
		{"Capturing", payment.Cancel, "", payment.CodePaymentPending},
		{"AuthSucceeded", payment.Refund, four, payment.CodePaymentNotRefundable},
		{"AuthSucceeded", payment.Refund, `,"full":true`, payment.CodePaymentNotRefundable},
		{"RefundFailed", payment.Refund, four, payment.CodePaymentNotRefundable},
		{"Refunded", payment.Refund, four, payment.CodeAlreadyRefunded},
		{"AuthVoided", payment.Refund, four, payment.CodePaymentCancelled},
	} {
		b := atBento(t, row.state)
		if op := b.play(row.op, "k", row.more); op.Status != payment.StatusRejected || op.Code != row.code || b.bentoCalls() != 0 {
			t.Errorf("%s of %s: %s %s after %d calls, want rejected %s", row.op, row.state, op.Status, op.Code, b.bentoCalls(), row.code)
		}
	}
}

func TestACancelThatMeetsACaptureAtBentoEndsAsTheRefundItBecame(t *testing.T) {
	t.Parallel()
	b := atBento(t, "AuthSucceeded")
	if err := b.bento.Fault(simulator.Fault{Operation: "cancel", Mode: bentosim.CaptureFirst, Times: 1}); err != nil {
		t.Fatal(err)
	}
	op := b.play(payment.Cancel, "k", "")
	if op.Status != payment.StatusSucceeded || op.Effect != payment.EffectRefunded || op.Moved == nil || op.Moved.Value != 40000 {
		t.Errorf("got %+v", op)
	}
}

// A cancel whose call was lost and whose transaction is captured meanwhile is a
// person's: the provider does not show it, and a repeat would refund everything.
func TestALostCancelAtBentoIsNotRepeatedOnceCaptured(t *testing.T) {
	t.Parallel()
	b := atBento(t, "AuthSucceeded")
	if err := b.bento.Fault(simulator.Fault{Operation: "cancel", Mode: simulator.CutBefore, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.bento.OnChange(func() {
		if b.bentoCalls() == 1 { // the fault has struck
			_ = b.bento.Capture("tx_1") // refused from the second time on
		}
	})
	op := b.play(payment.Cancel, "k", "")
	if op.Open == nil || op.Open.Review == nil || b.bentoCalls() != 1 || len(b.bento.Ledger().Movements("")) != 0 {
		t.Errorf("%s after %d calls, %v moved", op.Status, b.bentoCalls(), b.bento.Ledger().Movements(""))
	}
}

func TestATokenRevokedAtBentoCostsAnAttemptAndNoMoney(t *testing.T) {
	t.Parallel()
	b := atBento(t, "CaptureSucceeded")
	reads := 0
	b.bento.OnChange(func() { // after the preparing read, before the call
		if reads++; reads == 2 {
			b.bento.RevokeTokens()
		}
	})
	op := b.play(payment.Refund, "k", four)
	if op.Status != payment.StatusSucceeded || op.Attempt != 2 || b.bentoCalls() != 2 || b.bento.Ledger().Total("")["GBP"] != 400 {
		t.Errorf("%s after attempt %d and %d calls, %v moved", op.Status, op.Attempt, b.bentoCalls(), b.bento.Ledger().Total(""))
	}
}
