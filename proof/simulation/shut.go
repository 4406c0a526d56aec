package simulation

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// shut is the step at which a known outcome waits while nothing may be appended.
const shut = "shut"

// gate lets an append pass while the journal is known to be whole. A known outcome
// waits, and is concluded anew on what the journal says then.
func (x tap) gate(ctx context.Context, t *task, e payment.Event) error {
	p, w := x.p, x.p.engine.world
	if w.mode == unwatched || t.recovers {
		return nil
	}
	if p.record.Epoch.Number < w.newestEpoch().Number { // one whose epoch is behind appends nothing
		p.learn(w.witness)
		p.learn(w.stored())
	}
	if e.Type == payment.EventRejected || e.Type == payment.EventFailed {
		p.read() // a refusal is told once the journal is known to be whole
	}
	if p.open() {
		return nil
	}
	if !t.holding {
		return fmt.Errorf("append %s: %w", e.Type, journal.ErrStoreRefuses)
	}
	for !p.open() {
		if !t.pause(shut) {
			return journal.ErrUnknown
		}
	}
	rec, err := p.journal.Last(ctx, e.ID)
	if err != nil {
		return fmt.Errorf("append %s: %w", e.Type, err)
	}
	return &journal.ConflictError{Last: rec}
}

// shut reports whether the call must not be sent because the journal is not known
// to be whole. Where a repeat is unsafe that is found out first.
func (x port) shut(t *task, r providers.Request) (payment.Outcome, bool) {
	out := payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeJournalIncomplete}
	unsafe := x.kind.traits.For(r.Op, r.Full).Repeat == payment.RepeatUnsafe
	switch {
	case unsafe && !t.sure(), !x.p.open():
		x.p.engine.world.note(t, "not sent: the journal is not known to be whole")
		return out, true
	case !r.SendBefore.IsZero() && !x.p.now().Before(r.SendBefore):
		return payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable}, true
	default:
		return out, false
	}
}
