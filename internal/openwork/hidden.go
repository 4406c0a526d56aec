package openwork

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// passedOver looks at the sequences between the one that was taken last and another
// one. A consumer passes over what its server cannot read, and the journal's leader may
// be another server: each is asked for, and what the leader shows is taken.
func (s *scan) passedOver(ctx context.Context, before uint64) error {
	for sequence := s.last + 1; sequence < min(before, s.end+1); sequence++ {
		gone, err := s.isDeleted(ctx, sequence)
		if err != nil {
			return err
		}
		if gone {
			continue
		}
		m, err := s.journal.GetMsg(ctx, sequence)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			s.hidden = append(s.hidden, Damage{Sequence: sequence, Reason: "the journal's leader cannot show what lies there"})
		case err != nil:
			return fmt.Errorf("read message %d: %w", sequence, err)
		default:
			s.take(events.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}, sequence)
		}
	}
	return nil
}

// isDeleted reports whether the server lists a sequence as deleted. It is asked once,
// when the first one is missing.
func (s *scan) isDeleted(ctx context.Context, sequence uint64) (bool, error) {
	if s.deleted == nil {
		info, err := s.journal.Info(ctx, jetstream.WithDeletedDetails(true))
		if err != nil {
			return false, fmt.Errorf("list what is deleted: %w", err)
		}
		s.deleted = make(map[uint64]bool, len(info.State.Deleted))
		for _, gone := range info.State.Deleted {
			s.deleted[gone] = true
		}
	}
	return s.deleted[sequence], nil
}
