// Package handlers is the use case. It takes one message in hand, decodes it,
// asks package payment what to do, and carries the decision out: append, call
// the provider, append the result. It works on one command of a payment at a
// time. It guarantees that every call that can move money follows its own
// accepted started event.
//
// Package broker takes messages in and out: acknowledgements and timers are its
// part. The adapters say what a provider's answer means.
package handlers
