package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/archive"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// name names one operation of a payment.
type name struct {
	op  payment.Op
	key payment.Key
}

// told is an archived event of another history of its payment.
type told struct {
	lost

	entry archive.Entry
	event payment.Event
	// readable: it could be decoded.
	readable bool
}

func (t told) name() name { return name{t.event.Op, t.event.Key} }

// fold folds the ends that archives hold of another history of the payment on to
// what the journal has, in the order of their versions, and tells what became of
// everything in that history. An end that the archives do not agree about is left.
func (l *link) fold(ctx context.Context) error {
	all, err := l.tell()
	if err != nil || len(all) == 0 {
		return err
	}
	ambiguous := disagreeing(all)
	for i, t := range all {
		if !t.readable || !tellsEnd(t.event.Type) {
			continue
		}
		row := rowOf(Ambiguous, t.entry)
		if !ambiguous[t.name()] {
			if row, err = l.foldOne(ctx, t); err != nil {
				return err
			}
		}
		if err := l.say(row); err != nil {
			return err
		}
		all[i].outcome = ""
	}
	return l.leaveRest(ctx, all)
}

// tell reads what lies elsewhere again.
func (l *link) tell() ([]told, error) {
	all := make([]told, 0, len(l.elsewhere))
	for _, at := range l.elsewhere {
		entry, err := l.plan.entry(at.place)
		if err != nil {
			return nil, err
		}
		t := told{lost: at, entry: entry}
		if e, err := events.DecodeEvent(entry.Message); err == nil {
			t.event, t.readable = e.Event(l.id), true
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b told) int { return byVersion(a.place, b.place) })
	return all, nil
}

// disagreeing are the operations that have two ends in the archives.
func disagreeing(all []told) map[name]bool {
	first := map[name]payment.Event{}
	out := map[name]bool{}
	for _, t := range all {
		if !t.readable || !t.event.Type.Terminal() {
			continue
		}
		e, there := first[t.name()]
		switch {
		case !there:
			first[t.name()] = t.event
		case e.Type != t.event.Type || e.ProviderReference != t.event.ProviderReference || differ(e.Moved, t.event.Moved):
			out[t.name()] = true
		}
	}
	return out
}

func differ(a, b *payment.Money) bool {
	if a == nil || b == nil {
		return a != b
	}
	return *a != *b
}

// maxRivals bounds how often a payment may move while an end is folded on to it.
const maxRivals = 20

// foldOne folds one end on to the payment as it is now, or only says what it would do.
func (l *link) foldOne(ctx context.Context, t told) (Row, error) {
	for range maxRivals {
		last, err := l.last(ctx)
		if err != nil {
			return Row{}, err
		}
		since, err := l.since(ctx, t)
		if err != nil {
			return Row{}, err
		}
		e, folding := payment.FoldArchived(
			payment.Input{State: last.State, ID: l.id, Now: l.now().UTC()}, payment.ArchivedEnd{Event: t.event, Since: since},
		)
		row := rowOf(outcomeOf(folding, t.outcome), t.entry)
		row.Version = last.State.Version
		if folding != payment.FoldAppended {
			return row, nil
		}
		if !l.apply {
			l.would = &journal.Record{Sequence: last.Sequence, State: e.State}
			return row, nil
		}
		row.At, err = l.append(ctx, last.Sequence, *e, t.entry)
		if _, rival := errors.AsType[*journal.ConflictError](err); rival {
			continue
		}
		return row, err
	}
	return Row{}, fmt.Errorf("payment %s at %s moves on and on: run it again", events.Token(l.id.Native), l.id.Provider)
}

// outcomeOf names what became of an end; otherwise is what it is called when it is left.
func outcomeOf(f payment.Folding, otherwise string) string {
	switch f {
	case payment.FoldAppended:
		return Folded
	case payment.FoldKnown:
		return Passed
	case payment.FoldDisagrees:
		return Disagrees
	default:
		return otherwise
	}
}

// last is the payment's newest record, or what it would be by now.
func (l *link) last(ctx context.Context) (journal.Record, error) {
	if l.would != nil {
		return *l.would, nil
	}
	return l.journal.Last(ctx, l.id)
}

// append appends a folded end behind a sequence. The header names where the
// archived event lay, as with a message that is brought back.
func (l *link) append(ctx context.Context, expected uint64, e payment.Event, from archive.Entry) (uint64, error) {
	m, err := l.encoder.EncodeEvent(e)
	if err != nil {
		return 0, fmt.Errorf("encode event: %w", err)
	}
	header := map[string][]string{Header: {placeOf(from)}}
	for key, values := range m.Header {
		header[key] = values
	}
	m.Header = header
	return l.journal.Put(ctx, expected, m)
}

// since reports whether the journal holds a call or an answer of an operation
// behind what it and the archive have in common.
func (l *link) since(ctx context.Context, t told) (bool, error) {
	common := l.plan.present[t.file][l.id]
	for m, err := range l.journal.Messages(ctx, l.id) {
		if err != nil {
			return false, err
		}
		if versionOf(m.Message.Subject) <= common {
			continue
		}
		e, err := events.DecodeEvent(m.Message)
		if err != nil {
			return true, nil // nobody knows what it says
		}
		if e.Op != t.event.Op || e.Data.IdempotencyKey != t.event.Key {
			continue
		}
		if e.Type != payment.EventIndeterminate && e.Type != payment.EventDeferred {
			return true, nil
		}
	}
	return false, nil
}

// leaveRest tells what became of the archived events that end nothing. Nothing is
// lost by one whose operation has ended in the journal.
func (l *link) leaveRest(ctx context.Context, all []told) error {
	last, err := l.last(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.outcome == "" {
			continue
		}
		row := rowOf(t.outcome, t.entry)
		row.Version = cmp.Or(last.State.Version, l.version)
		if i := last.State.Find(t.event.Op, t.event.Key); t.readable && i >= 0 && last.State.Operations[i].Status.Terminal() {
			row.Outcome = Passed
		}
		if err := l.say(row); err != nil {
			return err
		}
	}
	return nil
}
