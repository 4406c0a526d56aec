package payment

// worthRequery reports whether a status query can tell something new of an
// operation that has ended: that a refund came back, or that what was called
// failed went through. Each is told once, and what was never called has neither.
func (in Input) worthRequery(op Operation) bool {
	refunded := op.Status == StatusSucceeded && op.Op.GivesBack() && op.Effect == EffectRefunded
	failed := op.Status == StatusFailed && op.Attempt > 0
	return (refunded || failed) && !op.Contradicted && in.Instance.Configured && in.Traits.TellsEnded
}

// requeryEnded asks about an operation that has ended. Nobody waits for the answer:
// an open breaker is not probed by force, and the requery comes later.
func (in Input) requeryEnded() Decision {
	if in.Instance.Breaker == BreakerOpen {
		return in.comeBack(in.Now.Add(in.Instance.Policy.RetryMax), CodeProviderUnavailable, "")
	}
	return Decision{Action: Query}
}

// unproven is a yes of a late requery that makes no fact. A yes to what succeeded
// agrees; under another reference it is for a person, since the provider may
// name one movement in two ways. And where a yes is only inferred from what
// moved since the operation began, a day later anything may have moved.
func (in Input) unproven(op Operation, h Heard) Decision {
	if op.Status == StatusSucceeded && in.sameMovement(op, h) {
		return Decision{Action: Finish}
	}
	return Decision{Action: Finish, Alert: "a provider may have moved money for an operation beyond its result: reconcile the payment"}
}
