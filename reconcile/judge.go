package reconcile

import (
	"fmt"
	"slices"

	"github.com/countermand/countermand/payment"
)

// Judge compares one operation with the rows of the statement that are about it, in the
// order of time. Of each transaction of the provider the newest row counts (see follow).
//
//	ours \ rows      none          failed or pending   one succeeded          more succeeded   returned
//	executed         not_executed  not_executed        (amount_differs)       moved_twice      returned
//	not executed     –             –                   executed_anyway        moved_twice      –
//	returned         –             –                   –                      moved_twice      –
//	open             –             –                   –                      moved_twice      –
//	open, too old    open_too_old  open_too_old        open_too_old           both             open_too_old
//
// "none" and "failed or pending" count only where the operation can have been carried
// out in the period alone; near its border it may be in another statement. What a row took
// back that was succeeded, or failed after our books had changed, counts in any case. An
// operation that was not executed, and one that needed nothing done, is no
// difference without a row. A cancel that moved no money is none without a row either, unless
// the statement lists such cancels. A row that is there again is row_repeated and counts once.
func (s *Sink) Judge(o Operation, rows []Row) error {
	c := follow(rows)
	if err := s.repeated(&o, c.repeats); err != nil {
		return err
	}
	before := s.Report.Differences()
	b := o.book()
	for _, r := range c.twice {
		if err := s.found(MovedTwice, &o, theirs([]Row{r})); err != nil {
			return err
		}
	}
	var err error
	switch {
	case s.Period.tooOld(o):
		err = s.found(OpenTooOld, &o, theirs(c.distinct))
	case b == bookNotExecuted && len(c.executed) > 0 && len(c.twice) == 0 && len(c.back) == 0:
		err = s.found(ExecutedAnyway, &o, theirs(c.executed))
	case b == bookExecuted && len(c.back) > 0:
		err = s.found(Returned, &o, theirs(c.back))
	case b == bookExecuted && len(c.executed) == 0:
		return s.missing(o, c)
	case b == bookExecuted && differ(o.money(), c.amount()):
		err = s.found(AmountDiffers, &o, theirs(c.executed))
	}
	if err == nil && s.Period.Touches(o) && s.Report.Differences() == before {
		s.Report.Agreed++
	}
	return err
}

// missing judges an operation that was executed, and of which the statement shows no
// success that counts.
func (s *Sink) missing(o Operation, c course) error {
	d := theirs(c.distinct)
	switch {
	case len(c.undone) > 0:
		d.Note = fmt.Sprintf("line %d said succeeded, and a later row took it back", c.undone[0].Line)
	case len(c.distinct) > 0 && d.At.After(o.Changed.Add(s.Period.Slack)): // it failed after all
	case len(c.distinct) == 0 && !o.givesBack() && !s.ListsCancels:
		if s.Period.Touches(o) {
			s.Report.Unlisted++
		}
		return nil
	case !s.Period.holds(o):
		if s.Period.Touches(o) {
			s.Report.Border++
		}
		return nil
	}
	return s.found(NotExecuted, &o, d)
}

// amount is what the statement says moved; nil: it says none.
func (c course) amount() *payment.Money {
	for _, r := range c.executed {
		if r.moves() {
			return r.Amount
		}
	}
	return nil
}

// repeated reports rows that are in the statement again.
func (s *Sink) repeated(o *Operation, all []repeat) error {
	for _, r := range all {
		d := theirs([]Row{r.again})
		d.FirstLine, d.Note = r.first.Line, fmt.Sprintf("line %d says the same in every column", r.first.Line)
		if o == nil {
			d.Reference, d.Operation = r.again.Reference, r.again.Op
		}
		if err := s.found(RowRepeated, o, d); err != nil {
			return err
		}
	}
	return nil
}

// Strays judges rows of one reference that are about no operation of ours, in the order of
// time. The note, if any, says why they may be about one after all.
func (s *Sink) Strays(rows []Row, note string) error {
	c := follow(rows)
	for _, r := range c.moved() {
		if err := s.stray(r, note); err != nil {
			return err
		}
	}
	return s.repeated(nil, c.repeats)
}

// stray judges one row: only money that moved in the period is a difference.
func (s *Sink) stray(r Row, note string) error {
	switch {
	case !s.Period.Has(r.ExecutedAt):
		s.Report.Outside++
		return nil
	case !r.moves():
		s.Report.Cancels++
		return nil
	}
	d := theirs([]Row{r})
	d.Reference, d.Operation, d.Note = r.Reference, r.Op, note
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
		func(c Claim, r Row) bool { return slices.ContainsFunc(c.Rows, r.repeats) },
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
