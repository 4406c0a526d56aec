package reconcile

import (
	"fmt"
	"slices"

	"github.com/countermand/countermand/payment"
)

// Judge compares one operation with the rows of the statement that are about it, in the
// order of time. Which of several rows counts, follow says by what the provider's
// references name.
//
//	ours \ rows      none          failed or pending   one succeeded          more succeeded   returned
//	executed         not_executed  not_executed        (amount_differs)       moved_twice      returned
//	cancelled        –             not_executed        (unknown_money)        moved_twice      returned
//	not executed     –             –                   executed_anyway        moved_twice      –
//	returned         –             –                   –                      moved_twice      –
//	open             –             –                   –                      moved_twice      –
//	open, too old    open_too_old  open_too_old        open_too_old           both             open_too_old
//
// "none" and "failed or pending" count only where the operation can have been carried
// out in the period alone; near its border it may be in another statement. What a row took
// back that was succeeded, or failed after our books had changed, counts in any case. An
// operation that was not executed, and one that needed nothing done, is no
// difference without a row. A cancel that moved no money ("cancelled") is none without a row
// either, unless the statement lists such cancels; with a row of money it is unknown_money.
// For money that we call moved, a cancel without an amount is no success. A row
// that is there again is row_repeated and counts once.
func (s *Sink) Judge(o Operation, rows []Row) error {
	about, others := split(rows, o)
	if err := s.Strays(others, ""); err != nil {
		return err
	}
	c := follow(about, s.References)
	if err := s.repeated(&o, c.repeats); err != nil {
		return err
	}
	before := s.Report.Differences()
	if err := s.each(MovedTwice, &o, c.twice); err != nil {
		return err
	}
	var err error
	switch b := o.book(); {
	case s.Period.tooOld(o):
		err = s.found(OpenTooOld, &o, theirs(c.distinct))
	case b == bookNotExecuted && len(c.executed) > 0 && len(c.twice) == 0 && len(c.back) == 0:
		err = s.found(ExecutedAnyway, &o, theirs(c.executed))
	case b == bookExecuted && len(c.back) > 0:
		err = s.found(Returned, &o, theirs(c.back))
	case b == bookExecuted && (len(c.executed) == 0 || o.givesBack() && c.amount() == nil):
		return s.missing(o, c)
	case b == bookExecuted && !o.givesBack() && c.amount() != nil:
		err = s.unexplained(o, c)
	case b == bookExecuted && len(c.twice) == 0 && o.repeatsExceeded(c.after):
		d := theirs(c.after)
		d.Note = fmt.Sprintf("line %d said succeeded, and no repeat and no operation of ours explains line %d", c.executed[0].Line, d.Line)
		err = s.found(NotExecuted, &o, d)
	case b == bookExecuted && differ(o.money(), c.amount()):
		err = s.found(AmountDiffers, &o, theirs(c.executed))
	}
	if err == nil && s.Period.Touches(o) && s.Report.Differences() == before {
		s.Report.Agreed++
	}
	return err
}

// split parts rows into those that can be about the operation and those that cannot.
func split(rows []Row, o Operation) (about, others []Row) {
	for _, r := range rows {
		if o.unlike(r) {
			others = append(others, r)
		} else {
			about = append(about, r)
		}
	}
	return about, others
}

// each reports one difference for each row.
func (s *Sink) each(kind Kind, o *Operation, rows []Row) error {
	for _, r := range rows {
		if err := s.found(kind, o, theirs([]Row{r})); err != nil {
			return err
		}
	}
	return nil
}

// unexplained judges a cancel that moved no money for us, and of which the statement says
// that money moved.
func (s *Sink) unexplained(o Operation, c course) error {
	for _, r := range c.executed {
		if !r.moves() || slices.ContainsFunc(c.twice, r.repeats) {
			continue
		}
		d := theirs([]Row{r})
		d.Note = "our cancel with this reference moved no money"
		if err := s.found(UnknownMoney, &o, d); err != nil {
			return err
		}
	}
	return nil
}

// repeatsExceeded reports whether more calls failed, or are pending, than the operation had
// beside the one that succeeded.
func (o Operation) repeatsExceeded(after []Row) bool {
	repeats := max(o.Attempt-1, 0)
	return len(with(after, RowFailed)) > repeats || len(with(after, RowPending)) > repeats
}

// missing judges an operation that was executed, and of which the statement shows no
// success that counts.
func (s *Sink) missing(o Operation, c course) error {
	d := theirs(c.distinct)
	switch {
	case len(c.executed) > 0: // and no money
		d = theirs(c.executed)
		d.Note = fmt.Sprintf("line %d is a cancel without an amount, and no money moved", d.Line)
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
	c := follow(rows, s.References)
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
// Where the provider's references are the payment's, an operation gets one row of each
// status, as long as there are others to explain the rest.
func Match(claims []Claim, rows []Row, sure bool, references payment.ReferenceScope) (strays []Row) {
	if len(claims) == 1 && sure {
		claims[0].Rows = append(claims[0].Rows, rows...)
		return nil
	}
	matches := transactions()
	if references == payment.ReferenceOfPayment {
		matches = calls()
	}
	const nobody = -1
	owners := slices.Repeat([]int{nobody}, len(rows))
	had := make([][]Row, len(claims))
	for i := range claims {
		had[i] = claims[i].Rows
	}
	for _, fits := range matches {
		for i, r := range rows {
			if owners[i] != nobody {
				continue
			}
			owners[i] = slices.IndexFunc(claims, func(c Claim) bool { return fits(c, r) })
			if owner := owners[i]; owner != nobody {
				claims[owner].Rows = append(claims[owner].Rows, r)
			}
		}
	}
	for i := range claims {
		claims[i].Rows = slices.Clip(had[i])
	}
	for i, r := range rows { // in their order
		if owner := owners[i]; owner != nobody {
			claims[owner].Rows = append(claims[owner].Rows, r)
		} else {
			strays = append(strays, r)
		}
	}
	return strays
}

// match reports whether a claim may have a row; of a list the first that fits counts.
type match func(Claim, Row) bool

// transactions are the matches for rows under a reference that names one movement.
func transactions() []match {
	return []match{
		func(c Claim, r Row) bool { return c.free(r) && c.booked(r) && c.amount(r) },
		func(c Claim, r Row) bool { return c.free(r) && c.booked(r) },
		func(c Claim, r Row) bool { return c.free(r) && c.Operation.Op == r.Op },
		func(c Claim, r Row) bool { return c.free(r) && c.Operation.Op.EndsPayment() }, // it became a refund
		func(c Claim, r Row) bool { return slices.ContainsFunc(c.Rows, r.repeats) },
		func(c Claim, r Row) bool { return c.Operation.Op == r.Op && c.amount(r) },
		func(c Claim, r Row) bool { return c.Operation.money() == nil && slices.ContainsFunc(c.Rows, r.alike) },
	}
}

// calls are the matches for rows under a reference that is the payment's. First each success
// finds its operation. A return then belongs to one that has come back, or to one
// that has a success. What failed or is pending is about an operation that ended so, or
// about one that has no success, or it is the answer to a repeat. It may precede a
// success; if it follows all of them, nothing explains it.
func calls() []match {
	var all []match
	for _, fits := range transactions() {
		all = append(all, func(c Claim, r Row) bool { return r.Status == RowSucceeded && fits(c, r) })
	}
	returned := func(c Claim, r Row) bool { return r.Status == RowReturned && c.fits(r) && c.count(RowReturned) == 0 }
	unfinished := func(c Claim, r Row) bool { return (r.Status == RowFailed || r.Status == RowPending) && c.fits(r) }
	return append(all,
		func(c Claim, r Row) bool { return returned(c, r) && c.Operation.book() == bookReturned },
		func(c Claim, r Row) bool { return returned(c, r) && c.count(RowSucceeded) > 0 },
		returned,
		func(c Claim, r Row) bool { return r.Status == RowReturned && c.fits(r) },
		func(c Claim, r Row) bool {
			b := c.Operation.book()
			return unfinished(c, r) && (b == bookNotExecuted || b == bookOpen) && c.count(r.Status) < c.Operation.Attempt
		},
		func(c Claim, r Row) bool {
			none := c.count(RowSucceeded)+c.count(RowReturned)+c.count(r.Status) == 0
			return unfinished(c, r) && none && c.Operation.book() == bookExecuted
		},
		func(c Claim, r Row) bool { return unfinished(c, r) && c.count(r.Status) < c.Operation.Attempt-1 },
		func(c Claim, r Row) bool {
			later := func(s Row) bool { return s.Status == RowSucceeded && s.ExecutedAt.After(r.ExecutedAt) }
			return unfinished(c, r) && slices.ContainsFunc(c.Rows, later)
		},
		unfinished,
	)
}

// fits reports whether a row is of the operation's kind and, as far as is known, amount.
func (c Claim) fits(r Row) bool {
	return c.Operation.Op == r.Op && !differ(c.Operation.money(), r.Amount)
}

// count is how many rows of a status the operation has.
func (c Claim) count(status string) int { return len(with(c.Rows, status)) }

// free reports whether the operation can have a row that moved money.
func (c Claim) free(r Row) bool {
	return r.Status != RowSucceeded || c.count(RowSucceeded) == 0
}

func (c Claim) booked(r Row) bool {
	return c.Operation.Op == r.Op && c.Operation.book() == bookExecuted
}

func (c Claim) amount(r Row) bool {
	m := c.Operation.money()
	return m != nil && r.Amount != nil && *m == *r.Amount
}
