package reconcile

import (
	"github.com/countermand/countermand/payment"
)

// Answers is what the provider said of one payment when it was asked.
type Answers struct {
	// Reading is the whole payment's, for kinds whose readings tell what was
	// refunded; nil: not asked for.
	Reading *payment.Reading `json:"reading,omitempty"`
	// HidesParts: the kind's readings do not promise to show a partial refund. A payment
	// that is paid may have been refunded in part all the same.
	HidesParts bool `json:"hidesParts,omitempty"`
	// Outcomes are the answers to the questions about each operation, by its index; nil:
	// it was not asked about.
	Outcomes []*payment.Outcome `json:"outcomes,omitempty"`
}

// silentOfParts reports whether the reading says nothing of partial refunds.
func (a Answers) silentOfParts() bool {
	r := a.Reading
	return a.HidesParts && r != nil && r.OK && r.Status == payment.PaymentPaid && r.Refunded == nil
}

// Settles reports whether a reading of the payment alone says that its
// operations are as our books have them: what it says was refunded is what we
// refunded, and cancelled is what we cancelled. Then nothing more needs asking.
func Settles(ops []Operation, r payment.Reading) bool {
	theirs, told := refunded(r)
	ours, known := booked(ops)
	if !told || !known || ours.Value != theirs.Value || ours.Value > 0 && ours.Currency != theirs.Currency {
		return false
	}
	for _, o := range ops {
		switch {
		case o.book() == bookOpen:
			return false
		case o.Op.EndsPayment() && (o.book() == bookExecuted) != cancelled(r) && o.Effect != payment.EffectRefunded && o.Called():
			return false
		}
	}
	return true
}

// refunded is what a reading says was refunded in all; false: it does not say.
func refunded(r payment.Reading) (payment.Money, bool) {
	switch {
	case !r.OK:
		return payment.Money{}, false
	case r.Refunded != nil:
		return *r.Refunded, true
	}
	switch r.Status {
	case payment.PaymentRefunded:
		if r.Captured != nil {
			return *r.Captured, true
		}
		return payment.Money{}, false
	case payment.PaymentUnpaid, payment.PaymentPending, payment.PaymentAuthorized, payment.PaymentPaid,
		payment.PaymentCancelled, payment.PaymentFailed, payment.PaymentExpired, payment.PaymentAbsent:
		return payment.Money{}, true
	default:
		return payment.Money{}, false
	}
}

func cancelled(r payment.Reading) bool {
	return r.Status == payment.PaymentCancelled || r.Status == payment.PaymentExpired || r.Status == payment.PaymentFailed
}

// booked is what our books say was refunded in all; false: not known of one.
func booked(ops []Operation) (sum payment.Money, known bool) {
	for _, o := range ops {
		if o.book() != bookExecuted || !o.givesBack() {
			continue
		}
		m := o.money()
		if m == nil || sum.Currency != "" && m.Currency != sum.Currency {
			return payment.Money{}, false
		}
		sum.Value += m.Value
		sum.Currency = m.Currency
	}
	return sum, true
}

// JudgeAsked compares one payment's operations with what the provider said.
//
//	ours \ answer   succeeded          failed         not found     pending        cannot tell
//	executed        (amount_differs)   not_executed   not_executed  not_executed   counted
//	not executed    executed_anyway    –              –             –              counted
//	returned        –                  –              –             –              –
//	open            –                  –              –             –              –
//	open, too old   open_too_old       open_too_old   open_too_old  open_too_old   open_too_old
//
// Under "cannot tell", a provider that knows our reference with another amount has
// said amount_differs. A yes to a question about the whole payment also fits another operation of it: where one
// of the same kind is booked, a failed one is not called executed_anyway. Where a reading
// says that more was refunded than all of this explains, the rest is unknown_money; where
// it says less, and no operation was found to be the one, that is not_executed.
// A reading that agrees with our books settles everything at once. One that does not
// show partial refunds says of none that it was not carried out.
func (s *Sink) JudgeAsked(ops []Operation, a Answers) error {
	if a.Reading != nil && Settles(ops, *a.Reading) {
		for _, o := range ops {
			s.agree(o)
		}
		return nil
	}
	sum := tally{known: true}
	before := s.Report.Differences()
	for i, o := range ops {
		var out *payment.Outcome
		if i < len(a.Outcomes) {
			out = a.Outcomes[i]
		}
		if a.Reading != nil && o.Op.GivesBack() && out != nil && out.Result == payment.NotFound {
			if _, told := refunded(*a.Reading); !told || a.silentOfParts() && !o.Full {
				// A kind that looks for refunds in a sum it does not tell finds none.
				out = &payment.Outcome{Result: payment.Ambiguous, Message: out.Message}
			}
		}
		moved, err := s.judgeAnswer(ops, o, out)
		if err != nil {
			return err
		}
		sum.add(o, moved)
	}
	if a.Reading == nil || !sum.known || a.silentOfParts() {
		return nil
	}
	return s.rest(ops, *a.Reading, sum, s.Report.Differences() > before)
}

// tally is what the operations explain of what was refunded: at least, and at
// most where some have not ended.
type tally struct {
	least, most int64
	currency    payment.Currency
	known       bool
}

func (t *tally) add(o Operation, moved *payment.Money) {
	open := o.book() == bookOpen
	if moved == nil {
		nothing := !o.Op.GivesBack() || o.book() != bookOpen && o.book() != bookExecuted || o.money() != nil
		t.known = t.known && nothing
		return
	}
	t.known = t.known && (t.currency == "" || t.currency == moved.Currency)
	t.currency = moved.Currency
	t.most += moved.Value
	if !open {
		t.least += moved.Value
	}
}

// rest reports what was refunded beyond what the operations explain, and what
// is missing where no operation was found to be the one.
func (s *Sink) rest(ops []Operation, r payment.Reading, sum tally, found bool) error {
	theirs, told := refunded(r)
	if !told || theirs.Value > 0 && sum.currency != "" && sum.currency != theirs.Currency {
		return nil
	}
	d := Difference{Payment: ops[0].Payment.Native, At: r.At}
	switch {
	case theirs.Value > sum.most:
		theirs.Value -= sum.most
		d.Theirs, d.TheirAmount = RowSucceeded, &theirs
		d.Note = "the payment was refunded by this much more than our operations explain"
		return s.found(UnknownMoney, nil, d)
	case theirs.Value < sum.least && !found:
		d.Ours, d.Theirs = string(payment.StatusSucceeded), "absent"
		d.OurAmount = &payment.Money{Value: sum.least - theirs.Value, Currency: sum.currency}
		d.Note = "the payment was refunded by this much less than our operations say; which of them it is the provider does not tell"
		return s.found(NotExecuted, nil, d)
	}
	return nil
}

// judgeAnswer judges one operation. It returns what was refunded for it, as far
// as the provider says; where it does not, as our books have it.
func (s *Sink) judgeAnswer(ops []Operation, o Operation, out *payment.Outcome) (moved *payment.Money, err error) {
	b := o.book()
	moved = o.refund(out)
	switch {
	case s.Period.tooOld(o):
		return moved, s.found(OpenTooOld, &o, word(out))
	case b == bookOpen, out == nil && b == bookExecuted: // outside the period our books are believed
		return moved, nil
	case b == bookReturned, !o.Called() && b == bookNotExecuted:
		s.agree(o)
		return nil, nil
	case out == nil:
		return nil, nil
	case b == bookExecuted && out.Result == payment.Ambiguous && differ(o.money(), out.Moved):
		return moved, s.found(AmountDiffers, &o, word(out)) // it knows our reference with another amount
	case unavailable(*out), !answered(*out):
		return s.silent(o, *out), nil
	case b == bookExecuted && out.Result != payment.Succeeded:
		return nil, s.found(NotExecuted, &o, word(out))
	case b == bookExecuted && differ(o.money(), out.Moved):
		return moved, s.found(AmountDiffers, &o, word(out))
	case b == bookNotExecuted && out.Result == payment.Succeeded && out.Effect != payment.EffectNone && o.Effect != payment.EffectNone && !twin(ops, o, *out):
		return moved, s.found(ExecutedAnyway, &o, word(out))
	}
	s.agree(o)
	if b == bookNotExecuted {
		return nil, nil
	}
	return moved, nil
}

// silent counts an operation of which the provider told nothing; our books are
// believed.
func (s *Sink) silent(o Operation, out payment.Outcome) *payment.Money {
	if unavailable(out) {
		s.Report.Unanswered++
	} else {
		s.Report.CannotTell++
	}
	if o.book() != bookExecuted {
		return nil
	}
	return o.refund(nil)
}

func (s *Sink) agree(o Operation) {
	if s.Period.Touches(o) {
		s.Report.Agreed++
	}
}

// refund is what a successful answer, or without one our books, say was refunded.
func (o Operation) refund(out *payment.Outcome) *payment.Money {
	if !o.givesBack() && (out == nil || out.Effect != payment.EffectRefunded) {
		return nil
	}
	switch {
	case out != nil && out.Result == payment.Succeeded && out.Moved != nil:
		return out.Moved
	case out != nil && answered(*out) && out.Result != payment.Succeeded:
		return nil
	default:
		return o.money()
	}
}

// twin reports whether another operation of the payment that is booked explains the answer.
func twin(ops []Operation, o Operation, out payment.Outcome) bool {
	for _, other := range ops {
		if other.Op == o.Op && other.Key != o.Key && other.book() == bookExecuted &&
			(out.ProviderReference == "" || out.Basis == payment.BasisInferred || out.ProviderReference == other.ProviderReference) {
			return true
		}
	}
	return false
}

// answered reports whether the provider said something about the operation.
func answered(out payment.Outcome) bool {
	switch out.Result {
	case payment.Succeeded, payment.Failed, payment.Pending, payment.NotFound:
		return true
	default:
		return false
	}
}

// unavailable reports whether the provider was asked in vain: asking again may help.
func unavailable(out payment.Outcome) bool {
	return !answered(out) && out.Result != payment.Ambiguous &&
		(out.Unhealthy || out.RetryAfter > 0 || out.Code == payment.CodeProviderUnavailable || out.Code == payment.CodeProviderAuthentication)
}

// Unavailable reports whether asking again may bring an answer.
func Unavailable(out payment.Outcome) bool { return unavailable(out) }

// word is what the provider's answer says.
func word(out *payment.Outcome) Difference {
	if out == nil {
		return Difference{Theirs: "not asked"}
	}
	d := Difference{Theirs: out.Result.String(), TheirAmount: out.Moved, ProviderReference: out.ProviderReference, At: out.ProviderTime, Note: out.Message}
	if out.Result == payment.NotFound {
		d.Theirs = "absent"
	}
	return d
}
