package payment

import (
	"slices"
	"time"
)

// reviewReason is why a person is needed.
type reviewReason string

const (
	reviewUnsafe     reviewReason = "not_found_and_repeat_unsafe"
	reviewRefused    reviewReason = "refused_as_known_but_not_found"
	reviewDeclined   reviewReason = "repeat_refused_and_not_found"
	reviewAmbiguous  reviewReason = "several_movements_fit"
	reviewVanished   reviewReason = "accepted_then_not_found"
	reviewUnanswered reviewReason = "no_answer_from_provider"
	reviewAccount    reviewReason = "account_changed"
	reviewPanicked   reviewReason = "internal_error"
	reviewPresumed   reviewReason = "journal_lost_its_record"
	reviewMoved      reviewReason = "moved_more_than_asked"
	reviewUnasked    reviewReason = "nobody_can_be_asked"
)

// is reports whether a person is needed for this reason.
func (r *Review) is(why reviewReason) bool { return r != nil && r.Reason == string(why) }

// review words the question and the actions that are safe.
func (r reviewReason) review(now time.Time) *Review {
	question := map[reviewReason]string{
		reviewUnsafe:     "Does the provider's own ledger show this refund? Its API cannot tell, and sending it again could pay twice.",
		reviewRefused:    "The provider says it knows our reference but does not find the operation. Was it executed?",
		reviewDeclined:   "A call's answer was lost. The provider refused the repeat, or answered it unclearly, and does not find the operation. Was it executed?",
		reviewAmbiguous:  "The provider lists at least one movement that this operation could be, and nothing tells whether it is. Is one of them this operation, and which?",
		reviewVanished:   "The provider accepted the operation and no longer knows it. Was it executed?",
		reviewUnanswered: "The provider does not answer. Was the operation executed?",
		reviewAccount:    "The instance now points at another account. What does the account it was called at say?",
		reviewPresumed:   "The journal has lost what it knew of this operation. Does the provider's own ledger show it?",
		reviewMoved:      "The provider says that it moved more than was asked for, or another currency. What does its own ledger show?",
		reviewUnasked:    "Does the provider's own ledger show this operation? Nobody could be asked: this account has no call for it.",
		reviewPanicked:   "The service failed on this operation again and again. What does the provider say of it?",
	}[r]
	actions := []string{"resolve as succeeded with the provider's reference", "resolve as failed once the provider confirms that nothing moved"}
	if r == reviewAccount {
		actions = append(actions, "restore the instance's account")
	}
	asked := now
	if r == reviewUnasked {
		asked = time.Time{}
	}
	return &Review{Reason: string(r), Since: now, LastAsked: asked, Question: question, SafeActions: actions}
}

// Verdict is what an operator decides about an open operation.
type Verdict int

// The verdicts. There is no default one: the zero value is refused.
const (
	VerdictNone      Verdict = iota
	VerdictSucceeded         // it happened
	VerdictFailed            // it did not happen
	VerdictRetry             // call again; clears doubt only where a repeat is unsafe
)

// Resolution is a named person's decision about an open operation.
type Resolution struct {
	Verdict  Verdict
	Resolved ResolvedBy
	// Seen is when the operator looked: at the journal, and at the provider's
	// books after that. A call under way then may have been sent since, without
	// another event: such a view decides nothing. The zero value is before
	// every call.
	Seen time.Time
	// Testimony is for VerdictSucceeded. A refund's effect is refunded, said or
	// not; a cancel's is closed where it is not said.
	Testimony
}

// fits reports whether the effect can be that of the verdict on op. Money that
// went out is to be booked: a cancel with the effect refunded says how much, and
// one with another effect moved none.
func (r *Resolution) fits(op Op) bool {
	switch {
	case r.Verdict != VerdictSucceeded:
		return r.Effect == ""
	case !op.Known() || r.Effect != "" && !slices.Contains(op.Effects(), r.Effect):
		return false
	case op.GivesBack():
		return true
	case r.Effect == EffectRefunded:
		return r.Moved != nil && r.Moved.Value > 0
	default:
		return r.Moved == nil
	}
}

// resolve carries an operator's decision out.
func (in Input) resolve(op Operation) Decision {
	r := in.Resolution
	out := Outcome{
		Code: CodeResolvedByOperator, Basis: BasisOperator, Effect: r.Effect, Moved: r.Moved, ProviderReference: r.ProviderReference,
	}
	if !r.fits(op.Op) {
		return Decision{Action: RefuseOperator, Code: CodeOther}
	}
	var d Decision
	switch r.Verdict {
	case VerdictSucceeded:
		d = in.end(op, StatusSucceeded, out)
	case VerdictFailed:
		d = in.end(op, StatusFailed, out)
	case VerdictRetry:
		d = in.retry(op)
	default:
		return Decision{Action: RefuseOperator, Code: CodeOther}
	}
	if d.Event == nil {
		return d
	}
	resolved := r.Resolved
	d.Event.ResolvedBy = &resolved
	return d
}

// retry calls again on an operator's word. That word speaks of this operation
// only: it sends no call to an account the operation was not called at,
// overtakes no other operation of the payment, and refunds no more than was captured.
//
// It clears doubt where a repeat is unsafe: there the operator has confirmed
// that calls before this one do not count. Where the provider takes no repeat
// twice nobody has said that: earlier attempts stay in doubt, so that "already
// refunded" is not taken for somebody else's refund.
func (in Input) retry(op Operation) Decision {
	if op.Open.Account != "" && op.Open.Account != in.Instance.Account {
		return Decision{Action: RefuseOperator, Code: CodeWaitingForReview}
	}
	code := in.timelessGuard(op)
	if code == "" {
		code = in.inTheWay(op)
	}
	if code != "" {
		return Decision{Action: RefuseOperator, Code: code}
	}
	op = op.own()
	op.Open.Doubt = in.doubtAfterRetry(op)
	op.Open.Review, op.Open.Refused, op.Open.Presumed = nil, false, false
	op.Open.DoubtSince, op.Open.WaitingSince = time.Time{}, time.Time{}
	if in.Reading == nil {
		in.Reading = op.Open.Snapshot
	}
	needsAmount := op.Full && op.Amount == nil && in.Traits.For(op.Op, true).NeedsAmount
	switch {
	case in.Reading == nil && in.needsReading(op):
		return Decision{Action: ReadPayment}
	case in.Reading != nil && !in.helpful(op) && (!in.Reading.OK || in.outdated(*in.Reading)), needsAmount && in.fullAmount() == nil:
		return Decision{Action: RefuseOperator, Code: CodeProviderUnavailable}
	}
	d := in.start(op, in.Reading)
	d.Event.Basis = BasisOperator
	return d
}

// doubtAfterRetry is which attempts an operator's retry leaves in doubt.
func (in Input) doubtAfterRetry(op Operation) []int {
	switch {
	case !in.Traits.For(op.Op, op.Full).Repeat.repeatable():
		return nil
	case op.Status == StatusPending, op.Status == StatusStarted: // accepted, or of unknown fate
		return appendOnce(op.Open.Doubt, op.Attempt)
	default:
		return op.Open.Doubt
	}
}

// DecidePanicked says what becomes of a command whose handling has panicked
// too often. The state must be a leader's; where it cannot be read the command
// comes back later instead.
func DecidePanicked(in Input) Decision {
	i := in.State.Find(in.Command.Op, in.Command.Key)
	switch {
	case i < 0 && in.Loss.old() && !in.Instance.Configured:
		return in.unconfigured()
	case i < 0 && in.Loss.old():
		return in.presume()
	}
	if i < 0 {
		op := in.newOperation()
		if _, rejected := in.State.count(); rejected >= in.Limits.rejected() || in.full(op) {
			return Decision{Action: RejectCommand, Code: CodeInternalError}
		}
		return in.end(op, StatusRejected, Outcome{Code: CodeInternalError})
	}
	op := in.State.Operations[i]
	const alert = "handling an operation panicked again and again"
	switch {
	case in.Instance.Configured && op.Fingerprint != in.Command.Fingerprint():
		return Decision{Action: RejectCommand, Code: CodeIdempotencyKeyReused}
	case op.Status.Terminal():
		return Decision{Action: Finish}
	case op.Open == nil:
		return in.lacking()
	case op.Status == StatusStarted && in.Now.Before(op.Open.CallUntil):
		return in.comeBack(op.Open.CallUntil, CodeInternalError, alert)
	case op.InDoubt() || op.Status == StatusPending:
		return in.review(op, Outcome{Code: CodeInternalError}, reviewPanicked, alert)
	default:
		at := in.Now.Add(in.Instance.Policy.RetryMax)
		if op.Code == CodeInternalError {
			return in.comeBack(at, CodeInternalError, alert)
		}
		d := in.deferred(op, Outcome{Code: CodeInternalError}, at)
		d.Alert = alert
		return d
	}
}
