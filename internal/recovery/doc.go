// Package recovery brings back from archives what a journal lacks, payment by
// payment and in the order of versions.
//
// Every append is guarded as any append is: by the sequence of the payment's
// newest event. So an event is brought back only behind what lies there already,
// never before it: a payment's newest event is its state, and an older one behind
// it would take its place. Where a payment has moved on since the loss, its archived
// events no longer fit: each end that they tell of is appended as a new event, and
// the rest is reported. What no archive holds is presumed from its command, or settled
// by a provider's statement. Nothing that is appended leads to a call.
package recovery
