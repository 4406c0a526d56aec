package recovery

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// maxRefusal is more than any refusal takes in its stream.
const maxRefusal = 1 << 20

// Forgotten returns the time before which a refusal may have been forgotten for want of
// room; ok is false where none was. A command that was refused then looks like one that
// nobody has ever answered. What is gone for its age alone does not matter: refusals are
// kept for longer than commands. bound is the stream's, in bytes.
//
//	nothing is gone            ok is false
//	something is gone, and …
//	  the stream has no bound    it was for its age: ok is false
//	  it is far below its bound  the same: making room leaves a stream at its bound
//	  it is at its bound         the oldest that is kept
func Forgotten(s jetstream.StreamState, bound int64) (before time.Time, ok bool) {
	if s.FirstSeq <= 1 || bound <= 0 || s.Bytes+maxRefusal < uint64(bound) {
		return time.Time{}, false
	}
	return s.FirstTime, true
}
