package simulation

import (
	"context"
	"slices"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

var _ handlers.History = tap{}

// History implements handlers.History: what was accepted, as far as it is read.
func (x tap) History(ctx context.Context, id payment.ID) (all []events.Entry, complete bool, err error) {
	t, w := taskOf(ctx), x.p.engine.world
	if !t.pause("read history") {
		return nil, false, errGone
	}
	for _, e := range w.histories[id] {
		all = append(all, events.Entry{
			Type: e.Type, Op: e.Op, State: e.State,
			Data: events.Result{IdempotencyKey: e.Key, Outcome: payment.Outcome{ClientReference: e.ClientReference}, Attempt: e.Attempt},
		})
	}
	if !t.pause("history was read") {
		return nil, false, errGone
	}
	return all, true, nil
}

// late is what the provider does after the end of operations.
type late struct {
	begun bool
	// turned are the operations of which the provider has changed its mind, and
	// told the facts that were appended; looks is how often each was looked at since.
	turned map[operation]bool
	told   map[operation]payment.EventType
	looks  map[operation]int
	// histories are the events of each payment that were accepted.
	histories map[payment.ID][]*payment.Event
}

func newLate() late {
	return late{
		turned: map[operation]bool{}, told: map[operation]payment.EventType{}, looks: map[operation]int{},
		histories: map[payment.ID][]*payment.Event{},
	}
}

// known lists the operations that the journal has, in its order, with their commands.
func (w *world) known() (all []*command) {
	for _, id := range w.ids {
		for _, o := range w.states[id].Operations {
			if i := slices.IndexFunc(w.archive, func(c *command) bool { return c.id == id && c.of(o) }); i >= 0 {
				all = append(all, w.archive[i])
			}
		}
	}
	return all
}

// look has a process look at an operation, whatever state it is in: a
// notification came, or its late look, or somebody reconciles.
func (w *world) look(c *command, p *process) {
	w.note(nil, "a look at %s by %d", c.name, p.number)
	w.begin(p, nil, c, func(ctx context.Context, t *task) {
		out, err := p.handler.Requery(ctx, c.id, c.op, c.key, tap{p})
		w.note(t, "looked at %s: %+v, %v", c.name, out, err)
		if err == nil && !out.Later && !t.dead {
			w.looks[c.name]++
		}
	})
}

// lookAtAny is a look in the storm.
func (w *world) lookAtAny() {
	all, p := w.known(), w.anyProcess()
	if len(all) == 0 || p.stopped || !p.open() || len(w.tasks) > 6 {
		return
	}
	w.look(all[w.choose.order(len(all))], p)
}

// afterwards: once all is at rest the provider changes its mind about all that
// has ended, and each is looked at by two processes at once, and again later.
// It reports whether there is something left to do.
func (w *world) afterwards() bool {
	if !w.begun {
		w.begun = true
		clear(w.looks)
		for _, c := range w.known() {
			w.turn(c.name)
		}
	}
	left := false
	for _, c := range w.known() {
		if w.turned[c.name] && w.looks[c.name] < 2 {
			left = true
			w.look(c, w.engine.processes[0])
			w.look(c, w.engine.processes[1])
			w.inStep()
		}
	}
	return left
}

// inStep runs all tasks to their end, each a step at a time: two that do the
// same do it side by side.
func (w *world) inStep() {
	for len(w.tasks) > 0 {
		for _, t := range slices.Clone(w.tasks) {
			if !t.done {
				w.step(t)
			}
		}
	}
}

// turn: money that was refunded comes back, what was declined goes through.
func (w *world) turn(name operation) {
	a := w.provider.accounts[name.id]
	rec, end := a.record(name), w.ends[name]
	i := slices.IndexFunc(w.provider.requests, func(r *request) bool { return r.name == name })
	switch {
	case i < 0 || w.provider.alive(name) > 0:
	case end == payment.EventSucceeded && name.op.GivesBack() && rec.movements == 1:
		rec.returned = true
		w.turned[name] = true
	case end == payment.EventFailed && rec.declined && name.op.GivesBack() && !a.kind.compares:
		rec.declined = false
		rec.movements++
		w.turned[name] = true
	}
}

// fact judges a fact that was appended.
func (w *world) fact(name operation, e *payment.Event) {
	rec := w.provider.accounts[name.id].record(name)
	_, twice := w.told[name]
	w.check(w.turned[name], "%s of %s, and nobody lied", e.Type, name)
	w.check(!twice, "%s of %s is told a second time", e.Type, name)
	w.check((e.Type == payment.EventReturned) == rec.returned, "%s of %s, and the money came back: %t", e.Type, name, rec.returned)
	w.told[name] = e.Type
}

// judgeLate: of everything that can be told the ledgers were told.
func (w *world) judgeLate() {
	for name := range w.turned {
		_, told := w.told[name]
		can := w.provider.accounts[name.id].kind.traits.TellsEnded
		w.check(told == can, "the provider changed its mind about %s; told: %t, can be told: %t", name, told, can)
	}
}
