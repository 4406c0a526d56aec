package tranzzo

import (
	"slices"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// frozenCall is the call a cancel makes, decided by the reading from before the
// first attempt and by nothing later: a repeat must not become another call.
func frozenCall(r providers.Request) (call, bool) {
	if r.Snapshot == nil || !r.Snapshot.OK {
		return 0, false
	}
	switch r.Snapshot.Status {
	case payment.PaymentUnpaid:
		return callCancel, true
	case payment.PaymentAuthorized:
		return callVoid, true
	default:
		return 0, false
	}
}

// fresh returns the entries that were not listed before the first attempt.
func fresh(r providers.Request, entries []entry) []entry {
	if r.Snapshot == nil {
		return entries
	}
	return filter(entries, func(e entry) bool {
		return !slices.ContainsFunc(r.Snapshot.Movements, func(m payment.Movement) bool { return m.Reference == e.reference() })
	})
}

// marked returns the entries that carry our key, and whether the listing shows
// comments at all: then an entry without our key is not ours.
func marked(r providers.Request, all, fresh []entry) (ours []entry, shown bool) {
	shown = slices.ContainsFunc(all, func(e entry) bool { return e.Comment != "" })
	return filter(fresh, func(e entry) bool { return e.Comment != "" && string(e.Comment) == string(r.Key) }), shown
}

// attempts is how many calls of the operation may have left since the snapshot,
// at the most. Without doubt about an earlier one it is the last alone, and a
// partial refund in doubt is never repeated. Else every attempt is counted, also
// those of which it is known that they did not leave: too many asks a person,
// too few would call an operation failed that may run yet.
func attempts(r providers.Request) int {
	if !r.InDoubt || r.Partial() {
		return 1
	}
	return max(r.Attempt, 1)
}

// compareRefund says what became of a refund, by the refunds listed now and the
// snapshot from before the first attempt. The first row that fits wins; "new"
// is what the snapshot does not hold, "of this amount" for a full refund what
// was left then.
//
//	| Listed                                                   | Outcome                              |
//	|----------------------------------------------------------|--------------------------------------|
//	| new ones with our key, two of them not failed            | ambiguous                            |
//	| new ones with our key, one not failed, not of this amount | ambiguous                           |
//	| new ones with our key, one not failed                    | succeeded or pending, basis query    |
//	| new ones with our key, as many failed as calls may have left | failed, basis query              |
//	| new ones with our key, fewer failed                      | not found: another may run yet       |
//	| comments, none of them new and with our key              | not found                            |
//	| no comments; no snapshot, and any refund                 | ambiguous                            |
//	| no new one, or none of this amount                       | not found                            |
//	| two new ones of this amount, not both failed             | ambiguous                            |
//	| a full refund, and two new ones of any amount not failed | ambiguous                            |
//	| one of this amount, not failed                           | succeeded or pending, basis inferred |
//	| one of this amount, failed, nothing else new, one call left | failed, basis inferred            |
//	| anything else                                            | not found                            |
func compareRefund(s Settings, r providers.Request, o order) payment.Outcome {
	added := fresh(r, o.refunds)
	ours, shown := marked(r, o.refunds, added)
	switch {
	case len(ours) > 0:
		return markedRefund(s, r, ours)
	case shown:
		return notFound("no new refund carries our key")
	case len(added) > 0 && (r.Snapshot == nil || !r.Snapshot.OK):
		return ambiguous("the order has refunds; which of them are new is not known")
	default:
		return inferRefund(s, r, added)
	}
}

// markedRefund reads the new refunds that carry our key.
func markedRefund(s Settings, r providers.Request, ours []entry) payment.Outcome {
	live := in(ours, stateInit, statePending, stateSuccess)
	switch {
	case len(live) > 1:
		return ambiguous("more than one new refund carries our key")
	case len(live) == 1 && !r.Full && !ofAmount(live[0], r.Amount):
		return ambiguous("a new refund carries our key, and another amount")
	case len(live) == 1:
		return refundOutcome(s, live[0])
	case len(ours) < attempts(r):
		return notFound("a refund with our key failed; another attempt may run yet")
	default:
		return refundOutcome(s, ours[len(ours)-1])
	}
}

// inferRefund looks for one new refund that can only be ours.
func inferRefund(s Settings, r providers.Request, added []entry) payment.Outcome {
	asked := r.Amount
	if r.Full {
		asked = left(r)
	}
	fitting := filter(added, func(e entry) bool { return ofAmount(e, asked) || (r.Full && asked == nil) })
	live := in(added, stateInit, statePending, stateSuccess)
	switch {
	case r.Full && len(live) > 1:
		return ambiguous("more than one new refund is listed")
	case len(fitting) > 1 && len(in(fitting, stateInit, statePending, stateSuccess)) > 0:
		return ambiguous("more than one new refund of this amount is listed")
	case len(fitting) != 1:
		return notFound("no new refund of this amount is listed")
	case fitting[0].state == stateFailure && (len(added) > 1 || attempts(r) > 1):
		return notFound("a new refund of this amount failed; that it is the only one of ours is not said")
	}
	out := refundOutcome(s, fitting[0])
	out.Basis = payment.BasisInferred
	return out
}

// left is what could be refunded before the first attempt; nil: not known.
func left(r providers.Request) *payment.Money {
	if r.Snapshot == nil || r.Snapshot.Captured == nil {
		return nil
	}
	if r.Snapshot.Refunded == nil {
		return r.Snapshot.Captured
	}
	m, err := r.Snapshot.Captured.Sub(*r.Snapshot.Refunded)
	if err != nil {
		return nil
	}
	return &m
}

func ofAmount(e entry, m *payment.Money) bool { return e.amount != nil && m != nil && *e.amount == *m }

// refundOutcome is what the entry of our refund says.
func refundOutcome(s Settings, e entry) payment.Outcome {
	switch e.state {
	case stateSuccess:
		return e.outcome(payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectRefunded, Moved: e.amount, Message: "the listing shows the refund"})
	case stateFailure:
		return e.outcome(payment.Outcome{Result: payment.Failed, Code: failureCode(s, e.operation), Message: "the listing shows the refund as failed"})
	default:
		return e.outcome(payment.Outcome{Result: payment.Pending, Message: "the listing shows the refund as under way"})
	}
}

// compareCancel says what became of a cancel, by what the payment is in now and
// by the call it made (see frozenCall). The first row that fits wins:
//
//	| Payment now                  | Call   | And                              | Outcome                                |
//	|------------------------------|--------|----------------------------------|----------------------------------------|
//	| took money, and has a new void | any  | not failed                       | ambiguous                              |
//	| took money                   | any    |                                  | failed, payment_already_paid           |
//	| cancelled unpaid             | cancel |                                  | succeeded, closed                      |
//	| cancelled by a void          | void   | the void is new, with our key    | succeeded, voided                      |
//	| cancelled by a void          | void   | the void is new, no comments     | succeeded, voided, basis inferred      |
//	| cancelled in any other way   | any    |                                  | succeeded, none: already_cancelled     |
//	| failed                       | any    |                                  | succeeded, none: payment_failed        |
//	| a new void under way         | void   |                                  | pending                                |
//	| authorised                   | cancel | only an unpaid one can be cancelled | failed, payment_not_cancellable     |
//	| authorised                   | void   | ours failed, as many as may have left | failed                            |
//	| anything else                | any    |                                  | not found                              |
//
// "Failed" here is final: Tranzzo cancels nothing that was paid or authorised,
// and voids nothing that was captured, however late the call runs.
func compareCancel(s Settings, r providers.Request, o order, now payment.Reading) payment.Outcome {
	c, known := frozenCall(r)
	voids := fresh(r, o.voids)
	live := in(voids, stateInit, statePending, stateSuccess)
	switch {
	case now.Captured != nil && len(live) > 0:
		return ambiguous("the payment took money, and a void of it is listed")
	case now.Captured != nil:
		return payment.Outcome{Result: payment.Failed, Code: payment.CodePaymentAlreadyPaid, Message: "the payment is paid"}
	case now.Status == payment.PaymentCancelled:
		return cancelled(r, o, voids)
	case now.Status == payment.PaymentFailed:
		return payment.Outcome{
			Result: payment.Succeeded, Effect: payment.EffectNone, Code: payment.CodePaymentFailed, Message: "the payment failed by itself",
		}
	case known && c == callVoid && len(live) == 1:
		return live[0].outcome(payment.Outcome{Result: payment.Pending, Message: "the listing shows a void as under way"})
	case now.Status == payment.PaymentAuthorized && known && c == callCancel:
		return payment.Outcome{
			Result: payment.Failed, Code: payment.CodePaymentNotCancellable, Message: "the payment was authorised before it was cancelled",
		}
	case now.Status == payment.PaymentAuthorized && known:
		return failedVoid(s, r, o, voids)
	default:
		return notFound("the payment is not cancelled")
	}
}

// cancelled tells our cancel from one that somebody else made.
func cancelled(r providers.Request, o order, voids []entry) payment.Outcome {
	c, known := frozenCall(r)
	done := in(voids, stateSuccess)
	ours, shown := marked(r, o.voids, done)
	voided := payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectVoided, Message: "the listing shows the void"}
	switch {
	case known && c == callCancel && len(in(o.voids, stateSuccess)) == 0:
		return payment.Outcome{Result: payment.Succeeded, Effect: payment.EffectClosed, Message: "the payment is cancelled"}
	case known && c == callVoid && len(ours) > 0:
		return ours[0].outcome(voided)
	case known && c == callVoid && len(done) > 0 && !shown:
		voided.Basis = payment.BasisInferred
		return done[0].outcome(voided)
	default:
		return payment.Outcome{
			Result: payment.Succeeded, Effect: payment.EffectNone, Code: payment.CodeAlreadyCancelled, Message: "the payment is cancelled, not by this operation",
		}
	}
}

// failedVoid: the payment is still authorised. Our void has failed if the
// listing shows as many failed ones as may have left.
func failedVoid(s Settings, r providers.Request, o order, voids []entry) payment.Outcome {
	ours, shown := marked(r, o.voids, voids)
	inferred := !shown && len(voids) == 1
	if inferred {
		ours = voids
	}
	if len(ours) < attempts(r) {
		return notFound("the listing shows no void")
	}
	last := ours[len(ours)-1]
	out := last.outcome(payment.Outcome{Result: payment.Failed, Code: failureCode(s, last.operation), Message: "the listing shows the void as failed"})
	if inferred {
		out.Basis = payment.BasisInferred
	}
	return out
}

func notFound(message string) payment.Outcome {
	return payment.Outcome{Result: payment.NotFound, Message: message}
}

func ambiguous(message string) payment.Outcome {
	return payment.Outcome{Result: payment.Ambiguous, Message: message}
}
