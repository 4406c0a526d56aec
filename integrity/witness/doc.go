// Package witness keeps the mark of the journal outside of the NATS that holds
// the journal, so that it survives the loss of all of that NATS: in a file, for
// one replica only, or in an annotation of a Kubernetes Lease. A bucket in
// another NATS is a witness as well: integrity/streams has it.
//
// A witness that is missing is no empty one. Whoever sets a service up creates
// it first; afterwards its absence is an error that keeps the service from
// starting, since a lost witness and a fresh start look alike.
package witness
