//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/payment"
)

const (
	// versions is how many events each payment gets.
	versions = 4
	// conflictEvery and sureEvery are of how many appends one is followed by an append
	// that must be refused, or by the wait of a call that nothing makes repeatable.
	conflictEvery, sureEvery = 10, 50
	// sureFor is how long such a wait may take.
	sureFor = 10 * time.Second
)

// rival is who writes what must be refused.
const rival = "rival"

// appenders append to payments of their own, through whichever process is there.
type appenders struct {
	ward *ward
	want int64
	full atomic.Bool

	payments, done atomic.Int64
	// conflicts were refused as they must be; gated while a gate was shut; unknown had
	// a fate that was not found out in time.
	conflicts, gated, unknown atomic.Int64
	sure, unsure              atomic.Int64
	// stale were refused by a leader that was cut off; unguarded were accepted against
	// their guard.
	stale, unguarded atomic.Int64

	mu sync.Mutex
	// at is where each accepted event lies, by payment and version.
	at     map[string]uint64
	sures  []time.Duration
	faults []string
}

func newAppenders(w *ward, want int) *appenders {
	return &appenders{ward: w, want: int64(want), at: map[string]uint64{}}
}

func (a *appenders) accepted() int { return int(a.done.Load()) }

// enough has every appender end with the payment in hand.
func (a *appenders) enough() { a.full.Store(true) }

// begin sets them to work until they are told that it is enough.
func (a *appenders) begin(ctx context.Context, inFlight int) (ended <-chan struct{}) {
	var all sync.WaitGroup
	for i := range inFlight {
		all.Go(func() {
			for ctx.Err() == nil && !a.full.Load() {
				a.payment(ctx, i)
			}
		})
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		all.Wait()
	}()
	return closed
}

// payment appends the events of one payment.
func (a *appenders) payment(ctx context.Context, i int) {
	id := payment.ID{Provider: "opay-eg", Native: fmt.Sprintf("h-%d", a.payments.Add(1))}
	var sequence uint64
	for v := uint64(1); v <= versions && ctx.Err() == nil; v++ {
		e := journaltest.Event(id, v, fmt.Sprint(i))
		before := sequence
		var ok bool
		if sequence, ok = a.append(ctx, i, before, e); !ok {
			return
		}
		a.mu.Lock()
		a.at[fmt.Sprintf("%s.%d", id.Native, v)] = sequence
		a.mu.Unlock()
		n := a.done.Add(1)
		if n%conflictEvery == 0 {
			a.conflict(ctx, i, id, v, before)
		}
		if n%sureEvery == 0 {
			a.wait(ctx, i, sequence)
		}
	}
}

// append appends one event, until its fate is known.
func (a *appenders) append(ctx context.Context, i int, expected uint64, e payment.Event) (sequence uint64, ok bool) {
	for ctx.Err() == nil {
		p := a.ward.any(i)
		try, cancel := context.WithTimeout(ctx, 20*time.Second)
		sequence, err := p.journal.Append(try, expected, e)
		cancel()
		conflict := (*journal.ConflictError)(nil)
		switch {
		case err == nil:
			return sequence, true
		case errors.As(err, &conflict) && conflict.Last.State.Version == e.State.Version && journaltest.Writer(conflict.Last.State) != rival:
			return conflict.Last.Sequence, true // an earlier try of ours: nobody else appends to it
		case errors.As(err, &conflict) && conflict.Last.State.Version < e.State.Version-1:
			// A leader that is cut off has not seen our newest event. It can accept nothing.
			a.stale.Add(1)
			sleep.For(ctx, 100*time.Millisecond)
		case errors.As(err, &conflict) && journaltest.Writer(conflict.Last.State) == rival:
			return 0, false // one that was accepted against its guard, and counted
		case errors.As(err, &conflict):
			a.fault("append %d of %s: the journal is at version %d", e.State.Version, e.ID.Native, conflict.Last.State.Version)
			return 0, false
		case errors.Is(err, keeper.ErrShut):
			a.gated.Add(1)
			changed := p.keeper.Changed()
			select {
			case <-changed:
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		default:
			a.unknown.Add(1)
			sleep.For(ctx, 100*time.Millisecond)
		}
	}
	return 0, false
}

// conflict appends what must be refused: another operation's event of the same
// version, by a process that has not seen the newest one. Every event has a subject
// of its own, so the sequence that it expects is all that stands in its way.
func (a *appenders) conflict(ctx context.Context, i int, id payment.ID, v, before uint64) {
	e := journaltest.Event(id, v, rival)
	e.Op, e.Amount, e.State.Operations[0].Op = payment.Cancel, nil, payment.Cancel
	_, err := a.ward.any(i+1).journal.Append(ctx, before, e)
	conflict := (*journal.ConflictError)(nil)
	switch {
	case errors.As(err, &conflict):
		a.conflicts.Add(1)
	case err == nil:
		a.unguarded.Add(1)
	default: // it was not sent, or nobody knows
	}
}

// wait does what a call does that nothing makes repeatable.
func (a *appenders) wait(ctx context.Context, i int, sequence uint64) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, sureFor)
	defer cancel()
	if err := a.ward.any(i).keeper.Sure(ctx, sequence); err != nil {
		a.unsure.Add(1)
		return
	}
	a.sure.Add(1)
	a.mu.Lock()
	a.sures = append(a.sures, time.Since(began))
	a.mu.Unlock()
}

func (a *appenders) fault(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// missing reads the whole journal and returns what was accepted and is not where it
// was: the servers' own losses, which would be no false alarm.
func (a *appenders) missing(ctx context.Context) ([]string, error) {
	found, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var lost []string
	for name, sequence := range a.at {
		if found[name] != sequence {
			lost = append(lost, fmt.Sprintf("%s was accepted at %d and lies at %d", name, sequence, found[name]))
		}
	}
	return lost, nil
}

func (a *appenders) read(ctx context.Context) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c, err := a.ward.js.OrderedConsumer(ctx, a.ward.topology.Events, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	messages, err := c.Messages()
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer messages.Stop()
	found := map[string]uint64{}
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		tokens := strings.Split(m.Subject(), ".")                                // … .<payment>.<version>
		if name := strings.Join(tokens[len(tokens)-2:], "."); found[name] == 0 { // a rival's comes later
			found[name] = meta.Sequence.Stream
		}
		if meta.NumPending == 0 {
			return found, nil
		}
	}
}
