package books

import (
	"errors"

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
			if err := operations.name(o); err != nil {
				return err
			}
		}
	}
	by := func(ours bool) func(string, []reconcile.Operation, []reconcile.Row) error {
		return func(_ string, ops []reconcile.Operation, rows []reconcile.Row) error {
			if len(rows) == 0 {
				return nil
			}
			for _, m := range reconcile.Explain(ours, ops, rows) {
				if err := tell(m); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := reconcile.Join(keyed[reconcile.Operation](operations.ours), keyed[reconcile.Row](s.files.ours), by(true)); err != nil {
		return err
	}
	return reconcile.Join(keyed[reconcile.Operation](operations.theirs), keyed[reconcile.Row](s.files.theirs), by(false))
}

// name files an operation under each reference that it has.
func (p pair) name(o reconcile.Operation) error {
	if o.Reference != "" {
		if err := file(p.ours, o.Reference, o); err != nil {
			return err
		}
	}
	if o.ProviderReference == "" {
		return nil
	}
	return file(p.theirs, o.ProviderReference, o)
}
