package reconcile

import (
	"slices"

	"github.com/countermand/countermand/payment"
)

// Standing is what a movement in a statement means for a journal that has lost
// something.
type Standing string

// The standings.
const (
	// MovementSettles: it carries our own reference, and the operation of that reference is
	// open: it has happened.
	MovementSettles Standing = "settles"
	// MovementBooked: the journal tells of it.
	MovementBooked Standing = "booked"
	// MovementUnclaimed: it carries a reference, and no operation in the journal has that.
	MovementUnclaimed Standing = "unclaimed"
	// MovementUnexplained: no operation explains it.
	MovementUnexplained Standing = "unexplained"
	// MovementContradicts: the journal says that its operation was not executed.
	MovementContradicts Standing = "contradicts"
	// MovementDoubtful: it is about an open operation and does not settle it. It has another
	// amount or was made more than once, it came back, or only the provider's
	// reference names the operation.
	MovementDoubtful Standing = "doubtful"
	// MovementRepeated: the row repeats another in every column, so it is no movement.
	MovementRepeated Standing = "repeated"
)

// Movement is one movement of a statement, and where it stands.
type Movement struct {
	Standing Standing `json:"standing"`
	Row      Row      `json:"row"`
	// Operation is ours; nil where none is known.
	Operation *Operation `json:"operation,omitempty"`
}

// Explain says what the rows that name one reference mean for the operations that do. The
// rows are in the order of time.
// ours: it is our own reference. An operation is settled by that alone, never by a
// movement of its amount. Which of several rows counts, follow says by what the provider's
// references name. Rows of which no money moved, and successes that a later row took back,
// say nothing.
//
//	operations under the reference  and the rows                             then
//	none                            our reference                            MovementUnclaimed
//	none                            the provider's alone                     MovementUnexplained
//	executed, returned              one, or as many as operations            MovementBooked
//	executed                        more                                     MovementUnexplained
//	cancelled, no money moved       a row of money                           MovementUnexplained
//	refunded, refund not executed   a cancel without an amount               MovementUnexplained
//	not executed                    any                                      MovementContradicts
//	open                            one success of its kind and amount,
//	                                our reference                            MovementSettles
//	open                            else                                     MovementDoubtful
//	open                            a failed or pending one behind it, and
//	                                the reference is the payment's           MovementDoubtful
//	any                             equal in every column to one before      MovementRepeated
func Explain(ours bool, operations []Operation, rows []Row, references payment.ReferenceScope) []Movement {
	claims := make([]Claim, 0, len(operations))
	for _, o := range operations {
		claims = append(claims, Claim{Operation: o})
	}
	unmatched := MovementUnexplained
	if ours && len(operations) == 0 {
		unmatched = MovementUnclaimed
	}
	var all []Movement
	strays := follow(Match(claims, rows, ours, references), references)
	for _, r := range strays.moved() {
		all = append(all, Movement{Standing: unmatched, Row: r})
	}
	all = append(all, strays.repeated(nil)...)
	for i := range claims {
		c, course := &claims[i], follow(claims[i].Rows, references)
		c.Rows = course.moved()
		for n, r := range c.Rows {
			all = append(all, Movement{c.standing(ours && len(operations) == 1 && len(course.after) == 0, n), r, &c.Operation})
		}
		all = append(all, course.repeated(&c.Operation)...)
	}
	return all
}

func (c course) repeated(o *Operation) []Movement {
	var all []Movement
	for _, r := range c.repeats {
		all = append(all, Movement{MovementRepeated, r.again, o})
	}
	return all
}

// standing is where the row at n of a claim stands.
func (c Claim) standing(sure bool, n int) Standing {
	o, r := c.Operation, c.Rows[n]
	switch b := o.book(); {
	case b != bookOpen && o.unlike(r), b == bookExecuted && !o.givesBack() && r.moves():
		return MovementUnexplained
	case b == bookNotExecuted:
		return MovementContradicts
	case b != bookOpen && r.moves() && slices.ContainsFunc(c.Rows[:n], Row.moves):
		return MovementUnexplained
	case b != bookOpen:
		return MovementBooked
	case sure && len(c.Rows) == 1 && r.Status == RowSucceeded && r.Op == o.Op && Fits(o.Op, o.Amount, o.Full, r.Amount):
		return MovementSettles
	default:
		return MovementDoubtful
	}
}

// Fits reports whether an open operation can have moved an amount: what was asked,
// or any for a full refund that names none. A cancel that moved money has become
// something else, and a person says what.
func Fits(op payment.Op, asked *payment.Money, full bool, moved *payment.Money) bool {
	if !op.GivesBack() {
		return moved == nil
	}
	return moved != nil && (asked == nil && full || asked != nil && *asked == *moved)
}
