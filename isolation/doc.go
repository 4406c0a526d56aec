// Package isolation keeps the trouble of one provider instance away from the
// other instances. For each instance it bounds the calls under way and the calls
// per second. It stops all calls for as long as the provider asks (Retry-After),
// while they only fail (a circuit breaker), and while an operator has paused the
// instance.
//
// It guarantees that an open breaker lets at most one call at a time pass, its
// probe, and that no delivery waits long for an instance that makes no headway.
// Each process has its own state; nothing is stored. Package payment decides what
// a stopped command does next. Package broker learns who is paused.
package isolation
