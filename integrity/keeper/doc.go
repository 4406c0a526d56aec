// Package keeper keeps the marks of package integrity in one process: it takes
// in what is appended, stores how far the journal has come in the bucket and in
// a witness outside of this NATS, reads the streams, and tells the rest of the
// service whether anything may be sent.
//
// It decides nothing by itself: what a reading means says package integrity.
// Reading and storing are done by a [Source] and two [Store]s, which
// integrity/streams and integrity/witness implement.
package keeper
