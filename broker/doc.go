// Package broker is JetStream as the handlers see it: messages in, dispositions
// out, timers, the quarantine, and the topology all of them stand on.
//
// It guarantees that a message is acknowledged only after its handler said so
// (and, for one to come back later, only after the server confirmed the timer);
// that a panic, a lost connection or a stopped process leaves the message
// unacknowledged and so delivered again; that at most Topology.Concurrency
// messages are handled at a time; and that nothing is created, changed or
// deleted on the server except by Provision.
//
// What a message means, and whether a repeat of it is harmless, is left to
// package handlers: any message may be handled more than once. Appends to the
// journal are package journal's.
package broker
