// Package openpaysim is a simulated Openpay DPSP (API family pw/v3): an HTTP
// server with payments, a ledger of money moved, and misbehaviour on request
// (package simulator). It shows what a caller must survive: code "00" as a
// string beside 32 as a number, amounts as strings, isLive missing on
// declines, a repeated full refund declined, and a repeated partial refund
// executed a second time.
//
// # What it does not imitate
//
//   - The hosted payment page, notifications, payment/detail and settlement.
//   - Registration of calling addresses; RefuseAddress stands in for it.
//   - The provider's own code page, which is not public. Codes beside 00, 32
//     and 188 are made up here, as are the forms of an authentication refusal
//     (401), an unregistered address (403) and an unknown payment (404).
//   - The status call, which no page of the provider documents: there is none,
//     unless Options.Status says what it is like.
//   - PENDING and WAITING: refunds are answered straight away.
//   - Card schemes, currencies and fees; a full refund after a partial one
//     gives back what is left, which the documents neither promise nor deny.
package openpaysim
