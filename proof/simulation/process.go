package simulation

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/memory"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// process is one consumer. Its handler outlives a crash, because there is
// nothing in it that a crash would lose but turns and slots, and those are given
// back as the dead tasks end.
type process struct {
	number  int
	engine  *engine
	handler *handlers.Handler
	journal *memory.Journal // this process's writer of the current world
	skew    time.Duration   // of its clock
	stopped bool            // SIGSTOP: nothing of it runs
	broken  memory.Fault    // what befalls its next append
	keeper
}

// task is one thing in hand of a process: a delivery, or an operator's ruling.
// It is a coroutine: it runs until its next step of I/O, and waits there.
type task struct {
	process *process
	message *message // nil for a ruling
	command *command
	at      string // the step it waits at
	dead    bool   // its process has crashed: it runs to its end without effect
	done    bool
	// told is the operation the provider has told this task to have succeeded;
	// gaveUp: the time for an append ran out.
	told   *operation
	gaveUp bool
	// holding: a call was begun, and its outcome is not in the journal.
	holding bool
	// recovers: it is the walk over the commands, which a held epoch lets through.
	recovers bool
	sequence uint64 // of its last append
	resume   func() (string, bool)
	yield    func(string) bool
}

type taskKey struct{}

// errGone is what a dead task hears from everything.
var errGone = errors.New("the process is gone")

// begin makes a task; nothing of it has run yet.
func (w *world) begin(p *process, m *message, c *command, body func(context.Context, *task)) {
	t := &task{process: p, message: m, command: c}
	ctx := context.WithValue(context.Background(), taskKey{}, t)
	t.resume, _ = iter.Pull(func(yield func(string) bool) {
		t.yield = yield
		body(ctx, t)
	})
	w.tasks = append(w.tasks, t)
}

// step runs a task until its next step of I/O, or its end.
func (w *world) step(t *task) {
	at, more := t.resume()
	t.at = at
	if !more {
		t.done = true
		w.leave(t)
	}
}

// pause is a step of I/O: others may run here, and this process may die here.
// It reports whether the task lives.
func (t *task) pause(at string) bool {
	if !t.dead {
		t.yield(at)
	}
	return !t.dead
}

// tap stands between a handler and its world. It implements all that a handler
// reaches out to.
type tap struct{ p *process }

var (
	_ journal.Journal     = tap{}
	_ handlers.Quarantine = tap{}
	_ handlers.Scheduler  = tap{}
)

func taskOf(ctx context.Context) *task {
	t, _ := ctx.Value(taskKey{}).(*task)
	return t
}

// Last implements journal.Journal.
func (x tap) Last(ctx context.Context, id payment.ID) (journal.Record, error) {
	t, w := taskOf(ctx), x.p.engine.world
	if !t.pause("read journal") {
		return journal.Record{}, errGone
	}
	if w.choose.fault(24) && !t.recovers {
		w.note(t, "the journal does not answer")
		return journal.Record{}, errors.New("timeout")
	}
	rec, err := x.p.journal.Last(ctx, id)
	if !t.pause("journal was read") {
		return journal.Record{}, errGone
	}
	return rec, err
}

// appendFaults are what may befall an append; the first is none.
func appendFaults() []memory.Fault {
	return []memory.Fault{
		memory.None, memory.LoseRequest, memory.LoseAnswer, memory.InFlight, memory.GiveUpAbsent, memory.GiveUpStored,
	}
}

// Append implements journal.Journal.
func (x tap) Append(ctx context.Context, expected uint64, e payment.Event) (uint64, error) {
	t, w := taskOf(ctx), x.p.engine.world
	if !t.pause("append " + string(e.Type)) {
		return 0, journal.ErrUnknown
	}
	if err := x.gate(ctx, t, e); err != nil {
		return 0, err
	}
	behind := w.mode != unwatched && x.p.record.Epoch.Number < w.newestEpoch().Number
	w.check(t.recovers || x.p.open() && !behind, "%s is appended by a process that must not", e.Type)
	mark := x.p.record.Mark.Journal.Sequence
	if w.choose.fault(8) && !t.recovers {
		faults := appendFaults()
		x.p.broken = faults[w.choose.answer(len(faults))]
	}
	fault := x.p.broken
	seq, err := x.p.journal.Append(ctx, expected, e)
	stored := err == nil
	t.gaveUp = t.gaveUp || fault == memory.GiveUpAbsent || fault == memory.GiveUpStored
	if errors.Is(err, journal.ErrUnknown) {
		stored = fault == memory.GiveUpStored && w.isNewest(ctx, e)
	}
	w.note(t, "append %s version %d: fault %d, %v", e.Type, e.Version(), fault, err)
	if stored {
		w.notContradicted(t, e)
		t.holding = e.Type == payment.EventStarted
		w.appended(&e)
	}
	if err == nil {
		t.sequence = seq
		x.p.tookPlace(mark, seq)
	}
	if !t.pause("appended " + string(e.Type)) {
		return 0, journal.ErrUnknown
	}
	return seq, err
}

// AppendRejection implements journal.Journal.
func (x tap) AppendRejection(ctx context.Context, r payment.Rejection) error {
	t, w := taskOf(ctx), x.p.engine.world
	if !t.pause("append rejection") {
		return journal.ErrUnknown
	}
	if !x.p.open() && !t.recovers {
		return journal.ErrStoreRefuses
	}
	mark := x.p.record.Mark.Journal.Sequence
	err := x.p.journal.AppendRejection(ctx, r)
	if end := w.journal.Extent().Last; err == nil && end > mark {
		x.p.tookPlace(mark, end)
	}
	w.rejections[r.OriginSequence] = r.Code
	w.note(t, "rejected: %s", r.Code)
	if !t.pause("rejection was appended") {
		return journal.ErrUnknown
	}
	return err
}

// Keep implements handlers.Quarantine.
func (x tap) Keep(ctx context.Context, o handlers.Original) error {
	t, w := taskOf(ctx), x.p.engine.world
	if !t.pause("quarantine") {
		return errGone
	}
	w.quarantined[o.Rejection.OriginSequence] = true
	if !t.pause("quarantined") {
		return errGone
	}
	return nil
}

// Original implements handlers.Originals: the stream of commands as it is now.
func (x tap) Original(_ context.Context, sequence uint64) (handlers.Published, bool, error) {
	w := x.p.engine.world
	c, found := w.published[sequence]
	if !found {
		return handlers.Published{}, false, nil
	}
	return handlers.Published{Message: c.message(sequence), At: w.publishedAt[sequence]}, true, nil
}

// Schedule implements handlers.Scheduler, as the server does: a newer timer on
// a subject replaces an older one.
func (x tap) Schedule(ctx context.Context, timer handlers.Timer) error {
	t, w := taskOf(ctx), x.p.engine.world
	if !t.pause("schedule") {
		return errGone
	}
	if w.choose.fault(24) && !t.recovers {
		w.note(t, "the timer is not stored")
		return errors.New("timeout")
	}
	w.schedule(t, timer)
	if !t.pause("scheduled") {
		return errGone
	}
	return nil
}

// port is a provider as one process reaches it.
type port struct {
	p    *process
	kind *kind
}

var _ providers.Provider = port{}

// Traits implements providers.Provider: the real adapter's.
func (x port) Traits() payment.Traits { return x.kind.traits }

func (x port) account(r providers.Request) *account {
	id := x.kind.traits.ID(x.kind.name, r.Payment)
	return x.p.engine.world.provider.accounts[id]
}

// Call sends a request, unless the time to send it has passed, and hears what
// the schedule lets it hear.
func (x port) Call(ctx context.Context, r providers.Request) payment.Outcome {
	t, w := taskOf(ctx), x.p.engine.world
	unavailable := payment.Outcome{Code: payment.CodeProviderUnavailable}
	if !t.pause("send") {
		return unavailable
	}
	if !r.SendBefore.IsZero() && !x.p.now().Before(r.SendBefore) {
		w.note(t, "not sent: too late")
		return payment.Outcome{Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable}
	}
	a := x.account(r)
	if out, shut := x.shut(t, r); shut {
		return out
	}
	req := &request{epoch: w.newestEpoch().Number, name: operation{id: a.id, op: r.Op, key: r.Key}, attempt: r.Attempt, full: r.Full, doubt: r.InDoubt}
	if r.Amount != nil {
		req.amount = r.Amount.Value
	}
	how := w.choose.answer(14)
	if how >= 12 { // no connection, or told to slow down: it never was there
		w.note(t, "not executed")
		t.pause("answered")
		return payment.Outcome{
			Result: payment.NotExecuted, Code: payment.CodeProviderUnavailable,
			RetryAfter: time.Duration(how-12) * 30 * time.Second, Unhealthy: how == 13,
		}
	}
	if t.message != nil { // an operator has looked by themselves
		w.askedBeforeRepeat(req)
	}
	w.sent(x.p, a, req)
	out := x.answer(w, req, how)
	w.note(t, "%s attempt %d sent (%d): %s", req.name, req.attempt, how, out.Result)
	if !t.pause("answered") {
		return unavailable
	}
	proven := out.Basis != payment.BasisInferred || w.losses == 0 // else it may be about what was lost
	if out.Result == payment.Succeeded && proven && how != 11 {
		t.told = &req.name
	}
	if how == 11 {
		panic("an adapter that fails on the answer") // contained by the handler
	}
	return out
}

// answer is what becomes of a request that has left, and what is heard of it.
func (x port) answer(w *world, req *request, how int) payment.Outcome {
	unavailable := payment.Outcome{Code: payment.CodeProviderUnavailable}
	switch how {
	case 5:
		return w.execute(req, decline)
	case 6:
		return w.execute(req, refuse)
	case 7:
		return w.execute(req, later)
	case 8: // lost before it was executed
		req.settled = true
		return unavailable
	case 9: // executed, and the answer is lost
		w.execute(req, accept)
		return unavailable
	case 10: // executed later, or never
		return unavailable
	default:
		return w.execute(req, accept)
	}
}

// QueryStatus implements providers.Provider.
func (x port) QueryStatus(ctx context.Context, r providers.Request) payment.Outcome {
	t, w := taskOf(ctx), x.p.engine.world
	none := payment.Outcome{Code: payment.CodeProviderUnavailable}
	if !t.pause("query") {
		return none
	}
	a := x.account(r)
	w.check(x.kind.traits.Asks != payment.AsksNone, "%s is asked, and cannot be", x.kind.name)
	w.queries++
	name := operation{id: a.id, op: r.Op, key: r.Key}
	w.askedIn[name] = x.p.record.Epoch.Number
	if w.choose.over() {
		w.settle(name, true) // nobody is kept waiting for ever
		w.askedCalm[name]++
	}
	out := a.tells(r)
	switch w.choose.answer(10) {
	case 6:
		out = payment.Outcome{Result: payment.NotFound} // not yet visible
	case 7:
		out = payment.Outcome{Code: payment.CodeProviderUnavailable, RetryAfter: 20 * time.Second}
	case 8:
		out = payment.Outcome{Result: payment.Ambiguous}
	case 9:
		out = payment.Outcome{}
	}
	w.note(t, "query %s %s: %s", r.Op, r.Key, out.Result)
	if !t.pause("was told") {
		return none
	}
	return out
}

// Read implements providers.Provider.
func (x port) Read(ctx context.Context, r providers.Request) payment.Reading {
	t, w := taskOf(ctx), x.p.engine.world
	none := payment.Reading{Code: payment.CodeProviderUnavailable}
	if !t.pause("read") {
		return none
	}
	a := x.account(r)
	w.check(x.kind.traits.Asks != payment.AsksNone, "%s is read, and cannot be", x.kind.name)
	reading := a.reading(a.refunded)
	switch w.choose.answer(10) {
	case 8:
		reading = a.reading(a.earlier)
		w.note(t, "the reading lags")
	case 9:
		reading = none
	}
	if !t.pause("was read") {
		return none
	}
	return reading
}

func (p *process) now() time.Time { return p.engine.world.clock.Add(p.skew) }

// due is what a timer or a command looks like in hand.
func (m *message) delivery() handlers.Delivery {
	return handlers.Delivery{
		Message: events.Message{Subject: m.content.Subject, Header: m.content.Header, Data: m.content.Data},
		Timer:   m.timer, OriginSequence: m.sequence, OriginTime: m.published, Deliveries: m.deliveries,
		Redelivered: m.times > 1, Panics: m.panics, Due: m.due, Recorded: m.recorded, Hold: func(time.Time) {},
	}
}
