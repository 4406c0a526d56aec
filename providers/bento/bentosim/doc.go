// Package bentosim is a simulated Bento Payment Gateway: transactions, the one
// call that voids or refunds them, the read, a token endpoint and strict bearer
// authentication, over the base of package simulator (ledger, faults, calls).
//
// It shows what a caller must survive: a 202 that still shows the capture as
// the transaction's last action, a cancel that meets a capture and refunds
// everything, an amount ignored before the capture, a second refund refused
// (422) even where the first was a part, a decline in a 2xx or a 4xx, tokens
// that end, and refunds that are accepted and fail.
//
// The ledger has a refund from the moment it is accepted, not from when the
// state is Refunded: from there on it is paid. A refund that is going to fail
// is never in it. A void is an entry of amount 0. A fault or call of the one
// PUT is named by what the transaction is in when it arrives: "cancel" before
// the capture, "refund" from there on.
//
// # What it does not imitate
//
//   - Creating, authorising and capturing payments: they are seeded, and
//     Capture stands in for the rest. Payment methods and customers are left out.
//   - The read's path and the token endpoint are assumed, as the adapter assumes
//     them; nobody documents them. So are the statuses of a declined call (422)
//     and of a body that makes no sense (422), which the provider's page has no
//     other status for.
//   - Rate limits of its own, webhooks, and the test calls that finish a capture.
package bentosim
