package crash_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// maxDeliveries is how many deliveries a cell may take to come to rest.
const maxDeliveries = 200

// cell is one run of one path, on a payment of its own, with a plan of what breaks.
type cell struct {
	t     *testing.T
	world *world
	bench *bench
	path  path
	plan  plan
	id    payment.ID

	trace    []step
	struck   []int
	process  *life
	commands []*command
	messages []*message
	// fired counts the timers followed after every command was answered or
	// before a person, by subject.
	fired map[string]int
	// held: a call is held back at the provider until somebody has looked.
	held    bool
	calls   []call
	answers []answer
	// history is what the journal accepted of the payment, in order; the streams
	// are held against it when all cells are done. said and kept are the tokens
	// of the rejections and of the messages in quarantine.
	history    []payment.Event
	sequence   uint64
	said, kept map[string]bool
	// operator rules, and audits and rulings are what of that the journal
	// accepted; ruledFrom is how many steps there were before.
	operator  operator
	audits    []payment.OperatorAction
	rulings   []ruled
	ruledFrom int
	// deaf: the provider answers no question any more.
	deaf bool
	// timers is what lies on the schedules' subjects, as far as it was read
	// since the last publish.
	timers map[string]*jetstream.RawStreamMsg
	// violations is everything that is wrong with the run.
	violations []string
}

// message is one message in a stream, with what its durable consumer knows of it.
type message struct {
	subject    string
	header     nats.Header
	data       []byte
	sequence   uint64
	stored     time.Time
	timer      bool
	schedule   string // of its command
	ready      time.Time
	deliveries int
	done       bool
}

// call is one call that can move money: what it did, and what its caller heard.
type call struct {
	by      *life
	op      payment.Op
	key     payment.Key
	attempt int
	sent    bool // it was given to the adapter
	truth   payment.Outcome
	heard   bool
	told    payment.Outcome
}

// answer is one answer to a question about an operation.
type answer struct {
	op     payment.Op
	key    payment.Key
	result payment.Result
}

func (c *cell) fault(format string, args ...any) {
	c.violations = append(c.violations, fmt.Sprintf(format, args...))
}

// must ends everything on what is no finding but a broken harness.
func (c *cell) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("%s %s, %s, %s: %v", c.bench.row.kind.Instance, c.bench.row.name, c.path.name, c.plan, err))
	}
}

// run plays the path and judges it.
func (c *cell) run() {
	c.fired, c.said, c.kept = map[string]int{}, map[string]bool{}, map[string]bool{}
	c.timers = map[string]*jetstream.RawStreamMsg{}
	c.must(c.bench.seed(c.id.Native))
	c.must(c.bench.base.Fault(c.scripted(false)...))
	for i := range c.commands {
		c.publish(c.commands[i])
	}
	c.process = c.begin()
	c.drive()
	c.process.end()
	c.bench.base.ClearFaults()
	c.judge()
}

// scripted is the misbehaviour the path itself asks for; lasting: only what
// does not wear off.
func (c *cell) scripted(lasting bool) []simulator.Fault {
	var all []simulator.Fault
	for _, f := range c.path.faults {
		f.Payment = c.id.Native
		if lasting && f.Times > 0 {
			continue
		}
		if f.Operation == "" {
			f.Operation = string(c.bench.row.op)
		}
		all = append(all, f)
	}
	if c.deaf {
		all = append(all, c.silence()...)
	}
	return all
}

// silence is no answer to any question, also one that names no payment.
func (c *cell) silence() []simulator.Fault {
	return []simulator.Fault{{Operation: "query", Mode: simulator.StatusBefore}, {Operation: "read", Mode: simulator.StatusBefore}}
}

// deafen makes the provider answer no question once it was called, where the
// path wants that.
func (c *cell) deafen() {
	if !c.deaf && c.path.deaf {
		c.deaf = true
		c.must(c.bench.base.Fault(c.silence()...))
	}
}

func (c *cell) publish(cmd *command) {
	subject := events.CommandSubject(cmd.op, "")
	data := cmd.data(c.bench.row, c.id)
	sequence, err := c.world.publish(c.t.Context(), subject, data)
	c.must(err)
	now := c.bench.clock.Now()
	m := &message{subject: subject, data: data, sequence: sequence, stored: now.Add(-c.path.age), ready: now}
	cmd.sequence = sequence
	if decoded, invalid := c.world.decoder.DecodeCommand(events.Message{Subject: subject, Data: data}); invalid == nil {
		id := c.id
		if decoded.Provider != id.Provider {
			id = payment.ID{}
		}
		cmd.schedule, cmd.fingerprint = events.ScheduleSubject(decoded, id), decoded.Fingerprint()
		m.schedule = cmd.schedule
	}
	c.messages = append(c.messages, m)
}

// drive delivers what is ready and lets time pass, until all is at rest.
func (c *cell) drive() {
	for range maxDeliveries {
		c.openWork()
		if !c.operate() {
			m := c.next()
			if m == nil {
				return
			}
			c.bench.clock.advanceTo(m.ready)
			c.process.give(m)
		}
		if c.process.dead.Load() {
			c.process.end()
			c.process = c.begin()
		}
	}
	c.fault("not at rest after %d deliveries", maxDeliveries)
}

// others runs everything else to rest while a process sleeps within a step: its
// message comes back after AckWait and goes to another process.
func (c *cell) others(sleeper *life) {
	inHand := sleeper.inHand
	c.process = c.begin()
	c.drive()
	c.process.end()
	c.process = sleeper
	sleeper.inHand = inHand
}

// next returns what is delivered next, nil when all is at rest.
func (c *cell) next() *message {
	var first *message
	for _, m := range c.messages {
		if !m.done && (first == nil || m.ready.Before(first.ready)) {
			first = m
		}
	}
	settled := first == nil && c.settled()
	var from *jetstream.RawStreamMsg
	for _, subject := range c.schedules() {
		s := c.lies(subject)
		if s == nil || (settled && c.fired[subject] > 0) {
			continue
		}
		if at := scheduled(s); first == nil || at.Before(first.ready) {
			first, from = c.timer(s, at), s
		}
	}
	switch {
	case from != nil:
		if settled {
			c.fired[from.Subject]++
		}
		c.must(c.world.due.DeleteMsg(c.t.Context(), from.Sequence))
		c.timers[from.Subject] = nil
		c.messages = append(c.messages, first)
	case first == nil && c.held:
		c.looked() // nobody did: it runs at last, and all look once more
		c.fired = map[string]int{}
		return c.next()
	}
	return first
}

// lies returns the schedule that lies on a subject, nil if there is none.
func (c *cell) lies(subject string) *jetstream.RawStreamMsg {
	s, known := c.timers[subject]
	if !known {
		var err error
		s, err = c.world.timer(c.t.Context(), subject)
		c.must(err)
		c.timers[subject] = s
	}
	return s
}

// schedules lists the subjects where the commands' timers lie, in the order of
// the commands: so that of two timers for one moment always the same goes first.
func (c *cell) schedules() []string {
	var all []string
	for _, cmd := range c.commands {
		if cmd.schedule != "" && !slices.Contains(all, cmd.schedule) {
			all = append(all, cmd.schedule)
		}
	}
	return all
}

func scheduled(s *jetstream.RawStreamMsg) time.Time {
	at, err := time.Parse(time.RFC3339, strings.TrimPrefix(s.Header.Get(jetstream.ScheduleHeader), "@at "))
	if err != nil {
		panic(err) // the broker's own writing, tested there
	}
	return at
}

// timer is the message the server makes of a schedule whose time has come.
func (c *cell) timer(s *jetstream.RawStreamMsg, at time.Time) *message {
	header := maps.Clone(s.Header)
	target := header.Get(jetstream.ScheduleTargetHeader)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") })
	return &message{
		subject: target, header: header, data: s.Data, sequence: s.Sequence + 1,
		stored: at, ready: at, timer: true, schedule: s.Subject,
	}
}

// holdNextCall has the simulator hold the next call back and cut its connection.
func (c *cell) holdNextCall() {
	c.bench.base.ClearFaults()
	err := c.bench.base.Fault(simulator.Fault{Operation: string(c.bench.row.op), Payment: c.id.Native, Mode: simulator.Late, Times: 1})
	if err == nil {
		err = c.bench.base.Fault(c.scripted(true)...)
	}
	c.must(err)
	c.held = true
}

// looked runs what is held back, now that somebody has looked and seen nothing.
func (c *cell) looked() {
	if c.held {
		c.held = false
		c.bench.base.Release()
	}
}

// state is the payment's state as of the last event the journal accepted.
func (c *cell) state() payment.State {
	if len(c.history) == 0 {
		return payment.State{}
	}
	return c.history[len(c.history)-1].State
}
