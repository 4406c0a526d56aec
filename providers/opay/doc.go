// Package opay is the adapter for OPay Checkout: closing an unpaid payment,
// refunding a paid one, and finding out what became of either.
//
// It guarantees the contract of package providers: one call sends at most one
// request, and what it cannot read is indeterminate. It leaves to the core
// when to call and what to do about doubt.
//
// Facts it rests on, from OPay's public pages (cashier-close, payment-refund,
// query-refund-status, query-payment-status, api-signature, error-codes):
//   - every call is a POST of JSON, signed with HMAC-SHA512 (lower-case hex) of
//     the body under the merchant's secret key, its members sorted;
//   - a refund is named by the merchant's own reference, a new one for each
//     refund. A reference that exists already is refused, not replayed; OPay
//     documents that for payments only (02004), hence Settings.RefundRepeat;
//   - refunds are asynchronous: INITIAL and PENDING are followed by a query;
//   - only a paid payment can be refunded, only an unpaid one closed;
//   - a callback (callback-signature page) signs eight of its members with
//     HMAC-SHA3-512, although the member that holds it is called sha512.
//
// What OPay does not say: limits of references, how long it remembers them,
// and whether it verifies the bytes sent or the body encoded anew. The adapter
// therefore keeps characters that encoders escape (< > & = ') out of the
// values it has a say in. A reason is sent only if it is ASCII.
package opay
