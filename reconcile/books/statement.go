package books

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/internal/spill"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// Statement is a provider's statement, sorted by the references in it.
type Statement struct {
	files pair
	rows  int
	// cancels: it lists cancels that moved no money, so that it is no list of money alone.
	cancels bool
	// rises and falls: from a row to the next the time became later, earlier.
	last         time.Time
	rises, falls bool
}

// pair is two sortings of one sort of thing: by our reference, and by the
// provider's for what ours does not settle.
type pair struct{ ours, theirs *spill.Sorter }

func newPair(dir string, memory int) (pair, error) {
	a, err := spill.New(dir, memory)
	if err != nil {
		return pair{}, err
	}
	b, err := spill.New(dir, memory)
	if err != nil {
		return pair{}, errors.Join(err, a.Close())
	}
	return pair{a, b}, nil
}

func (p pair) close() error { return errors.Join(p.ours.Close(), p.theirs.Close()) }

// file puts a value under our reference, or without one under the provider's.
func file(s *spill.Sorter, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("file for sorting: %w", err)
	}
	return s.Add(key, b)
}

// NewStatement returns an empty one; Close it.
func NewStatement(dir string, memory int) (*Statement, error) {
	p, err := newPair(dir, memory)
	if err != nil {
		return nil, err
	}
	return &Statement{files: p}, nil
}

// Close removes its files.
func (s *Statement) Close() error { return s.files.close() }

// Add takes one row.
func (s *Statement) Add(r reconcile.Row) error {
	if s.rows > 0 {
		s.rises = s.rises || r.ExecutedAt.After(s.last)
		s.falls = s.falls || r.ExecutedAt.Before(s.last)
	}
	s.rows++
	s.last = r.ExecutedAt
	s.cancels = s.cancels || !r.Op.GivesBack() && r.Amount == nil
	if r.Reference != "" {
		return file(s.files.ours, r.Reference, r)
	}
	return file(s.files.theirs, r.ProviderReference, r)
}

// inTime sorts rows by time. Rows of one time keep the order of the file, which begins with
// the newest if its times never rise.
func (s *Statement) inTime(rows []reconcile.Row) []reconcile.Row {
	newestFirst := s.falls && !s.rises
	slices.SortStableFunc(rows, func(a, b reconcile.Row) int {
		line := cmp.Compare(a.Line, b.Line)
		if newestFirst {
			line = -line
		}
		return cmp.Or(a.ExecutedAt.Compare(b.ExecutedAt), line)
	})
	return rows
}

// Compare holds the journal against the statement, first by our references, then by
// the provider's for what is left. The statement cannot be used again.
func (s *Statement) Compare(j *Journal, sink *reconcile.Sink, source Source) (err error) {
	c := comparison{Statement: s, sink: sink}
	if c.operations, err = newPair(source.Dir, source.Memory); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.operations.close()) }()
	if c.shortened, err = newPair(source.Dir, source.Memory); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.shortened.close()) }()
	sink.Report.Rows, sink.ListsCancels, sink.References = s.rows, s.cancels, source.References
	if err := c.fill(j); err != nil {
		return err
	}
	if err := reconcile.Join(keyed[reconcile.Claim](c.operations.ours), keyed[reconcile.Row](s.files.ours), c.byOurReference); err != nil {
		return err
	}
	byTheirs := func(key string, claims []reconcile.Claim, rows []reconcile.Row) error {
		strays := reconcile.Match(claims, s.inTime(rows), false, sink.References)
		return c.judge(key, claims, strays)
	}
	if err := reconcile.Join(keyed[reconcile.Claim](c.operations.theirs), keyed[reconcile.Row](s.files.theirs), byTheirs); err != nil {
		return err
	}
	return reconcile.Join(keyed[reconcile.Operation](c.shortened.ours), keyed[reconcile.Row](c.shortened.theirs), c.lengthen)
}

// comparison is a statement being held against the journal.
type comparison struct {
	*Statement

	sink       *reconcile.Sink
	operations pair
	// shortened has operations and rows by references without the zeros in front, which
	// spreadsheets remove. Rows are there only if they match nothing as they are, and only if there
	// are such operations.
	shortened pair
	zeros     bool
}

// fill files every operation that a statement could speak of. Those of which
// neither knows a reference cannot be matched and are judged at once.
func (c *comparison) fill(j *Journal) error {
	for ops, err := range j.Payments() {
		if err != nil {
			return err
		}
		for _, o := range ops {
			c.sink.Report.Operations++
			if c.sink.Period.Touches(o) {
				c.sink.Report.InPeriod++
			}
			switch {
			case o.Reference != "":
				err = file(c.operations.ours, o.Reference, reconcile.Claim{Operation: o})
			case o.Theirs(c.sink.References) != "":
				err = file(c.operations.theirs, o.Theirs(c.sink.References), reconcile.Claim{Operation: o})
			default:
				err = c.sink.Judge(o, nil)
			}
			if err != nil {
				return err
			}
			if err := c.shorten(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// shorten files an operation under those of its references that a spreadsheet would shorten.
func (c *comparison) shorten(o reconcile.Operation) error {
	for _, reference := range []string{o.Reference, o.ProviderReference} {
		short := strings.TrimLeft(reference, "0")
		if short == "" || short == reference || strings.Trim(short, "0123456789") != "" {
			continue
		}
		c.zeros = true
		if err := file(c.shortened.ours, short, o); err != nil {
			return err
		}
	}
	return nil
}

// lengthen reports rows that match nothing, and says so if zeros in front would make them
// match.
func (c *comparison) lengthen(_ string, ops []reconcile.Operation, rows []reconcile.Row) error {
	note := ""
	if len(ops) > 0 {
		note = "with zeros in front this would be the reference of payment " + ops[0].Payment.Native + ": a spreadsheet may have removed them"
	}
	return c.sink.Strays(rows, note)
}

// byOurReference matches what names one reference of ours. What the provider has
// a reference for is looked for by that as well, also where it was found: a second
// movement may be listed without ours.
func (c *comparison) byOurReference(reference string, claims []reconcile.Claim, rows []reconcile.Row) error {
	strays := reconcile.Match(claims, c.inTime(rows), true, c.sink.References)
	var ended []reconcile.Claim
	for _, claim := range claims {
		key := theirReference(claim, c.sink.References)
		if key == "" {
			ended = append(ended, claim)
			continue
		}
		if err := file(c.operations.theirs, key, claim); err != nil {
			return err
		}
	}
	var unknown []reconcile.Row
	for _, r := range strays {
		if r.ProviderReference == "" {
			unknown = append(unknown, r)
			continue
		}
		if err := file(c.files.theirs, r.ProviderReference, r); err != nil {
			return err
		}
	}
	return c.judge(reference, ended, unknown)
}

// theirReference is what an operation has to be looked for by: the provider's reference in
// our books, or in the statement if that has another one. A provider's console and its
// interface may number differently.
func theirReference(c reconcile.Claim, references payment.ReferenceScope) string {
	key := c.Operation.Theirs(references)
	first := ""
	for _, r := range c.Rows {
		if r.ProviderReference == key && key != "" {
			return key
		}
		first = cmp.Or(first, r.ProviderReference)
	}
	return cmp.Or(first, key)
}

// judge judges what names one reference.
func (c *comparison) judge(key string, claims []reconcile.Claim, strays []reconcile.Row) error {
	for _, claim := range claims {
		if err := c.sink.Judge(claim.Operation, c.inTime(claim.Rows)); err != nil {
			return err
		}
	}
	strays = c.inTime(strays)
	if !c.zeros || strings.Trim(key, "0123456789") != "" {
		return c.sink.Strays(strays, "")
	}
	for _, r := range strays {
		if err := file(c.shortened.theirs, key, r); err != nil {
			return err
		}
	}
	return nil
}

// keyed reads a sorting back.
func keyed[T any](s *spill.Sorter) iter.Seq2[reconcile.Keyed[T], error] {
	return func(yield func(reconcile.Keyed[T], error) bool) {
		for r, err := range s.Sorted() {
			k := reconcile.Keyed[T]{Key: r.Key}
			if err == nil {
				err = json.Unmarshal(r.Value, &k.Value)
			}
			if !yield(k, err) || err != nil {
				return
			}
		}
	}
}
