// Package remote carries the operator's desk over NATS: a service that every
// replica runs and that answers one of them at a time, and the client that
// commands use.
//
// Who asks is the last token of the subject, payments.desk.<action>.<operator>,
// which the server's permissions grant to that operator alone, and the login that
// the server itself names on a shared import; nothing in a request's body names a
// person. The package has no rules of its own: those are
// in package desk.
package remote
