package tranzzo

import (
	"slices"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// entry is one listed operation, read.
type entry struct {
	operation
	state  state
	amount *payment.Money
}

// order is the listing of one order, sorted by what its operations do.
type order struct {
	primaries, captures, voids, refunds []entry
}

// readOrder reads a listing. It is false for one that must not be drawn
// conclusions from: an operation of another order or merchant, or of those that matter one
// with a status nobody documented, without the provider's name or with the name
// of another one, or one that moved or will move money without saying how much.
// Operations of methods not known here (tokens, look-ups) do not matter.
func readOrder(s Settings, r providers.Request, list []operation) (order, bool) {
	var o order
	seen := map[string]bool{}
	for _, op := range list {
		if !op.ours(s, r) {
			return order{}, false
		}
		kind := o.of(op)
		if kind == nil {
			continue
		}
		e, ok := readEntry(s, op)
		if !ok || (!op.primary() && (e.reference() == "" || seen[e.reference()])) {
			return order{}, false
		}
		seen[e.reference()] = true
		*kind = append(*kind, e)
	}
	return o, len(o.primaries) > 0
}

// of is where an operation belongs; nil: it does not matter.
func (o *order) of(op operation) *[]entry {
	switch op.Method {
	case methodPurchase, methodAuth:
		return &o.primaries
	case methodCapture:
		return &o.captures
	case methodVoid:
		return &o.voids
	case methodRefund:
		return &o.refunds
	default:
		return nil
	}
}

func readEntry(s Settings, op operation) (entry, bool) {
	e := entry{operation: op, state: s.state(op)}
	var ok bool
	e.amount, ok = money(op.Amount, op.Currency)
	mustSay := e.state != stateFailure && op.Method != methodVoid
	return e, ok && e.state != stateUnknown && (e.amount != nil || !mustSay)
}

// in returns the entries in one of the states.
func in(entries []entry, states ...state) []entry {
	return filter(entries, func(e entry) bool { return slices.Contains(states, e.state) })
}

func filter(entries []entry, keep func(entry) bool) []entry {
	var out []entry
	for _, e := range entries {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

// sum adds the amounts up; nil for none. False: in two currencies, or too much.
func sum(entries []entry) (*payment.Money, bool) {
	var total *payment.Money
	for _, e := range entries {
		if total == nil {
			m := *e.amount
			total = &m
			continue
		}
		next, err := total.Add(*e.amount)
		if err != nil {
			return nil, false
		}
		total = &next
	}
	return total, true
}

// captured are the entries that took money from the payer.
func (o order) captured() []entry {
	purchases := filter(o.primaries, func(e entry) bool { return e.Method == methodPurchase })
	return append(in(purchases, stateSuccess), in(o.captures, stateSuccess)...)
}

// reading is what the listing says of the payment. The first row that fits wins:
//
//	| A payment in | And                                        | Status                               |
//	|--------------|--------------------------------------------|--------------------------------------|
//	| success      | purchase or capture: all refunded          | refunded                             |
//	| success      | purchase or capture: a part refunded       | partially refunded                   |
//	| success      | purchase or capture                        | paid                                 |
//	| success      | auth: a void succeeded                     | cancelled                            |
//	| success      | auth: a void or capture under way          | pending                              |
//	| success      | auth                                       | authorized                           |
//	| pending      |                                            | pending                              |
//	| init         | hosted                                     | unpaid                               |
//	| init         | any other mode                             | pending: nothing can be called for it |
//	| failure      | code 6007                                  | cancelled                            |
//	| failure      | any other code                             | failed                               |
//
// Where a hosted page was used more than once, the best of its payments counts.
// A refund under way counts among the movements, not as refunded.
func (o order) reading(s Settings, at time.Time) (payment.Reading, bool) {
	captured, ok1 := sum(o.captured())
	refunded, ok2 := sum(in(o.refunds, stateSuccess))
	sameCurrency := captured == nil || refunded == nil || captured.Currency == refunded.Currency
	if !ok1 || !ok2 || !sameCurrency || (captured == nil && refunded != nil) {
		return payment.Reading{}, false
	}
	out := payment.Reading{OK: true, Captured: captured, Refunded: refunded, At: at}
	for _, e := range append(slices.Clone(o.refunds), o.voids...) {
		out.Movements = append(out.Movements, payment.Movement{Reference: e.reference(), Amount: e.amount})
	}
	switch {
	case captured == nil:
		out.Status = o.uncaptured(s)
	case refunded == nil:
		out.Status = payment.PaymentPaid
	case refunded.Value < captured.Value:
		out.Status = payment.PaymentPartiallyRefunded
	default:
		out.Status = payment.PaymentRefunded
	}
	return out, true
}

// uncaptured is the status of a payment that has taken no money.
func (o order) uncaptured(s Settings) payment.PaymentStatus {
	underWay := len(in(o.voids, stateInit, statePending)) > 0 || len(in(o.captures, stateInit, statePending)) > 0
	unopened := in(o.primaries, stateInit)
	switch {
	case len(in(o.primaries, stateSuccess)) > 0 && len(in(o.voids, stateSuccess)) > 0:
		return payment.PaymentCancelled
	case len(in(o.primaries, stateSuccess)) > 0 && underWay:
		return payment.PaymentPending
	case len(in(o.primaries, stateSuccess)) > 0:
		return payment.PaymentAuthorized
	case len(in(o.primaries, statePending)) > 0:
		return payment.PaymentPending
	case slices.ContainsFunc(unopened, func(e entry) bool { return e.Mode == modeHosted }):
		return payment.PaymentUnpaid
	case len(unopened) > 0:
		return payment.PaymentPending
	case o.closed(s):
		return payment.PaymentCancelled
	default:
		return payment.PaymentFailed
	}
}

// closed reports whether a payment of the order was cancelled unpaid.
func (o order) closed(s Settings) bool {
	return slices.ContainsFunc(in(o.primaries, stateFailure), func(e entry) bool { return s.cancelled(e.operation) })
}
