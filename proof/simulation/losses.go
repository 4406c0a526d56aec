package simulation

import (
	"slices"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/payment"
)

// mostLosses bounds the losses of one schedule.
const mostLosses = 4

// lose has one of the streams lose something.
func (w *world) lose() {
	if w.losses >= mostLosses {
		return
	}
	switch w.choose.of(8) {
	case 0: // the newest ones
		end := w.journal.Extent().Last
		w.cutJournal(end - min(end, 1+uint64(w.choose.of(3))))
	case 1:
		w.cutJournal(uint64(w.choose.of(int(min(w.journal.Extent().Last, 255)) + 1)))
	case 2:
		w.cutJournal(0)
	case 3, 4:
		w.loseOne()
	case 5:
		w.cutCommands(uint64(w.choose.of(int(w.sequence) + 1)))
	case 6:
		w.cutBucket(w.choose.of(len(w.bucket) + 1))
	default: // everything is taken back, and the consumers are made anew
		w.cutBucket(w.choose.of(len(w.bucket) + 1))
		w.cutCommands(uint64(w.choose.of(int(w.sequence) + 1)))
		w.cutJournal(uint64(w.choose.of(int(min(w.journal.Extent().Last, 255)) + 1)))
		w.deliverAllAgain()
	}
}

// lost counts a loss and reads anew what the journal says.
func (w *world) lost() {
	w.losses++
	w.outstanding++
	w.reread()
	w.seeWhetherItCanBeNoticed()
}

// reread takes the judge's knowledge of the journal from the journal itself.
func (w *world) reread() {
	all, err := w.journal.Events()
	w.check(err == nil, "the journal cannot be read: %v", err)
	clear(w.states)
	clear(w.histories)
	for i := range all {
		e := &all[i]
		w.states[e.ID] = e.State
		w.histories[e.ID] = append(w.histories[e.ID], e)
	}
}

func (w *world) cutJournal(last uint64) {
	if last >= w.journal.Extent().Last {
		return
	}
	w.note(nil, "LOST: the journal ends at %d, it had reached %d", last, w.journal.Extent().Last)
	w.journal.Cut(last)
	w.lost()
}

// loseOne loses one message of the journal, wherever it lies.
func (w *world) loseOne() {
	end := w.journal.Extent().Last
	if end == 0 {
		return
	}
	n := end - uint64(w.choose.of(int(min(end, 255))))
	if w.journal.Token(n) == "" {
		return
	}
	w.note(nil, "LOST: the journal's message %d", n)
	w.journal.Lose(n)
	w.lost()
}

// cutCommands takes the commands back. What is in hand stays in hand.
func (w *world) cutCommands(last uint64) {
	if last >= w.sequence {
		return
	}
	w.note(nil, "LOST: the commands end at %d, they had reached %d", last, w.sequence)
	for n := last + 1; n <= w.sequence; n++ {
		delete(w.published, n)
	}
	w.messages = slices.DeleteFunc(w.messages, func(m *message) bool { return !m.timer && m.sequence > last })
	w.sequence, w.commandsLost = last, true
	w.lost()
}

// cutBucket takes the bucket back, where the witness knows all that it knew: the
// loss of the last second of everything at once cannot be noticed.
func (w *world) cutBucket(to int) {
	if to >= len(w.bucket) || !w.witness.Covers(w.stored()) {
		return
	}
	w.note(nil, "LOST: the bucket ends at %d, it had reached %d", to, len(w.bucket))
	w.bucket = w.bucket[:to]
	w.lost()
}

// deliverAllAgain: the consumer of the commands was made anew.
func (w *world) deliverAllAgain() {
	for n := uint64(1); n <= w.sequence; n++ {
		if c := w.published[n]; c != nil && !slices.ContainsFunc(w.messages, func(m *message) bool { return !m.timer && m.sequence == n }) {
			w.messages = append(w.messages, w.messageOf(n))
		}
	}
}

// repeat has the order services publish again what they once published.
func (w *world) repeat() {
	if len(w.archive) > 0 && len(w.messages) < 12 {
		if w.newestEpoch().Phase == integrity.Doubting { // long enough to count as newer
			w.clock = w.clock.Add(10 * time.Second)
		}
		w.commands = append(w.commands, w.archive[w.choose.of(len(w.archive))])
		w.publish()
	}
}

// loseOldCalls: after a loss no request from before it is executed later than the
// last call could have ended, where nothing at the provider stops a second one.
func (w *world) loseOldCalls() {
	if w.accepted.IsZero() || w.clock.Before(w.accepted.Add(policy().CallTimeout+policy().CallMargin)) {
		return
	}
	for _, r := range w.provider.late() {
		unsafe := w.provider.accounts[r.name.id].kind.traits.For(r.name.op, r.full).Repeat == payment.RepeatUnsafe
		if unsafe && r.epoch < w.newestEpoch().Number {
			r.settled = true
		}
	}
}

// messageOf is a command as its stream holds it.
func (w *world) messageOf(n uint64) *message {
	c := w.published[n]
	return &message{command: c, content: c.message(n), sequence: n, published: w.publishedAt[n]}
}

// recall takes the judge's rules back where a loss is not yet noticed: what is
// then said of an operation that vanished may be untrue, and is counted.
func (w *world) unsettled() bool { return w.outstanding > 0 || w.unnoticeable }

// actOnLosses takes a step that only a schedule with losses has, if one is chosen.
func (w *world) actOnLosses() bool {
	switch w.choose.of(24) {
	case 20, 21:
		w.operate()
	case 22:
		w.repeat()
	case 23:
		w.lose()
	default:
		return false
	}
	return true
}

// calmDown: in the calm after the schedule people do what is left to them.
func (w *world) calmDown() {
	if w.mode != lossy {
		return
	}
	if epoch := w.newestEpoch(); w.mayAccept() || epoch.Number > 0 && epoch.Phase == integrity.Held {
		w.operate()
	}
	if w.losses > 0 && len(w.tasks) == 0 && len(w.messages) == 0 && (w.outstanding == 0 && w.walked || w.unnoticeable) {
		w.rearm()
	}
}

// everybodyWorks: nobody is shut.
func (w *world) everybodyWorks() bool {
	return !slices.ContainsFunc(w.engine.processes, func(p *process) bool { return !p.open() })
}

// judgeEndAfterLosses judges the world at rest: of what is left in the stream of
// commands each has its answer, and what is open waits for a person.
func (w *world) judgeEndAfterLosses() {
	if w.unnoticeable {
		return
	}
	for sequence, c := range w.published {
		_, rejected := w.rejections[sequence]
		_, ended := w.ends[c.name]
		known := w.states[c.id].Find(c.op, c.key) >= 0 || w.waitsForItsTurn(c)
		w.check(rejected || ended || known, "%s has no answer", c.name)
	}
	for _, o := range w.openOperations() {
		a := w.provider.accounts[o.id]
		found := a.record(o.name).movements > 0 && !a.kind.compares && !a.kind.blind
		w.check(!found, "%s waits for a person, and the provider finds it by our reference", o.name)
	}
}

// waitsForItsTurn reports whether a timer brings the command back.
func (w *world) waitsForItsTurn(c *command) bool {
	for _, m := range w.timers {
		if m.command.name == c.name {
			return true
		}
	}
	return false
}

// notContradicted: what a timer brings back goes on from the version that the timer
// knew, or from a later one, unless the loss between them was accepted. What a call
// has come to is recorded whatever is lost.
func (w *world) notContradicted(t *task, e payment.Event) {
	if t.message == nil || t.holding {
		return
	}
	r := t.message.recorded
	w.check(r.Epoch < t.process.record.Epoch.Number || e.Version() > r.Version,
		"%s is appended at version %d, and its timer knew version %d", e.Type, e.Version(), r.Version)
}

// askedBeforeRepeat: after an accepted loss nothing that may have been called
// before it is called before the provider was asked.
func (w *world) askedBeforeRepeat(r *request) {
	epoch := w.newestEpoch().Number
	if epoch == 0 || w.unsettled() || w.provider.accounts[r.name.id].kind.traits.Asks == payment.AsksNone {
		return
	}
	for _, o := range w.provider.requests {
		if o.name == r.name && o.epoch < epoch && (o.effect || !o.settled) && o.full == r.full && o.amount == r.amount {
			w.check(w.askedIn[r.name] == epoch, "%s is called again after a loss, and the provider was not asked", r.name)
		}
	}
}
