// Package acceptance lets a person decide what follows from a loss of the
// journal: accept it, let work go on, and trust the journal again.
//
// [Look] gathers what a decision rests on. [Check], [CheckGo] and [CheckTrust]
// are pure: they say what forbids a decision. [Desk] carries one out, in an order
// in which a process that dies anywhere does no harm:
//
//  1. The audit event is appended to the journal. If the process dies here, no
//     store knows the new epoch and every process stays shut. The same command,
//     run again, finds the event and goes on with it.
//  2. The record is raised in the bucket. From then on the new epoch counts: each
//     process learns of it there. If the process dies here, the processes raise
//     the witness themselves, since a later epoch replaces an earlier one.
//  3. The record is raised in the witness.
package acceptance
