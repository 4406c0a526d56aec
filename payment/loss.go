package payment

import (
	"slices"
	"time"
)

// Loss is what an accepted loss of the journal means for one decision. A
// journal that has lost its tail no longer proves that something did not happen:
// an operation that it does not know may have been called, and one that it shows
// waiting may have been called since.
type Loss struct {
	// AcceptedAt is when a person accepted the loss. What the journal says of an
	// open operation from before that may be out of date.
	AcceptedAt time.Time
	// CallsEnd is when the last call that began before the acceptance has ended:
	// the acceptance, the longest call timeout, and a margin.
	CallsEnd time.Time
	// Newer: the command in hand was published after the acceptance, by the
	// stream's clock. Where that is not certain it is false.
	Newer bool
	// Recorded: the message in hand is a timer that knew an event of the operation.
	// If the journal does not know the operation, the loss took it.
	Recorded bool
}

// old reports whether an operation that the journal does not know may have been
// carried out before the loss.
func (l *Loss) old() bool { return l != nil && (!l.Newer || l.Recorded) }

// The operations of a journal that has lost something:
//
//	state of the operation  and                                    decision
//	none                    the command is not newer               presumed: indeterminate (journal_incomplete), never called
//	none                    its timer knew an event of it          presumed, though the command is newer or the journal is trusted again
//	none                    so, and the provider is not configured ComeBack: rejected would say that nothing was executed
//	none                    so, and its handling panics            presumed, not rejected
//	none                    newer, provider not asked              Query under the reference a first attempt would have
//	none                    newer, found by our reference          succeeded, pending
//	none                    newer, the provider names a failure    review: there was an operation under this key before
//	none                    newer, not found                       guards, then started, Call; what refuses leads to review
//	none                    newer, no usable answer, or it waits   ComeBack, never deferred: that would say nothing was executed
//	none                    newer, repeat unsafe, before CallsEnd  ComeBack: a call from before the loss may still run
//	presumed                found by our own reference or key      succeeded, pending
//	presumed                a failure, or a movement of the amount review: it may be another attempt's or operation's
//	presumed                not found, twice, reviewAfter apart    review
//	deferred                last changed before the acceptance     indeterminate, its next attempt in doubt, presumed
//	started, indeterminate  last changed before the acceptance     indeterminate, with an attempt that was lost in doubt
//	                        so, and a call is refused or not made  in doubt still: the no is not about what was lost
//	in doubt                not found, another one may be lost     no repeat beside it; after giveUpAfter review
//	presumed                an operator retries it                 no longer presumed; what was in doubt stays so where a repeat is refused
//	any open one            a movement of the amount alone         review: it may be an operation's that was lost
//	new                     a guard or the provider refuses it     review, never rejected or failed
//
// presume records an operation that the journal does not know and that may have
// been carried out before the loss.
func (in Input) presume() Decision {
	op := in.newOperation()
	if !in.State.hasRoom(op) {
		return in.comeBack(in.Now.Add(strangePoll), CodeJournalIncomplete, "a payment has no room for an operation that may have been lost")
	}
	op = in.presumed(op, 0)
	if accepted, _ := in.State.count(); accepted >= in.Limits.operations() {
		return in.review(op, Outcome{Code: CodeJournalIncomplete}, reviewPresumed, "a payment has more operations that may have been lost than can be asked about")
	}
	return in.record(op)
}

// presumed is the operation with an attempt of which the journal may have lost
// the record. The program never calls it by itself.
func (in Input) presumed(op Operation, attempt int) Operation {
	op = op.own()
	o := op.Open
	op.Status, op.Code, op.Attempt = StatusIndeterminate, CodeJournalIncomplete, attempt
	o.Presumed = true
	// Attempts that were lost may have had the same numbers.
	o.Doubt = appendOnce(appendOnce(o.Doubt, attempt), lostAttempt)
	if o.DoubtSince.IsZero() {
		o.DoubtSince = in.Now
	}
	if o.Account == "" {
		o.Account = in.Instance.Account
	}
	if o.Reference == "" {
		o.Reference = ProviderReference(in.Traits.Kind, o.Account, in.ID.Native, op.Op, o.Key)
	}
	return op
}

// record writes a presumed operation down. It is asked about once no call from
// before the loss can be under way any more.
func (in Input) record(op Operation) Decision {
	o := op.Open
	o.Due = in.Now.Add(in.Instance.Policy.PollInitial)
	if in.Loss != nil && in.Loss.CallsEnd.After(o.Due) {
		o.Due = in.Loss.CallsEnd
	}
	o.CallUntil = time.Time{}
	if o.Presumed {
		o.CallUntil = o.Due
	}
	e := in.fold(op, EventIndeterminate, Outcome{Code: CodeJournalIncomplete})
	e.CallUntil, e.NextAttemptAt = o.CallUntil, o.Due
	return Decision{
		Action: ComeBack, Event: e, At: o.Due, Code: CodeJournalIncomplete,
		Alert: "the journal has lost something, and this operation may have been called before",
	}
}

const (
	// clocksApart is how far the clocks of two processes may differ.
	clocksApart = 2 * time.Second
	// lostAttempt stands for attempts that the journal has lost. No call has this
	// number, so that no answer to a call clears the doubt about them.
	lostAttempt = 0
)

// stale reports whether the journal shows the operation as it was before an
// accepted loss, so that it may have been called since. An operation that waits
// for a query, too: what is heard of its known attempts says nothing of the others.
func (in Input) stale(op Operation) bool {
	if in.Loss == nil || !op.Open.Changed.Before(in.Loss.AcceptedAt.Add(clocksApart)) {
		return false
	}
	switch op.Status {
	case StatusDeferred:
		return true
	case StatusStarted, StatusIndeterminate:
		return !slices.Contains(op.Open.Doubt, lostAttempt)
	default:
		return false
	}
}

// doubtStale puts what the journal may have lost of a stale operation in doubt.
// One that waits to be called is presumed; one that was called stays as it is.
func (in Input) doubtStale(op Operation) Decision {
	if op.Status == StatusDeferred {
		return in.record(in.presumed(op, op.Attempt+1))
	}
	op = in.aged(op)
	if op.Status == StatusStarted {
		op.Open.Doubt = appendOnce(op.Open.Doubt, op.Attempt)
	}
	op.Status, op.Code = StatusIndeterminate, CodeJournalIncomplete
	if op.Open.DoubtSince.IsZero() {
		op.Open.DoubtSince = in.Now
	}
	return in.record(op)
}

// hides reports whether the journal may hide another operation that moved the same
// amount: while a loss is in doubt, and of an operation that was open then.
func (in Input) hides(op Operation) bool {
	return in.Loss != nil || slices.Contains(op.Open.Doubt, lostAttempt)
}

// besideLost reports whether another operation of the payment may have been
// called without a trace in the journal, and this one must not go beside it.
// Without a loss there is no second operation in doubt.
func (in Input) besideLost(op Operation) bool {
	for i := range in.State.Operations {
		o := &in.State.Operations[i]
		if o.Open == nil || (o.Op == op.Op && o.KeyHash == op.KeyHash) {
			continue
		}
		beside := in.Traits.Parallel && o.Op.GivesBack() && op.Op.GivesBack() && !o.Full && !op.Full
		if !beside && slices.Contains(o.Open.Doubt, lostAttempt) {
			return true
		}
	}
	return false
}

// aged is the operation with the attempts that the journal may have lost in doubt.
func (in Input) aged(op Operation) Operation {
	if op.Status == StatusDeferred || !in.stale(op) {
		return op
	}
	op = op.own()
	op.Open.Doubt = appendOnce(op.Open.Doubt, lostAttempt)
	return op
}

// decideNewer decides about an operation that the journal does not know, whose
// command was published after the loss was accepted. The key may have been used
// before all the same.
func (in Input) decideNewer() Decision {
	if in.Asked == nil && in.Traits.Asks != AsksNone {
		if in.Instance.Breaker == BreakerOpen {
			return in.comeBack(in.Now.Add(in.Instance.Policy.RetryInitial), CodeProviderUnavailable, "")
		}
		return Decision{Action: Query}
	}
	op := in.newOperation()
	if accepted, _ := in.State.count(); accepted >= in.Limits.operations() || in.full(op) {
		return Decision{Action: RejectCommand, Code: CodeTooManyOperations}
	}
	if d, done := in.beforeCall(op); done {
		return d
	}
	return in.startNewer(op)
}

// Unknown is how the provider is asked about an operation that the journal does
// not know: under the reference that its first attempt would have, compared with
// what the journal knows to have been given back. For cancels there is nothing
// to compare with.
func (in Input) Unknown() (reference string, snapshot *Reading) {
	c := in.Command
	reference = ProviderReference(in.Traits.Kind, in.Instance.Account, in.ID.Native, c.Op, c.Key)
	if !c.Op.GivesBack() {
		return reference, nil
	}
	snapshot = &Reading{OK: true, Status: PaymentPaid, Captured: in.capturedAmount(), Refunded: in.givenBack(), At: in.Now}
	if snapshot.Refunded != nil {
		snapshot.Status = PaymentPartiallyRefunded
	}
	return reference, snapshot
}

// startNewer calls an operation that was asked about and not found. Where a
// repeat is unsafe the provider's own list of movements must be explained by
// the journal first.
func (in Input) startNewer(op Operation) Decision {
	if in.Traits.For(op.Op, op.Full).Repeat.repeatable() {
		return in.start(op, in.Reading)
	}
	switch {
	case in.Now.Before(in.Loss.CallsEnd): // a call from before the loss may still run
		return in.comeBack(in.Loss.CallsEnd, CodeJournalIncomplete, "")
	case in.Traits.Asks == AsksNone:
		return in.inReview(op, CodeJournalIncomplete)
	case in.Reading == nil:
		return Decision{Action: ReadPayment}
	case !in.Reading.OK && !in.helpful(op):
		return in.wait(op, orCode(in.Reading.Code, CodeProviderUnavailable), in.Reading.RetryAfter)
	case !in.explains(*in.Reading):
		return in.inReview(op, CodeJournalIncomplete)
	default:
		return in.start(op, in.Reading)
	}
}

// explains reports whether the journal knows of all that a reading shows as
// refunded. A reading that does not show refunds explains nothing.
func (in Input) explains(r Reading) bool {
	if !in.Traits.ShowsRefunds {
		return false
	}
	known := in.givenBack()
	switch {
	case r.Refunded != nil && known == nil:
		return r.Refunded.Value == 0
	case r.Refunded != nil:
		return r.Refunded.Currency == known.Currency && r.Refunded.Value <= known.Value
	default:
		return r.Status == PaymentPaid && known == nil && len(r.Movements) == 0
	}
}

// concludeUnknown says what an outcome means for an operation that the journal
// does not know.
func (in Input) concludeUnknown(h Heard) Decision {
	if !h.Query {
		return in.concludeVanished(h)
	}
	if in.Loss == nil || in.Loss.old() {
		return in.comeBack(in.Now.Add(strangePoll), CodeInternalError, "an outcome came back for an operation the journal does not know")
	}
	out := h.Outcome
	out.Basis = basis(out, BasisQuery)
	op := in.presumed(in.newOperation(), 0)
	out = in.weighed(op, out)
	switch {
	case out.Result == Succeeded && out.Basis != BasisInferred:
		return in.succeeded(op, out)
	case out.Result == Pending:
		return in.pending(op, out)
	case out.Result == NotFound:
		in.Asked = &out
		return in.decideNewer()
	case out.Result == Indeterminate, out.Result == NotExecuted:
		return in.comeBack(in.Now.Add(max(in.Instance.Policy.PollInitial, out.RetryAfter)), orCode(out.Code, CodeProviderUnavailable), "")
	default:
		return in.inReview(op, CodeJournalIncomplete)
	}
}

// concludeVanished keeps the outcome of a call whose operation the journal has
// lost meanwhile. What is known is appended with the command in hand; it is
// never taken for a new operation. A refusal speaks for its own attempt alone,
// and which attempts there were nobody knows any more.
func (in Input) concludeVanished(h Heard) Decision {
	out := h.Outcome
	out.Basis = basis(out, BasisAnswer)
	op := in.presumed(in.newOperation(), h.Attempt)
	switch out.Result {
	case Succeeded:
		return in.succeeded(op, out)
	case Pending:
		return in.pending(op, out)
	default:
		return in.record(op)
	}
}

// presumedNotFound: "not found" ends nothing. After two such answers, reviewAfter
// apart, a person is asked.
func (in Input) presumedNotFound(op Operation, out Outcome) Decision {
	o, again := op.Open, in.Instance.Policy.ReviewAfter
	switch {
	case in.Now.Before(o.CallUntil): // a call from before the loss may still run
		return in.comeBack(o.CallUntil, op.Code, "")
	case o.NotFoundSince.IsZero():
		return in.doubt(op, o.Doubt, Outcome{Result: NotFound, Code: op.Code, Basis: out.Basis, Message: out.Message})
	case in.Now.Before(o.NotFoundSince.Add(again)):
		return in.comeBack(in.later(op, out), op.Code, "")
	default:
		return in.inReview(op, op.Code)
	}
}

// refused is what becomes of an operation that a guard or the provider refuses:
// its end, or, after a loss, a person's business, since the refusal may be about
// an earlier call of the same operation that the journal has lost.
func (in Input) refused(op Operation, status Status, out Outcome) Decision {
	if in.Loss != nil {
		return in.inReview(op, orCode(out.Code, CodeJournalIncomplete))
	}
	return in.end(op, status, out)
}

// inReview puts an operation before a person because of the loss.
func (in Input) inReview(op Operation, code Code) Decision {
	op, code = in.presumed(op, op.Attempt), orCode(code, CodeJournalIncomplete)
	op.Code = code
	return in.review(op, Outcome{Code: code}, reviewPresumed, "the journal has lost something, and whether this operation was executed only a person can find out")
}
