// Package control is what operators do to the running service itself: they stop and
// start providers, and have lost timers restored. A request says which revision its operator has seen, and has an
// identifier of its own, so that a request that comes twice is carried out once.
//
// It guarantees: nothing is done before it is in the journal as the audit event
// payment.operator.<action> with the request's identifier. The one exception is a
// pause while the journal takes nothing: nothing is sent then, and the bucket keeps
// who paused, when and why. How requests arrive is left to package desk/remote, who
// asks too.
package control
