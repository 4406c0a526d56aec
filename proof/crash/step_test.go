package crash_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/countermand/countermand/payment"
)

// kind names what a step does to the outside.
type kind string

// Every way out of the process there is. A new one needs a tap, and a tap needs
// a line here.
const (
	journalLast   kind = "journal.Last"
	journalAppend kind = "journal.Append"
	journalReject kind = "journal.AppendRejection"
	keepBytes     kind = "quarantine.Keep"
	callCancel    kind = "provider.Call of cancel"
	callRefund    kind = "provider.Call of refund"
	askStatus     kind = "provider.QueryStatus"
	readPayment   kind = "provider.Read"
	publishTimer  kind = "timer.Publish"
	messageAck    kind = "message.Ack"
	messageNak    kind = "message.Nak"
	messageTerm   kind = "message.Term"

	// The operator's desk.
	journalHistory kind = "journal.History"
	journalActions kind = "journal.OperatorActions"
	journalAudit   kind = "journal.AppendOperator"
	deskAnswer     kind = "desk.Answer"
)

func kinds() []kind {
	return []kind{
		journalLast, journalAppend, journalReject, keepBytes, callCancel, callRefund, askStatus, readPayment,
		publishTimer, messageAck, messageNak, messageTerm,
		journalHistory, journalActions, journalAudit, deskAnswer,
	}
}

// callOf is the kind of an adapter's call that carries an operation out.
func callOf(op payment.Op) kind {
	switch op {
	case payment.Cancel:
		return callCancel
	case payment.Refund:
		return callRefund
	}
	return "provider.Call of " + kind(op)
}

// step is one numbered way to the outside, as it was met.
type step struct {
	kind kind
	what string // which event, timer or attempt
	// inHand: a message is, so that it matters when that comes back.
	inHand bool
}

func (s step) String() string {
	if s.what == "" {
		return string(s.kind)
	}
	return string(s.kind) + " " + s.what
}

// fault is what happens to one step.
type fault string

// The faults. "Dies" is the consumer: nothing it does from then on reaches
// anything, and what it had in hand goes to a new one with fresh memory.
const (
	diesBefore     fault = "dies before"
	diesAfter      fault = "dies after"
	diesBeforeSlow fault = "dies before, back after AckWait"
	diesAfterSlow  fault = "dies after, back after AckWait"
	requestLost    fault = "request lost" // not done; the caller hears an error
	answerLost     fault = "answer lost"  // done; the caller hears an error
	unnoticed      fault = "lost unnoticed"
	runsLate       fault = "runs late" // leaves, and is executed when somebody has looked
	asleep         fault = "asleep"    // stops before the step until all others are done
	// Below the journal: one request to the server is lost, or its answer. The
	// journal has to find out by itself, and its caller hears of nothing.
	wireRequestLost fault = "request lost on the wire"
	wireAnswerLost  fault = "answer lost on the wire"
)

// faults returns how a step can break.
func (s step) faults() []fault {
	before, after := []fault{diesBefore, requestLost, asleep}, []fault{diesAfter, answerLost}
	if s.inHand {
		before, after = append(before, diesBeforeSlow), append(after, diesAfterSlow)
	}
	all := slices.Concat(before, after)
	switch s.kind {
	case journalLast, journalHistory, journalActions:
		return before // reading changes nothing: after it is as before it
	case journalAppend, journalReject, journalAudit:
		return append(all, wireRequestLost, wireAnswerLost)
	case callCancel, callRefund:
		return append(all, runsLate)
	case messageAck, messageNak, messageTerm:
		// Nobody answers an acknowledgement: one that is lost goes unnoticed.
		return append(all, unnoticed)
	default:
		return all
	}
}

// heard is what the caller of a step gets to know.
type heard int

const (
	heardAnswer heard = iota
	heardNothing
)

var (
	errDead = errors.New("the consumer is dead: this reaches nothing")
	errLost = errors.New("no answer was heard")
)

// take passes one step through the tap: it is numbered, and broken if the
// cell's plan says so. do has the step's effect.
func (l *life) take(s step, do func()) (heard, error) {
	if l.dead.Load() {
		return heardNothing, errDead
	}
	c := l.cell
	s.inHand = l.inHand != nil
	c.trace = append(c.trace, s)
	n := len(c.trace)
	if n > maxTrace {
		l.die(false)
		return heardNothing, errDead
	}
	f := c.plan[n]
	if f != "" {
		c.struck = append(c.struck, n)
	}
	switch f {
	case diesBefore, diesBeforeSlow:
		l.die(f == diesBeforeSlow)
		return heardNothing, errDead
	case diesAfter, diesAfterSlow:
		do()
		l.die(f == diesAfterSlow)
		return heardNothing, errDead
	case requestLost:
		return heardNothing, errLost
	case answerLost:
		do()
		return heardNothing, errLost
	case unnoticed:
		return heardAnswer, nil
	case wireRequestLost, wireAnswerLost:
		l.onWire = f
	case runsLate:
		c.holdNextCall()
		do()
		return heardNothing, errLost
	case asleep:
		c.others(l)
	}
	do()
	return heardAnswer, nil
}

// maxTrace is far more steps than any path has; reaching it fails the cell.
const maxTrace = 2000

// plan says which steps of a run break, and how.
type plan map[int]fault

func (p plan) String() string {
	if len(p) == 0 {
		return "clean"
	}
	var steps []int
	for n := range p {
		steps = append(steps, n)
	}
	slices.Sort(steps)
	text := ""
	for i, n := range steps {
		if i > 0 {
			text += ", then "
		}
		text += fmt.Sprintf("%d %s", n, p[n])
	}
	return text
}
