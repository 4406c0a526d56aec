package openpay

import (
	"net/http"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// classifyStatus says what an answer to the status call says of the payment.
// The call is known from a sister brand's pages [public], its answer only by
// the common envelope. No page says how it would answer that there is no such
// payment, so no reading says that. The first row that fits wins:
//
//	HTTP        body                                    reading
//	401 403     anything                                not OK, unhealthy: provider_authentication
//	not 2xx     anything else, 404 included             not OK
//	2xx         no whole object with status and code    not OK
//	2xx         names another payment                   not OK: payment_not_found
//	2xx         DECLINED, authentication code           not OK, unhealthy
//	2xx         DECLINED, not-found code                not OK: payment_not_found
//	2xx         names no payment at all                 not OK
//	2xx         APPROVED, approved code                 paid, with the captured amount
//	2xx         PARTIALLY_REFUNDED                      partially refunded
//	2xx         REFUNDED                                refunded
//	2xx         CANCELLED                               cancelled
//	2xx         FAILED or DECLINED                      failed
//	2xx         PENDING or WAITING                      pending
//	2xx         anything else                           not OK
func classifyStatus(codes Codes, r providers.Request, status int, body []byte) payment.Reading {
	e, readable := decode(body)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return notAccepted()
	case !success(status):
		return unread("HTTP status says nothing of the payment")
	case !readable:
		return unread("status answer could not be read")
	case e.contradicts(r):
		return payment.Reading{Code: payment.CodePaymentNotFound, Message: "status answer names another payment"}
	case e.statusIn(statusDeclined) && e.codeIn(codes.Authentication):
		return notAccepted()
	case e.statusIn(statusDeclined) && e.codeIn(codes.NotFound):
		return payment.Reading{Code: payment.CodePaymentNotFound, Message: "status answer knows no such payment"}
	case e.TransactionID == "" && e.ReferenceNo == "":
		// A refused question looks like a declined payment but names none.
		return unread("status answer names no payment")
	default:
		return paymentReading(codes, r, e)
	}
}

// paymentReading maps the status of a payment the answer names.
func paymentReading(codes Codes, r providers.Request, e envelope) payment.Reading {
	reading := payment.Reading{
		OK:       true,
		Captured: e.money(e.Amount, r),
		Refunded: e.money(e.RefundedAmount, r),
	}
	switch e.Status {
	case statusApproved:
		if !e.codeIn(codes.Approved) {
			return unread("status and code of the answer disagree")
		}
		reading.Status = payment.PaymentPaid
		if reading.Refunded != nil {
			reading.Status = payment.PaymentPartiallyRefunded
		}
	case statusPartiallyRefunded:
		reading.Status = payment.PaymentPartiallyRefunded
	case statusRefunded:
		reading.Status = payment.PaymentRefunded
		if reading.Refunded == nil {
			reading.Refunded = reading.Captured
		}
	case statusCancelled:
		reading = payment.Reading{OK: true, Status: payment.PaymentCancelled}
	case statusFailed, statusDeclined:
		reading = payment.Reading{OK: true, Status: payment.PaymentFailed}
	case statusPending, statusWaiting:
		reading = payment.Reading{OK: true, Status: payment.PaymentPending}
	default:
		return unread("payment status is none we know")
	}
	return reading
}

func unread(message string) payment.Reading {
	return payment.Reading{Code: payment.CodeProviderUnavailable, Message: message}
}

func notAccepted() payment.Reading {
	return payment.Reading{
		Code: payment.CodeProviderAuthentication, Unhealthy: true,
		Message: "key or calling address not accepted",
	}
}

// compare says what became of an operation, from the payment's status now and
// the snapshot from before its first attempt. Somebody else could have made a
// movement that looks like ours, so a yes is always inferred. The first row wins:
//
//	now                        snapshot                  outcome
//	not OK                     any                       indeterminate
//	any but (part) refunded    any                       not found
//	refunded in some way       none or not OK            ambiguous
//
//	a full refund:
//	partially refunded         any                       not found
//	refunded                   paid, partly refunded     succeeded, inferred
//	refunded                   anything else             ambiguous
//
//	a partial one, by what was refunded in between:
//	not said by how much       any                       not found
//	less than this amount      any                       not found
//	exactly this amount        any                       succeeded, inferred
//	more                       any                       ambiguous
func compare(r providers.Request, now payment.Reading) payment.Outcome {
	switch {
	case !now.OK:
		return payment.Outcome{
			Code: now.Code, RetryAfter: now.RetryAfter, Unhealthy: now.Unhealthy, Message: now.Message,
		}
	case now.Status != payment.PaymentRefunded && now.Status != payment.PaymentPartiallyRefunded:
		return payment.Outcome{Result: payment.NotFound, Message: "status shows no refund"}
	case snapshotStatus(r) == payment.PaymentUnknown:
		return payment.Outcome{Result: payment.Ambiguous, Message: "status shows a refund; what it was before is not known"}
	case r.Full:
		return compareFull(r, now)
	default:
		return comparePartial(r, now)
	}
}

func compareFull(r providers.Request, now payment.Reading) payment.Outcome {
	before := snapshotStatus(r)
	switch {
	case now.Status != payment.PaymentRefunded:
		return payment.Outcome{Result: payment.NotFound, Message: "status shows no full refund"}
	case before != payment.PaymentPaid && before != payment.PaymentPartiallyRefunded:
		return payment.Outcome{Result: payment.Ambiguous, Message: "status shows a refund, and did before the first attempt"}
	default:
		return inferred(refundedSince(r, now))
	}
}

func comparePartial(r providers.Request, now payment.Reading) payment.Outcome {
	between := refundedSince(r, now)
	switch {
	case between == nil || r.Amount == nil || between.Currency != r.Amount.Currency:
		return payment.Outcome{Result: payment.NotFound, Message: "status does not say how much was refunded"}
	case between.Value < r.Amount.Value:
		return payment.Outcome{Result: payment.NotFound, Message: "status shows no refund of this amount"}
	case between.Value > r.Amount.Value:
		return payment.Outcome{Result: payment.Ambiguous, Message: "status shows more refunded than this operation asked for"}
	default:
		return inferred(between)
	}
}

// refundedSince is what was refunded after the snapshot; nil where either
// reading does not tell.
func refundedSince(r providers.Request, now payment.Reading) *payment.Money {
	if now.Refunded == nil {
		return nil
	}
	if snapshotStatus(r) == payment.PaymentPaid {
		return now.Refunded
	}
	if r.Snapshot.Refunded == nil {
		return nil
	}
	between, err := now.Refunded.Sub(*r.Snapshot.Refunded)
	if err != nil {
		return nil
	}
	return &between
}

func inferred(moved *payment.Money) payment.Outcome {
	if moved != nil && moved.Value <= 0 {
		moved = nil
	}
	return payment.Outcome{
		Result: payment.Succeeded, Effect: payment.EffectRefunded, Basis: payment.BasisInferred,
		Moved: moved, Message: "status shows the refund since the first attempt",
	}
}
