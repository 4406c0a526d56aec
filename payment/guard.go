package payment

// guard says why this service refuses the operation, or nothing. State is
// looked at before any refusal, so a refused repeat is still a repeat.
func (in Input) guard(op Operation) Code {
	if in.expired(op) {
		return CodeExpired
	}
	return in.timelessGuard(op)
}

// timelessGuard is every guard but the expiry: what an operator's word cannot
// overrule either.
func (in Input) timelessGuard(op Operation) Code {
	t := in.Traits.For(op.Op, op.Full)
	switch {
	case !t.Supported && op.Op.TakesAmount() && !op.Full && in.Traits.For(op.Op, true).Supported:
		return CodePartialRefundUnsupported
	case !t.Supported:
		return CodeUnsupportedOperation
	}
	if code := in.currencyGuard(op); code != "" {
		return code
	}
	guard := op.Op.rules().guard
	if guard == nil {
		return CodeUnsupportedOperation
	}
	return guard(in, op)
}

// refusal is what a guard's refusal says beside its code.
func (in Input) refusal(op Operation, code Code) Outcome {
	out := Outcome{Code: code}
	switch code {
	case CodeAmountExceedsRefundable, CodePartiallyRefunded:
		out.Refundable = in.left(op)
	case CodeUnsupportedCurrency:
		if since, by := op.Open.Payment.Currency.Withdrawn(); since != "" {
			out.Message = "not among the instance's currencies; withdrawn from ISO 4217 on " + since + ", replaced by " + string(by)
		}
	default:
	}
	return out
}

// left is what an operation could refund beside all others, open ones included. Nil:
// what was captured is not known, or it cannot be said.
func (in Input) left(op Operation) *Money {
	captured := in.capturedAmount()
	r, err := in.reserved(op)
	switch {
	case captured == nil, err != nil, r.taken.Value > 0 && r.taken.Currency != captured.Currency:
		return nil
	case r.openFull, in.fullyRefunded(), in.State.cancelled():
		return &Money{Currency: captured.Currency}
	default:
		return &Money{Value: max(captured.Value-r.taken.Value, 0), Currency: captured.Currency}
	}
}

// Left is what a further refund of the payment could give back, as far as the journal
// knows: what was captured without all other refunds, open ones included. Nil: nobody
// has said what was captured.
func (s State) Left() *Money { return Input{State: s}.left(Operation{}) }

// expired reports whether the command's own deadline has passed. The state's
// expiry counts, not a repeat's.
func (in Input) expired(op Operation) bool {
	return !op.Open.Expiry.IsZero() && !in.Now.Before(op.Open.Expiry)
}

// givenUp reports whether a waiting operation has waited for giveUpAfter. A
// pause does not count: its end sets the clock back.
func (in Input) givenUp(op Operation) (Code, bool) {
	if op.Last == 0 || op.Code == CodePaused || in.Instance.Paused || op.Open.WaitingSince.IsZero() {
		return "", false
	}
	if in.Now.Sub(op.Open.WaitingSince) < in.Instance.Policy.GiveUpAfter {
		return "", false
	}
	switch op.Code {
	case "", CodeInternalError:
		return CodeProviderUnavailable, true
	default:
		return op.Code, true
	}
}

// currencyGuard checks that every amount of the payment is in one currency,
// and that the instance takes it.
func (in Input) currencyGuard(op Operation) Code {
	want := in.Command.Payment.Currency
	if op.Last > 0 {
		want = op.Open.Payment.Currency
	}
	for _, m := range in.knownAmounts(op) {
		switch {
		case m == nil:
			continue
		case want == "":
			want = m.Currency
		case m.Currency != want:
			return CodeCurrencyMismatch
		}
	}
	if want != "" && !in.Instance.allows(want) {
		return CodeUnsupportedCurrency
	}
	return ""
}

func (in Input) knownAmounts(op Operation) []*Money {
	amounts := []*Money{op.Amount, op.Open.Payment.CapturedAmount, in.State.Captured}
	for i := range in.State.Operations {
		o := &in.State.Operations[i]
		if o.Op.GivesBack() && o.Status != StatusRejected && o.Status != StatusFailed {
			amounts = append(amounts, o.Amount, o.Moved)
		}
	}
	return amounts
}

// cancelGuard refuses a cancel of a payment that was refunded: it was paid.
// A second cancel is no refusal: it goes to the provider and ends with effect none.
func (in Input) cancelGuard(op Operation) Code {
	for i := range in.State.Operations {
		if in.State.Operations[i].gaveBack() {
			return CodePaymentAlreadyPaid
		}
	}
	if r, err := in.reserved(op); err == nil && in.capturedConflict(op, r) {
		return CodeCapturedAmountConflict
	}
	return ""
}

// refundGuard keeps refunds, open ones included, within the captured amount.
func (in Input) refundGuard(op Operation) Code {
	r, err := in.reserved(op)
	captured := in.capturedAmount()
	switch {
	case err != nil:
		return CodeAmountExceedsRefundable
	case in.State.cancelled():
		return CodePaymentCancelled
	case in.fullyRefunded():
		return CodeAlreadyRefunded
	case op.Full && r.taken.Value > 0:
		return CodePartiallyRefunded
	case op.Full && r.openFull:
		return CodeAmountExceedsRefundable // nothing would be left for a second one
	case in.capturedConflict(op, r):
		return CodeCapturedAmountConflict
	case captured == nil, op.Amount == nil, op.Full:
		return ""
	case op.Amount.Value > captured.Value:
		return CodeAmountExceedsCaptured
	case r.openFull:
		return "" // an open full refund is waited for, whatever is left behind it
	}
	total, err := r.taken.Add(*op.Amount)
	switch {
	case err != nil || total.Value > captured.Value:
		return CodeAmountExceedsRefundable
	default:
		return ""
	}
}

// capturedConflict reports whether a new command names a captured amount below
// what is refunded or open.
func (in Input) capturedConflict(op Operation, r reservation) bool {
	c := in.Command.Payment.CapturedAmount
	return c != nil && op.Last == 0 && c.Value < max(r.taken.Value, r.whole)
}

// reservation is what the payment's other refunds have moved or may still move.
type reservation struct {
	taken    Money
	openFull bool  // one of them is an open full refund
	whole    int64 // what that one takes, as far as it is known
}

// reserved adds up what other operations have given back or may still give back.
func (in Input) reserved(op Operation) (r reservation, err error) {
	if op.Amount != nil {
		r.taken.Currency = op.Amount.Currency
	}
	for i := range in.State.Operations {
		o := &in.State.Operations[i]
		switch {
		case o.Op == op.Op && o.KeyHash == op.KeyHash, o.Status == StatusRejected:
			continue
		case o.Status == StatusFailed && !o.Contradicted:
			continue
		case op.Full && op.First > 0 && o.First > op.First && o.Attempt == 0 && !o.Status.Terminal() && !o.InDoubt():
			continue // it waits behind this full refund and must not refuse it
		}
		m := o.Moved
		if o.Op.GivesBack() && m == nil {
			m = o.Amount
		}
		switch {
		case o.Op.GivesBack() && o.Full && !o.Status.Terminal():
			r.openFull = true
			if m == nil {
				m = in.State.Captured
			}
			if m != nil {
				r.whole = m.Value
			}
			continue
		case !o.Op.GivesBack() && o.Effect != EffectRefunded, m == nil:
			continue
		}
		if r.taken.Currency == "" {
			r.taken.Currency = m.Currency
		}
		if r.taken, err = r.taken.Add(*m); err != nil {
			return r, err
		}
	}
	return r, nil
}

// fullyRefunded reports whether a full refund of the payment has succeeded.
func (in Input) fullyRefunded() bool {
	for i := range in.State.Operations {
		if o := &in.State.Operations[i]; o.gaveBack() && (o.Full || !o.Op.TakesAmount()) {
			return true
		}
	}
	return false
}

// gaveBack reports whether the operation gave money back that has not returned.
func (o *Operation) gaveBack() bool {
	return o.Effect == EffectRefunded && (o.Status == StatusSucceeded || o.Contradicted) && (o.Moved == nil || o.Moved.Value > 0)
}

// cancelled reports whether a cancel took effect.
func (s State) cancelled() bool {
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Op.EndsPayment() && (o.Status == StatusSucceeded || o.Contradicted) && o.Effect != EffectRefunded {
			return true
		}
	}
	return false
}

// capturedAmount is the command's own word while it is new, then the state's.
func (in Input) capturedAmount() *Money {
	if i := in.State.Find(in.Command.Op, in.Command.Key); i < 0 && in.Command.Payment.CapturedAmount != nil {
		return in.Command.Payment.CapturedAmount
	}
	return in.State.Captured
}

// fullAmount is what a full refund names to a provider that needs an amount.
func (in Input) fullAmount() *Money {
	if c := in.capturedAmount(); c != nil {
		return c
	}
	if in.Reading != nil && in.Reading.OK {
		return in.Reading.Captured
	}
	return nil
}

// inTheWay names why another operation of the payment goes first: one with an
// attempt that is not terminal, or a waiting one whose first event is older.
// Refunds of a kind with the parallel trait go side by side, unless one is full.
func (in Input) inTheWay(op Operation) Code {
	for i := range in.State.Operations {
		o := &in.State.Operations[i]
		if o.Status.Terminal() || (o.Op == op.Op && o.KeyHash == op.KeyHash) {
			continue
		}
		bothRefunds := o.Op.GivesBack() && op.Op.GivesBack()
		if bothRefunds && in.Traits.Parallel && !o.Full && !op.Full {
			continue
		}
		older := op.First == 0 || o.First < op.First
		switch {
		case o.Attempt == 0 && !o.InDoubt() && (op.Attempt > 0 || !older):
			continue
		case o.Status == StatusDeferred && op.Attempt > 0 && !older:
			continue // two that are both to be called again must not wait for each other
		case o.Open != nil && o.Open.Review != nil:
			return CodeWaitingForReview
		default:
			return CodeWaitingForOperation
		}
	}
	return ""
}

// outdated reports whether a reading shows less refunded than the journal knows
// of: a read may lag behind. Frozen as the snapshot from before a call it would
// make an earlier refund look like this one's movement.
func (in Input) outdated(r Reading) bool {
	known := in.givenBack()
	switch {
	case !in.Traits.ShowsRefunds || known == nil:
		return false
	case r.Refunded != nil:
		return r.Refunded.Currency == known.Currency && r.Refunded.Value < known.Value
	}
	switch r.Status {
	case PaymentPartiallyRefunded, PaymentRefunded, PaymentNotRefundable, PaymentDisputed:
		return false // it shows one, and does not say how much
	default:
		return true
	}
}

// snapshot is the reading as it is frozen: never with less refunded than the
// journal knows of, also where a kind's readings need not show it.
func (in Input) snapshot(r *Reading) *Reading {
	known := in.givenBack()
	if r == nil || !r.OK || known == nil {
		return r
	}
	s := *r
	if s.Refunded == nil || s.Refunded.Currency == known.Currency && s.Refunded.Value < known.Value {
		s.Refunded = known
	}
	if s.Status == PaymentPaid {
		s.Status = PaymentPartiallyRefunded
	}
	return &s
}

// givenBack is what the payment's operations are known to have given back; nil
// where that is nothing, or cannot be added up.
func (in Input) givenBack() *Money {
	var known *Money
	for i := range in.State.Operations {
		o := &in.State.Operations[i]
		m := o.Moved
		if m == nil {
			m = o.Amount
		}
		if !o.gaveBack() || m == nil {
			continue
		}
		sum := *m
		if known != nil {
			var err error
			if sum, err = known.Add(*m); err != nil {
				return nil
			}
		}
		known = &sum
	}
	return known
}

// CapturedOf is what was captured of the payment, as far as the journal knows it for
// one of its operations: the latest accepted word, the operation's own command, or
// the provider's own reading before the call. Nil: nobody has named it.
func (s State) CapturedOf(op Operation) *Money {
	switch {
	case s.Captured != nil:
		return s.Captured
	case op.Open == nil:
		return nil
	case op.Open.Payment.CapturedAmount != nil:
		return op.Open.Payment.CapturedAmount
	case op.Open.Snapshot != nil:
		return op.Open.Snapshot.Captured
	default:
		return nil
	}
}

// Asked is the amount that an operation asks for: its own, or all that was captured.
// Nil: nobody has named it.
func (s State) Asked(op Operation) *Money {
	if op.Amount != nil {
		return op.Amount
	}
	return s.CapturedOf(op)
}

// AtRisk is the largest amount that anybody says an open operation moves: what it asks
// for; of a full one also what the provider's own reading calls captured, since its
// command may name less; and what the provider says has moved. Nil: nobody has named an
// amount, or the provider names another currency.
func (s State) AtRisk(op Operation) *Money {
	most := s.Asked(op)
	if most == nil || op.Open == nil || op.Open.Review.is(reviewMoved) && op.Moved == nil {
		return nil
	}
	said := []*Money{op.Moved}
	if snapshot := op.Open.Snapshot; op.Full && snapshot != nil {
		said = append(said, snapshot.Captured)
	}
	for _, m := range said {
		if m != nil && m.Currency == most.Currency && m.Value > most.Value {
			most = m
		}
	}
	return most
}

// Refundable is what can still be given back by one operation, as far as the journal
// knows: what was captured without what the others have given back. Nil: what was
// captured is not known.
func (s State) Refundable(op Operation) *Money {
	captured := s.CapturedOf(op)
	if captured == nil {
		return nil
	}
	left := *captured
	for i := range s.Operations {
		o := &s.Operations[i]
		m := o.Moved
		if m == nil {
			m = o.Amount
		}
		if o.Op == op.Op && o.KeyHash == op.KeyHash || !o.gaveBack() || m == nil || m.Currency != left.Currency {
			continue
		}
		left.Value -= min(m.Value, left.Value)
	}
	return &left
}

// judgeReading says what a preparing read settles before any call: a refusal,
// or a cancel that has nothing left to do. done is false where the call goes on.
// An unknown operation is refused.
func judgeReading(op Operation, r Reading) (out Outcome, done bool) {
	judge := op.Op.rules().judge
	if judge == nil {
		return Outcome{Result: Failed, Code: CodeUnsupportedOperation}, true
	}
	return judge(op, r)
}

func judgeCancel(_ Operation, r Reading) (Outcome, bool) {
	none := func(c Code) (Outcome, bool) { return Outcome{Result: Succeeded, Effect: EffectNone, Code: c}, true }
	refuse := func(c Code) (Outcome, bool) { return Outcome{Result: Failed, Code: c}, true }
	switch r.Status {
	case PaymentCancelled:
		return none(CodeAlreadyCancelled)
	case PaymentFailed:
		return none(CodePaymentFailed)
	case PaymentExpired:
		return none(CodePaymentExpired)
	case PaymentPaid, PaymentPartiallyRefunded, PaymentRefunded, PaymentNotRefundable:
		return refuse(CodePaymentAlreadyPaid)
	case PaymentPending:
		return refuse(CodePaymentPending)
	case PaymentDisputed:
		return refuse(CodePaymentDisputed)
	case PaymentAbsent:
		return refuse(CodePaymentNotFound)
	default:
		return Outcome{}, false
	}
}

func judgeRefund(op Operation, r Reading) (Outcome, bool) {
	refuse := func(c Code) (Outcome, bool) { return Outcome{Result: Failed, Code: c}, true }
	switch r.Status {
	case PaymentUnpaid, PaymentPending:
		return refuse(CodePaymentPending)
	case PaymentAuthorized:
		return refuse(CodePaymentNotRefundable)
	case PaymentCancelled:
		return refuse(CodePaymentCancelled)
	case PaymentFailed:
		return refuse(CodePaymentFailed)
	case PaymentExpired:
		return refuse(CodePaymentExpired)
	case PaymentDisputed:
		return refuse(CodePaymentDisputed)
	case PaymentAbsent:
		return refuse(CodePaymentNotFound)
	case PaymentRefunded:
		return refuse(CodeAlreadyRefunded)
	case PaymentPartiallyRefunded:
		if op.Full {
			out, done := refuse(CodePartiallyRefunded)
			out.Refundable = r.left()
			return out, done
		}
	case PaymentNotRefundable:
		if op.Full && r.Refunded != nil {
			return refuse(CodePartiallyRefunded)
		}
		return refuse(CodePaymentNotRefundable)
	case PaymentUnknown, PaymentPaid:
	}
	return judgeAmount(op, r)
}

// judgeAmount compares a partial refund with what the provider says is left.
func judgeAmount(op Operation, r Reading) (Outcome, bool) {
	if op.Full || op.Amount == nil || r.Captured == nil {
		return Outcome{}, false
	}
	left := r.left()
	switch {
	case left == nil, left.Currency != op.Amount.Currency:
		return Outcome{Result: Failed, Code: CodeCurrencyMismatch}, true
	case op.Amount.Value > left.Value:
		return Outcome{Result: Failed, Code: CodeAmountExceedsRefundable, Refundable: left}, true
	default:
		return Outcome{}, false
	}
}

// left is what the provider's words leave to refund; nil: it does not say what was
// captured, or names two currencies.
func (r Reading) left() *Money {
	if r.Captured == nil {
		return nil
	}
	left := *r.Captured
	if r.Refunded != nil {
		var err error
		if left, err = left.Sub(*r.Refunded); err != nil {
			return nil
		}
	}
	return &left
}
