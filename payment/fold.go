package payment

import (
	"slices"
	"time"
)

// newOperation is the command's operation before its first event.
func (in Input) newOperation() Operation {
	c := in.Command
	return Operation{
		Op: c.Op, KeyHash: c.Key.Hash(), Fingerprint: c.Fingerprint(), Amount: c.Amount, Full: c.Full,
		Open: &Open{
			Key: c.Key, Payment: c.Payment, Reason: c.Reason, Origin: c.Origin, Trace: c.Trace,
			Expiry: c.Expiry, RequestedAt: c.RequestedAt,
		},
	}
}

// start records attempt n and asks for the call. In doubt everything that was
// frozen stays; an operation not in doubt takes amount and snapshot anew.
func (in Input) start(op Operation, reading *Reading) Decision {
	op = op.own()
	o, p := op.Open, in.Instance.Policy
	frozen := len(o.Doubt) > 0
	if op.Code == CodePaused {
		o.WaitingSince = in.Now // the pause's end sets giveUpAfter back
	}
	op.Status = StatusStarted
	op.Attempt++
	op.Code = ""
	o.CallUntil = in.Now.Add(p.CallTimeout + p.CallMargin)
	o.Due = o.CallUntil
	o.Account = in.Instance.Account
	o.NotFoundSince = time.Time{}
	if o.Reference == "" {
		o.Reference = ProviderReference(in.Traits.Kind, in.Instance.Account, in.ID.Native, op.Op, o.Key)
	}
	if !frozen {
		o.Snapshot = in.snapshot(in.understood(op, reading))
		if a := in.fullAmount(); a != nil && op.Full && in.Traits.For(op.Op, true).NeedsAmount {
			op.Amount = a
		}
	}
	e := in.fold(op, EventStarted, Outcome{})
	e.CallUntil = o.CallUntil
	return Decision{Action: Call, Event: e}
}

// deferred records that nothing was executed, certainly, and why it waits.
func (in Input) deferred(op Operation, out Outcome, at time.Time) Decision {
	op = op.own()
	o := op.Open
	// giveUpAfter counts from the first wait, and anew from the end of a pause.
	if o.WaitingSince.IsZero() || op.Code == CodePaused {
		o.WaitingSince = in.Now
	}
	op.Status = StatusDeferred
	op.Code = out.Code
	if op.Code == "" {
		op.Code = CodeProviderUnavailable
	}
	o.Doubt = nil
	o.DoubtSince, o.NotFoundSince, o.CallUntil = time.Time{}, time.Time{}, time.Time{}
	o.Review = nil
	o.Due = at
	e := in.fold(op, EventDeferred, out)
	e.Code = op.Code
	e.NextAttemptAt = at
	return Decision{Action: ComeBack, Event: e, At: at, Code: op.Code}
}

// doubt records that attempts may have left without their fate being known.
func (in Input) doubt(op Operation, attempts []int, out Outcome) Decision {
	op = op.own()
	o := op.Open
	op.Status = StatusIndeterminate
	op.Code = out.Code
	o.Doubt = attempts
	o.CallUntil = time.Time{}
	if o.DoubtSince.IsZero() {
		o.DoubtSince = in.Now
	}
	if out.Result == NotFound {
		o.NotFoundSince = in.Now
	}
	o.Changed = in.Now
	o.Due = in.beforeReview(op, in.Now.Add(max(in.Instance.Policy.PollInitial, out.RetryAfter)))
	e := in.fold(op, EventIndeterminate, out)
	e.NextAttemptAt = o.Due
	return Decision{Action: ComeBack, Event: e, At: o.Due, Code: out.Code}
}

// pending records that the provider accepted the operation and decides later.
func (in Input) pending(op Operation, out Outcome) Decision {
	op = op.own()
	o := op.Open
	op.Status = StatusPending
	op.Code = out.Code
	if out.ProviderReference != "" {
		op.ProviderReference = out.ProviderReference
	}
	o.Doubt, o.Review = nil, nil
	o.CallUntil, o.DoubtSince, o.NotFoundSince = time.Time{}, time.Time{}, time.Time{}
	o.Due = in.Now.Add(max(in.Instance.Policy.PollInitial, out.RetryAfter))
	e := in.fold(op, EventPending, out)
	e.NextAttemptAt = o.Due
	return Decision{Action: ComeBack, Event: e, At: o.Due, Code: out.Code}
}

// end records the operation's one terminal result and makes it compact.
func (in Input) end(op Operation, status Status, out Outcome) Decision {
	op = op.own()
	op.Status = status
	op.Code, op.Moved = out.Code, nil
	if status != StatusSucceeded {
		op.Code = orCode(out.Code, CodeOther) // the contract wants a cause for every no
	}
	op.Basis = out.Basis
	if out.ProviderReference != "" {
		op.ProviderReference = out.ProviderReference
	}
	if status == StatusSucceeded {
		in.succeed(&op, &out)
	}
	e := in.fold(op, EventType(status), out)
	e.Code, e.Effect, e.Moved = op.Code, op.Effect, op.Moved
	if status == StatusRejected {
		e.Attempt, e.ClientReference = 0, ""
	}
	return Decision{Action: Finish, Event: e, Code: op.Code}
}

// succeed fills in what a success did: its effect, and what moved.
func (in Input) succeed(op *Operation, out *Outcome) {
	op.Effect = out.Effect
	if usual := op.Op.Effects(); op.Effect == "" && len(usual) > 0 {
		op.Effect = usual[0]
	}
	if op.Op.EndsPayment() && op.Effect != EffectRefunded && in.State.cancelled() {
		op.Effect = EffectNone
		op.Code = CodeAlreadyCancelled
	}
	op.Moved = out.Moved
	if op.Effect != EffectRefunded {
		return
	}
	asked := op.Amount
	if asked == nil && op.Full {
		asked = in.State.Captured
	}
	switch {
	case op.Moved == nil:
		op.Moved = asked // the provider confirmed the request that named this amount
	case asked != nil && *asked != *op.Moved && (op.Code == "" || op.Code == CodeResolvedByOperator):
		op.Code = CodeAmountDiffers
	}
}

// review records that automation cannot know, and what a person may do.
func (in Input) review(op Operation, out Outcome, why reviewReason, alert string) Decision {
	op = op.own()
	o, p := op.Open, in.Instance.Policy
	if o.Review != nil {
		return in.comeBack(nextPoll(o.Changed, in.Now, p.ReviewPoll, p.ReviewPoll), op.Code, alert)
	}
	if op.Status == StatusStarted {
		o.Doubt = appendOnce(o.Doubt, op.Attempt)
		op.Status = StatusIndeterminate
		o.CallUntil = time.Time{}
	}
	if o.DoubtSince.IsZero() && op.Status == StatusIndeterminate {
		o.DoubtSince = in.Now
	}
	o.Review = why.review(in.Now)
	o.Due = in.Now.Add(p.ReviewPoll)
	if out.Code == "" {
		out.Code = op.Code
	}
	e := in.fold(op, EventType(op.Status), out)
	e.Review = o.Review
	e.NextAttemptAt = o.Due
	return Decision{Action: ComeBack, Event: e, At: o.Due, Code: op.Code, Alert: alert}
}

// fold puts the operation into the next version of the state and makes the
// event that carries it.
func (in Input) fold(op Operation, t EventType, out Outcome) *Event {
	s := in.State
	s.Version++
	op.Last = s.Version
	if op.First == 0 {
		op.First = s.Version
		if t != EventRejected && op.Open.Payment.CapturedAmount != nil {
			s.Captured = op.Open.Payment.CapturedAmount
		}
	}
	o := op.Open
	o.Changed = in.Now
	e := in.event(op, t, out)
	e.Key, e.Payment, e.Origin, e.Trace, e.RequestedAt = o.Key, o.Payment, o.Origin, o.Trace, o.RequestedAt
	e.ClientReference, e.ProviderReference, e.Review = o.Reference, op.ProviderReference, o.Review
	if Status(t).Terminal() {
		op.Open = nil
		e.Review = nil
	}
	s.put(op)
	s.Format = s.WrittenFormat()
	e.State = s
	return e
}

// event makes an event of the operation, with what the command in hand says of it.
func (in Input) event(op Operation, t EventType, out Outcome) *Event {
	c := in.Command
	e := &Event{
		Type: t, Op: op.Op, ID: in.ID, Key: c.Key, Payment: c.Payment, Full: op.Full,
		Outcome: out, Attempt: op.Attempt,
		Origin: c.Origin, Trace: c.Trace, RequestedAt: c.RequestedAt, OccurredAt: in.Now,
	}
	if !op.Full {
		e.Amount = op.Amount
	}
	return e
}

// put sets the operation in a list of the state's own.
func (s *State) put(op Operation) {
	s.Operations = slices.Clone(s.Operations)
	for i := range s.Operations {
		if s.Operations[i].Op == op.Op && s.Operations[i].KeyHash == op.KeyHash {
			s.Operations[i] = op
			return
		}
	}
	s.Operations = append(s.Operations, op)
}

// own returns the operation with an Open of its own, so that changing it
// leaves the state it came from untouched.
func (o Operation) own() Operation {
	if o.Open != nil {
		open := *o.Open
		open.Doubt = slices.Clone(open.Doubt)
		o.Open = &open
	}
	return o
}

func appendOnce(list []int, n int) []int {
	if slices.Contains(list, n) {
		return list
	}
	return append(slices.Clone(list), n)
}

func without(list []int, n int) []int {
	return slices.DeleteFunc(slices.Clone(list), func(m int) bool { return m == n })
}
