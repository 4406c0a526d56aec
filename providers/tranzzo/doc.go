// Package tranzzo is the adapter for Tranzzo's payment API (CPAY).
//
// What the provider documents (its page "Cancellation of the created and unpaid
// payment" and the pages on void, refund, transaction information and HTTP
// statuses), and what follows:
//
//   - An unpaid hosted payment is cancelled, an authorised one voided, by two
//     different calls. The order is read first, and what that reading said
//     decides, also on a repeat.
//   - The answer to a cancel that worked is an array with one operation of
//     status "failure" and code "6007": it is the payment that failed. Void and
//     refund answer one object whose status is their own.
//   - The path to cancel says "order", the path to list "orders".
//   - Amounts are decimals of major units with two digits behind the point at
//     the most. They are read and written digit by digit, never as floats.
//   - No call carries an identity of the caller's. Each void and refund gets an
//     operation_id from the provider and keeps our free text, comment, which is
//     the idempotency key. That the listing of an order returns comment is known
//     from a third-party client only. Where it does, our operation is found by
//     it; where it does not, by comparison with the operations listed before the
//     first attempt.
//   - Refunds of a payment can never add up to more than was paid. So a repeated
//     full refund is refused, and a repeated partial one is a second refund as
//     long as there is room: it is never sent again.
//   - A notification is a form with data, which is JSON in base64url, and its
//     signature, SHA-1 around data with a secret on both sides.
//
// Not covered: the newer signature CPAY-HMAC-SHA1, whose signed text is not
// documented, and split and recurring refunds.
//
// The package guarantees that one Cancel or Refund sends at most one request
// that can void or refund, and that what it cannot read is
// payment.Indeterminate. When to call, and what an outcome means for a payment,
// it leaves to package payment.
package tranzzo
