package opay

import (
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// verdict is what a status means for an operation; the zero value: unknown.
type verdict struct {
	result payment.Result
	code   payment.Code
	effect payment.Effect
}

// onClose reads the status in the answer to payment/close.
//
//	| Status           | Outcome                                                 |
//	|------------------|---------------------------------------------------------|
//	| CLOSE            | succeeded, closed                                       |
//	| SUCCESS          | failed, payment_already_paid: it is to be refunded      |
//	| FAIL             | succeeded, none, payment_failed: nothing will be paid   |
//	| INITIAL, PENDING | pending                                                 |
//	| any other        | indeterminate                                           |
func onClose(status string) verdict {
	switch status {
	case statusClose:
		return verdict{payment.Succeeded, "", payment.EffectClosed}
	case statusSuccess:
		return verdict{payment.Failed, payment.CodePaymentAlreadyPaid, ""}
	case statusFail:
		return verdict{payment.Succeeded, payment.CodePaymentFailed, payment.EffectNone}
	case statusInitial, statusPending:
		return verdict{payment.Pending, "", ""}
	default:
		return verdict{code: payment.CodeOther}
	}
}

// onCancelQuery reads the payment's status for a cancel of unknown fate. As in
// onClose, but an unpaid payment only says that it is not closed: yet, or at
// all. That is "not found", which proves nothing.
func onCancelQuery(status string) verdict {
	if status == statusInitial || status == statusPending {
		return verdict{payment.NotFound, "", ""}
	}
	return onClose(status)
}

// onRefund reads the status of a refund, in the answer to the call and to the
// query.
//
//	| Status           | Outcome             |
//	|------------------|---------------------|
//	| SUCCESS          | succeeded, refunded |
//	| FAIL             | failed, declined    |
//	| INITIAL, PENDING | pending             |
//	| any other        | indeterminate       |
func onRefund(status string) verdict {
	switch status {
	case statusSuccess:
		return verdict{payment.Succeeded, "", payment.EffectRefunded}
	case statusFail:
		return verdict{payment.Failed, payment.CodeDeclined, ""}
	case statusInitial, statusPending:
		return verdict{payment.Pending, "", ""}
	default:
		return verdict{code: payment.CodeOther}
	}
}

func (v verdict) outcome(e envelope, orderNo providers.Text, message string) payment.Outcome {
	return payment.Outcome{
		Result: v.result, Code: v.code, Effect: v.effect,
		ProviderReference: orderNo.Reference(), ProviderCode: string(e.Code), ProviderMessage: message,
	}
}

// closeOutcome reads the data of a successful close.
func (p *Provider) closeOutcome(r providers.Request, e envelope) payment.Outcome {
	var data closeData
	if providers.DecodeJSON(e.Data, &data) != nil {
		return unreadable(e)
	}
	if string(data.Reference) != r.Payment.OrderID {
		return stranger(e)
	}
	return onClose(data.OrderStatus).outcome(e, data.OrderNo, p.redact(e.Message))
}

// cancelOutcome reads the payment's status as the fate of a cancel.
func (p *Provider) cancelOutcome(r providers.Request, e envelope) payment.Outcome {
	var data statusData
	if providers.DecodeJSON(e.Data, &data) != nil {
		return unreadable(e)
	}
	if string(data.Reference) != r.Payment.OrderID {
		return stranger(e)
	}
	if data.IsVoided {
		// A paid payment whose hold was given up: not what a close does, and
		// OPay does not say who did it.
		return payment.Outcome{Code: payment.CodeOther, ProviderReference: data.OrderNo.Reference(), Message: "OPay shows the payment as voided"}
	}
	out := onCancelQuery(data.Status).outcome(e, data.OrderNo, p.redact(e.Message))
	if data.Status == statusFail && data.FailureCode != "" {
		out.ProviderCode, out.ProviderMessage = string(data.FailureCode), p.redact(data.FailureReason)
	}
	return out
}

// refundOutcome reads the data of a refund, created or queried. It must be
// about our reference. A queried refund of another payment or amount under our
// reference is a collision that only a person can sort out; in the answer to
// our own call a different amount is what moved.
func (p *Provider) refundOutcome(r providers.Request, e envelope, c call) payment.Outcome {
	var data refundData
	if providers.DecodeJSON(e.Data, &data) != nil {
		return unreadable(e)
	}
	moved, readable := data.money()
	if !readable {
		return unreadable(e)
	}
	if string(data.Reference) != r.Reference {
		return stranger(e)
	}
	otherPayment := data.OriginalReference != "" && string(data.OriginalReference) != r.Payment.OrderID
	otherAmount := moved != nil && r.Amount != nil && *moved != *r.Amount
	if c == callQuery && (otherPayment || otherAmount) {
		return payment.Outcome{
			Result: payment.Ambiguous, Code: payment.CodeOther, Moved: moved, ProviderReference: data.OrderNo.Reference(),
			ProviderCode: string(e.Code), Message: "OPay knows our reference for another payment or amount",
		}
	}
	if otherPayment {
		return stranger(e)
	}
	out := onRefund(data.OrderStatus).outcome(e, data.OrderNo, p.redact(e.Message))
	switch {
	case out.Result == payment.Succeeded:
		out.Moved = moved
	case out.Result == payment.Failed && data.ErrorCode != "":
		out.ProviderCode, out.ProviderMessage = string(data.ErrorCode), p.redact(data.ErrorMsg)
	}
	return out
}

// reading reads the payment's status before a first call.
func (p *Provider) reading(r providers.Request, e envelope, at time.Time) payment.Reading {
	var data statusData
	if providers.DecodeJSON(e.Data, &data) != nil {
		return providers.FailedReading(unreadable(e), at)
	}
	captured, readable := data.Amount.money()
	if !readable {
		return providers.FailedReading(unreadable(e), at)
	}
	if string(data.Reference) != r.Payment.OrderID {
		return providers.FailedReading(stranger(e), at)
	}
	out := payment.Reading{OK: true, At: at}
	switch data.Status {
	case statusSuccess:
		out.Status, out.Captured = payment.PaymentPaid, captured
		if data.IsVoided {
			out.Status, out.Captured = payment.PaymentCancelled, nil
		}
	case statusInitial:
		out.Status = payment.PaymentUnpaid
	case statusPending:
		out.Status = payment.PaymentPending
	case statusFail:
		out.Status = payment.PaymentFailed
	case statusClose:
		out.Status = payment.PaymentCancelled
	default:
		return providers.FailedReading(unreadable(e), at)
	}
	return out
}

// unreadable: success without data that makes sense.
func unreadable(e envelope) payment.Outcome {
	return payment.Outcome{Code: payment.CodeOther, ProviderCode: string(e.Code), Message: "OPay's answer lacks data that can be read"}
}

// stranger: an answer about something else, mixed up by a proxy or by OPay.
func stranger(e envelope) payment.Outcome {
	return payment.Outcome{Code: payment.CodeOther, ProviderCode: string(e.Code), Message: "OPay's answer is about another operation"}
}
