package bento

import (
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// paymentStatus says what a transaction is in; false for a state nobody documented.
//
//	| State                                | Payment                             |
//	|--------------------------------------|-------------------------------------|
//	| Authorizing, Capturing               | pending                             |
//	| AuthSucceeded                        | authorized                          |
//	| AuthFailed, CaptureFailed            | failed                              |
//	| AuthExpired                          | expired                             |
//	| AuthVoided                           | cancelled                           |
//	| CaptureSucceeded, nothing refunded   | paid                                |
//	| CaptureSucceeded, something refunded | not refundable: the one refund is used up |
//	| Refunding, RefundFailed              | not refundable, likewise            |
//	| Refunded in part                     | not refundable, likewise            |
//	| Refunded, all of it                  | refunded                            |
func paymentStatus(t transaction) (payment.PaymentStatus, bool) {
	switch t.State {
	case stateAuthorizing, stateCapturing:
		return payment.PaymentPending, true
	case stateAuthSucceeded:
		return payment.PaymentAuthorized, true
	case stateAuthFailed, stateCaptureFailed:
		return payment.PaymentFailed, true
	case stateAuthExpired:
		return payment.PaymentExpired, true
	case stateAuthVoided:
		return payment.PaymentCancelled, true
	case stateCaptureSucceeded:
		if t.money(t.Refunded) != nil {
			return payment.PaymentNotRefundable, true
		}
		return payment.PaymentPaid, true
	case stateRefunding, stateRefundFailed:
		return payment.PaymentNotRefundable, true
	case stateRefunded:
		if captured := t.money(t.Captured); captured != nil && t.Refunded != nil && *t.Refunded >= captured.Value {
			return payment.PaymentRefunded, true
		}
		return payment.PaymentNotRefundable, true
	default:
		return payment.PaymentUnknown, false
	}
}

// reading is the transaction as the core keeps it.
func reading(t transaction, at time.Time) payment.Reading {
	out := payment.Reading{OK: true, Captured: t.money(t.Captured), Refunded: t.money(t.Refunded), At: at}
	out.Status, _ = paymentStatus(t)
	for _, e := range t.moves() {
		out.Movements = append(out.Movements, t.movement(e))
	}
	return out
}

// seen says what the transaction shows of the operation; false: nothing, so
// far. Nobody's identity is kept with a void or refund; that it is ours follows
// from what was there before the first attempt and from the amount.
//
//	| State                   | And                                   | Outcome                                  |
//	|-------------------------|---------------------------------------|------------------------------------------|
//	| AuthVoided              |                                       | succeeded, voided, also for a refund     |
//	| AuthExpired             | a cancel                              | succeeded, none, payment_expired         |
//	| AuthFailed, CaptureFailed | a cancel                            | succeeded, none, payment_failed          |
//	| Refund…                 | there was no reading before, or it showed a refund | ambiguous                   |
//	| RefundFailed            |                                       | failed, declined: no other can be sent   |
//	| Refunding, Refunded     | more than one new Refund succeeded    | ambiguous                                |
//	| Refunding               | how much was refunded is not said yet | pending                                  |
//	| Refunded                | how much was refunded is not said     | indeterminate                            |
//	| Refunding, Refunded     | another amount was refunded           | ambiguous                                |
//	| Refunding               |                                       | pending                                  |
//	| Refunded                |                                       | succeeded, refunded, also for a cancel   |
//	| any other               | a new Void or Refund succeeded, or something was refunded | pending: the state is behind |
//	| any other               |                                       | false                                    |
func seen(r providers.Request, t transaction) (payment.Outcome, bool) {
	none := func(code payment.Code) (payment.Outcome, bool) {
		return t.outcome(r, payment.Outcome{
			Result: payment.Succeeded, Effect: payment.EffectNone, Code: code, Message: "no money will be taken for the transaction",
		}), r.Op.EndsPayment()
	}
	switch t.State {
	case stateAuthVoided:
		return t.outcome(r, payment.Outcome{
			Result: payment.Succeeded, Effect: payment.EffectVoided, Message: "the transaction is voided",
		}), true
	case stateAuthExpired:
		return none(payment.CodePaymentExpired)
	case stateAuthFailed, stateCaptureFailed:
		return none(payment.CodePaymentFailed)
	case stateRefunding, stateRefunded, stateRefundFailed:
		return t.outcome(r, refundSeen(r, t)), true
	}
	if fresh := t.fresh(r); wasUntouched(r) && (t.money(t.Refunded) != nil || len(fresh) > 0 && fresh[len(fresh)-1].Result == resultSuccess) {
		return t.outcome(r, payment.Outcome{
			Result: payment.Pending, Message: "a void or refund is recorded, the state does not show it yet",
		}), true
	}
	return payment.Outcome{}, false
}

func refundSeen(r providers.Request, t transaction) payment.Outcome {
	moved, asked := t.money(t.Refunded), asked(r, t)
	switch {
	case !wasUntouched(r):
		return payment.Outcome{Result: payment.Ambiguous, Message: "the transaction has a refund; that it had none before the first attempt is not known"}
	case t.State == stateRefundFailed:
		return payment.Outcome{Result: payment.Failed, Code: payment.CodeDeclined, Message: "the refund failed; the provider takes no other"}
	case refunds(t.fresh(r)) > 1:
		return payment.Outcome{Result: payment.Ambiguous, Message: "the history shows more than one new refund"}
	case moved == nil && t.State == stateRefunding:
		return payment.Outcome{Result: payment.Pending, Message: "a refund is under way"}
	case moved == nil || asked == nil:
		return payment.Outcome{Code: payment.CodeOther, Message: "the transaction is refunded; by how much is not said"}
	case *moved != *asked:
		return payment.Outcome{Result: payment.Ambiguous, Message: "the transaction is refunded by another amount"}
	case t.State == stateRefunding:
		return payment.Outcome{Result: payment.Pending, Message: "a refund of this amount is under way"}
	default:
		return payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: moved, Message: "the transaction is refunded by this amount"}
	}
}

// asked is what the operation refunds, if it refunds: a cancel that met a
// capture and a full refund give back all that was captured.
func asked(r providers.Request, t transaction) *payment.Money {
	if r.Partial() {
		return r.Amount
	}
	return t.money(t.Captured)
}

// wasUntouched reports whether the reading from before the first attempt shows
// a transaction that nobody had refunded.
func wasUntouched(r providers.Request) bool {
	s := r.Snapshot
	return s != nil && s.OK && s.Refunded == nil &&
		(s.Status == payment.PaymentPaid || s.Status == payment.PaymentAuthorized)
}

func refunds(entries []entry) int {
	n := 0
	for _, e := range entries {
		if e.Action == actionRefund && e.Result == resultSuccess {
			n++
		}
	}
	return n
}

// compare says what became of the operation: what the transaction shows of it,
// else not found. A yes that moved or released money is inferred.
func compare(r providers.Request, t transaction) payment.Outcome {
	o, ok := seen(r, t)
	if !ok {
		return t.outcome(r, payment.Outcome{Result: payment.NotFound, Message: "the transaction shows nothing of the operation"})
	}
	if o.Result == payment.Succeeded && o.Effect != payment.EffectNone {
		o.Basis = payment.BasisInferred
	}
	return o
}
