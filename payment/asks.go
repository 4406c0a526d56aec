package payment

import "time"

// helpful reports whether the reading before this call is one that may only help.
func (in Input) helpful(op Operation) bool {
	return in.Traits.For(op.Op, op.Full).Prepare == PrepareHelpful
}

// understood is the reading that may become the snapshot. One that only helps is
// none if it failed or lags behind the journal. It never says what was captured:
// the documented answer to the call must not be doubted because of it.
func (in Input) understood(op Operation, r *Reading) *Reading {
	switch {
	case r == nil, !in.helpful(op):
		return r
	case !r.OK, in.outdated(*r):
		return nil
	}
	s := *r
	s.Captured = nil
	return &s
}

// unasked is the turn of an operation at an account that cannot be asked: nothing
// is sent, and it counts as "not found".
func (in Input) unasked(op Operation) Decision {
	return in.concludeQuery(in.aged(op), Outcome{Result: NotFound, Message: "nobody can be asked"})
}

// weighed is a query's answer as far as it counts. A call that the provider does
// not document proves nothing: a yes is inferred, and any other answer counts as
// "not found", which leads to what the documented call allows. Only where a repeat
// could pay twice do several candidates go before a person.
func (in Input) weighed(op Operation, out Outcome) Outcome {
	switch {
	case in.Traits.Asks != AsksHelpful, out.Result == NotFound:
		return out
	case out.Result == Succeeded:
		out.Basis = BasisInferred
		return out
	case out.Result == Ambiguous && !in.Traits.For(op.Op, op.Full).Repeat.repeatable():
		return out
	default:
		return Outcome{Result: NotFound, Code: out.Code, Basis: out.Basis, Message: out.Message}
	}
}

// notFoundSince is since when an operation is not found. Where nobody can be asked
// that is its last event: there was nothing to hear that would be worth one.
func (in Input) notFoundSince(o *Open) time.Time {
	if o.NotFoundSince.IsZero() && in.Traits.Asks == AsksNone {
		return o.Changed
	}
	return o.NotFoundSince
}

// askUntil is when an operation whose repeat is unsafe is looked at again: at the
// next question, or, where there is none, when a person is asked.
func (in Input) askUntil(op Operation, out Outcome) time.Time {
	if in.Traits.Asks == AsksNone {
		return op.Open.DoubtSince.Add(in.Instance.Policy.ReviewAfter)
	}
	return in.later(op, out)
}

// mayRepeat reports whether the instance lets a repeat pass. A documented question
// is the breaker's probe before any repeat is; elsewhere the repeat itself is it.
func (in Input) mayRepeat() bool {
	probe := in.Instance.Breaker == BreakerProbe && in.Traits.Asks != AsksDocumented
	return !in.Instance.Paused && (in.Instance.Breaker == BreakerClosed || probe)
}

// unless is the reason for a review, or that nobody can be asked.
func (in Input) unless(why reviewReason) reviewReason {
	if in.Traits.Asks == AsksNone {
		return reviewUnasked
	}
	return why
}
