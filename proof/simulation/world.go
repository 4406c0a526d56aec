package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
)

// world is one schedule being played.
type world struct {
	engine   *engine
	choose   choices
	kinds    []kind
	clock    time.Time // true time
	provider *provider
	journal  *memory.Journal // what lies in the store, without faults

	ids      []payment.ID
	commands []*command // not published yet
	messages []*message // published or due, and not acknowledged
	timers   map[string]*message
	tasks    []*task
	weather  map[string]weather // of instances; absent: fair
	sequence uint64
	steps    int

	judge
	late
	keeping
	trace *[]string // nil: nobody reads along
}

// maxSteps is far beyond what a schedule needs to come to rest.
const maxSteps = 5000

// play runs the schedule to its end and beyond, until everything is at rest.
func (w *world) play() {
	w.draw()
	for w.broken == "" {
		w.steps++
		w.keep()
		w.act()
		w.loseOldCalls()
		w.everyOpenOperationIsHeld()
		if w.steps >= maxSteps {
			w.check(false, "no rest after %d steps: %s", maxSteps, w.restless())
		}
		if w.broken == "" && w.choose.over() && w.atRest() {
			if !w.begun {
				w.judgeEnd()
			}
			if w.losses > 0 {
				return
			}
			if !w.afterwards() {
				w.judgeLate()
				return
			}
		}
	}
	w.abandon()
}

// abandon ends all tasks without effect, so that the handlers can be used again.
func (w *world) abandon() {
	for _, t := range w.tasks {
		t.dead = true
		for !t.done {
			_, more := t.resume()
			t.done = !more
		}
	}
	w.tasks = nil
}

// act does one thing. Choices below 11 bring the work forward.
func (w *world) act() {
	if w.mode == lossy && w.actOnLosses() {
		return
	}
	switch c := w.choose.order(24); c {
	case 11:
		w.lookAtAny()
	case 12:
		w.crash(w.anyProcess())
	case 13:
		w.stop(w.anyProcess())
	case 14:
		w.deliverAgain()
	case 15, 16:
		w.jump()
	case 17, 18:
		if late := w.provider.late(); len(late) > 0 {
			r := late[w.choose.order(len(late))]
			w.note(nil, "a late request of %s is executed", r.name)
			w.execute(r, []fate{accept, accept, later, decline}[w.choose.order(4)])
		}
	case 19:
		if waiting := w.provider.undecided(); len(waiting) > 0 {
			name := waiting[w.choose.order(len(waiting))]
			yes := w.choose.order(3) > 0
			w.note(nil, "%s is decided: %t", name, yes)
			w.settle(name, yes)
		}
	case 20:
		w.rule()
	case 21:
		w.publish()
	case 22:
		w.wake()
	case 23:
		w.change(w.kinds[w.choose.order(len(w.kinds))].name)
	default:
		w.progress()
	}
}

func (w *world) anyProcess() *process {
	return w.engine.processes[w.choose.order(len(w.engine.processes))]
}

// progress runs a task, else delivers a message, else publishes a command,
// else lets time pass until something is due.
func (w *world) progress() {
	if w.choose.over() {
		w.wake()
		w.loseLate()
		clear(w.weather)
		w.calmDown()
	}
	if late := w.provider.late(); w.choose.style == answers && len(late) > 0 && w.choose.fault(10) {
		w.note(nil, "a late request of %s is executed", late[0].name)
		w.execute(late[0], accept)
		return
	}
	running := slices.DeleteFunc(slices.Clone(w.tasks), func(t *task) bool {
		return t.process.stopped || t.at == shut && !t.process.open()
	})
	if n := len(running); n > 0 && (len(w.tasks) > 5 || w.choose.order(4) < 3) {
		w.step(running[w.choose.order(n)])
		return
	}
	w.becomeDue()
	if m := w.deliverable(); m != nil && len(w.tasks) < 8 {
		if p := w.anyRunning(); p != nil {
			w.deliver(m, p)
			return
		}
	}
	switch {
	case len(w.commands) > 0:
		w.publish()
	case len(running) > 0:
		w.step(running[0])
	default:
		w.wait()
	}
}

// loseLate: in the calm after the schedule nothing is under way for ever.
func (w *world) loseLate() {
	for _, r := range w.provider.late() {
		r.settled = true
	}
}

func (w *world) anyRunning() *process {
	from := w.choose.order(len(w.engine.processes))
	for i := range w.engine.processes {
		if p := w.engine.processes[(from+i)%len(w.engine.processes)]; !p.stopped && p.open() {
			return p
		}
	}
	return nil
}

// jump lets time pass whatever is under way.
func (w *world) jump() {
	by := []time.Duration{time.Second, 8 * time.Second, 16 * time.Second, 40 * time.Second, 6 * time.Minute, 70 * time.Minute}
	w.clock = w.clock.Add(by[w.choose.order(len(by))])
	w.note(nil, "the clock jumps to %s", w.clock.Format(time.TimeOnly))
}

// crash kills a process: what it had in hand is delivered again.
func (w *world) crash(p *process) {
	w.note(nil, "consumer %d is killed", p.number)
	p.stopped = false
	p.broken = memory.None
	for _, t := range slices.Clone(w.tasks) {
		if t.process != p {
			continue
		}
		t.dead = true
		for !t.done {
			w.step(t)
		}
	}
	p.load()
	w.seeWhetherItCanBeNoticed()
}

// leave takes a task that has ended off the list, and its message out of its hands.
func (w *world) leave(t *task) {
	w.tasks = slices.DeleteFunc(w.tasks, func(o *task) bool { return o == t })
	if t.message != nil {
		t.message.inHand--
	}
	if t.told != nil && !t.dead && !t.gaveUp {
		_, ended := w.ends[*t.told]
		w.check(ended || w.unsettled() || w.movedMore(*t.told), "%s was told to have succeeded, and that is forgotten", *t.told)
	}
}

// movedMore reports whether a person is asked about an operation, since more moved than it
// asks for. Where the journal has lost what was called, another command of its key may be
// presumed in its place: then the answer in hand is one to more than is known to be asked.
func (w *world) movedMore(name operation) bool {
	s := w.states[name.id]
	i := s.Find(name.op, name.key)
	return i >= 0 && s.Operations[i].Open != nil && s.Operations[i].Open.Review != nil && s.Operations[i].Open.Review.Reason == "moved_more_than_asked"
}

// stop stops a process where it is; another has to be running.
func (w *world) stop(p *process) {
	running := 0
	for _, o := range w.engine.processes {
		if !o.stopped {
			running++
		}
	}
	if !p.stopped && running > 1 {
		w.note(nil, "consumer %d is stopped", p.number)
		p.stopped = true
	}
}

func (w *world) wake() {
	for _, p := range w.engine.processes {
		if p.stopped {
			w.note(nil, "consumer %d wakes", p.number)
		}
		p.stopped = false
	}
}

// rule lets an operator decide about an open operation. Operators look at the
// provider's own books first and say the truth; where something is still under
// way there they say nothing. The version they saw may be an older one.
func (w *world) rule() {
	waiting := w.openOperations()
	p := w.anyProcess()
	if len(waiting) == 0 || p.stopped || !p.open() || len(w.tasks) > 6 {
		return
	}
	o := waiting[w.choose.order(len(waiting))]
	a := w.provider.accounts[o.id]
	rec := a.record(o.name)
	if rec.pending || w.provider.alive(o.name) > 0 {
		return
	}
	r := handlers.Ruling{ID: o.id, Op: o.name.op, Key: o.name.key, Version: w.states[o.id].Version}
	how := w.choose.order(4)
	if how == 3 && r.Version > 1 {
		r.Version--
	}
	r.Resolution.Seen = w.clock.Add(p.skew)
	r.Resolution.Resolved = payment.ResolvedBy{Operator: "ann", Reason: "looked it up"}
	switch {
	case how == 2 && a.kind.traits.For(o.name.op, o.full).Repeat != payment.RepeatUnsafe:
		// Nobody has to look first where a call more cannot pay twice.
		r.Resolution.Verdict = payment.VerdictRetry
	case rec.movements > 0:
		r.Resolution.Verdict = payment.VerdictSucceeded
		if o.name.op.GivesBack() {
			moved := o.amount
			if o.full {
				moved = a.captured
			}
			r.Resolution.Moved = &payment.Money{Value: moved, Currency: a.kind.currency}
		}
	case w.choose.order(2) == 1:
		r.Resolution.Verdict = payment.VerdictRetry
	default:
		r.Resolution.Verdict = payment.VerdictFailed
	}
	w.begin(p, nil, w.commandOf(o), func(ctx context.Context, t *task) {
		_, err := p.handler.Resolve(ctx, r, tap{p})
		w.note(t, "ruling %d of %s at version %d: %v", r.Resolution.Verdict, o.name, r.Version, err)
	})
}

func (w *world) note(t *task, format string, args ...any) {
	if w.trace == nil {
		return
	}
	who := "          "
	if t != nil {
		who = fmt.Sprintf("consumer %d", t.process.number)
		if t.dead {
			who = fmt.Sprintf("(dead %d)  ", t.process.number)
		}
	}
	*w.trace = append(*w.trace, fmt.Sprintf("%s %s  %s", w.clock.Format(time.TimeOnly), who, fmt.Sprintf(format, args...)))
}
