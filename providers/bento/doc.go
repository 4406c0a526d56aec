// Package bento is the adapter for the Payment Gateway of Bento Box, which
// hides several card processors behind one API.
//
// What the provider documents (page "Cancel a Transaction" and the pages on
// transaction history and error handling), and what follows:
//
//   - One call, PUT …/transactions/{transactionId}/_cancel, both voids and
//     refunds: what is not captured is voided whole, whatever amount is asked;
//     what is captured is refunded, by refundAmount or whole without it. So a
//     cancel that meets a capture refunds everything, and only the transaction
//     tells which of the two happened. It is read before the first call, and
//     the effect that happened is reported.
//   - The answer is 202 with the transaction, which may still show the capture
//     as its last action. A yes is taken from the state and from amounts, a no
//     from an entry of the history that was not there before; never from
//     status.outcome alone, and never from a PG code.
//   - An explicit decline comes in a 2xx or, in a later generation of the API,
//     in a 4xx with the status in the body. Both are read.
//   - A void and a refund can each be sent once. A repeat is refused (422) and
//     moves nothing, a part once refunded can never be topped up, and a failed
//     refund is final.
//   - The provider keeps no reference and no identity of the caller, so what a
//     question finds is compared with the reading from before the first
//     attempt and is inferred.
//
// The path of the read, the token endpoint and how it takes the client's
// credentials are not documented; they are settings. There is no webhook.
//
// The package guarantees that one Cancel or Refund sends at most one request
// that can void or refund, also when its token has expired, and that what it
// cannot read is payment.Indeterminate. When to call, and what an outcome means
// for a payment, it leaves to package payment.
package bento
