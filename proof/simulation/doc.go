// Package simulation plays the service in a world where everything that may go
// wrong does: several consumers, crashed, stopped and woken at any step;
// deliveries doubled, reordered and late; journals that lose answers; providers
// that execute late, answer nothing, or refuse; operators; jumps of the clock.
//
// The rules (package payment), the use case (package handlers) and the journal
// logic (package journal/memory) are the real ones. The broker's part, storing
// a timer and acknowledging a message, is played step by step in the broker's
// order. The provider is a model: any provider that honours the traits of one
// of the four kinds and never lies, which is more than the four adapters do;
// they have their own proofs against their simulators.
//
// A schedule is a list of bytes, and each byte is one choice; where the list
// ends, everything goes well (choice 0). So one seed is one schedule, a failing
// one is shrunk by dropping bytes and making them zero, and Go's fuzzing can
// look for schedules by itself. Nothing else decides: no goroutine runs beside
// another (consumers are coroutines), no clock is read, nothing is random.
//
// After every step the world is judged (judge.go): by the provider's own
// ledger, never by what the service believes.
package simulation
