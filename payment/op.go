package payment

import (
	"slices"
	"strings"
)

// Op is what a command asks for.
type Op string

// The operations. Ops lists them.
const (
	Cancel Op = "cancel" // give up an unpaid or uncaptured payment
	Refund Op = "refund" // give back captured money, wholly or in part
)

// Ops lists every operation, in the order in which they are shown.
func Ops() []Op { return []Op{Cancel, Refund} }

// JoinOps names every operation for people, for example "cancel or refund".
func JoinOps(between string) string {
	names := make([]string, 0, len(Ops()))
	for _, op := range Ops() {
		names = append(names, string(op))
	}
	return strings.Join(names, between)
}

// Known reports whether the operation is one of Ops.
func (o Op) Known() bool { return slices.Contains(Ops(), o) }

// TakesAmount reports whether a command of the operation names an amount or
// says full, exactly one of the two. Commands of other operations have neither.
func (o Op) TakesAmount() bool { return o.rules().takesAmount }

// GivesBack reports whether the operation is meant to give captured money back.
// Such operations are kept within the captured amount, and their money may come
// back. An operation that is not meant to may have done it all the same: then
// its effect is EffectRefunded.
func (o Op) GivesBack() bool { return o.rules().givesBack }

// EndsPayment reports whether a success leaves a payment that will not be paid,
// so that nothing can be given back later.
func (o Op) EndsPayment() bool { return o.rules().endsPayment }

// Effects lists what a success of the operation may have done, first what is
// taken where nobody says what it was.
func (o Op) Effects() []Effect {
	switch o {
	case Cancel:
		return []Effect{EffectClosed, EffectVoided, EffectNone, EffectRefunded}
	case Refund:
		return []Effect{EffectRefunded}
	}
	return nil
}

// opRules is one row of the table of operations. The zero value is an operation
// that is not known: nothing is allowed to it.
type opRules struct {
	takesAmount bool
	givesBack   bool
	endsPayment bool
	// guard says why the operation is refused before any call, or nothing.
	guard func(Input, Operation) Code
	// judge says what a preparing read settles before any call (see judgeReading).
	judge func(Operation, Reading) (Outcome, bool)
}

// rules is the table of operations. A switch over operations has no default, so
// that the linter names each one that lacks an operation; what refuses an
// unknown one stands behind the switch.
func (o Op) rules() opRules {
	switch o {
	case Cancel:
		return opRules{endsPayment: true, guard: Input.cancelGuard, judge: judgeCancel}
	case Refund:
		return opRules{takesAmount: true, givesBack: true, guard: Input.refundGuard, judge: judgeRefund}
	}
	return opRules{}
}
