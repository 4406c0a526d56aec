package reconcile

import (
	"cmp"
	"fmt"
	"iter"
)

// maxGroup bounds how many operations or rows may share one reference: what more
// share is no reference.
const maxGroup = 10000

// Keyed is a value under the key that two sequences are joined by.
type Keyed[T any] struct {
	Key   string
	Value T
}

// Join walks two sequences that are sorted by key and gives each key's values of
// both to group, in order. It keeps one key's values at a time. The first error, of a
// sequence or of group, ends it.
func Join[A, B any](a iter.Seq2[Keyed[A], error], b iter.Seq2[Keyed[B], error], group func(key string, as []A, bs []B) error) error {
	left, right := newSide(a), newSide(b)
	defer left.stop()
	defer right.stop()
	for {
		if err := cmp.Or(left.err, right.err); err != nil {
			return err
		}
		if !left.there && !right.there {
			return nil
		}
		key := left.head.Key
		if !left.there || right.there && right.head.Key < key {
			key = right.head.Key
		}
		as, err := left.take(key)
		if err != nil {
			return err
		}
		bs, err := right.take(key)
		if err != nil {
			return err
		}
		if err := group(key, as, bs); err != nil {
			return err
		}
	}
}

// side is one sequence, with what comes next.
type side[T any] struct {
	pull  func() (Keyed[T], error, bool)
	stop  func()
	head  Keyed[T]
	err   error
	there bool
}

func newSide[T any](seq iter.Seq2[Keyed[T], error]) *side[T] {
	pull, stop := iter.Pull2(seq)
	s := &side[T]{pull: pull, stop: stop}
	s.advance()
	return s
}

func (s *side[T]) advance() { s.head, s.err, s.there = s.pull() }

// take returns every value of a key and goes on behind them.
func (s *side[T]) take(key string) ([]T, error) {
	var all []T
	for s.there && s.err == nil && s.head.Key == key {
		if len(all) == maxGroup {
			return nil, fmt.Errorf("join by reference: more than %d share one reference, so it names nothing", maxGroup)
		}
		all = append(all, s.head.Value)
		s.advance()
	}
	return all, nil
}
