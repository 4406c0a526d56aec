package desk

import (
	"cmp"
	"context"

	"github.com/countermand/countermand/payment"
)

// CheckActor reports whether somebody is known who may act for a reason. Errors are *Error.
func CheckActor(who Operator, reason string) error {
	return cmp.Or(who.check(), line("reason", reason, longestText))
}

// Record is Audit for an action that has its ULID already, such as that of the request
// that asks for it: recorded twice, it is there once.
func (d *Desk) Record(ctx context.Context, who Operator, a payment.OperatorAction) error {
	who, err := d.Who(who)
	if err != nil {
		return err
	}
	if err := CheckActor(who, a.Reason); err != nil {
		return err
	}
	a.At, a.Operator, a.Identity, a.Login = d.o.Now(), who.Name, string(who.Identity), who.Login
	return d.audit(ctx, a)
}

// RecordOutcome records that a recorded action came to nothing (OutcomeRefused), or may
// have been done (OutcomeUnknown). It is only worth a try: the first record stands in
// any case.
func (d *Desk) RecordOutcome(ctx context.Context, who Operator, a payment.OperatorAction, outcome string) {
	a.Operator, a.Identity, a.Login = who.Name, string(who.Identity), who.Login
	a.Follows, a.ULID, a.At, a.Outcome = a.ULID, d.o.IDs(), d.o.Now(), outcome
	if err := d.o.Journal.AppendOperator(ctx, a); err != nil {
		d.o.Logger.Warn("that an action came to nothing could not be recorded", "audit", a.Follows, "error", err.Error())
	}
}
