package payment

// Code says why, from a closed list (docs/errors.md: who does what next).
// Readers treat a code they do not know as CodeOther.
type Code string

// The whole list.
const (
	CodeInvalidCommand           Code = "invalid_command"
	CodeUnknownProvider          Code = "unknown_provider"
	CodeUnsupportedOperation     Code = "unsupported_operation"
	CodeUnsupportedCurrency      Code = "unsupported_currency"
	CodeIdempotencyKeyReused     Code = "idempotency_key_reused"
	CodeExpired                  Code = "expired"
	CodeAmountExceedsCaptured    Code = "amount_exceeds_captured"
	CodeAmountExceedsRefundable  Code = "amount_exceeds_refundable"
	CodeCapturedAmountConflict   Code = "captured_amount_conflict"
	CodeCurrencyMismatch         Code = "currency_mismatch"
	CodeAmountDiffers            Code = "amount_differs"
	CodePartiallyRefunded        Code = "partially_refunded"
	CodeAlreadyRefunded          Code = "already_refunded"
	CodeAlreadyCancelled         Code = "already_cancelled"
	CodePaymentCancelled         Code = "payment_cancelled"
	CodePaymentFailed            Code = "payment_failed"
	CodePaymentExpired           Code = "payment_expired"
	CodePaymentNotFound          Code = "payment_not_found"
	CodePaymentPending           Code = "payment_pending"
	CodePaymentAlreadyPaid       Code = "payment_already_paid"
	CodePaymentNotRefundable     Code = "payment_not_refundable"
	CodePaymentNotCancellable    Code = "payment_not_cancellable"
	CodePaymentDisputed          Code = "payment_disputed"
	CodePartialRefundUnsupported Code = "partial_refund_unsupported"
	CodeRefundWindowClosed       Code = "refund_window_closed"
	CodeInsufficientBalance      Code = "insufficient_balance"
	CodeDeclined                 Code = "declined"
	CodeProviderRejectedRequest  Code = "provider_rejected_request"
	CodeProviderAuthentication   Code = "provider_authentication"
	CodeProviderUnavailable      Code = "provider_unavailable"
	CodeWaitingForOperation      Code = "waiting_for_operation"
	CodeWaitingForReview         Code = "waiting_for_review"
	CodePaused                   Code = "paused"
	CodeTooManyOperations        Code = "too_many_operations"
	CodeInternalError            Code = "internal_error"
	CodeJournalIncomplete        Code = "journal_incomplete" // the journal has lost something
	CodeResolvedByOperator       Code = "resolved_by_operator"
	CodeOther                    Code = "other"
)

// Codes returns every code, in the order of the list above.
func Codes() []Code {
	return []Code{
		CodeInvalidCommand, CodeUnknownProvider, CodeUnsupportedOperation, CodeUnsupportedCurrency,
		CodeIdempotencyKeyReused, CodeExpired, CodeAmountExceedsCaptured, CodeAmountExceedsRefundable,
		CodeCapturedAmountConflict, CodeCurrencyMismatch, CodeAmountDiffers, CodePartiallyRefunded,
		CodeAlreadyRefunded, CodeAlreadyCancelled, CodePaymentCancelled, CodePaymentFailed, CodePaymentExpired,
		CodePaymentNotFound, CodePaymentPending, CodePaymentAlreadyPaid, CodePaymentNotRefundable,
		CodePaymentNotCancellable, CodePaymentDisputed, CodePartialRefundUnsupported, CodeRefundWindowClosed,
		CodeInsufficientBalance, CodeDeclined, CodeProviderRejectedRequest, CodeProviderAuthentication,
		CodeProviderUnavailable, CodeWaitingForOperation, CodeWaitingForReview, CodePaused,
		CodeTooManyOperations, CodeInternalError, CodeResolvedByOperator, CodeOther,
	}
}
