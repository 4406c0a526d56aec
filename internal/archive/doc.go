// Package archive is the journal as a file outside of NATS: one JSON object a
// line, each a message as it lies in the journal. [Write] copies a journal into a
// file and continues a file that was begun. [Read] reads one.
//
// A file holds one journal from its first message on. After the acceptance of a
// loss the journal gives sequences anew, and what a file holds of them differs
// from what lies there; then a new file is begun.
package archive
