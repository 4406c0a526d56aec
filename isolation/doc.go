// Package isolation keeps one provider instance's trouble away from the other
// instances, and from the instance itself. For each instance it bounds the
// calls under way and the calls a second, stops them all for as long as the
// provider asks (Retry-After), stops them behind a circuit breaker while they
// only fail, and while an operator has paused it.
//
// It guarantees that while a breaker is open one call at a time is under way at
// most, its probe, and that nobody waits for an instance that makes no headway.
// What it knows is one process's own; nothing is stored. What a stopped command
// does next is decided by package payment, and who pauses is package broker's.
package isolation
