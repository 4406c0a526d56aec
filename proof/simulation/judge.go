package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/payment"
)

// judge is what the world is judged by: the provider's ledger, the events that
// were accepted, and who holds what.
type judge struct {
	broken      string // the first rule that was broken
	states      map[payment.ID]payment.State
	ends        map[operation]payment.EventType
	starts      map[start]time.Time // callUntil of each accepted started
	sentStarts  map[start]bool
	published   map[uint64]*command
	rejections  map[uint64]payment.Code
	quarantined map[uint64]bool
	askedCalm   map[operation]int // questions in the calm after the schedule, since the last event
}

// start names one attempt.
type start struct {
	name    operation
	attempt int
}

func newJudge() judge {
	return judge{
		states: map[payment.ID]payment.State{}, ends: map[operation]payment.EventType{},
		starts: map[start]time.Time{}, sentStarts: map[start]bool{}, published: map[uint64]*command{},
		rejections: map[uint64]payment.Code{}, quarantined: map[uint64]bool{}, askedCalm: map[operation]int{},
	}
}

// check records the first rule that is broken.
func (w *world) check(ok bool, format string, args ...any) {
	if !ok && w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.note(nil, "VIOLATION: %s", w.broken)
	}
}

// moved judges one movement of money, as it happens.
func (w *world) moved(name operation, times int) {
	w.check(times == 1 || name.op.EndsPayment(), "money moved twice: %s", name)
	end, ended := w.ends[name]
	w.check(w.losses > 0 || !ended || end == payment.EventSucceeded, "money moved for %s after it was called %s", name, end)
}

// sent judges a request as it leaves, and puts it on its way.
func (w *world) sent(p *process, a *account, r *request) {
	s := start{r.name, r.attempt}
	until, ok := w.starts[s]
	w.check(ok, "%s attempt %d leaves without its own started", r.name, r.attempt)
	w.check(!ok || p.now().Before(until), "%s attempt %d leaves after its callUntil", r.name, r.attempt)
	w.check(!w.sentStarts[s], "%s attempt %d leaves twice", r.name, r.attempt)
	w.sentStarts[s] = true
	if a.kind.traits.For(r.name.op, r.full).Repeat == payment.RepeatUnsafe {
		for _, o := range w.provider.requests {
			if w.losses > 0 && (o.full != r.full || o.amount != r.amount) {
				continue // another content under a key whose first one was lost
			}
			w.check(o.name != r.name || o.settled && !o.effect,
				"%s is called again while an earlier call may move money, and a repeat is unsafe", r.name)
		}
	}
	w.aloneAtThePayment(a, r)
	w.provider.requests = append(w.provider.requests, r)
}

// refusedAsReused reports whether the command, or another one that says the
// same, was refused for its key.
func (w *world) refusedAsReused(c *command) bool {
	for sequence, o := range w.published {
		if o.name == c.name && o.full == c.full && o.amount == c.amount && w.rejections[sequence] == payment.CodeIdempotencyKeyReused {
			return true
		}
	}
	return false
}

// aloneAtThePayment: while one operation of a payment may be under way no other
// is called, unless the kind takes partial refunds side by side.
func (w *world) aloneAtThePayment(a *account, r *request) {
	if w.losses > 0 && (w.unsettled() || !w.hasStarted(r)) {
		return // its own started, or another's, is among what was lost
	}
	for _, o := range w.states[a.id].Operations {
		name := operation{id: a.id, op: o.Op}
		if o.Open == nil || o.Attempt == 0 || o.Status == payment.StatusDeferred {
			continue
		}
		name.key = o.Open.Key
		beside := a.kind.traits.Parallel && o.Op.GivesBack() && r.name.op.GivesBack() && !o.Full && !r.full
		w.check(name == r.name || beside, "%s is called while %s is %s", r.name, name, o.Status)
	}
}

// hasStarted reports whether the journal has the attempt of a request.
func (w *world) hasStarted(r *request) bool {
	s := w.states[r.name.id]
	i := s.Find(r.name.op, r.name.key)
	return i >= 0 && s.Operations[i].Attempt == r.attempt
}

// isNewest reports whether an event of unknown fate is in the store.
func (w *world) isNewest(ctx context.Context, e payment.Event) bool {
	rec, err := w.journal.Last(ctx, e.ID)
	return err == nil && rec.State.Version == e.Version() && rec.Type == e.Type && w.states[e.ID].Version < e.Version()
}

// appended judges an event that was accepted.
func (w *world) appended(e *payment.Event) {
	before := w.states[e.ID]
	w.check(e.Version() == before.Version+1 || w.unsettled(), "version %d after %d", e.Version(), before.Version)
	w.states[e.ID] = e.State
	w.histories[e.ID] = append(w.histories[e.ID], e)
	name := operation{id: e.ID, op: e.Op, key: e.Key}
	rec := w.provider.accounts[e.ID].record(name)
	delete(w.askedCalm, name)
	fact := e.Type == payment.EventReturned || e.Type == payment.EventExecutedLate
	w.afterItsEnd(before, name, e, fact)
	if fact && w.losses == 0 {
		w.fact(name, e)
	}
	if e.Type.Terminal() {
		w.ends[name] = e.Type
	}
	switch e.Type {
	case payment.EventStarted:
		s := start{name, e.Attempt}
		_, twice := w.starts[s]
		w.check(!twice || w.losses > 0, "attempt %d of %s started twice", e.Attempt, name)
		if w.losses == 0 || e.CallUntil.After(w.starts[s]) { // two processes may have started it
			w.starts[s] = e.CallUntil
		}
		delete(w.sentStarts, s)
	case payment.EventSucceeded:
		w.judgeSuccess(e, rec)
	case payment.EventFailed, payment.EventRejected, payment.EventDeferred:
		if w.unsettled() {
			return // what the journal has lost nobody can know yet
		}
		w.check(rec.movements == 0, "%s is called %s (%s) and money moved", name, e.Type, e.Code)
		w.check(!rec.pending, "%s is called %s (%s) and the provider has accepted it", name, e.Type, e.Code)
		w.check(w.provider.alive(name) == 0 || rec.declined, "%s is called %s (%s) while a call may still be executed", name, e.Type, e.Code)
	case payment.EventPending, payment.EventIndeterminate, payment.EventReturned, payment.EventExecutedLate:
	}
}

// afterItsEnd judges an event of an operation for which an end was published. An end
// that the journal has lost may be said again. It may not be said otherwise of what
// had succeeded, unless nobody could know yet.
func (w *world) afterItsEnd(before payment.State, name operation, e *payment.Event, fact bool) {
	end, ended := w.ends[name]
	if w.losses == 0 {
		w.check(!ended || fact, "%s of %s after its end", e.Type, name)
		return
	}
	i := before.Find(name.op, name.key)
	// Until a loss is noticed an append in hand may fit a sequence that was given out
	// again, and lie on another history than the one it was decided on.
	w.check(fact || i < 0 || w.unsettled() || !before.Operations[i].Status.Terminal(), "%s of %s after its end", e.Type, name)
	if !ended || !e.Type.Terminal() || e.Type == end {
		return
	}
	w.otherwise[name]++
	w.check(w.unnoticeable || end != payment.EventSucceeded, "%s had succeeded and is called %s", name, e.Type)
}

// judgeSuccess compares a success with what the provider did.
func (w *world) judgeSuccess(e *payment.Event, rec *record) {
	a := w.provider.accounts[e.ID]
	if w.unnoticeable {
		return
	}
	if e.Effect == payment.EffectNone {
		w.check(a.closed || a.captured == 0, "%s of %s has effect none, and money may be taken", e.Op, e.ID.Provider)
		return
	}
	w.check(rec.movements > 0, "%s %s of %s is called succeeded and nothing moved", e.Op, e.Key, e.ID.Provider)
	if e.Op.GivesBack() && e.Moved != nil && !w.reusedAfterLoss(e) {
		want := a.captured
		if !e.Full && e.Amount != nil {
			want = e.Amount.Value
		}
		w.check(e.Moved.Value == want, "%d is said to have moved, and %d did", e.Moved.Value, want)
	}
}

// reusedAfterLoss reports whether the operation's key was used for several
// contents and the journal has lost which of them was the first.
func (w *world) reusedAfterLoss(e *payment.Event) bool {
	first := slices.IndexFunc(w.archive, func(c *command) bool { return c.id == e.ID && c.op == e.Op && c.key == e.Key })
	return w.losses > 0 && slices.ContainsFunc(w.archive, func(c *command) bool {
		f := w.archive[max(first, 0)]
		return c.name == f.name && (c.full != f.full || c.amount != f.amount)
	})
}

// unended is an operation that has not ended, as the journal has it.
type unended struct {
	id     payment.ID
	name   operation
	full   bool
	amount int64
	state  payment.Operation
}

func (w *world) openOperations() []unended {
	var all []unended
	for _, id := range w.ids {
		for _, o := range w.states[id].Operations {
			if o.Open == nil {
				continue
			}
			one := unended{id: id, name: operation{id: id, op: o.Op, key: o.Open.Key}, full: o.Full, state: o}
			if o.Amount != nil {
				one.amount = o.Amount.Value
			}
			all = append(all, one)
		}
	}
	return all
}

// commandOf finds a command that made the operation.
func (w *world) commandOf(o unended) *command {
	i := slices.IndexFunc(w.archive, func(c *command) bool { return c.id == o.id && c.of(o.state) })
	if i < 0 {
		return nil
	}
	return w.archive[i]
}

// everyOpenOperationIsHeld: each has a timer, or a message that is not
// acknowledged. Whatever is killed next, somebody comes back to it.
func (w *world) everyOpenOperationIsHeld() {
	if w.unsettled() || w.losses > 0 && !w.walked || w.commandsLost {
		return // timers are restored once the loss was accepted, or by rearm
	}
	for _, id := range w.ids {
		for i := range w.states[id].Operations {
			if o := &w.states[id].Operations[i]; o.Open != nil {
				w.check(w.held(id, *o), "%s %s of %s is %s and nothing brings it back", o.Op, o.Open.Key, id.Provider, o.Status)
			}
		}
	}
}

func (w *world) held(id payment.ID, o payment.Operation) bool {
	mine := func(m *message) bool { return m.command.id == id && m.command.of(o) }
	if slices.ContainsFunc(w.messages, mine) {
		return true
	}
	for _, m := range w.timers {
		if mine(m) {
			return true
		}
	}
	return false
}

// atRest: nothing is in hand or on its way, and what is still open waits for a
// person and has been asked about once more since everything became calm.
func (w *world) atRest() bool {
	if len(w.tasks) > 0 || len(w.messages) > 0 || len(w.commands) > 0 || !w.everybodyWorks() {
		return false
	}
	waiting := w.openOperations()
	for _, o := range waiting {
		behind := w.losses > 0 && o.state.Code == payment.CodeWaitingForReview // of another operation
		asked := w.askedCalm[o.name] > 0 || w.provider.accounts[o.id].kind.traits.Asks == payment.AsksNone
		if !behind && (o.state.Open.Review == nil || !asked) {
			return false
		}
	}
	for _, m := range w.timers {
		if !slices.ContainsFunc(waiting, func(o unended) bool {
			// After a loss a new operation waits behind one in review without an event.
			behind := w.losses > 0 && o.state.Open.Review != nil && w.states[o.id].Find(m.command.op, m.command.key) < 0
			return o.id == m.command.id && (m.command.of(o.state) || behind)
		}) {
			return false
		}
	}
	return true
}

func (w *world) restless() string {
	var all []string
	for _, o := range w.openOperations() {
		all = append(all, fmt.Sprintf("%s is %s", o.name, o.state.Status))
	}
	return fmt.Sprintf("%d tasks, %d messages, open: %s", len(w.tasks), len(w.messages), strings.Join(all, ", "))
}

// judgeEnd judges the world at rest: every command has its answer.
func (w *world) judgeEnd() {
	if w.losses > 0 {
		w.judgeEndAfterLosses()
		return
	}
	for sequence, c := range w.published {
		code, rejected := w.rejections[sequence]
		w.check(!c.invalid || rejected && w.quarantined[sequence], "an invalid command has no answer")
		w.check(!rejected || w.quarantined[sequence], "a rejected command (%s) is not in the quarantine", code)
		_, ended := w.ends[c.name]
		i := w.states[c.id].Find(c.op, c.key)
		w.check(rejected || ended || i >= 0, "%s has no answer", c.name)
		other := i >= 0 && !c.of(w.states[c.id].Operations[i])
		w.check(c.invalid || !other || w.refusedAsReused(c), "%s was asked for with other content and not refused for it", c.name)
	}
	for _, o := range w.openOperations() {
		a := w.provider.accounts[o.id]
		rec := a.record(o.name)
		// What a repeat tells of a full refund it cannot tell of one that was accepted.
		repeats := o.full && o.state.Status != payment.StatusPending
		gaveUp := o.state.Open.Review.Reason == "no_answer_from_provider" // to its repeats
		untold := !repeats || o.state.Open.Refused || gaveUp
		noReading := o.state.Open.Snapshot == nil && a.kind.traits.Asks == payment.AsksHelpful // so that what is shown now compares with nothing
		hidden := untold && (a.kind.unseen(o.full) || noReading)
		unheard := o.state.Open.Refused || a.kind.traits.Asks != payment.AsksDocumented // a no is not believed
		unknowable := rec.movements == 0 && !rec.declined || hidden || rec.declined && unheard
		w.check(unknowable, "%s waits for a person, and the provider says it (%d movements, declined %t)", o.name, rec.movements, rec.declined)
	}
	for name, end := range w.ends {
		rec := w.provider.accounts[name.id].record(name)
		w.check(end == payment.EventSucceeded || rec.movements == 0, "%s ended as %s and money moved", name, end)
	}
}
