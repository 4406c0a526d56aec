package payment

import (
	"slices"
	"time"
)

// Heard is an outcome that came back: from the call of one attempt, or from a
// status query.
type Heard struct {
	Query   bool
	Attempt int // the attempt whose call this was; 0 for a query
	Outcome Outcome
}

// Conclude says what an outcome means for the newest state of the payment,
// which may have changed since the call began. A known outcome is never lost:
// if the append of its event is refused, the caller reads the state again and
// concludes again. It does so until the append is accepted or there is nothing
// to add.
//
//	outcome of the call of attempt n   and                               then
//	succeeded                          as asked, or less                 succeeded
//	succeeded                          more, or another currency         review
//	pending                                                              pending
//	failed                             no other attempt may have left    failed
//	not executed                       no other attempt may have left    deferred
//	failed                             repeats one that may have left    still in doubt, no further repeat: query
//	failed, not executed               another attempt may have left     still in doubt: query
//	duplicate                                                            in doubt, no further repeat: query
//	indeterminate                      the provider answered a repeat    in doubt, no further repeat: query
//	indeterminate                                                        in doubt: query
//
//	outcome of a query                 and                               then
//	succeeded                          more, or another currency         review
//	succeeded, failed                  about this operation              succeeded, failed (basis query or inferred)
//	failed                             in review for what moved          stays in review
//	pending                                                              pending; no event if it already was
//	ambiguous                                                            review
//	not found                          pending                           stays pending; after reviewAfter review
//	not found                          in doubt, first time              recorded; query again
//	not found                          again, repeat harmless or refused repeat once: started, Call
//	not found                          repeated, and still not found     after giveUpAfter review
//	not found                          a repeat was refused              after reviewAfter review
//	not found                          repeat unsafe                     after reviewAfter review
//	no usable answer                                                     query again; review when it lasts
//
//	query about what only helps        and                               then
//	succeeded                          as asked                          succeeded (basis inferred)
//	ambiguous                          repeat unsafe                     review
//	anything else                                                        as "not found"
//
// A refusal says nothing of an attempt before it. "There is no such payment" may come
// from a cache, from a test account whose key was put in, or before the payment is
// there, and the lost call may run later. So it makes no doubt a failure, whatever its
// code: a repeat that was answered is not repeated again, and a person is asked.
//
// An operation that has ended gets no second terminal result. An outcome that
// contradicts the end is published as a fact.
func Conclude(in Input, h Heard) Decision {
	i := in.State.Find(in.Command.Op, in.Command.Key)
	if i < 0 {
		return in.concludeUnknown(h)
	}
	op := in.State.Operations[i]
	switch {
	case op.Status.Terminal():
		return in.contradict(op, h)
	case op.Open == nil:
		return in.comeBack(in.Now.Add(strangePoll), CodeInternalError, "an open operation lacks what is needed to go on")
	case h.Query:
		h.Outcome.Basis = basis(h.Outcome, BasisQuery)
		return in.concludeQuery(in.aged(op), in.weighed(op, h.Outcome))
	default:
		h.Outcome.Basis = basis(h.Outcome, BasisAnswer)
		return in.concludeCall(in.aged(op), h.Attempt, h.Outcome)
	}
}

func (in Input) concludeCall(op Operation, n int, out Outcome) Decision {
	others := without(op.Open.Doubt, n)
	newer := op.Status == StatusStarted && op.Attempt != n
	if newer {
		others = appendOnce(others, op.Attempt)
	}
	switch {
	case out.Result == Succeeded && out.Basis == BasisInferred && in.hides(op):
		return in.inReview(op, op.Code) // it may be another operation's, that the journal has lost
	case out.Result == Succeeded:
		op.Attempt = n
		return in.succeeded(op, out)
	case out.Result == Pending && op.Status != StatusPending:
		return in.pending(op, out)
	case op.Status == StatusPending:
		// The provider has accepted the operation, so it is asked, whatever this
		// attempt's outcome is.
		return in.comeBack(in.nextLook(op), op.Code, "")
	case newer && in.Now.Before(op.Open.CallUntil):
		// A newer attempt is under way, and this one stays in doubt. This attempt's
		// refusal says nothing about the newer one.
		return in.comeBack(op.Open.CallUntil, CodeWaitingForOperation, "")
	case op.Status == StatusDeferred:
		// A deferred operation has no call under way, so this attempt's outcome was
		// recorded before.
		return in.comeBack(in.nextLook(op), op.Code, "")
	case out.Result == Failed && len(others) == 0:
		op.Attempt = n
		return in.refused(op, StatusFailed, out)
	case out.Result == NotExecuted && len(others) == 0:
		p := in.Instance.Policy
		at := in.Now.Add(max(backoff(p.RetryInitial, p.RetryMax, op.Attempt), out.RetryAfter))
		return in.deferred(op, out, at)
	case out.Result == Failed:
		return in.stillInDoubt(op, others, out, n > slices.Min(others))
	case out.Result == NotExecuted:
		return in.stillInDoubt(op, others, out, false)
	default:
		answered := len(others) > 0 && n > slices.Min(others) && out.ProviderCode != ""
		if answered && out.Result == Indeterminate {
			out.Code = orCode(out.Code, CodeOther) // see refusal
		}
		return in.stillInDoubt(op, appendOnce(others, n), out, answered || out.Result == Duplicate)
	}
}

// succeeded is the end of an operation that the provider calls executed. What the
// provider says to have moved is believed as far as it was asked for. More, or another
// currency, is no answer to our request: ledgers would book it unseen. A person finds
// out what moved; the operation reserves its amount and is not called again.
func (in Input) succeeded(op Operation, out Outcome) Decision {
	if !in.beyond(op, out) {
		return in.end(op, StatusSucceeded, out)
	}
	op = op.own()
	if op.Status != StatusPending {
		op.Status = StatusIndeterminate
		op.Open.Doubt = appendOnce(op.Open.Doubt, op.Attempt)
		op.Open.CallUntil = time.Time{}
	}
	if out.ProviderReference != "" {
		op.ProviderReference = out.ProviderReference
	}
	if most := in.most(op); most != nil && most.Currency == out.Moved.Currency {
		op.Moved = out.Moved // other refunds have to leave room for it
	}
	op.Code = CodeAmountDiffers
	out.Code, out.Moved, out.Effect = op.Code, nil, ""
	return in.review(op, out, reviewMoved, "a provider says that it has moved more than was asked for, or another currency")
}

// beyond reports whether a provider says to have moved more than the operation asks
// for, or another currency. What is not said or not known cannot be compared.
func (in Input) beyond(op Operation, out Outcome) bool {
	if out.Moved == nil {
		return false
	}
	if most := in.most(op); most != nil {
		return out.Moved.Currency != most.Currency || out.Moved.Value > most.Value
	}
	currency := op.Open.Payment.Currency
	return currency != "" && out.Moved.Currency != currency
}

// most is the largest amount that the operation may move; nil: it is not known.
func (in Input) most(op Operation) *Money {
	switch snapshot := op.Open.Snapshot; {
	case op.Amount != nil:
		return op.Amount
	case in.State.Captured != nil:
		return in.State.Captured
	case snapshot != nil && snapshot.OK:
		return snapshot.Captured
	default:
		return nil
	}
}

// stillInDoubt records new doubt, or nothing when the state already says the same.
// refused says that the provider has answered a repeat: there is no further one.
func (in Input) stillInDoubt(op Operation, attempts []int, out Outcome, refused bool) Decision {
	known := op.Status == StatusIndeterminate && len(attempts) == len(op.Open.Doubt) && (!refused || op.Open.Refused)
	if known {
		return in.comeBack(in.nextLook(op), op.Code, "")
	}
	op = op.own()
	op.Open.Refused = op.Open.Refused || refused
	out.Moved, out.Effect = nil, ""
	return in.doubt(op, attempts, out)
}

func (in Input) concludeQuery(op Operation, out Outcome) Decision {
	calling := op.Status == StatusStarted && in.Now.Before(op.Open.CallUntil)
	switch {
	case op.Open.Presumed && out.Result == Failed, out.Basis == BasisInferred && in.hides(op):
		// The failure may be one attempt's, and the movement another operation's.
		return in.inReview(op, op.Code)
	case out.Result == Succeeded:
		return in.succeeded(op, out)
	case calling:
		return in.comeBack(op.Open.CallUntil, CodeWaitingForOperation, "")
	case op.Status == StatusDeferred:
		return in.comeBack(in.nextLook(op), op.Code, "")
	case out.Result == Failed && op.Open.Review.is(reviewMoved):
		return in.comeBack(in.nextLook(op), op.Code, "") // it has said two things
	case out.Result == Failed:
		return in.end(op, StatusFailed, out)
	case out.Result == Pending && op.Status == StatusPending:
		return in.comeBack(in.nextLook(op), op.Code, "")
	case out.Result == Pending:
		return in.pending(op, out)
	case out.Result == Ambiguous:
		return in.review(op, out, reviewAmbiguous, "more than one movement at the provider fits an operation in doubt")
	case op.Status == StatusPending:
		return in.pendingUnanswered(op, out)
	case op.Status == StatusStarted:
		out.Code = orCode(out.Code, CodeProviderUnavailable)
		return in.doubt(op, appendOnce(op.Open.Doubt, op.Attempt), out)
	case op.Open.Review != nil:
		return in.comeBack(in.nextLook(op), op.Code, "")
	case out.Result == NotFound:
		return in.notFound(op, out)
	default:
		return in.unanswered(op, out)
	}
}

// pendingUnanswered handles a provider that accepted the operation, and now does
// not find it or does not answer. The operation stays pending. If that lasts, a
// person is asked.
func (in Input) pendingUnanswered(op Operation, out Outcome) Decision {
	p := in.Instance.Policy
	limit := p.ReviewAfter
	if out.Result != NotFound {
		limit = p.lasting()
	}
	if op.Open.Review == nil && !in.Now.Before(op.Open.Changed.Add(limit)) {
		return in.review(op, Outcome{Code: op.Code}, in.unless(reviewVanished), "a provider no longer knows an operation it had accepted")
	}
	return in.comeBack(in.later(op, out), op.Code, "")
}

// notFound handles the answer "not found". It proves nothing: a call may arrive
// late, and a stopped process may wake up.
func (in Input) notFound(op Operation, out Outcome) Decision {
	o, p := op.Open, in.Instance.Policy
	since := in.notFoundSince(o)
	unsafe := !in.Traits.For(op.Op, op.Full).Repeat.repeatable()
	overdue := !in.Now.Before(o.DoubtSince.Add(p.ReviewAfter))
	tooLong := !in.Now.Before(o.DoubtSince.Add(p.lasting()))
	switch {
	case o.Presumed:
		return in.presumedNotFound(op, out)
	case unsafe && overdue:
		return in.review(op, Outcome{Code: op.Code}, in.unless(reviewUnsafe), "the provider cannot tell whether an operation was executed, and a repeat could move money twice")
	case unsafe:
		return in.comeBack(in.askUntil(op, out), op.Code, "")
	case o.Refused && overdue:
		return in.review(op, Outcome{Code: op.Code}, op.refusal(), "a provider refuses the repeat of an operation and does not find it")
	case o.Refused:
		return in.comeBack(in.later(op, out), op.Code, "")
	case tooLong && op.tries() > 1: // repeated, and never found
		return in.review(op, Outcome{Code: op.Code}, reviewUnanswered, "an operation has been repeated and is still not found")
	case since.IsZero():
		return in.doubt(op, o.Doubt, Outcome{Result: NotFound, Code: op.Code, Basis: out.Basis, Message: out.Message})
	case in.besideLost(op) && tooLong:
		return in.review(op, Outcome{Code: op.Code}, reviewPresumed, "an operation waits for one that the journal has lost")
	case in.besideLost(op):
		return in.comeBack(in.later(op, out), op.Code, "")
	case in.Now.Before(since.Add(p.settle(op.tries()))), !in.mayRepeat():
		return in.comeBack(in.later(op, out), op.Code, "")
	default:
		return in.start(op, nil)
	}
}

// refusal is why a person is asked about a repeat that was answered. Without a code the
// provider said that it knows our reference; a code says why it carried out nothing, or
// that nobody can tell whether it did.
func (o Operation) refusal() reviewReason {
	if o.Code == "" {
		return reviewRefused
	}
	return reviewDeclined
}

// tries counts the calls since the operation came into doubt. Repeats that the
// provider declined count too, because they leave the first attempt in doubt.
func (o Operation) tries() int {
	if o.Open == nil || len(o.Open.Doubt) == 0 {
		return 0
	}
	return o.Attempt - slices.Min(o.Open.Doubt) + 1
}

// unanswered handles a query without a usable answer.
func (in Input) unanswered(op Operation, out Outcome) Decision {
	p := in.Instance.Policy
	limit := p.ReviewAfter
	if !op.Open.Presumed && in.Traits.For(op.Op, op.Full).Repeat.repeatable() {
		limit = p.lasting() // Countermand can still find out once the provider answers
	}
	if !in.Now.Before(op.Open.DoubtSince.Add(limit)) {
		return in.review(op, Outcome{Code: op.Code}, reviewUnanswered, "a provider has not answered for an operation in doubt")
	}
	return in.comeBack(in.later(op, out), op.Code, "")
}

// later is the time of the next query after an unchanged answer. It is not
// before the time that the provider asked for.
func (in Input) later(op Operation, out Outcome) time.Time {
	at := in.nextLook(op)
	if away := in.Now.Add(out.RetryAfter); away.After(at) {
		return away
	}
	return at
}

// contradict compares a late outcome with the end of the operation. It never
// makes a second terminal result. A contradiction about money is published as a
// fact, once, with an alert.
func (in Input) contradict(op Operation, h Heard) Decision {
	out := h.Outcome
	t := EventExecutedLate
	switch {
	case in.Requery && out.Result == Succeeded && (op.Status == StatusSucceeded || out.Basis == BasisInferred):
		return in.unproven(op, h)
	case out.Result == Succeeded && op.Status == StatusSucceeded && (in.sameMovement(op, h) || in.ruledOnOnly(op)):
		return Decision{Action: Finish}
	case out.Result == Succeeded && out.Effect == EffectNone:
		return Decision{Action: Finish}
	case out.Result == Succeeded && op.Status == StatusSucceeded && in.Traits.For(op.Op, op.Full).Repeat == RepeatHarmless:
		return Decision{Action: Finish} // a second success moved nothing
	case out.Result == Succeeded:
	case out.Result == Failed && !h.Query && h.Attempt != op.Attempt:
		// The refusal is about its own attempt, not about the one that succeeded.
		// This holds even if the provider names both alike (by the payment).
		return Decision{Action: Finish}
	case out.Result == Failed && op.Status == StatusSucceeded && op.Op.GivesBack() && in.sameMovement(op, h) &&
		op.Effect == EffectRefunded && out.ProviderReference != "":
		t = EventReturned
	default:
		return Decision{Action: Finish}
	}
	alert := "the provider's late answer contradicts the result that was published"
	if op.Contradicted {
		return Decision{Action: Finish, Alert: alert}
	}
	if out.Basis == "" {
		out.Basis = BasisAnswer
		if h.Query {
			out.Basis = BasisQuery
		}
	}
	return Decision{Action: Finish, Event: in.fact(op, t, h.Attempt, out), Alert: alert}
}

// sameMovement reports whether an outcome is about the same movement as the end:
// both have the same provider reference. If one has none, the attempt must be the
// same, or the end must not come from one attempt's own answer. Where a repeat may
// move money again, two calls that were answered are two, also under one reference:
// it may be the payment's.
func (in Input) sameMovement(op Operation, h Heard) bool {
	byAnswers := !h.Query && h.Attempt != op.Attempt && op.Basis == BasisAnswer
	if byAnswers && !in.Traits.For(op.Op, op.Full).Repeat.repeatable() {
		return false
	}
	if op.ProviderReference != "" && h.Outcome.ProviderReference != "" {
		return op.ProviderReference == h.Outcome.ProviderReference
	}
	return h.Query || op.Attempt == h.Attempt || op.Basis != BasisAnswer
}

// ruledOnOnly reports whether a person ruled that the operation happened and only
// one movement is possible. That is so after one attempt, or if the provider
// executes no repeat twice. The reference that the person typed may come from the
// portal and differ from the API's.
func (in Input) ruledOnOnly(op Operation) bool {
	return op.Basis == BasisOperator && (op.Attempt == 1 || in.Traits.For(op.Op, op.Full).Repeat.repeatable())
}

// fact makes an event that comes after the end. The state keeps the terminal
// status. The command in hand supplies the fields that the compact operation has
// dropped.
func (in Input) fact(op Operation, t EventType, attempt int, out Outcome) *Event {
	s := in.State
	s.Version++
	op.Last = s.Version
	op.Contradicted = true
	switch {
	case out.Moved == nil && t == EventReturned:
		out.Moved = op.Moved
	case out.Moved == nil:
		out.Moved = op.Amount
	}
	switch {
	case t == EventReturned:
		out.Effect = ""
	case out.Effect == "" && op.Op.GivesBack():
		out.Effect = EffectRefunded
	}
	op.book(t, out.Effect, out.Moved)
	s.put(op)
	s.Format = s.WrittenFormat()
	e := in.event(op, t, out)
	e.Attempt, e.State = attempt, s
	return e
}

// book updates the operation's effect and movement after a fact, so that the
// guards of later refunds count what the provider did. Amounts that cannot be
// added stay as they were: then more is reserved, never less.
func (o *Operation) book(t EventType, effect Effect, m *Money) {
	if t == EventExecutedLate && o.Effect != EffectRefunded {
		o.Effect = effect
	}
	before := o.Moved
	if before == nil && m != nil {
		before = &Money{Currency: m.Currency}
	}
	if before == nil || m == nil {
		return
	}
	after, err := before.Add(*m)
	if t == EventReturned {
		after, err = before.Sub(*m)
		after.Value = max(after.Value, 0)
	}
	if err == nil {
		o.Moved = &after
	}
}

// basis says how an outcome became known: as the adapter says, or else heard. It
// is empty if nothing became known.
func basis(out Outcome, heard Basis) Basis {
	switch {
	case out.Basis != "":
		return out.Basis
	case (out.Result == Indeterminate || out.Result == NotExecuted) && out.ProviderCode == "":
		return "" // nobody answered
	default:
		return heard
	}
}

func orCode(c, fallback Code) Code {
	if c == "" {
		return fallback
	}
	return c
}
