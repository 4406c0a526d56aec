// Package desk is the operator's desk: what needs a person, one payment's story
// with everything a ruling rests on, a live question to the provider, and the
// ruling itself. Commands, the console and the request service over NATS are
// three fronts of it and have no rules of their own.
//
// It guarantees: nothing is done and nothing hidden is revealed before the
// operator's action is in the journal (no audit, no action); a ruling is
// carried out on the version that was shown or not at all; what could move
// money twice, and what moved if it is not the amount asked, needs the amount
// typed out; above a set amount a second person says the same. A person is
// whoever has one of the logins that People lists for them. It leaves the core's
// own guards to package payment, and how a login is authenticated to whoever
// calls it.
package desk
