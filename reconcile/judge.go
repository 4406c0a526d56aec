package reconcile

import (
	"slices"

	"github.com/countermand/countermand/payment"
)

// Judge compares one operation with the rows of the statement that are about it.
//
//	ours \ rows      none          failed or pending   one succeeded          more succeeded   returned
//	executed         not_executed  not_executed        (amount_differs)       moved_twice      returned
//	not executed     –             –                   executed_anyway        moved_twice      –
//	returned         –             –                   –                      moved_twice      –
//	open             –             –                   –                      moved_twice      –
//	open, too old    open_too_old  open_too_old        open_too_old           both             open_too_old
//
// "none" and "failed or pending" count only where the operation can have been carried
// out in the period alone; near its border it may be in another statement. An
// operation that was not executed, and one that needed nothing done, is no
// difference without a row.
func (s *Sink) Judge(o Operation, rows []Row) error {
	executed := with(rows, RowSucceeded)
	back := with(rows, RowReturned)
	before := s.Report.Differences()
	b := o.book()
	if len(executed) > 1 {
		if err := s.twice(o, executed[1:]); err != nil {
			return err
		}
	}
	var err error
	switch {
	case s.Period.tooOld(o):
		err = s.found(OpenTooOld, &o, theirs(rows))
	case b == bookNotExecuted && len(executed) == 1 && len(back) == 0:
		err = s.found(ExecutedAnyway, &o, theirs(executed))
	case b == bookExecuted && len(back) > 0:
		err = s.found(Returned, &o, theirs(back))
	case b == bookExecuted && len(executed) == 0:
		if !s.Period.holds(o) {
			if s.Period.Touches(o) {
				s.Report.Border++
			}
			return nil
		}
		err = s.found(NotExecuted, &o, theirs(rows))
	case b == bookExecuted && differ(o.money(), executed[0].Amount):
		err = s.found(AmountDiffers, &o, theirs(executed))
	}
	if err == nil && s.Period.Touches(o) && s.Report.Differences() == before {
		s.Report.Agreed++
	}
	return err
}

// twice reports what was carried out beyond the first time.
func (s *Sink) twice(o Operation, more []Row) error {
	for _, r := range more {
		if err := s.found(MovedTwice, &o, theirs([]Row{r})); err != nil {
			return err
		}
	}
	return nil
}

// Stray judges a row that is about no operation of ours: only money that moved in the
// period is a difference.
func (s *Sink) Stray(r Row) error {
	switch {
	case r.Status != RowSucceeded && r.Status != RowReturned:
		return nil
	case !s.Period.Has(r.ExecutedAt):
		s.Report.Outside++
		return nil
	}
	d := theirs([]Row{r})
	d.Reference, d.Operation = r.Reference, r.Op
	return s.found(UnknownMoney, nil, d)
}

func with(rows []Row, status string) []Row {
	var some []Row
	for _, r := range rows {
		if r.Status == status {
			some = append(some, r)
		}
	}
	return some
}

// theirs is what the statement says: of several rows, the last.
func theirs(rows []Row) Difference {
	if len(rows) == 0 {
		return Difference{Theirs: "absent"}
	}
	r := rows[len(rows)-1]
	return Difference{Theirs: r.Status, TheirAmount: r.Amount, At: r.ExecutedAt, ProviderReference: r.ProviderReference, Line: r.Line}
}

// differ reports whether two amounts are known and unequal.
func differ(a, b *payment.Money) bool { return a != nil && b != nil && *a != *b }

// Claim is an operation with the rows of the statement that are about it.
type Claim struct {
	Operation Operation `json:"operation"`
	Rows      []Row     `json:"rows,omitempty"`
}

// Match gives rows that name one reference to the operations that do, each to
// one or to none, and returns those left. If sure (our own reference names one
// operation) a single claim gets all of them. Otherwise a row goes to an operation of its
// kind, one with its amount first, and no second row that moved money to the same;
// except that a row just like one it has is the same operation carried out again.
func Match(claims []Claim, rows []Row, sure bool) (strays []Row) {
	if len(claims) == 1 && sure {
		claims[0].Rows = append(claims[0].Rows, rows...)
		return nil
	}
	for _, fits := range []func(Claim, Row) bool{
		func(c Claim, r Row) bool { return c.free(r) && c.booked(r) && c.amount(r) },
		func(c Claim, r Row) bool { return c.free(r) && c.booked(r) },
		func(c Claim, r Row) bool { return c.free(r) && c.Operation.Op == r.Op },
		func(c Claim, r Row) bool { return c.free(r) && c.Operation.Op.EndsPayment() }, // it became a refund
		func(c Claim, r Row) bool { return c.Operation.Op == r.Op && c.amount(r) },
	} {
		strays = nil
		for _, r := range rows {
			i := slices.IndexFunc(claims, func(c Claim) bool { return fits(c, r) })
			if i < 0 {
				strays = append(strays, r)
				continue
			}
			claims[i].Rows = append(claims[i].Rows, r)
		}
		rows = strays
	}
	return strays
}

// free reports whether the operation can have a row that moved money.
func (c Claim) free(r Row) bool {
	return r.Status != RowSucceeded || len(with(c.Rows, RowSucceeded)) == 0
}

func (c Claim) booked(r Row) bool {
	return c.Operation.Op == r.Op && c.Operation.book() == bookExecuted
}

func (c Claim) amount(r Row) bool {
	m := c.Operation.money()
	return m != nil && r.Amount != nil && *m == *r.Amount
}
