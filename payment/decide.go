package payment

import (
	"slices"
	"time"
)

// Input is everything that a decision depends on. A decision reads no clock and
// does no I/O: equal inputs give equal decisions.
type Input struct {
	State   State // the zero State means that the payment is new
	ID      ID
	Command Command // country and currency resolved
	Timer   bool    // the message is a timer of ours, not a command or its redelivery
	// Requery: there is a reason to ask the provider now, before the state's own
	// time: a notification, the late requery of an ended operation, a reconciliation.
	Requery  bool
	Traits   Traits
	Instance Instance
	Reading  *Reading // nil: the payment was not read
	// Loss is set while an accepted loss of the journal is not made good; nil: the
	// journal is taken for complete.
	Loss *Loss
	// Asked is what the provider said of an operation that the journal does not
	// know, after a loss; nil: it was not asked.
	Asked *Outcome
	// Resolution is set when an operator decides; Command then only names the operation.
	Resolution *Resolution
	Limits     Limits
	Now        time.Time
}

// Instance is the provider instance as it is now. The zero value means that the
// instance is not configured here.
type Instance struct {
	Configured bool
	Account    string // AccountHash of the account behind it
	Paused     bool
	Breaker    Breaker
	Currencies []Currency // empty: all
	Policy     Policy
}

// Breaker is what the instance's circuit breaker allows.
type Breaker int

// The breaker's states.
const (
	BreakerClosed Breaker = iota // calls pass
	BreakerOpen                  // no calls
	BreakerProbe                 // open, and this call may be its probe
)

// Limits bounds the state of one payment. Zero fields mean the default (200).
type Limits struct {
	Operations int // operations that were not rejected
	Rejected   int
}

// Action is what the shell does next. The zero value is the careful one: the
// shell calls nothing and drops nothing.
type Action int

// The actions. If Decision.Event is set, the shell appends it first. It takes the
// action only after the append is accepted.
const (
	ComeBack       Action = iota // the same command again at Decision.At
	Finish                       // nothing more to do: ack
	RejectCommand                // answer the message with payment.command.rejected
	ReadPayment                  // read the payment at the provider, then decide again
	Call                         // call the provider; Event is its started
	Query                        // send the provider a status query about the operation
	RefuseOperator               // refuse the operator's ruling; Decision.Code says why
)

// Decision is what to do about one message.
type Decision struct {
	Action Action
	Event  *Event
	At     time.Time
	Code   Code
	// Alert is text for a person, if set. The shell logs it as an error.
	Alert string
}

// Decide says what to do about a command, a timer or an operator's resolution.
// The first matching row wins:
//
//	state of the operation      and                                    decision
//	any                         same key, other content                RejectCommand; the state is untouched
//	terminal, called            Requery is set                         Query, if the kind can tell about ended operations; breaker open: ComeBack
//	terminal                    a repeat                               Finish
//	terminal                    an operator decides                    RefuseOperator
//	any                         provider not configured here           known payment: ComeBack, alert; new: ComeBack for 5 min, then RejectCommand; operator: RefuseOperator
//	started                     now < callUntil                        ComeBack; an operator decides: RefuseOperator
//	started                     operator read it before callUntil      RefuseOperator
//	open                        operator says it happened, or did not  succeeded, failed
//	open                        operator says retry, repeat unsafe     amount typed: doubt cleared, started, Call; else RefuseOperator (see retry)
//	open                        operator says retry, otherwise         earlier attempts stay in doubt, started, Call; or RefuseOperator (see retry)
//	open                        account is not the recorded one        in doubt or pending: review; else deferred (waiting_for_review)
//	started, pending, in doubt  Requery is set                         as if the operation were due
//	deferred by a pause         it is over, and a timer comes          as if the operation were due
//	open                        not due, or a repeat                   ComeBack at the state's own time
//	none, deferred (no attempt) a guard refuses, or giveUpAfter        rejected
//	none, deferred              paused, breaker, in the way, no read   ComeBack; after a minute deferred, and again when the cause changes
//	none, deferred              a helpful read fails, or says no       started, Call; the snapshot is what was understood
//	none                        guards pass                            started, Call
//	deferred after an attempt   past expiry or giveUpAfter             failed
//	deferred                    due                                    check the guards again (after an attempt, a refusal is failed), started, Call
//	started                     past callUntil                         the outcome is unknown: Query
//	started, pending, in doubt  nobody can be asked                    as after "not found" (see Conclude), without an event for it; a repeat may be the probe
//	pending, indeterminate      paused                                 only Query
//	pending, indeterminate      breaker open                           ComeBack, or be the breaker's probe
//	pending, indeterminate      due                                    Query
//
// A state that matches no row never leads to a call: Decide returns the zero
// Decision.
func Decide(in Input) Decision {
	i := in.State.Find(in.Command.Op, in.Command.Key)
	if i < 0 && in.Resolution != nil {
		return Decision{Action: RefuseOperator, Code: CodePaymentNotFound}
	}
	if i < 0 {
		return in.decideNew()
	}
	op := in.State.Operations[i]
	started := op.Status == StatusStarted
	// Without the instance its defaults are missing. So content that differs here
	// may be the same.
	same := in.Resolution != nil || op.Fingerprint == in.Command.Fingerprint()
	switch {
	case in.Instance.Configured && !same:
		return Decision{Action: RejectCommand, Code: CodeIdempotencyKeyReused}
	case op.Status.Terminal() && in.Resolution != nil:
		return Decision{Action: RefuseOperator, Code: CodeOther}
	case op.Status.Terminal() && same && in.Requery && in.worthRequery(op):
		return in.requeryEnded()
	case op.Status.Terminal() && same:
		return Decision{Action: Finish}
	case !in.Instance.Configured:
		return in.unconfigured()
	case op.Open == nil:
		return in.lacking()
	case started && in.Now.Before(op.Open.CallUntil) && in.Resolution != nil:
		return Decision{Action: RefuseOperator, Code: CodeWaitingForOperation, At: op.Open.CallUntil}
	case started && in.Now.Before(op.Open.CallUntil):
		return in.comeBack(op.Open.CallUntil, CodeWaitingForOperation, "")
	case started && in.Resolution != nil && in.Resolution.Seen.Before(op.Open.CallUntil):
		// The call may be newer than the state that the operator saw.
		return Decision{Action: RefuseOperator, Code: CodeWaitingForOperation}
	case in.Resolution != nil:
		return in.resolve(op)
	case op.Open.Account != "" && op.Open.Account != in.Instance.Account:
		return in.otherAccount(op)
	case in.stale(op):
		return in.doubtStale(op)
	case in.early(op) && (!in.Requery || op.Status == StatusDeferred):
		return in.comeBack(in.nextLook(op), op.Code, "")
	case op.Status == StatusDeferred && op.Attempt == 0:
		return in.decideWaiting(op)
	case op.Status == StatusDeferred:
		return in.decideRetry(op)
	case in.Traits.Asks == AsksNone:
		return in.unasked(op)
	case in.Instance.Breaker == BreakerOpen && started:
		// The operation is overdue: coming back now would only spin.
		p := in.Instance.Policy
		return in.comeBack(nextPoll(op.Open.CallUntil, in.Now, p.PollInitial, p.PollMax), CodeProviderUnavailable, "")
	case in.Instance.Breaker == BreakerOpen:
		return in.comeBack(in.nextLook(op), CodeProviderUnavailable, "")
	default: // started past callUntil, pending, indeterminate
		return Decision{Action: Query}
	}
}

// decideNew decides about a command whose operation has no event yet.
func (in Input) decideNew() Decision {
	if !in.Instance.Configured {
		return in.unconfigured()
	}
	switch {
	case in.Loss.old():
		return in.presume()
	case in.Loss != nil:
		return in.decideNewer()
	}
	accepted, rejected := in.State.count()
	op := in.newOperation()
	if accepted >= in.Limits.operations() || in.full(op) {
		return Decision{Action: RejectCommand, Code: CodeTooManyOperations}
	}
	if d, done := in.beforeCall(op); done {
		if d.Event != nil && d.Event.Type == EventRejected && rejected >= in.Limits.rejected() {
			return Decision{Action: RejectCommand, Code: CodeTooManyOperations}
		}
		return d
	}
	return in.start(op, in.Reading)
}

// decideWaiting decides about a deferred operation that was never called.
func (in Input) decideWaiting(op Operation) Decision {
	if d, done := in.beforeCall(op); done {
		return d
	}
	if in.Loss != nil {
		return in.startNewer(op)
	}
	return in.start(op, in.Reading)
}

// beforeCall applies guards and waits to an operation without an attempt.
func (in Input) beforeCall(op Operation) (Decision, bool) {
	if code := in.guard(op); code != "" {
		return in.refused(op, StatusRejected, in.refusal(op, code)), true
	}
	if code, over := in.givenUp(op); over {
		return in.refused(op, StatusRejected, Outcome{Code: code}), true
	}
	if d, wait := in.mustWait(op); wait {
		return d, true
	}
	return in.prepared(op, StatusRejected)
}

// decideRetry decides about a deferred operation whose earlier attempts were
// certainly not executed.
func (in Input) decideRetry(op Operation) Decision {
	if d, wait := in.mustWait(op); wait {
		return d
	}
	if in.expired(op) {
		return in.refused(op, StatusFailed, Outcome{Code: CodeExpired})
	}
	if code, over := in.givenUp(op); over {
		return in.refused(op, StatusFailed, Outcome{Code: code})
	}
	if code := in.guard(op); code != "" {
		return in.refused(op, StatusFailed, in.refusal(op, code))
	}
	if d, done := in.prepared(op, StatusFailed); done {
		return d
	}
	return in.start(op, in.Reading)
}

// mustWait says whether something stands in the way of a call.
func (in Input) mustWait(op Operation) (Decision, bool) {
	if in.Instance.Paused {
		return in.wait(op, CodePaused, 0), true
	}
	// This comes before the breaker, which opens and probes. Each change of the
	// cause is an event, so the cause must not follow each state of the breaker.
	if code := in.inTheWay(op); code != "" {
		return in.wait(op, code, 0), true
	}
	if in.Instance.Breaker == BreakerOpen {
		return in.wait(op, CodeProviderUnavailable, 0), true
	}
	return Decision{}, false
}

// prepared asks for the preparing read if the kind needs one, and judges it. A
// refusal ends the operation in the status refusal.
func (in Input) prepared(op Operation, refusal Status) (Decision, bool) {
	if !in.needsReading(op) {
		return Decision{}, false
	}
	r := in.Reading
	switch {
	case r == nil:
		return Decision{Action: ReadPayment}, true
	case in.helpful(op):
		return Decision{}, false
	case !r.OK:
		code := r.Code
		if code == "" {
			code = CodeProviderUnavailable
		}
		return in.wait(op, code, r.RetryAfter), true
	case in.outdated(*r):
		return in.wait(op, CodeProviderUnavailable, 0), true
	}
	if out, done := judgeReading(op, *r); done {
		out.Basis = BasisQuery
		if out.Result == Succeeded {
			return in.end(op, StatusSucceeded, out), true
		}
		return in.refused(op, refusal, out), true
	}
	if in.Traits.For(op.Op, op.Full).NeedsAmount && op.Full && in.fullAmount() == nil {
		return in.wait(op, CodeProviderUnavailable, 0), true
	}
	return Decision{}, false
}

// needsReading reports whether the kind wants the payment read before this call.
func (in Input) needsReading(op Operation) bool {
	switch in.Traits.For(op.Op, op.Full).Prepare {
	case PrepareAlways, PrepareHelpful:
		return true
	case PrepareAmount:
		return op.Full && in.capturedAmount() == nil
	default:
		return false
	}
}

// wait is "come back later". The first minute needs no event. Then there is one
// deferred event, and another only when the cause changes.
func (in Input) wait(op Operation, cause Code, after time.Duration) Decision {
	p := in.Instance.Policy
	asked := in.Command.RequestedAt
	if op.Open != nil && !op.Open.RequestedAt.IsZero() {
		asked = op.Open.RequestedAt
	}
	age := in.Now.Sub(asked)
	at := in.Now.Add(max(p.RetryInitial, min(age, p.RetryMax), after))
	if cause == CodePaused {
		at = in.inPause(op, age)
	}
	known := op.Last > 0
	if !known && in.Loss != nil {
		return in.comeBack(at, cause, "") // deferred would say that certainly nothing was executed
	}
	if (!known && age < quietFor) || (known && op.Status == StatusDeferred && op.Code == cause) {
		return in.comeBack(at, cause, "")
	}
	out := Outcome{Code: cause}
	if r := in.Reading; r != nil && !r.OK && orCode(r.Code, CodeProviderUnavailable) == cause {
		out.Message = r.Message
	}
	return in.deferred(op, out, at)
}

// unconfigured handles a provider that is not configured here, or not any more.
func (in Input) unconfigured() Decision {
	switch {
	case in.Resolution != nil:
		return Decision{Action: RefuseOperator, Code: CodeUnknownProvider}
	case in.State.Version > 0, in.Loss != nil && in.Loss.Recorded:
		return in.comeBack(in.Now.Add(strangePoll), CodeUnknownProvider,
			"a payment has a journal under a provider that is not configured here: restore the instance")
	case in.Now.Sub(in.Command.RequestedAt) < unknownProviderFor:
		return in.comeBack(in.Now.Add(unknownProviderPoll), CodeUnknownProvider, "")
	default:
		return Decision{Action: RejectCommand, Code: CodeUnknownProvider}
	}
}

// otherAccount handles an instance with another account than the one at which
// the operation was called. The operation is never called or queried elsewhere.
func (in Input) otherAccount(op Operation) Decision {
	const alert = "the instance's account has changed under an open operation"
	if op.InDoubt() || op.Status == StatusPending {
		return in.review(op, Outcome{Code: op.Code}, reviewAccount, alert)
	}
	at := in.Now.Add(in.Instance.Policy.ReviewPoll)
	if op.Status == StatusDeferred && op.Code == CodeWaitingForReview {
		return in.comeBack(at, CodeWaitingForReview, alert)
	}
	d := in.deferred(op, Outcome{Code: CodeWaitingForReview}, at)
	d.Alert = alert
	return d
}

// lacking decides about an open operation whose state is incomplete.
func (in Input) lacking() Decision {
	return in.comeBack(in.Now.Add(strangePoll), CodeInternalError, "an open operation lacks what is needed to go on")
}

func (in Input) comeBack(at time.Time, code Code, alert string) Decision {
	return Decision{Action: ComeBack, At: at, Code: code, Alert: alert}
}

// early reports whether the message comes before the operation's time. A repeat always
// does, because it only names the operation.
func (in Input) early(op Operation) bool {
	return !in.Timer || in.Now.Before(op.Open.Due) && !in.pauseOver(op)
}

// nextLook is the state's own time: when the operation is due next.
func (in Input) nextLook(op Operation) time.Time {
	p := in.Instance.Policy
	o := op.Open
	switch {
	case o.Due.After(in.Now):
		return o.Due
	case o.Review != nil:
		return nextPoll(o.Changed, in.Now, p.ReviewPoll, p.ReviewPoll)
	case op.Status == StatusPending || op.Status == StatusIndeterminate:
		return in.beforeReview(op, nextPoll(o.Changed, in.Now, p.PollInitial, p.PollMax))
	default: // overdue: deferred or started
		return in.Now
	}
}

// beforeReview brings a poll forward to the time at which a person is asked.
func (in Input) beforeReview(op Operation, at time.Time) time.Time {
	since := op.Open.DoubtSince
	if op.Status == StatusPending {
		since = op.Open.Changed
	}
	if limit := since.Add(in.Instance.Policy.ReviewAfter); limit.After(in.Now) && limit.Before(at) {
		return limit
	}
	return at
}

// count returns the operations that were not rejected, and those that were.
func (s State) count() (accepted, rejected int) {
	for i := range s.Operations {
		if s.Operations[i].Status == StatusRejected {
			rejected++
		}
	}
	return len(s.Operations) - rejected, rejected
}

// full reports whether the payment has no room for the operation. A waiting
// operation may be rejected later, past the limit of rejected operations. So
// the sum is bounded too.
func (in Input) full(op Operation) bool {
	return len(in.State.Operations) >= in.Limits.operations()+in.Limits.rejected() || !in.State.hasRoom(op)
}

func (l Limits) operations() int { return orDefault(l.Operations) }
func (l Limits) rejected() int   { return orDefault(l.Rejected) }

func orDefault(n int) int {
	if n == 0 {
		return 200
	}
	return n
}

// allows reports whether the instance takes the currency.
func (i Instance) allows(c Currency) bool {
	return len(i.Currencies) == 0 || slices.Contains(i.Currencies, c)
}
