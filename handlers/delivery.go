package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Delivery is one message in hand: a command from the order services, or a
// timer, which is the same command come back later.
type Delivery struct {
	Message events.Message
	// Timer is true when the message is a timer of ours.
	Timer bool
	// OriginSequence and OriginTime are the original command's position and
	// time in the stream of commands; a timer carries them along.
	OriginSequence uint64
	OriginTime     time.Time
	// Original names the bytes of the original command, so that a refusal says
	// the same whether it comes at once or from a timer. Zero: the message's own.
	Original Digest
	// Deliveries counts how often the command has been delivered, this one
	// included, over all its timers; Redelivered is true when this very message
	// was delivered before.
	Deliveries  int
	Redelivered bool
	// Panics counts the deliveries of the command that ended in a panic.
	Panics int
	// Due is when a timer was due; zero for commands.
	Due time.Time
	// Hold asks the broker to keep the message in hand (in-progress signals)
	// until the given time. Never nil.
	Hold func(until time.Time)

	// Trace identifies, for the log, the trace it is handled under; the Handler
	// sets it.
	Trace string
}

// DispositionKind is what becomes of a message. The zero value is the careful
// one: the message stays unacknowledged and is delivered again.
type DispositionKind int

// The dispositions.
const (
	Redeliver DispositionKind = iota // give it back; delivered again after Disposition.Delay
	Ack                              // done
	Later                            // schedule Disposition.Timer, then ack
	Terminate                        // never deliver again: it was answered by a rejection
)

// String returns the disposition's name for logs and metrics.
func (k DispositionKind) String() string {
	switch k {
	case Ack:
		return "ack"
	case Later:
		return "later"
	case Terminate:
		return "terminate"
	default:
		return "redeliver"
	}
}

// Disposition is what becomes of one message.
type Disposition struct {
	Kind   DispositionKind
	Timer  Timer         // Later
	Delay  time.Duration // Redeliver; zero: at once
	Reason string        // Terminate, for the server's advisory
	// StopPulling is true when the journal's store refuses appends: nothing new
	// must be taken in hand until it accepts again.
	StopPulling bool
}

// Timer is a command to come back later. It carries nothing of its progress.
type Timer struct {
	// Subject is where the schedule lies (events.ScheduleSubject); a newer timer
	// on the same subject replaces an older one. Target is where it is delivered.
	Subject string
	Target  string
	// Message is the command, encoded (events.Encoder.EncodeCommand); its
	// Subject is not used.
	Message        events.Message
	At             time.Time // rounded up to whole seconds by the broker
	OriginSequence uint64
	OriginTime     time.Time
	Original       Digest
	Deliveries     int
	Panics         int
}

// Digest names a message's data.
type Digest struct {
	SHA256 string // hex
	Size   int    // bytes
}

// original is the digest of the command's bytes as its publisher sent them.
func (d Delivery) original() Digest {
	if d.Original.SHA256 != "" {
		return d.Original
	}
	sum := sha256.Sum256(d.Message.Data)
	return Digest{SHA256: hex.EncodeToString(sum[:]), Size: len(d.Message.Data)}
}

// Original is a message as it came, for the quarantine.
type Original struct {
	Rejection payment.Rejection
	Message   events.Message
}
