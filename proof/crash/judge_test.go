package crash_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// openWork checks, at a moment when no process has anything in hand, that each
// command is answered, or has a timer, or a message that is not acknowledged.
func (c *cell) openWork() {
	state := c.state()
	for i, cmd := range c.commands {
		c.soon(operation(state, cmd), cmd)
		if cmd.sequence == 0 || c.answered(state, cmd) || c.waits(cmd) {
			continue
		}
		c.fault("command %d is not answered, and has neither a timer nor an unacknowledged message", i+1)
	}
}

// soon checks that a call that was begun is looked at when it is over: by its
// message, or by a timer of that time, not only by one of the review's hours later.
func (c *cell) soon(op *payment.Operation, cmd *command) {
	if op == nil || op.Status != payment.StatusStarted || slices.ContainsFunc(c.messages, func(m *message) bool { return !m.done }) {
		return
	}
	over := op.Open.CallUntil
	if now := c.bench.clock.Now(); now.After(over) {
		over = now
	}
	if s := c.lies(cmd.schedule); s != nil && scheduled(s).After(over.Add(time.Second)) {
		c.fault("attempt %d may be under way until %s, and is looked at only at %s", op.Attempt, op.Open.CallUntil, scheduled(s))
	}
}

// waits reports whether the command will be looked at again.
func (c *cell) waits(cmd *command) bool {
	for _, m := range c.messages {
		if !m.done && (m.schedule == cmd.schedule && cmd.schedule != "" || m.sequence == cmd.sequence && !m.timer) {
			return true
		}
	}
	if cmd.schedule == "" {
		return false
	}
	return c.lies(cmd.schedule) != nil
}

// answered reports whether a command has its result: its operation's terminal
// one, or the rejection of its message.
func (c *cell) answered(state payment.State, cmd *command) bool {
	if refuses(state, cmd) {
		return cmd.of(c.said) > 0
	}
	op := operation(state, cmd)
	return op != nil && op.Status.Terminal()
}

// refuses reports whether the command's message is to be rejected: it is no
// command, or its key was taken for other content by one that came before it.
func refuses(state payment.State, cmd *command) bool {
	i := state.Find(cmd.op, payment.Key(cmd.key))
	return cmd.refused || i >= 0 && state.Operations[i].Fingerprint != cmd.fingerprint
}

// of counts the tokens that are this message's: a timer of it may have other
// bytes than the message itself.
func (cmd *command) of(tokens map[string]bool) (n int) {
	for token := range tokens {
		if strings.HasPrefix(token, fmt.Sprintf("%d-", cmd.sequence)) {
			n++
		}
	}
	return n
}

// settled reports whether all commands are answered or before a person.
func (c *cell) settled() bool {
	state := c.state()
	for _, cmd := range c.commands {
		op := operation(state, cmd)
		inReview := op != nil && op.Open != nil && op.Open.Review != nil
		if !inReview && !c.answered(state, cmd) {
			return false
		}
	}
	return true
}

// operation is the command's own operation, nil if the state has none.
func operation(state payment.State, cmd *command) *payment.Operation {
	i := state.Find(cmd.op, payment.Key(cmd.key))
	if i < 0 || state.Operations[i].Fingerprint != cmd.fingerprint {
		return nil
	}
	return &state.Operations[i]
}

// accepted notes an event at the moment the journal accepts it, when it is
// still known what the calls so far did.
func (c *cell) accepted(e payment.Event, sequence uint64) {
	c.history, c.sequence = append(c.history, e), sequence
	counts, _ := c.ownRisk(e.Op, e.Key)
	for _, k := range c.calls {
		if k.op != e.Op || k.key != e.Key || !k.sent || k.attempt < counts {
			continue
		}
		switch {
		case e.Type == payment.EventDeferred && k.truth.Result != payment.NotExecuted && k.truth.Result != payment.Failed:
			c.fault("called deferred, that is not executed, after attempt %d had left", k.attempt)
		case e.Type == payment.EventRejected:
			c.fault("called rejected, that is never sent, after attempt %d", k.attempt)
		}
	}
}

// judge looks at what the run has left behind: the journal, the quarantine, and
// the simulator's ledger.
func (c *cell) judge() {
	last, err := c.world.journal.Last(c.t.Context(), c.id)
	c.must(err)
	if last.Sequence != c.sequence {
		c.fault("the journal's newest event is %d, %d was the last accepted", last.Sequence, c.sequence)
	}
	state := c.state()
	attributed := 0
	for i, cmd := range c.commands {
		c.judgeMessage(i, refuses(state, cmd))
		if !refuses(state, cmd) && c.first(i) {
			attributed += c.judgeOperation(cmd)
		}
	}
	if n := len(c.bench.base.Ledger().Movements(c.id.Native)); n != attributed {
		c.fault("the ledger has %d movements, %d of them belong to an operation", n, attributed)
	}
	if len(c.struck) < len(c.plan) {
		c.fault("a step that was to break was never reached")
	}
}

// first reports whether the command is the first of its operation.
func (c *cell) first(i int) bool {
	for _, earlier := range c.commands[:i] {
		if earlier.schedule == c.commands[i].schedule {
			return false
		}
	}
	return true
}

// judgeMessage: a message that is refused is answered and kept once each, any
// other neither.
func (c *cell) judgeMessage(i int, refused bool) {
	want := 0
	if refused {
		want = 1
	}
	said, kept := c.commands[i].of(c.said), c.commands[i].of(c.kept)
	if said != want || kept != want {
		c.fault("message %d: %d rejections and %d in quarantine, want %d", i+1, said, kept, want)
	}
}

// judgeOperation holds an operation's events against what moved, and returns
// how many movements are its own.
func (c *cell) judgeOperation(cmd *command) int {
	moved := c.moved(cmd)
	j := verdict{cell: c, cmd: cmd, calls: c.callsOf(cmd)}
	if j.unsafe() {
		j.confirmed = c.retried(cmd)
	}
	var before *payment.Operation
	for _, e := range c.history {
		if e.Op != cmd.op || e.Key != payment.Key(cmd.key) {
			continue
		}
		j.look(e, before)
		before = operation(e.State, cmd)
	}
	switch {
	case before == nil:
		c.fault("%s %s has no event at all", cmd.op, cmd.key)
	case before.Status.Terminal() && j.terminals == 1:
		j.true(*before, moved)
	case j.terminals > 0:
		c.fault("%s %s has %d terminal results", cmd.op, cmd.key, j.terminals)
	case before.Open == nil || before.Open.Review == nil:
		c.fault("%s %s ends %s, neither with a result nor before a person", cmd.op, cmd.key, before.Status)
	case !j.unsafe() && !c.path.review:
		c.fault("%s %s ends before a person, though its provider can tell", cmd.op, cmd.key)
	}
	if len(moved) > 1+j.confirmed {
		c.fault("%s %s moved %d times", cmd.op, cmd.key, len(moved))
	}
	if before != nil && before.Status != payment.StatusSucceeded && j.heardYes() {
		c.fault("%s %s is %s, though a consumer that lives was told that it succeeded", cmd.op, cmd.key, before.Status)
	}
	j.judgeCalls()
	return len(moved)
}

// moved is what the ledger has of the command's operation. A cancel moves no
// money; refunds of one payment have different amounts here.
func (c *cell) moved(cmd *command) []simulator.Movement {
	var own []simulator.Movement
	for _, m := range c.bench.base.Ledger().Movements(c.id.Native) {
		amount := cmd.amount
		if cmd.full {
			amount = captured
		}
		if m.Operation == string(cmd.op) && m.Amount == amount {
			own = append(own, m)
		}
	}
	return own
}

func (c *cell) callsOf(cmd *command) []call {
	var own []call
	for _, k := range c.calls {
		if k.op == cmd.op && k.key == payment.Key(cmd.key) {
			own = append(own, k)
		}
	}
	return own
}

// verdict is what is found out about one operation on the way through its events.
type verdict struct {
	cell      *cell
	cmd       *command
	calls     []call
	terminals int
	started   int
	// confirmed counts the calls that an operator wanted although each may pay again.
	confirmed int
	// late: one of these was told after the end.
	late bool
}

func (j *verdict) unsafe() bool {
	return j.cell.bench.provider.Traits().For(j.cmd.op, j.cmd.full).Repeat == payment.RepeatUnsafe
}

// look judges one event by the operation as it was before.
func (j *verdict) look(e payment.Event, before *payment.Operation) {
	c := j.cell
	if e.Type.Terminal() {
		j.terminals++
	}
	status := payment.Status("")
	if before != nil {
		status = before.Status
	}
	open := status == payment.StatusStarted || status == payment.StatusIndeterminate
	switch e.Type {
	case payment.EventStarted:
		j.started++
		if j.unsafe() && before != nil && status != payment.StatusDeferred && e.ResolvedBy == nil {
			c.fault("%s %s: attempt %d of an unsafe operation follows %s", j.cmd.op, j.cmd.key, e.Attempt, status)
		}
	case payment.EventDeferred:
		counts, _ := c.ownRisk(e.Op, e.Key)
		for n := max(1, counts); open && n <= e.Attempt; n++ {
			if !j.told(n, payment.NotExecuted) && !j.told(n, payment.Failed) {
				c.fault("%s %s is deferred while attempt %d is in doubt", j.cmd.op, j.cmd.key, n)
			}
		}
	case payment.EventFailed:
		if open && e.ResolvedBy == nil && !j.saidNo(e.Attempt) {
			c.fault("%s %s is called failed (%s), and nobody said so", j.cmd.op, j.cmd.key, e.Code)
		}
	case payment.EventReturned, payment.EventExecutedLate:
		if j.confirmed > 0 && e.Type == payment.EventExecutedLate {
			j.late = true // a call at the operator's own risk, under another reference than they wrote down
			return
		}
		c.fault("%s %s: a fact %s, though no provider changed its mind", j.cmd.op, j.cmd.key, e.Type)
	default:
	}
}

// told reports whether a consumer heard this of the attempt.
func (j *verdict) told(attempt int, result payment.Result) bool {
	for _, k := range j.calls {
		if k.attempt == attempt && k.heard && k.told.Result == result {
			return true
		}
	}
	return false
}

// saidNo reports whether the provider said no, to the attempt or to a question.
func (j *verdict) saidNo(attempt int) bool {
	if j.told(attempt, payment.Failed) {
		return true
	}
	for _, a := range j.cell.answers {
		if a.op == j.cmd.op && a.key == payment.Key(j.cmd.key) && a.result == payment.Failed {
			return true
		}
	}
	return false
}

// heardYes reports whether a consumer heard a yes that it must not have lost:
// it did not die, and each of its appends was answered.
func (j *verdict) heardYes() bool {
	return slices.ContainsFunc(j.calls, func(k call) bool {
		return k.heard && k.told.Result == payment.Succeeded && !k.by.dead.Load() && !k.by.appendLost
	})
}

// true holds the terminal result against the ledger. After a repeat at the
// operator's own risk a no speaks of the calls since: that is what they confirmed.
func (j *verdict) true(op payment.Operation, moved []simulator.Movement) {
	effective := op.Status == payment.StatusSucceeded && op.Effect != payment.EffectNone
	_, since := j.cell.ownRisk(j.cmd.op, payment.Key(j.cmd.key))
	denied := !effective && slices.ContainsFunc(moved, func(m simulator.Movement) bool { return !m.Time.Before(since) })
	if denied || effective && len(moved) == 0 {
		j.cell.fault("%s %s is called %s with effect %q, and the ledger has it %d times", j.cmd.op, j.cmd.key, op.Status, op.Effect, len(moved))
		return
	}
	if effective && !j.late && op.Effect == payment.EffectRefunded && op.Moved != nil && op.Moved.Value != moved[0].Amount {
		j.cell.fault("%s %s: %d moved, and the result says %d", j.cmd.op, j.cmd.key, moved[0].Amount, op.Moved.Value)
	}
}

// judgeCalls: each call follows a started event of its own, and an unsafe one
// is not sent again unless the one before certainly did nothing.
func (j *verdict) judgeCalls() {
	c := j.cell
	attempts := map[int]int{}
	left := 0
	for _, k := range j.calls {
		if !k.sent {
			continue
		}
		attempts[k.attempt]++
		if k.truth.Result != payment.NotExecuted {
			left++
		}
	}
	for n, times := range attempts {
		if times > 1 || n > j.started {
			c.fault("%s %s: attempt %d was sent %d times, with %d started events", j.cmd.op, j.cmd.key, n, times, j.started)
		}
	}
	if j.unsafe() && left > 1+j.confirmed {
		c.fault("%s %s is unsafe to repeat, and left %d times", j.cmd.op, j.cmd.key, left)
	}
}
