// Package openpay is the adapter for Openpay DPSP, API family pw/v3. The same
// engine runs under several brands with the same paths and answers.
//
// What the provider documents (page "Payment Refund"), and what follows:
//
//   - There is one money-moving call, POST /pw/v3/payment/refund, answered
//     straight away; no notification follows. There is no cancel.
//   - A full refund must leave out amount and currency: with them it counts as
//     a partial one, and an account without partial refunds declines it.
//   - The provider keeps no idempotency key. A second full refund is declined
//     with code 32; nothing says that a second partial one is, so a partial
//     refund whose answer was lost is never sent again.
//   - code is the string "00" in one sample and the number 32 in the other;
//     amount is a string in both, an integer in the table.
//
// What is documented suffices: a lost full refund is sent once more and learns by
// code 32 that the first one was carried out. Body encoding and most decline codes
// are not documented for this brand: they are settings. So is a status call, which
// only a sister brand's pages know. It is off unless statusPath is set, and then it
// helps: it refuses nothing, and no absence follows from what it does not find.
//
// The package guarantees that one Refund sends at most one request, and that
// what it cannot read is payment.Indeterminate. When to call, and what an
// outcome means for a payment, it leaves to package payment.
package openpay
