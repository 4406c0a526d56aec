// Package opaysim is a simulated OPay Checkout: payments, closing, refunds,
// their queries and strict authentication, over the base of package simulator
// (ledger, faults, calls).
//
// It checks the signature over the raw bytes and also that the body is sorted
// and encoded without needless escapes, because OPay does not say which of the
// two it verifies. A refund's reference is refused the second time, whenever
// the second call is carried out. The ledger has a refund from the moment
// OPay accepts it, not from when it shows SUCCESS: from there on it is paid.
//
// Notifications go out only when Notify is called, and to loopback only.
//
// A closing of an unpaid payment is a ledger entry of amount 0.
//
// What it does not imitate: creating and paying payments (they are seeded),
// redelivery of notifications, bank account refunds, the amounts that provoke error codes in
// OPay's test mode, rate limits of its own, and forgetting: references are
// remembered for ever. The codes for refunding an unpaid payment or more than
// was paid (02001) are assumed; OPay publishes none.
package opaysim
