// Package recovery brings back from archives what a journal lacks, payment by
// payment and in the order of versions.
//
// Every append is guarded as any append is: by the sequence of the payment's
// newest event. So an event is brought back only behind what lies there already,
// never before it: a payment's newest event is its state, and an older one behind
// it would take its place. Where a payment has moved on since the loss, nothing
// of it is appended; what the archive holds of it is reported.
package recovery
