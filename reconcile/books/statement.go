package books

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/countermand/countermand/internal/spill"
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
	operations, err := newPair(source.Dir, source.Memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operations.close()) }()
	sink.Report.Rows, sink.ListsCancels = s.rows, s.cancels
	if err := operations.fill(j, sink); err != nil {
		return err
	}
	byOurs := func(_ string, claims []reconcile.Claim, rows []reconcile.Row) error {
		return s.byOurReference(claims, rows, sink, onward{operations.theirs, s.files.theirs})
	}
	if err := reconcile.Join(keyed[reconcile.Claim](operations.ours), keyed[reconcile.Row](s.files.ours), byOurs); err != nil {
		return err
	}
	byTheirs := func(_ string, claims []reconcile.Claim, rows []reconcile.Row) error {
		strays := reconcile.Match(claims, s.inTime(rows), false)
		return s.judge(claims, strays, sink)
	}
	return reconcile.Join(keyed[reconcile.Claim](operations.theirs), keyed[reconcile.Row](s.files.theirs), byTheirs)
}

// fill files every operation that a statement could speak of. Those of which
// neither knows a reference cannot be matched and are judged at once.
func (p pair) fill(j *Journal, sink *reconcile.Sink) error {
	for ops, err := range j.Payments() {
		if err != nil {
			return err
		}
		for _, o := range ops {
			sink.Report.Operations++
			if sink.Period.Touches(o) {
				sink.Report.InPeriod++
			}
			switch {
			case o.Reference != "":
				err = file(p.ours, o.Reference, reconcile.Claim{Operation: o})
			case o.ProviderReference != "":
				err = file(p.theirs, o.ProviderReference, reconcile.Claim{Operation: o})
			default:
				err = sink.Judge(o, nil)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// onward is where is filed what is looked for by the provider's reference.
type onward struct{ operations, rows *spill.Sorter }

// byOurReference matches what names one reference of ours. What the provider has
// a reference for is looked for by that as well, also where it was found: a second
// movement may be listed without ours.
func (s *Statement) byOurReference(claims []reconcile.Claim, rows []reconcile.Row, sink *reconcile.Sink, next onward) error {
	strays := reconcile.Match(claims, s.inTime(rows), true)
	var ended []reconcile.Claim
	for _, c := range claims {
		key := c.Operation.ProviderReference
		for _, r := range c.Rows {
			if key == "" {
				key = r.ProviderReference
			}
		}
		if key == "" {
			ended = append(ended, c)
			continue
		}
		if err := file(next.operations, key, c); err != nil {
			return err
		}
	}
	var unknown []reconcile.Row
	for _, r := range strays {
		if r.ProviderReference == "" {
			unknown = append(unknown, r)
			continue
		}
		if err := file(next.rows, r.ProviderReference, r); err != nil {
			return err
		}
	}
	return s.judge(ended, unknown, sink)
}

func (s *Statement) judge(claims []reconcile.Claim, strays []reconcile.Row, sink *reconcile.Sink) error {
	for _, c := range claims {
		if err := sink.Judge(c.Operation, s.inTime(c.Rows)); err != nil {
			return err
		}
	}
	return sink.Strays(s.inTime(strays))
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
