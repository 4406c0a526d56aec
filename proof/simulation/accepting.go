package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/payment"
)

// operate lets the operator take the next step after a loss.
func (w *world) operate() {
	epoch := w.newestEpoch()
	switch {
	case w.mayAccept():
		w.accept()
	case epoch.Number > 0 && epoch.Phase == integrity.Held:
		w.let()
	case epoch.Number > 0 && epoch.Phase == integrity.Doubting && w.mayTrust():
		w.enter(integrity.Epoch{Number: epoch.Number, Phase: integrity.Trusted, AcceptedAt: epoch.AcceptedAt}, nil)
	}
}

// mayAccept: somebody is broken, and everybody who lives says that the gate is shut.
func (w *world) mayAccept() bool {
	broken := false
	for _, p := range w.engine.processes {
		if !p.stopped && p.open() {
			return false
		}
		broken = broken || !p.stopped && p.watch.Standing == integrity.Broken
	}
	return broken
}

// accept begins the next epoch with what is left.
func (w *world) accept() {
	p := w.engine.processes[0]
	for _, o := range w.engine.processes {
		if !o.stopped && o.watch.Standing == integrity.Broken {
			p = o
		}
	}
	n := w.newestEpoch().Number + 1
	r := w.reading(integrity.Mark{})
	mark := integrity.MarkOf(r, r.Newest, n)
	if r.Journal.Last > 0 && r.Journal.First > 1 {
		mark.Holes = append(mark.Holes, integrity.Range{From: 1, To: r.Journal.First - 1})
	}
	w.outstanding, w.accepted, w.walked = 0, w.clock, false
	w.enter(integrity.Epoch{Number: n, Phase: integrity.Held, AcceptedAt: p.now()}, &mark)
}

// enter stores an epoch in bucket and witness. Processes learn it from there.
func (w *world) enter(e integrity.Epoch, m *integrity.Mark) {
	w.note(nil, "OPERATOR: epoch %d is %s", e.Number, e.Phase)
	r := integrity.Record{Mark: w.stored().Merge(w.witness).Mark, Epoch: e}
	if m != nil {
		m.Streams[bucketStream] = uint64(len(w.bucket))
		r.Mark = *m
	}
	w.bucket = append(w.bucket, w.stored().Merge(r))
	w.witness = w.witness.Merge(r)
}

// let walks the commands, restores timers, and lets work go on.
func (w *world) let() {
	p := w.anyOpenTo(integrity.Held)
	if p == nil {
		return
	}
	w.walk(p)
	w.rearm()
	w.walked = true
	e := w.newestEpoch()
	e.Phase = integrity.Doubting
	w.enter(e, nil)
}

// anyOpenTo is a process that is whole in the newest epoch, in a phase.
func (w *world) anyOpenTo(phase integrity.Phase) *process {
	for _, p := range w.engine.processes {
		if !p.stopped && p.watch.MaySend() && p.record.Epoch.Number == w.newestEpoch().Number && p.record.Epoch.Phase == phase {
			return p
		}
	}
	return nil
}

// walk presumes what the commands name and the journal does not know, as consumer
// recover --commands does: in the order of the stream, of one key only the first.
func (w *world) walk(p *process) {
	for n := uint64(1); n <= w.sequence; n++ {
		c := w.published[n]
		if c == nil || c.invalid || w.states[c.id].Find(c.op, c.key) >= 0 {
			continue
		}
		if _, said := w.rejections[n]; said {
			continue
		}
		w.note(nil, "walk: sequence %d, %s", n, c.name)
		m := w.messageOf(n)
		w.messages = append(w.messages, m)
		m.inHand++
		d := m.delivery()
		d.Redelivered = true
		w.begin(p, m, c, func(ctx context.Context, t *task) {
			t.recovers = true
			w.dispose(t, p.handler.Handle(ctx, d))
		})
		for t := w.tasks[len(w.tasks)-1]; !t.done; {
			w.step(t)
		}
	}
}

// rearm restores the timers of open operations, as consumer rearm does: also of
// one whose message is unacknowledged, which a process that sleeps may acknowledge
// for an end that is lost.
func (w *world) rearm() {
	for _, o := range w.openOperations() {
		if c := w.commandOf(o); c != nil && !w.timed(o) {
			w.timers["rearmed "+o.name.String()] = &message{
				command: c, content: dueMessage(c), timer: true, sequence: w.sequence,
				published: o.state.Open.RequestedAt, due: w.clock,
				recorded: payment.Recorded{Version: w.states[o.id].Version, Operation: o.state.Last},
			}
		}
	}
}

// timed reports whether a timer brings the operation back.
func (w *world) timed(o unended) bool {
	for _, m := range w.timers {
		if m.command.id == o.id && m.command.of(o.state) {
			return true
		}
	}
	return false
}

// mayTrust: nothing from before the loss is left that the journal does not tell
// truly. The operator compares the provider's statement, too.
func (w *world) mayTrust() bool {
	if !w.walked || w.outstanding > 0 {
		return false
	}
	for _, o := range w.openOperations() {
		if o.state.Open.Presumed || o.state.Open.Changed.Before(w.accepted.Add(clocksDiffer)) {
			return false
		}
	}
	unknown := func(m *message) bool { return w.states[m.command.id].Find(m.command.op, m.command.key) < 0 }
	for _, m := range w.timers {
		if unknown(m) {
			return false
		}
	}
	if slices.ContainsFunc(w.messages, unknown) {
		return false
	}
	return !slices.ContainsFunc(w.provider.requests, func(r *request) bool {
		return (r.effect || !r.settled) && w.states[r.name.id].Find(r.name.op, r.name.key) < 0
	})
}

// clocksDiffer is how far clocks may be apart.
const clocksDiffer = 2 * time.Second

// dueMessage is a command as its timer brings it back.
func dueMessage(c *command) events.Message {
	m := c.message(0)
	m.Subject = events.DueSubject(c.op)
	return m
}
