package archive

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/journal/stream"
)

// Over is the journal on a server, read from its leader.
func Over(j *stream.Journal, js jetstream.JetStream, name string) Journal { return source{j, js, name} }

type source struct {
	journal *stream.Journal
	js      jetstream.JetStream
	name    string
}

// Extent implements Journal.
func (s source) Extent(ctx context.Context) (first, last uint64, err error) {
	found, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return 0, 0, fmt.Errorf("read stream %s: %w", s.name, err)
	}
	state := found.CachedInfo().State
	return state.FirstSeq, state.LastSeq, nil
}

// At implements Journal.
func (s source) At(ctx context.Context, sequence uint64) (Entry, error) {
	m, err := s.journal.At(ctx, sequence)
	if err != nil || m.Sequence == 0 {
		return Entry{}, err
	}
	return Entry{Sequence: m.Sequence, Time: m.Time, Message: m.Message}, nil
}
