// Package integrity notices when the journal, or a stream beside it, has lost
// something, and says what follows from it.
//
// Everything the service promises rests on a journal that never loses an event.
// A broker can lose some all the same: an older copy is restored, a stream is
// deleted and made anew, retention is changed for a second, a block is damaged
// on the replica that then leads. The journal cannot tell by itself, since a
// shorter journal is a valid one. So the service remembers how far the streams
// had come (a [Mark]), in places that are not all lost together, and compares
// that with what a leader shows now (a [Reading]). A [Finding] is a difference
// that only a loss explains.
//
// The package is pure: [Judge] and [Watch] are functions of values, without
// clock and I/O. Package integrity/watch reads the streams, keeps the marks and
// tells the rest of the service.
//
// What a mark cannot know goes unnoticed: the loss of the last second of all
// places at once. The journal alone is covered by memory and bucket; the loss of
// the whole NATS is covered only by a witness outside of it.
package integrity
