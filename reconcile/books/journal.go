package books

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/internal/spill"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/reconcile"
)

// Journal is one pass over the journal for one provider, sorted by payment.
type Journal struct {
	steps    *spill.Sorter
	provider string
	// Events is how many were read, Damaged the subjects of those that cannot be
	// (no more than the first 100; DamagedCount has all, and those that the server counts
	// and cannot show).
	Events       uint64
	Damaged      []string
	DamagedCount int
}

// maxDamaged bounds what is kept of the damaged events.
const maxDamaged = 100

// ReadJournal reads every event of a provider that is there when it begins. It asks
// the journal's leader for one sequence after the other: that needs the rights to ask
// STREAM.INFO and STREAM.MSG.GET, and creates no consumer. The caller closes the result.
// dir is where files are made (empty: the system's), progress (may be nil) is told how
// far it is, in events of all providers.
func ReadJournal(ctx context.Context, nc *nats.Conn, from Source, progress func(done, total uint64)) (*Journal, error) {
	steps, err := spill.New(from.Dir, from.Memory)
	if err != nil {
		return nil, err
	}
	j := &Journal{steps: steps, provider: from.Provider}
	if err := j.read(ctx, nc, from.Stream, progress); err != nil {
		return nil, errors.Join(fmt.Errorf("read journal: %w", err), j.Close())
	}
	return j, nil
}

func (j *Journal) read(ctx context.Context, nc *nats.Conn, name string, progress func(done, total uint64)) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	reader, err := stream.New(nc, events.NewEncoder(nil), &stream.Options{Stream: name})
	if err != nil {
		return err
	}
	s, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	state := s.CachedInfo().State
	read := uint64(0)
	err = archive.Pass(ctx, upTo{archive.Over(reader, js, name), state}, progress, func(e archive.Entry) error {
		read++
		return j.take(e.Message)
	})
	if hidden := state.Msgs - read; err == nil && read < state.Msgs {
		j.DamagedCount += int(hidden)
	}
	return err
}

// upTo ends a journal at what the server counted when the reading began.
type upTo struct {
	archive.Journal
	state jetstream.StreamState
}

// Extent implements archive.Journal.
func (u upTo) Extent(context.Context) (first, last uint64, err error) {
	return u.state.FirstSeq, u.state.LastSeq, nil
}

// Source is where events come from and how they are sorted.
type Source struct {
	Stream, Provider string
	// References is what the provider's references in a statement name.
	References payment.ReferenceScope
	// Dir is where files are made; empty: the system's directory for them.
	Dir string
	// Memory is how many bytes each sorting keeps; 0: spill.DefaultMemory.
	Memory int
}

// Close removes its files.
func (j *Journal) Close() error { return j.steps.Close() }

// take files one event of the provider under its payment.
func (j *Journal) take(m events.Message) error {
	if !j.concerns(m.Subject) {
		return nil
	}
	j.Events++
	step, token, err := stepOf(m)
	if err != nil {
		j.DamagedCount++
		if len(j.Damaged) < maxDamaged {
			j.Damaged = append(j.Damaged, m.Subject)
		}
		return nil // it is counted, and the others are read
	}
	b, err := json.Marshal(step)
	if err != nil {
		return fmt.Errorf("file event: %w", err)
	}
	return j.steps.Add(token, b)
}

// concerns reports whether a subject is that of a payment at the provider. Rejections
// and the audit of operators have fewer levels.
func (j *Journal) concerns(subject string) bool {
	levels := strings.Split(subject, ".")
	return len(levels) == 6 && levels[3] == j.provider
}

// stepOf reads what an event says, without the payment's other operations.
func stepOf(m events.Message) (reconcile.Step, string, error) {
	id, err := events.PaymentOf(m.Subject)
	if err != nil {
		return reconcile.Step{}, "", err
	}
	e, err := events.DecodeEvent(m)
	if err != nil {
		return reconcile.Step{}, "", err
	}
	d := e.Data
	s := reconcile.Step{Type: e.Type, At: d.OccurredAt.Time, Operation: reconcile.Operation{
		Payment: id, Op: e.Op, Key: d.IdempotencyKey, Details: d.Payment,
		Amount: d.Amount, Full: d.Full, Review: d.Review != nil, Effect: d.Effect, Code: d.Code, Moved: d.Moved,
		Reference: d.ClientReference, ProviderReference: d.ProviderReference, Attempt: d.Attempt,
		RequestedAt: d.RequestedAt.Time, Version: e.State.Version,
	}}
	if i := e.State.Find(e.Op, d.IdempotencyKey); i >= 0 {
		op := e.State.Operations[i]
		s.Amount = op.Amount // what a full refund resolved to is only there
		if op.Open != nil && e.Type == payment.EventStarted {
			s.Snapshot = op.Open.Snapshot
		}
	}
	return s, events.Token(id.Native), nil
}

// Payments yields each payment's operations, in the order of its token.
func (j *Journal) Payments() iter.Seq2[[]reconcile.Operation, error] {
	return func(yield func([]reconcile.Operation, error) bool) {
		var token string
		var steps []reconcile.Step
		for r, err := range j.steps.Sorted() {
			if err != nil {
				yield(nil, err)
				return
			}
			if r.Key != token && len(steps) > 0 {
				if !yield(reconcile.Fold(steps), nil) {
					return
				}
				steps = steps[:0]
			}
			token = r.Key
			var s reconcile.Step
			if err := json.Unmarshal(r.Value, &s); err != nil {
				yield(nil, fmt.Errorf("read filed event: %w", err))
				return
			}
			steps = append(steps, s)
		}
		if len(steps) > 0 {
			yield(reconcile.Fold(steps), nil)
		}
	}
}
