package broker

import (
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// setting is one line of a configuration that matters: how to read it, how to
// change it, and why it must be so. The tables below are the one place that
// says which settings Provision and Verify look at; whatever else an operator
// has set (placement, metadata, compression) is left alone. A test holds the
// tables against every field there is.
type setting[C any] struct {
	name string
	show func(C) string
	// put copies the setting from want to cfg; nil where the server refuses to
	// change it on something that exists.
	put func(cfg *C, want C)
	// deletes says whether changing it would delete messages; nil: never.
	deletes func(is, want C) bool
	// byHand says why only a person may change it; empty: provision does.
	byHand string
	// why is what goes wrong otherwise.
	why string
}

// streamSettings is the table for streams, in an order in which the server
// accepts the changes: no deny-purge beside roll-ups, write once only after
// discard new and the limit, a window of duplicates that is shorter than the age.
// stored is how many bytes the stream holds.
func streamSettings(want jetstream.StreamConfig, stored uint64) []setting[jetstream.StreamConfig] {
	return slices.Concat(fixedStreamSettings(), streamRules(), streamCopies(), streamLimits(), sizeLimits(want, stored))
}

// sizeLimits are what a whole stream may hold. The timers, the journal and the bucket
// have no limit at all; where others can fill a stream, it has a bound in bytes.
func sizeLimits(want jetstream.StreamConfig, stored uint64) []setting[jetstream.StreamConfig] {
	type cfg = jetstream.StreamConfig
	var why, byHand string
	switch {
	case want.AllowMsgSchedules:
		why = "a full stream would drop timers"
	case want.MaxBytes <= 0:
		why = "full, it would refuse what must be recorded: results of calls, or pauses"
		byHand = "somebody has bounded it, perhaps because the account must be: provision leaves that to them; take the bound away by hand"
	default:
		why = "without its bound, or with another one than streams.maxBytes says, it takes the journal's room"
	}
	return []setting[cfg]{
		{
			name: "max bytes", why: why, byHand: byHand,
			show:    func(c cfg) string { return limit(c.MaxBytes) },
			put:     func(c *cfg, w cfg) { c.MaxBytes = w.MaxBytes },
			deletes: func(_, want cfg) bool { return want.MaxBytes > 0 && stored > uint64(want.MaxBytes) },
		},
	}
}

// fixedStreamSettings are those the server does not change on an existing stream.
func fixedStreamSettings() []setting[jetstream.StreamConfig] {
	type cfg = jetstream.StreamConfig
	return []setting[cfg]{
		{
			name: "storage", why: "messages in memory are gone after a restart",
			show: func(c cfg) string { return c.Storage.String() },
		},
		{
			name: "retention", why: "another policy deletes messages at other times",
			show: func(c cfg) string { return c.Retention.String() },
		},
		{
			name: "persist mode", why: "async persistence acknowledges what is not written",
			show: func(c cfg) string { return c.PersistMode.String() },
		},
		{
			name: "sealed", why: "a sealed stream takes no message",
			show: func(c cfg) string { return onOff(c.Sealed) },
		},
		{
			name: "message TTL", why: "a publisher could make messages vanish",
			show: func(c cfg) string { return onOff(c.AllowMsgTTL) },
		},
		{
			name: "subject transform", why: "checks on subjects would look at other subjects",
			show: func(c cfg) string { return transform(c.SubjectTransform) },
		},
		{
			name: "mirror", why: "it takes in another stream's messages and no publisher's",
			show: func(c cfg) string { return origin(c.Mirror) },
		},
		{
			name: "message counter", why: "a counter takes no message without its header, and adds up the others",
			show: func(c cfg) string { return onOff(c.AllowMsgCounter) },
		},
		{
			name: "max consumers", why: "readers, or the service itself, could not be given a consumer",
			show: func(c cfg) string { return limit(int64(c.MaxConsumers)) },
		},
	}
}

// streamRules are what a stream takes in and what publishers may do to it.
func streamRules() []setting[jetstream.StreamConfig] {
	type cfg = jetstream.StreamConfig
	return []setting[cfg]{
		{
			name: "no ack", why: "publishers would not learn whether a message was stored",
			show: func(c cfg) string { return onOff(c.NoAck) },
			put:  func(c *cfg, w cfg) { c.NoAck = w.NoAck },
		},
		{
			name: subjectsSetting, why: "messages on other subjects are refused or mixed in",
			show: func(c cfg) string { return list(c.Subjects) },
			put:  func(c *cfg, w cfg) { c.Subjects = w.Subjects },
		},
		{
			name: "replicas", why: "fewer replicas lose messages with a server",
			show: func(c cfg) string { return strconv.Itoa(c.Replicas) },
			put:  func(c *cfg, w cfg) { c.Replicas = w.Replicas },
		},
		{
			name: "direct get", why: "a follower may answer with an old message",
			show: func(c cfg) string { return onOff(c.AllowDirect) },
			put:  func(c *cfg, w cfg) { c.AllowDirect = w.AllowDirect },
		},
		{
			name: "schedules", why: "timers need them; on any other stream they let a publisher erase it",
			show: func(c cfg) string { return onOff(c.AllowMsgSchedules) },
			put:  enableSchedules,
		},
		{
			name: "rollup", why: "a publisher could erase the stream with one header",
			show: func(c cfg) string { return onOff(c.AllowRollup) },
			put:  func(c *cfg, w cfg) { c.AllowRollup = w.AllowRollup },
		},
		{
			name: "deny delete", why: "the journal and the queue must keep what they have; the quarantine must not",
			show: func(c cfg) string { return onOff(c.DenyDelete) },
			put:  func(c *cfg, w cfg) { c.DenyDelete = w.DenyDelete },
		},
		{
			name: "deny purge", why: "the journal and the queue must keep what they have; timers are purged when they fire",
			show: func(c cfg) string { return onOff(c.DenyPurge) },
			put:  func(c *cfg, w cfg) { c.DenyPurge = w.DenyPurge },
		},
	}
}

// streamCopies are what comes into a stream, or goes out of it, without a publisher's
// rights, and what publishers may do to many messages at once.
func streamCopies() []setting[jetstream.StreamConfig] {
	type cfg = jetstream.StreamConfig
	return []setting[cfg]{
		{
			name: "sources", show: func(c cfg) string { return origins(c.Sources) },
			why: "whoever may write there writes here: the server copies without asking for rights; look at what it has brought (consumer check --deep)",
			put: func(c *cfg, w cfg) { c.Sources = w.Sources },
		},
		{
			name: "republish", show: func(c cfg) string { return republished(c.RePublish) },
			why: "the server publishes each message again without asking for rights, as a command or an event",
			put: func(c *cfg, w cfg) { c.RePublish = w.RePublish },
		},
		{
			name: "atomic batches", why: "no publisher needs them, and the messages of an unfinished one are lost",
			show: func(c cfg) string { return onOff(c.AllowAtomicPublish) },
			put:  func(c *cfg, w cfg) { c.AllowAtomicPublish = w.AllowAtomicPublish },
		},
		{
			name: "fast batches", why: "no publisher needs them, and a gap in one may go unnoticed",
			show: func(c cfg) string { return onOff(c.AllowBatchPublish) },
			put:  func(c *cfg, w cfg) { c.AllowBatchPublish = w.AllowBatchPublish },
		},
		{
			name: "consumer limits", why: "the server would delete consumers while their readers are down, or deliver to them too little at a time",
			show: func(c cfg) string { return consumerLimits(c.ConsumerLimits) },
			put:  func(c *cfg, w cfg) { c.ConsumerLimits = w.ConsumerLimits },
		},
	}
}

// streamLimits are what a stream keeps.
func streamLimits() []setting[jetstream.StreamConfig] {
	type cfg = jetstream.StreamConfig
	return []setting[cfg]{
		{
			name: "discard", why: "full, the journal and the queue must refuse; refusals, quarantine and timers must not",
			show: func(c cfg) string { return c.Discard.String() },
			put:  func(c *cfg, w cfg) { c.Discard = w.Discard },
		},
		{
			name: "max messages per subject", why: "events are written once, nothing else is limited by subject",
			show:    func(c cfg) string { return limit(c.MaxMsgsPerSubject) },
			put:     func(c *cfg, w cfg) { c.MaxMsgsPerSubject = w.MaxMsgsPerSubject },
			deletes: func(is, want cfg) bool { return lower(is.MaxMsgsPerSubject, want.MaxMsgsPerSubject) },
		},
		{
			name: "max messages", why: "a full stream refuses the next message, or forgets its oldest",
			show:    func(c cfg) string { return limit(c.MaxMsgs) },
			put:     func(c *cfg, w cfg) { c.MaxMsgs = w.MaxMsgs },
			deletes: func(is, want cfg) bool { return lower(is.MaxMsgs, want.MaxMsgs) },
		},
		{
			name: "discard new per subject", why: "a second event on one subject would replace the first",
			show: func(c cfg) string { return onOff(c.DiscardNewPerSubject) },
			put:  func(c *cfg, w cfg) { c.DiscardNewPerSubject = w.DiscardNewPerSubject },
		},
		{
			name: "max message size", why: "commands are limited, a known outcome must always fit",
			show: func(c cfg) string { return limit(int64(c.MaxMsgSize)) },
			put:  func(c *cfg, w cfg) { c.MaxMsgSize = w.MaxMsgSize },
		},
		{
			name: "max age", why: "an expired payment looks like a new one, an expired command is never answered",
			show:    func(c cfg) string { return age(c.MaxAge) },
			put:     func(c *cfg, w cfg) { c.MaxAge = w.MaxAge },
			deletes: func(is, want cfg) bool { return lower(int64(is.MaxAge), int64(want.MaxAge)) },
		},
		{
			name: "delete markers", why: "the server would add messages of its own, which are no events",
			show: func(c cfg) string { return age(c.SubjectDeleteMarkerTTL) },
			put:  func(c *cfg, w cfg) { c.SubjectDeleteMarkerTTL = w.SubjectDeleteMarkerTTL },
		},
		{
			name: "duplicate window", why: "longer, the server drops other messages with a known id; shorter, it stores the same one twice",
			show: func(c cfg) string { return window(c.Duplicates) },
			put:  func(c *cfg, _ cfg) { c.Duplicates = duplicateWindow },
		},
	}
}

// enableSchedules switches on what schedules need with them: the server sets
// roll-ups itself and refuses discard new.
func enableSchedules(c *jetstream.StreamConfig, want jetstream.StreamConfig) {
	c.AllowMsgSchedules = want.AllowMsgSchedules
	if want.AllowMsgSchedules {
		c.AllowRollup, c.DenyPurge = true, false
		c.Discard, c.DiscardNewPerSubject = want.Discard, want.DiscardNewPerSubject
	}
}

// consumerSettings is the table for consumers.
func consumerSettings() []setting[jetstream.ConsumerConfig] {
	return slices.Concat(fixedConsumerSettings(), consumerRules(), pullRules("the server refuses the service's own pulls"))
}

// fixedConsumerSettings are those the server does not change on an existing consumer.
func fixedConsumerSettings() []setting[jetstream.ConsumerConfig] {
	type cfg = jetstream.ConsumerConfig
	return []setting[cfg]{
		{
			name: "durable name", why: "one that is not durable forgets what was acknowledged",
			show: func(c cfg) string { return c.Durable },
		},
		{
			name: "ack policy", why: "a message would count as done before it is handled",
			show: func(c cfg) string { return c.AckPolicy.String() },
		},
		{
			name: "deliver policy", why: "older commands would never be delivered, or every old result be looked at again",
			show: from,
		},
		{
			name: "replay policy", why: "messages would come at the pace they were published",
			show: func(c cfg) string { return c.ReplayPolicy.String() },
		},
		{
			name: "delivery", why: "a push consumer cannot be shared by pulls",
			show: func(c cfg) string { return delivery(c.DeliverSubject) },
		},
		{
			name: "memory storage", why: "acknowledgements in memory are gone after a restart",
			show: func(c cfg) string { return onOff(c.MemoryStorage) },
		},
		{
			name: "max waiting", why: "further pulls are refused, also those of another process",
			show: func(c cfg) string { return waiting(c.MaxWaiting) },
		},
	}
}

// consumerRules are what is delivered, how often and how much at a time.
func consumerRules() []setting[jetstream.ConsumerConfig] {
	type cfg = jetstream.ConsumerConfig
	return []setting[cfg]{
		{
			name: "ack wait", why: "shorter than the signals of life, every message is delivered twice",
			show: func(c cfg) string { return c.AckWait.String() },
			put:  func(c *cfg, w cfg) { c.AckWait = w.AckWait },
		},
		{
			name: "max deliver", why: "a command delivered too often would be dropped silently",
			show: func(c cfg) string { return limit(int64(c.MaxDeliver)) },
			put:  func(c *cfg, w cfg) { c.MaxDeliver = w.MaxDeliver },
		},
		{
			name: "backoff", why: "with it a nak with delay comes back later than asked",
			show: func(c cfg) string { return spacing(c.BackOff) },
			put:  func(c *cfg, w cfg) { c.BackOff = w.BackOff },
		},
		{
			name: "max ack pending", why: "too few and delayed messages stall the rest",
			show: func(c cfg) string { return limit(int64(c.MaxAckPending)) },
			put:  func(c *cfg, w cfg) { c.MaxAckPending = w.MaxAckPending },
		},
		{
			name: "filter", why: "messages outside it are never delivered, schedules inside it too early",
			show: func(c cfg) string { return list(filters(c)) },
			put:  func(c *cfg, w cfg) { c.FilterSubject, c.FilterSubjects = w.FilterSubject, w.FilterSubjects },
		},
		{
			name: "headers only", why: "commands would come without their data",
			show: func(c cfg) string { return onOff(c.HeadersOnly) },
			put:  func(c *cfg, w cfg) { c.HeadersOnly = w.HeadersOnly },
		},
		{
			name: "inactive threshold", why: "the server would delete the consumer while the service is down",
			show: func(c cfg) string { return age(c.InactiveThreshold) },
			put:  func(c *cfg, w cfg) { c.InactiveThreshold = w.InactiveThreshold },
		},
		{
			name: "replicas", why: "fewer replicas forget acknowledgements with a server",
			show: func(c cfg) string { return strconv.Itoa(c.Replicas) },
			put:  func(c *cfg, w cfg) { c.Replicas = w.Replicas },
		},
	}
}

// pullRules are what one pull may ask for.
func pullRules(why string) []setting[jetstream.ConsumerConfig] {
	type cfg = jetstream.ConsumerConfig
	return []setting[cfg]{
		{
			name: "max request batch", why: why,
			show: func(c cfg) string { return limit(int64(c.MaxRequestBatch)) },
			put:  func(c *cfg, w cfg) { c.MaxRequestBatch = w.MaxRequestBatch },
		},
		{
			name: "max request expires", why: why,
			show: func(c cfg) string { return age(c.MaxRequestExpires) },
			put:  func(c *cfg, w cfg) { c.MaxRequestExpires = w.MaxRequestExpires },
		},
		{
			name: "max request bytes", why: "the server refuses pulls for more, and a larger message never comes",
			show: func(c cfg) string { return limit(int64(c.MaxRequestMaxBytes)) },
			put:  func(c *cfg, w cfg) { c.MaxRequestMaxBytes = w.MaxRequestMaxBytes },
		},
		{
			name: "priority", why: "the server refuses pulls that name no group",
			show: priority,
			put: func(c *cfg, w cfg) {
				c.PriorityPolicy, c.PriorityGroups, c.PinnedTTL = w.PriorityPolicy, w.PriorityGroups, w.PinnedTTL
			},
		},
	}
}
