// Package status tells other services where a payment's operations stand. It
// reads the journal and can do nothing else: what it is given has no append.
//
// A payment is found by its name, exactly, with one read. An operation is found
// by its idempotency key or its command's id within a payment, exactly, too.
// The id of a command alone is looked for among the newest events, and the
// answer says how far (Searched).
//
// Package status/service carries it over NATS.
package status
