// Package stream is the payment journal over a JetStream stream, whose result
// events are the commit: once an append is acknowledged, event and state exist
// together. It keeps every promise of journal.Journal; the conformance suite in
// package journaltest proves it against a real server.
//
// # How one append is guarded
//
// Every append carries three headers:
//
//	Nats-Expected-Last-Subject-Sequence          the sequence the caller saw
//	Nats-Expected-Last-Subject-Sequence-Subject  events.Filter of the payment
//	Countermand-Append                           a random token of this append
//
// The server accepts it only if the payment's newest event still has that
// sequence. The token says whose append is there, since ids derive from subjects
// and a rival's would be the same; it is kept over the append's own tries. There
// is no Nats-Msg-Id: on a replicated stream a rival with the same id is answered
// "duplicate", which reads like success.
//
// # What an answer means
//
//	answer                                    then
//	acknowledged by the journal's stream      accepted
//	10071 wrong last sequence                 read the newest event from the leader
//	10077 maximum messages per subject        the same
//	  … it carries our token                  accepted, with its sequence
//	  … it is another's                       *journal.ConflictError with it
//	  … it is what we expected (10071)        send the same again shortly
//	  … it is that for a second (10077)       journal.ErrStoreRefuses: a record is unreadable
//	  … and an older event has the version    *journal.ConflictError with the last one, above that version
//	10164 in flight (may be spurious)         send the same again shortly
//	10077 otherwise, resources exhausted      journal.ErrStoreRefuses
//	too large for stream or connection        an error: it can never be stored
//	timeout, no responders, disconnected,
//	anything else, anything unreadable        send the same again
//	no answer for 5 s while connected         journal.ErrStoreRefuses: a full disk answers nothing
//	the context ends                          journal.ErrUnknown
//
// An append of unknown fate that lands late can do no harm: the server accepts
// it only if nothing else moved the payment meanwhile. Success is only ever an
// acknowledgement of this append or its token read from the leader.
//
// # What it leaves to others
//
// The stream is created and verified elsewhere; it must hold each subject once
// and nobody else may publish to it. The connection is opened by the caller, with
// nats.ReconnectBufSize(-1): a client that buffers while disconnected sends an
// append after its caller was told that nothing is known of it, possibly much later.
package stream
