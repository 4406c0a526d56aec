//go:build unix

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/proof/chaos/compare"
)

// readFor bounds the reading of all ledgers, when nothing is broken any more.
const readFor = 3 * time.Minute

// lookEvery is how often it is looked whether everything has come to rest.
const lookEvery = 500 * time.Millisecond

// rest waits until nothing is left to do: every operation is settled, every
// malformed message answered, no command unacknowledged and no timer due. It
// returns what is left when that takes longer than patience; the comparison
// then says whose result is missing.
func (w *world) rest(ctx context.Context, t *told, want, malformed int, patience time.Duration) string {
	left := "nothing was looked at"
	// A clock, not the context's deadline: with one, a single lost request is waited for as long.
	for end := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(end); sleep.For(ctx, lookEvery) {
		settled, answers := t.counts()
		switch hand, err := w.inHand(ctx); {
		case settled < want:
			left = fmt.Sprintf("%d of %d operations are not settled", want-settled, want)
		case answers < malformed:
			left = fmt.Sprintf("%d of %d malformed messages are not answered", malformed-answers, malformed)
		case err != nil:
			left = err.Error()
		case hand > 0:
			left = fmt.Sprintf("%d messages are in hand", hand)
		default:
			return ""
		}
	}
	return left
}

// inHand counts messages that are not acknowledged or not delivered.
func (w *world) inHand(ctx context.Context) (uint64, error) {
	t := topology()
	var sum uint64
	for _, stream := range []string{t.Commands, t.Due} {
		c, err := w.js.Consumer(ctx, stream, t.Consumer)
		if err != nil {
			return 0, fmt.Errorf("look at consumer: %w", err)
		}
		sum += c.CachedInfo().NumPending + uint64(c.CachedInfo().NumAckPending)
	}
	return sum, nil
}

// deliveries counts what the server delivered: commands again after the first
// time, and timers. A server that was killed may have forgotten some of its count.
func (w *world) deliveries(ctx context.Context) (again, timers uint64, err error) {
	t := topology()
	commands, err := w.js.Consumer(ctx, t.Commands, t.Consumer)
	if err != nil {
		return 0, 0, fmt.Errorf("look at consumer: %w", err)
	}
	due, err := w.js.Consumer(ctx, t.Due, t.Consumer)
	if err != nil {
		return 0, 0, fmt.Errorf("look at consumer: %w", err)
	}
	d := commands.CachedInfo().Delivered
	return d.Consumer - min(d.Stream, d.Consumer), due.CachedInfo().Delivered.Consumer, nil
}

// ledgers reads all that there is to judge by.
func (w *world) ledgers(ctx context.Context, p *plan, sent *published, during *told) (compare.Ledgers, *record, error) {
	ctx, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	l := compare.Ledgers{Commands: p.commands, Malformed: sent.malformed, Captured: p.captured}
	after, err := w.readAll(ctx)
	if err != nil {
		return l, nil, err
	}
	l.Audits = after.audits
	l.Events, l.Answers, l.Vanished = after.events, after.answers, vanished(during, after)
	if l.Quarantine, err = w.quarantine(ctx); err != nil {
		return l, nil, err
	}
	if l.Untimed, err = w.untimed(ctx); err != nil {
		return l, nil, err
	}
	r, err := w.simulators.read(ctx, p)
	if err != nil {
		return l, nil, err
	}
	l.Movements, l.Calls = r.movements, r.calls
	return l, r, nil
}

// quarantine lists the tokens of what is kept.
func (w *world) quarantine(ctx context.Context) (map[string]bool, error) {
	s, err := w.js.Stream(ctx, topology().Rejected)
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(events.QuarantineFilter))
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	tokens := map[string]bool{}
	for subject := range info.State.Subjects {
		tokens[subject[strings.LastIndexByte(subject, '.')+1:]] = true
	}
	return tokens, nil
}

// untimed lists the open operations that nothing would bring back.
func (w *world) untimed(ctx context.Context) ([]string, error) {
	index, err := openwork.Scan(ctx, w.js, topology().Events, nil)
	if err != nil {
		return nil, err
	}
	timers, err := openwork.Timers(ctx, w.js, topology().Due)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, o := range index.Operations {
		if !timers.Has(o.Subject) {
			missing = append(missing, operationName(o.ID.Provider, o.ID.Native, string(o.Command.Op), string(o.Command.Key)))
		}
	}
	for _, d := range index.Damaged {
		missing = append(missing, d.Subject+": "+d.Reason)
	}
	return missing, nil
}
