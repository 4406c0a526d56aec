// Package reconcile holds our books against a provider's: what the journal says of
// each operation against what the provider says of it, asked one by one or read
// from a statement. It is pure: where operations, answers and rows come from, and
// how more of them are sorted than fit into memory, is left to its callers.
//
// What it guarantees: every judgement is one row of a table (Judge for
// statements, JudgeAsked for answers), a movement is matched once, and what cannot be
// told is counted and never taken for an agreement.
package reconcile
