package reconcile

import (
	"slices"

	"github.com/countermand/countermand/payment"
)

// course is what the rows about one operation, or about none of ours, say together.
type course struct {
	// distinct are the rows without repetitions, in the order of time.
	distinct []Row
	// repeats are the rows that repeat an earlier one in every column.
	repeats []repeat
	// executed are the successes that still count, twice those among them that moved money
	// where money had been moved already, and back the returns that still count.
	executed, twice, back []Row
	// undone are successes that a later row of the same transaction has taken back.
	undone []Row
	// after are failed and pending rows behind the last success of their amount, where the
	// provider's reference does not tell whether they are about that or about another call.
	after []Row
}

// repeat is a row that is in a statement again.
type repeat struct{ first, again Row }

// follow reads rows in the order of time. Where the provider's reference names one
// movement, the newest row of a reference counts:
//
//	before \ then   succeeded           failed, pending   returned
//	nothing         executed            –                 back
//	failed          executed            –                 back
//	succeeded       executed, twice     undone            executed, back
//	returned        executed, if later  back              back
//
// A success counts as twice only if money moved in both. Rows of other transactions do not
// take each other back: of those, each success counts. Where the reference is the payment's
// no row takes another back: refunds and repeats share it. Each success and each return
// counts, and what says failed or pending behind the last success is told as after.
func follow(rows []Row, scope payment.ReferenceScope) course {
	var c course
	for _, r := range rows {
		if i := slices.IndexFunc(c.distinct, r.repeats); i >= 0 {
			c.repeats = append(c.repeats, repeat{c.distinct[i], r})
			continue
		}
		c.distinct = append(c.distinct, r)
		same := sameTransaction(rows, r, scope)
		switch r.Status {
		case RowSucceeded:
			before := len(c.back)
			c.back = slices.DeleteFunc(c.back, func(b Row) bool { return same(b) && b.ExecutedAt.Before(r.ExecutedAt) })
			if len(c.back) < before { // it was returned, and carried out again
				c.executed = slices.DeleteFunc(c.executed, same)
			}
			if r.moves() && slices.ContainsFunc(c.executed, Row.moves) {
				c.twice = append(c.twice, r)
			}
			c.executed = append(c.executed, r)
			c.after = slices.DeleteFunc(c.after, r.alike)
		case RowFailed, RowPending:
			for _, e := range c.executed {
				if same(e) {
					c.undone = append(c.undone, e)
				}
			}
			c.executed = slices.DeleteFunc(c.executed, same)
			if scope == payment.ReferenceOfPayment && slices.ContainsFunc(c.executed, r.alike) {
				c.after = append(c.after, r)
			}
		case RowReturned:
			c.back = append(c.back, r)
		default: // the reader lets no other status through
		}
	}
	return c
}

// moved are the rows that still count.
func (c course) moved() []Row { return slices.Concat(c.executed, c.back) }

// moves reports whether the row is about money. A cancel without an amount released a
// payment and moved nothing.
func (r Row) moves() bool { return r.Amount != nil }

// idle reports whether the row is a cancel that moved nothing.
func (r Row) idle() bool { return !r.Op.GivesBack() && !r.moves() }

// repeats reports whether two rows say the same in every column.
func (r Row) repeats(other Row) bool {
	return r.Reference == other.Reference && r.ProviderReference == other.ProviderReference && r.Op == other.Op &&
		r.Status == other.Status && r.ExecutedAt.Equal(other.ExecutedAt) && r.SameAmount(other)
}

// alike reports whether two rows are of one kind and one amount.
func (r Row) alike(other Row) bool { return r.Op == other.Op && r.SameAmount(other) }

// SameAmount reports whether two rows have one amount, or neither has any.
func (r Row) SameAmount(other Row) bool {
	return r.Amount == nil && other.Amount == nil || r.Amount != nil && other.Amount != nil && *r.Amount == *other.Amount
}

// sameTransaction returns what reports whether another of the rows is about the provider's
// transaction that r is about. A row without the provider's reference is about the only
// one that there is. Where our reference does not say that both are one operation, another
// amount is another transaction. Nothing is where the reference is the payment's.
func sameTransaction(rows []Row, r Row, scope payment.ReferenceScope) func(Row) bool {
	if scope == payment.ReferenceOfPayment {
		return func(Row) bool { return false }
	}
	only, several := "", false
	for _, other := range rows {
		several = several || only != "" && other.ProviderReference != "" && other.ProviderReference != only
		only = max(only, other.ProviderReference)
	}
	return func(other Row) bool {
		named := r.ProviderReference == other.ProviderReference || !several && (r.ProviderReference == "" || other.ProviderReference == "")
		return named && r.Op == other.Op && (r.Reference != "" && r.Reference == other.Reference || r.SameAmount(other))
	}
}
