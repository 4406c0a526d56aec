package broker

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// The settings every deployment shares.
const (
	// DefaultConcurrency is how many messages one process handles at a time.
	DefaultConcurrency = 256
	// DefaultAckWait is how long the server waits for a sign of life before it
	// delivers a message again.
	DefaultAckWait = 30 * time.Second

	maxCommandSize   = 64 << 10
	commandRetention = 30 * 24 * time.Hour
	rejectedKept     = 90 * 24 * time.Hour
	refusalsKept     = 90 * 24 * time.Hour
	// controlHistory is how many values of each key the bucket keeps: who paused
	// and resumed a provider lately.
	controlHistory = 5
	maxControlSize = 16 << 10
)

// The default bounds in bytes. Together they are far below what a server stores, since
// the rest is the journal's and the timers', which have no bound.
const (
	DefaultCommandsBytes = 1 << 30
	DefaultRefusalsBytes = 256 << 20
	DefaultRejectedBytes = 256 << 20
)

// Topology names the five streams, the bucket and the durable consumer the
// service stands on. It is a plain value: New, Provision and Verify only read it.
type Topology struct {
	// Commands, Events, Due, Refusals and Rejected are stream names.
	Commands string
	Events   string
	Due      string
	Refusals string
	Rejected string
	// CommandsBytes, RefusalsBytes and RejectedBytes bound those streams, in bytes; 0
	// means the default.
	CommandsBytes int64
	RefusalsBytes int64
	RejectedBytes int64
	// Control is the key-value bucket of pauses; the stream under it is KV_<name>.
	Control string
	// Replicas of every stream and consumer: 3 in production, 1 on one server.
	Replicas int
	// Consumer is the durable name, the same on Commands, Due and Events.
	Consumer string
	// Concurrency is how many messages one process handles at a time. MaxAckPending of
	// the consumers of commands and timers is four times that. 0 means
	// DefaultConcurrency.
	Concurrency int
	// AckWait of the consumers; 0 means DefaultAckWait.
	AckWait time.Duration
	// Readers are the durable consumers on Events and Refusals that other services read.
	// Provision creates them; Verify leaves them out, since the service works without them.
	Readers []Reader
}

// DefaultTopology returns the topology of a configuration that says nothing:
// one replica, the contract's stream names.
func DefaultTopology() Topology {
	return Topology{
		Commands:    "PAYMENT_COMMANDS",
		Events:      "PAYMENT_EVENTS",
		Due:         "PAYMENT_DUE",
		Refusals:    "PAYMENT_REFUSALS",
		Rejected:    "PAYMENT_REJECTED",
		Control:     "PAYMENT_CONTROL",
		Replicas:    1,
		Consumer:    "payment-consumer",
		Concurrency: DefaultConcurrency,
		AckWait:     DefaultAckWait,
	}
}

// Streams returns the configurations of the five streams, commands first, and of the
// one under the bucket. The refusals come after the journal: the journal of an older
// version has to give their subject up before another stream can take it in.
func (t Topology) Streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		t.CommandsConfig(), t.EventsConfig(), t.RefusalsConfig(), t.DueConfig(), t.RejectedConfig(), t.ControlConfig(),
	}
}

// CommandsConfig is the stream order services publish to. It allows neither
// schedules nor roll-ups: either would let any publisher erase the queue with
// one header (the server answers 10188 and 10111 instead).
func (t Topology) CommandsConfig() jetstream.StreamConfig {
	cfg := t.stream(t.Commands, "Commands: cancel and refund requests of the order services.")
	cfg.Subjects = events.CommandSubjects()
	cfg.Discard = jetstream.DiscardNew
	cfg.MaxAge = commandRetention
	cfg.MaxMsgSize = maxCommandSize
	cfg.MaxBytes = bound(t.CommandsBytes, DefaultCommandsBytes)
	cfg.DenyDelete = true
	cfg.DenyPurge = true
	return cfg
}

// EventsConfig is the journal's stream. Subjects are write-once: one message
// per subject, and a second is refused rather than put in the first one's place.
// Nothing ages out, because an expired payment would look like a new one.
func (t Topology) EventsConfig() jetstream.StreamConfig {
	cfg := t.stream(t.Events, "The payment journal: results and everything between. Written by the consumer only.")
	cfg.Subjects = events.JournalSubjects()
	cfg.Discard = jetstream.DiscardNew
	cfg.MaxMsgsPerSubject = 1
	cfg.DiscardNewPerSubject = true
	cfg.DenyDelete = true
	cfg.DenyPurge = true
	return cfg
}

// DueConfig is the stream of timers. Schedules need discard old and roll-ups
// (the server insists), so it has no limit at all: a full stream would drop
// timers whose publish was acknowledged.
func (t Topology) DueConfig() jetstream.StreamConfig {
	cfg := t.stream(t.Due, "Timers: commands that come back later. Written by the consumer only.")
	cfg.Subjects = []string{events.ScheduleFilter, events.DueFilter}
	cfg.Retention = jetstream.WorkQueuePolicy
	cfg.Discard = jetstream.DiscardOld
	cfg.AllowMsgSchedules = true
	cfg.AllowRollup = true
	return cfg
}

// RefusalsConfig is the stream of the answers to messages that are no commands. They
// lie apart from the journal, which keeps everything for ever: whoever publishes junk
// could fill it. It forgets the oldest rather than refuse, so that junk cannot stop the
// answers either. That rules out write once: the service appends to a subject only if
// nothing lies there.
func (t Topology) RefusalsConfig() jetstream.StreamConfig {
	cfg := t.stream(t.Refusals, "Answers to messages that are not valid commands. Written by the consumer only.")
	cfg.Subjects = []string{events.RejectedFilter}
	cfg.Discard = jetstream.DiscardOld
	cfg.MaxAge = refusalsKept
	cfg.MaxBytes = bound(t.RefusalsBytes, DefaultRefusalsBytes)
	cfg.DenyDelete = true
	cfg.DenyPurge = true
	return cfg
}

// RejectedConfig is the quarantine: the bytes of messages that are no commands,
// for operators. It may be deleted from, since the bytes may have to go.
func (t Topology) RejectedConfig() jetstream.StreamConfig {
	cfg := t.stream(t.Rejected, "Quarantine: the bytes of messages that are not valid commands.")
	cfg.Subjects = []string{events.QuarantineFilter}
	cfg.Discard = jetstream.DiscardOld
	cfg.MaxAge = rejectedKept
	cfg.MaxBytes = bound(t.RejectedBytes, DefaultRejectedBytes)
	return cfg
}

// ControlStream is the name of the stream under the bucket of pauses.
func (t Topology) ControlStream() string { return "KV_" + t.Control }

// ControlConfig is the stream under the bucket of pauses: what a key-value
// client of NATS expects of one, but for two things. There is no direct get,
// since a follower's old answer could end a pause; and no roll-up, since nobody
// needs to erase what was done.
func (t Topology) ControlConfig() jetstream.StreamConfig {
	cfg := t.stream(t.ControlStream(), "Which providers are paused. Written by operators, read by the consumer.")
	cfg.Subjects = []string{"$KV." + t.Control + ".>"}
	cfg.Discard = jetstream.DiscardNew
	cfg.MaxMsgsPerSubject = controlHistory
	cfg.MaxMsgSize = maxControlSize
	cfg.DenyDelete = true
	cfg.DenyPurge = true
	return cfg
}

// bound is a setting, or its default.
func bound(set, byDefault int64) int64 {
	if set <= 0 {
		return byDefault
	}
	return set
}

// stream is what all have in common. Every limit is spelled out, because
// the server reports "none" as -1 and a zero would read as a difference.
func (t Topology) stream(name, description string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              name,
		Description:       description,
		Retention:         jetstream.LimitsPolicy,
		Storage:           jetstream.FileStorage,
		Replicas:          max(t.Replicas, 1),
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        -1,
	}
}

// consumerSpec is a durable consumer and the stream it is on.
type consumerSpec struct {
	stream string
	config jetstream.ConsumerConfig
	// optional: commands are carried out without it.
	optional bool
	// foreign: another service reads it.
	foreign bool
}

// settings is the table of what matters.
func (c consumerSpec) settings() []setting[jetstream.ConsumerConfig] {
	if c.foreign {
		return readerSettings()
	}
	return consumerSettings()
}

// consumers returns the durable consumers, that of the commands first.
func (t Topology) consumers() []consumerSpec {
	return []consumerSpec{
		{stream: t.Commands, config: t.CommandsConsumerConfig()},
		{stream: t.Due, config: t.DueConsumerConfig()},
		{stream: t.Events, config: t.LateConsumerConfig(), optional: true},
	}
}

// CommandsConsumerConfig is the durable consumer of all commands.
func (t Topology) CommandsConsumerConfig() jetstream.ConsumerConfig {
	return t.consumer("Takes cancel and refund commands in hand.")
}

// DueConsumerConfig is the durable consumer of timers that have become due. The
// schedules themselves lie on the same stream and are not consumed.
func (t Topology) DueConsumerConfig() jetstream.ConsumerConfig {
	cfg := t.consumer("Takes timers in hand when they are due.")
	cfg.FilterSubject = events.DueFilter
	return cfg
}

// maxLate is how many results are away at a time, too young or without an answer.
const maxLate = 64

// LateConsumerConfig is the durable consumer of the results that are looked at
// again later: refunds that succeeded may come back, what failed may go through.
// It begins with what is appended after its creation; "consumer reconcile" is
// for what was before.
func (t Topology) LateConsumerConfig() jetstream.ConsumerConfig {
	cfg := t.consumer("Looks again later at refunds that succeeded and at what failed.")
	cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	cfg.FilterSubjects = events.LateFilters()
	cfg.MaxAckPending = maxLate
	return cfg
}

// consumer is what all have in common. There is no BackOff on purpose: with
// one, a nak with delay comes back later than asked.
func (t Topology) consumer(description string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       t.Consumer,
		Description:   description,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       t.ackWait(),
		MaxDeliver:    -1,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
		MaxAckPending: 4 * t.concurrency(),
		Replicas:      max(t.Replicas, 1),
	}
}

func (t Topology) concurrency() int {
	if t.Concurrency <= 0 {
		return DefaultConcurrency
	}
	return t.Concurrency
}

func (t Topology) ackWait() time.Duration {
	if t.AckWait <= 0 {
		return DefaultAckWait
	}
	return t.AckWait
}
