package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// message is a command or a timer that is not acknowledged.
type message struct {
	command    *command
	content    events.Message
	timer      bool
	sequence   uint64 // of the command it began with
	published  time.Time
	deliveries int // over all timers of the command
	times      int // of this very message
	panics     int
	due        time.Time
	recorded   payment.Recorded
	inHand     int // tasks that hold it
	notBefore  time.Time
}

// publish puts the next command into the stream.
func (w *world) publish() {
	if len(w.commands) == 0 {
		return
	}
	c := w.commands[0]
	w.commands = w.commands[1:]
	w.sequence++
	at := w.clock.Add(time.Duration(w.sequence)) // a stream has no two messages of one moment
	w.published[w.sequence], w.publishedAt[w.sequence] = c, at
	w.archive = append(w.archive, c)
	w.messages = append(w.messages, &message{
		command: c, content: c.message(w.sequence), sequence: w.sequence, published: at,
	})
	w.note(nil, "published %s full=%t amount=%d invalid=%t", c.name, c.full, c.amount, c.invalid)
}

// deliverable picks a message that no task holds, if one may be delivered now.
func (w *world) deliverable() *message {
	var free []*message
	for _, m := range w.messages {
		if m.inHand == 0 && !m.notBefore.After(w.clock) {
			free = append(free, m)
		}
	}
	if len(free) == 0 {
		return nil
	}
	return free[w.choose.order(len(free))]
}

// deliver gives a message to a process.
func (w *world) deliver(m *message, p *process) {
	if early := m.due.Sub(p.now()); early > 0 { // by this process's clock; the broker gives it back
		m.notBefore = w.clock.Add(early)
		return
	}
	m.inHand++
	m.times++
	m.deliveries++
	d := m.delivery()
	w.note(nil, "delivered to %d: sequence %d, timer %t, time %d", p.number, m.sequence, m.timer, m.times)
	w.begin(p, m, m.command, func(ctx context.Context, t *task) {
		w.dispose(t, p.handler.Handle(ctx, d))
	})
}

// deliverAgain doubles a delivery, as an ack wait that ran out does.
func (w *world) deliverAgain() {
	if len(w.messages) == 0 || len(w.tasks) > 6 {
		return
	}
	m := w.messages[w.choose.order(len(w.messages))]
	if p := w.anyProcess(); !p.stopped && p.open() && !m.notBefore.After(w.clock) {
		w.deliver(m, p)
	}
}

// dispose does what the handler said, in the broker's order: the timer first,
// then the ack, each a step that may be the last.
func (w *world) dispose(t *task, d handlers.Disposition) {
	w.note(t, "disposition %s", d.Kind)
	if !t.pause("dispose") {
		return
	}
	m := t.message
	if d.Kind == handlers.Redeliver {
		m.notBefore = w.clock.Add(d.Delay)
		return
	}
	if d.Kind == handlers.Later {
		ctx := context.WithValue(context.Background(), taskKey{}, t)
		for (tap{t.process}).Schedule(ctx, d.Timer) != nil {
			if t.dead {
				return
			}
		}
	}
	if !t.pause("ack") {
		return
	}
	if w.choose.fault(16) {
		w.note(t, "the ack is lost")
		m.notBefore = w.clock.Add(30 * time.Second)
		return
	}
	w.messages = slices.DeleteFunc(w.messages, func(o *message) bool { return o == m })
}

// schedule stores a timer; one on the same subject is replaced.
func (w *world) schedule(t *task, timer handlers.Timer) {
	content := timer.Message
	content.Subject = timer.Target
	at := timer.At
	if whole := at.Truncate(time.Second); whole.Before(at) {
		at = whole.Add(time.Second)
	}
	w.timers[timer.Subject] = &message{
		command: t.command, content: content, timer: true, sequence: timer.OriginSequence,
		published: timer.OriginTime, deliveries: timer.Deliveries, panics: timer.Panics, due: at, recorded: timer.Recorded,
	}
	w.note(t, "timer for %s", at.Format(time.TimeOnly))
}

// becomeDue turns timers whose time has come into messages.
func (w *world) becomeDue() {
	for _, subject := range w.timerSubjects() {
		if m := w.timers[subject]; !m.due.After(w.clock) {
			delete(w.timers, subject)
			w.messages = append(w.messages, m)
		}
	}
}

// timerSubjects lists the timers' subjects in a fixed order.
func (w *world) timerSubjects() []string {
	all := make([]string, 0, len(w.timers))
	for subject := range w.timers {
		all = append(all, subject)
	}
	slices.Sort(all)
	return all
}

// wait lets time pass until the next thing is due.
func (w *world) wait() {
	var next time.Time
	sooner := func(at time.Time) {
		if at.After(w.clock) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, m := range w.timers {
		sooner(m.due)
	}
	for _, m := range w.messages {
		sooner(m.notBefore)
	}
	if !w.everybodyWorks() || w.outstanding > 0 && !w.unnoticeable {
		sooner(w.clock.Add(readAgain))
	}
	if next.IsZero() { // nothing will happen any more
		w.choose.end()
		return
	}
	w.clock = next
}
