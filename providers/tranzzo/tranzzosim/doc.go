// Package tranzzosim is a simulated Tranzzo (CPAY): an HTTP server with orders,
// a ledger of money moved, and misbehaviour on request (package simulator). It
// shows what a caller must survive: a successful cancel that says failure, 6007,
// inside an array; the paths order and orders; amounts as decimals; a repeated
// full refund refused, and a repeated partial one executed a second time.
//
// Notifications go out only when Notify is called, and to loopback only.
//
// A payment being cancelled or voided is in the ledger with amount 0.
//
// # What it does not imitate
//
//   - The hosted page, captures, redelivered webhooks, split and recurring payments. Pay,
//     Capture and RefundElsewhere stand in for what others do to an order.
//   - The signature CPAY-HMAC-SHA1.
//   - Status codes beside 6007: the provider's table is not public, those here
//     are made up, as are the texts and the codes of errors beside S-404.
//   - Answers to a second cancel or void, which are not documented: they repeat
//     the first, or are refused where Options say so.
//   - Whether a listing returns comment: Options.ShowComments.
//   - The merchant's balance (a decline fault with a code stands in for it),
//     time limits and fees.
package tranzzosim
