// Package payment holds the nouns of Countermand and its pure rules: money,
// commands, the folded state of a payment, and the two functions that decide
// everything, Decide (what to do about a command) and Conclude (what an
// outcome means). It does no I/O, reads no clock and imports only the standard
// library; the shell around it (package handlers) carries decisions out.
package payment
