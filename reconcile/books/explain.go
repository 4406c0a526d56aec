package books

import (
	"errors"
	"slices"

	"github.com/countermand/countermand/internal/spill"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// Explain holds the statement against the journal as after a loss, and tells each
// movement: first by our references, then by the provider's for rows that do not
// carry ours. The statement cannot be used again.
func (s *Statement) Explain(j *Journal, source Source, tell func(reconcile.Movement) error) (err error) {
	operations, err := newPair(source.Dir, source.Memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, operations.close()) }()
	for ops, err := range j.Payments() {
		if err != nil {
			return err
		}
		for _, o := range ops {
			if err := operations.name(o, source.References); err != nil {
				return err
			}
		}
	}
	rows, err := newPair(source.Dir, source.Memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.close()) }()
	if err := s.owned(rows, source); err != nil {
		return err
	}
	by := func(ours bool) func(string, []reconcile.Operation, []reconcile.Row) error {
		return func(_ string, ops []reconcile.Operation, rows []reconcile.Row) error {
			if len(rows) == 0 {
				return nil
			}
			for _, m := range reconcile.Explain(ours, ops, s.inTime(rows), source.References) {
				if err := tell(m); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := reconcile.Join(keyed[reconcile.Operation](operations.ours), keyed[reconcile.Row](rows.ours), by(true)); err != nil {
		return err
	}
	return reconcile.Join(keyed[reconcile.Operation](operations.theirs), keyed[reconcile.Row](rows.theirs), by(false))
}

// owned files the rows as Explain reads them. What happened to a movement later, and is told
// under the provider's reference alone, belongs to the movement that carries ours:
// else that would settle an operation whose money came back.
func (s *Statement) owned(to pair, source Source) (err error) {
	owners, err := spill.New(source.Dir, source.Memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, owners.Close()) }()
	for r, err := range keyed[reconcile.Row](s.files.ours) {
		if err != nil {
			return err
		}
		if err := file(to.ours, r.Key, r.Value); err != nil {
			return err
		}
		if r.Value.ProviderReference == "" {
			continue
		}
		if err := file(owners, r.Value.ProviderReference, r.Value); err != nil {
			return err
		}
	}
	return reconcile.Join(keyed[reconcile.Row](owners), keyed[reconcile.Row](s.files.theirs), func(key string, owners, rows []reconcile.Row) error {
		for _, r := range rows {
			names := ownersOf(owners, r)
			for _, name := range names {
				if err := file(to.ours, name, r); err != nil {
					return err
				}
			}
			if len(names) > 0 {
				continue
			}
			if err := file(to.theirs, key, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// ownersOf returns our references of the movements that a row says something new of: those
// of its amount, or whatever the amount is if only one of our references is there.
func ownersOf(owners []reconcile.Row, r reconcile.Row) []string {
	if r.Status == reconcile.RowSucceeded {
		return nil
	}
	var names, fitting []string
	for _, o := range owners {
		if o.Op != r.Op || o.Status != reconcile.RowSucceeded {
			continue
		}
		if !slices.Contains(names, o.Reference) {
			names = append(names, o.Reference)
		}
		if o.SameAmount(r) && !slices.Contains(fitting, o.Reference) {
			fitting = append(fitting, o.Reference)
		}
	}
	if len(names) == 1 {
		return names
	}
	return fitting
}

// name files an operation under each reference that it has.
func (p pair) name(o reconcile.Operation, references payment.ReferenceScope) error {
	if o.Reference != "" {
		if err := file(p.ours, o.Reference, o); err != nil {
			return err
		}
	}
	theirs := o.Theirs(references)
	if theirs == "" {
		return nil
	}
	return file(p.theirs, theirs, o)
}
