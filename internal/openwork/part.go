package openwork

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Part is what one part of the journal holds of open work.
type Part struct {
	Index

	// Next is the sequence that the next part begins with; 0: this was the last.
	Next uint64
	// Last is where the journal ended.
	Last uint64
}

// atATime is how many sequences are asked for at a time.
const atATime = 64

// ReadPart reads a part of the journal that begins with a sequence and has at most that
// many. It asks the leader for each sequence, so it needs no right to create a consumer.
// What it returns is open in the newest event of its payment: the parts together
// name every open operation as Scan does.
func ReadPart(ctx context.Context, js jetstream.JetStream, stream string, from, most uint64) (*Part, error) {
	journal, err := open(ctx, js, stream)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	state := journal.CachedInfo().State
	from = max(from, state.FirstSeq, 1)
	p := &Part{Last: state.LastSeq}
	if from > state.LastSeq {
		return p, nil
	}
	s := &scan{newest: map[payment.ID]found{}, journal: journal, last: from - 1, end: from + min(most-1, state.LastSeq-from)}
	for s.last < s.end {
		if err := s.some(ctx, min(atATime, s.end-s.last)); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
	}
	if err := s.keepNewest(ctx); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	p.Index = *s.index()
	if s.end < state.LastSeq {
		p.Next = s.end + 1
	}
	return p, nil
}

// some asks for the next n sequences at once and takes them in their order.
func (s *scan) some(ctx context.Context, n uint64) error {
	got, errs := make([]*jetstream.RawStreamMsg, n), make([]error, n)
	first := s.last + 1
	inParallel(int(n), func(i int) { got[i], errs[i] = s.journal.GetMsg(ctx, first+uint64(i)) })
	for i, m := range got {
		sequence := first + uint64(i)
		switch {
		case errors.Is(errs[i], jetstream.ErrMsgNotFound):
			if err := s.passedOver(ctx, sequence+1); err != nil {
				return err
			}
			s.last = sequence
		case errs[i] != nil:
			return fmt.Errorf("message %d: %w", sequence, errs[i])
		default:
			s.take(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}, sequence)
		}
	}
	return nil
}

// keepNewest forgets each payment that has a newer event behind this part.
func (s *scan) keepNewest(ctx context.Context) error {
	ids := make([]payment.ID, 0, len(s.newest))
	for id := range s.newest {
		ids = append(ids, id)
	}
	errs, older := make([]error, len(ids)), make([]bool, len(ids))
	for begin := 0; begin < len(ids); begin += atATime {
		inParallel(min(atATime, len(ids)-begin), func(i int) {
			older[begin+i], errs[begin+i] = s.older(ctx, ids[begin+i])
		})
	}
	for i, id := range ids {
		if errs[i] != nil {
			return errs[i]
		}
		if older[i] {
			delete(s.newest, id)
		}
	}
	return nil
}

// older reports whether a payment's newest event lies behind this part.
func (s *scan) older(ctx context.Context, id payment.ID) (bool, error) {
	filter, err := events.Filter(id)
	if err != nil {
		return false, fmt.Errorf("name payment: %w", err)
	}
	m, err := s.journal.GetLastMsgForSubject(ctx, filter)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("newest event of %s: %w", filter, err)
	}
	return m.Sequence > s.end, nil
}

// inParallel does n things at once.
func inParallel(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// open finds a stream; its error names it.
func open(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	return s, nil
}
