package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// Delivery is one message in hand: a command from the order services, or a
// timer, which brings the same command back later.
type Delivery struct {
	// Message is the command. Its headers lack those that are the server's own.
	Message events.Message
	// Header holds the headers as they came. Only the quarantine keeps them.
	Header map[string][]string
	// Timer is true when the message is a timer of ours.
	Timer bool
	// OriginSequence and OriginTime are the original command's position and
	// time in the stream of commands; a timer carries them along.
	OriginSequence uint64
	OriginTime     time.Time
	// Nameless: a timer that does not say where its command lies; then OriginSequence and
	// OriginTime are the timer's own.
	Nameless bool
	// Original is the digest of the original command's bytes. With it a rejection
	// says the same whether it follows a command or a timer. Zero: the digest of
	// the message itself.
	Original Digest
	// Deliveries counts all deliveries of the command and its timers, this one
	// included. Redelivered is true if this message was delivered before.
	Deliveries  int
	Redelivered bool
	// Panics counts the deliveries of the command that ended in a panic.
	Panics int
	// Due is the time a timer was due; zero for commands.
	Due time.Time
	// Recorded is what a timer says of the journal; zero for commands, and for timers
	// of an earlier version.
	Recorded payment.Recorded
	// Hold asks the broker to keep the message in hand (in-progress signals)
	// until the given time. Never nil.
	Hold func(until time.Time)

	// Trace is the identifier of the message's trace, for the log. The Handler sets it.
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
	Terminate                        // never deliver again: a rejection has answered it
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
	// StopPulling is true if the journal's store refuses appends. Until it accepts
	// again, no new message must be taken in hand.
	StopPulling bool
}

// Timer is a command that is to come back later. It carries none of the
// operation's progress.
type Timer struct {
	// Subject is the subject of the schedule (events.ScheduleSubject). A newer timer
	// on it replaces an older one. Target is the subject the timer is delivered on.
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
	// Recorded is what the journal held when the timer was written.
	Recorded payment.Recorded
	// Paused: the command waits for the end of its provider's pause, which brings the
	// timer forward.
	Paused bool
}

// Digest identifies a message's data.
type Digest struct {
	SHA256 string // hex
	Size   int    // bytes
}

// digest is the digest of the command's bytes as its publisher sent them.
func (d Delivery) digest() Digest {
	if d.Original.SHA256 != "" {
		return d.Original
	}
	return DigestOf(d.Message.Data)
}

// DigestOf is the digest of data.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest{SHA256: hex.EncodeToString(sum[:]), Size: len(data)}
}

// Original is a message as it came, with all its headers, for the quarantine.
type Original struct {
	Rejection payment.Rejection
	Message   events.Message
}

// asItCame is the message with all its headers.
func (d Delivery) asItCame() events.Message {
	m := d.Message
	m.Header = d.Header
	return m
}
