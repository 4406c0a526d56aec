// Package handlers is the use case: it takes one message in hand, decodes it,
// asks package payment what to do, and carries the decision out — append, call
// the provider, append the result — one at a time for each payment. It
// guarantees that every call that can move money follows its own accepted
// started event. Messages, acknowledgements and timers are left to package
// broker; what an answer of a provider means, to the adapters.
package handlers
