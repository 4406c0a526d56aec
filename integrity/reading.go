package integrity

import "time"

// Reading is what the leaders of the streams say at one moment. Whoever makes
// one reads the durable consumers first and the streams after them, so that a
// healthy consumer is never ahead of the end that was read.
//
// What could not be read is no reading: an election, a timeout, an answer
// without a leader. Only the server's own "not found" counts as absence.
type Reading struct {
	// Began is when the reading was begun, by this service's clock.
	Began time.Time
	// Leader is the server that leads the journal; never empty.
	Leader  string
	Journal JournalReading
	// Newest is the journal's last message, by which the mark can be raised where
	// other processes have appended; the zero Position where it was not read.
	Newest Position
	// Accepted is the highest epoch that an acceptance in the journal names; 0: it
	// records none. It is read by whole readings.
	Accepted uint64
	// Answered: the journal holds an answer to a command, an event of a payment or a
	// rejection. It is read only where there is no mark.
	Answered bool
	// Streams are the other streams, by name.
	Streams map[string]StreamReading
	// Durables are the durable consumers of all streams.
	Durables []DurableReading
}

// StreamReading is the extent of one stream. The zero value is a stream that
// exists and never held a message.
type StreamReading struct {
	// Missing: the server says that there is no such stream.
	Missing bool
	// First and Last are sequences; Messages counts what lies between them.
	First, Last, Messages uint64
	// Keeps is how long the stream keeps its messages, which go by their age alone; 0: not
	// only by their age, and what is below is the zero time.
	Keeps time.Duration
	// FirstAt and LastAt are the times of the messages at First and Last, by the stream,
	// the zero time where none lies there. AtMark is that of the message at the mark's
	// sequence, the zero time also where the mark does not know its time. Now is the
	// leader's time of the reading.
	FirstAt, LastAt, AtMark, Now time.Time
}

// JournalReading is the extent of the journal and the two messages by which it
// is recognised.
type JournalReading struct {
	StreamReading
	// Deleted are the sequences between First and Last that hold nothing.
	Deleted []Range
	// Lost counts messages that the server itself reports as lost.
	Lost uint64
	// Head is the message at sequence 1; the zero Identity where there is none.
	Head Identity
	// AtMark is the message at the mark's sequence, asked for by that sequence;
	// the zero Position where there is none.
	AtMark Position
}

// DurableReading is how far a durable consumer has come on its stream.
type DurableReading struct {
	Stream, Name string
	// Delivered is the highest stream sequence it was ever sent.
	Delivered uint64
}
