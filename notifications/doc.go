// Package notifications takes in what providers send by themselves: that
// something may have happened to a payment. A notification is never believed.
// If it is authentic it brings the next status query forward, and that query's
// answer is what counts; without this package results are found by polling all
// the same.
//
// It guarantees that nothing acts but what verifies under the provider's
// current secret, the same notification only once while it is remembered, and
// nothing older than the limit where a time is signed; that what it answers
// tells a stranger nothing about providers or payments; and that nothing of a
// body is logged but a masked reference. How a signature is checked it leaves
// to the adapters, what asking means to the Requerier, and TLS to whoever stands
// in front.
package notifications
