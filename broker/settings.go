package broker

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// setting is one line of a configuration that matters: how to read it, how to
// change it, and why it must be so. The tables below are the one place that
// says which settings Provision and Verify look at; whatever else an operator
// has set (placement, metadata, MaxBytes of the commands) is left alone.
type setting[C any] struct {
	name string
	show func(C) string
	// put copies the setting from want to cfg; nil where the server refuses to
	// change it on something that exists.
	put func(cfg *C, want C)
	// deletes says whether changing it would delete messages; nil: never.
	deletes func(is, want C) bool
	// why is what goes wrong otherwise.
	why string
}

// streamSettings is the table for streams, in the order in which the server
// accepts the changes (no deny-purge beside roll-ups; write once needs discard
// new and the limit first).
func streamSettings(limits bool) []setting[jetstream.StreamConfig] {
	type cfg = jetstream.StreamConfig
	table := []setting[cfg]{
		{"storage", func(c cfg) string { return c.Storage.String() }, nil, nil, "messages in memory are gone after a restart"},
		{"retention", func(c cfg) string { return c.Retention.String() }, nil, nil, "another policy deletes messages at other times"},
		{"persist mode", func(c cfg) string { return c.PersistMode.String() }, nil, nil, "async persistence acknowledges what is not written"},
		{"sealed", func(c cfg) string { return onOff(c.Sealed) }, nil, nil, "a sealed stream takes no message"},
		{"message TTL", func(c cfg) string { return onOff(c.AllowMsgTTL) }, nil, nil, "a publisher could make messages vanish"},
		{"no ack", func(c cfg) string { return onOff(c.NoAck) }, func(c *cfg, w cfg) { c.NoAck = w.NoAck }, nil, "publishers would not learn whether a message was stored"},
		{"subjects", func(c cfg) string { return list(c.Subjects) }, func(c *cfg, w cfg) { c.Subjects = w.Subjects }, nil, "messages on other subjects are refused or mixed in"},
		{"subject transform", func(c cfg) string { return transform(c.SubjectTransform) }, nil, nil, "checks on subjects would look at other subjects"},
		{"replicas", func(c cfg) string { return strconv.Itoa(c.Replicas) }, func(c *cfg, w cfg) { c.Replicas = w.Replicas }, nil, "fewer replicas lose messages with a server"},
		{"direct get", func(c cfg) string { return onOff(c.AllowDirect) }, func(c *cfg, w cfg) { c.AllowDirect = w.AllowDirect }, nil, "a follower may answer with an old message"},
		{"schedules", func(c cfg) string { return onOff(c.AllowMsgSchedules) }, enableSchedules, nil, "timers need them; on any other stream they let a publisher erase it"},
		{"rollup", func(c cfg) string { return onOff(c.AllowRollup) }, func(c *cfg, w cfg) { c.AllowRollup = w.AllowRollup }, nil, "a publisher could erase the stream with one header"},
		{"deny delete", func(c cfg) string { return onOff(c.DenyDelete) }, func(c *cfg, w cfg) { c.DenyDelete = w.DenyDelete }, nil, "the journal and the queue must keep what they have; the quarantine must not"},
		{"deny purge", func(c cfg) string { return onOff(c.DenyPurge) }, func(c *cfg, w cfg) { c.DenyPurge = w.DenyPurge }, nil, "the journal and the queue must keep what they have; timers are purged when they fire"},
		{"discard", func(c cfg) string { return c.Discard.String() }, func(c *cfg, w cfg) { c.Discard = w.Discard }, nil, "a full stream must refuse, not forget; only schedules force it to be old"},
		{"max messages per subject", func(c cfg) string { return limit(c.MaxMsgsPerSubject) }, func(c *cfg, w cfg) { c.MaxMsgsPerSubject = w.MaxMsgsPerSubject }, func(is, want cfg) bool { return lower(is.MaxMsgsPerSubject, want.MaxMsgsPerSubject) }, "events are written once, nothing else is limited by subject"},
		{"discard new per subject", func(c cfg) string { return onOff(c.DiscardNewPerSubject) }, func(c *cfg, w cfg) { c.DiscardNewPerSubject = w.DiscardNewPerSubject }, nil, "a second event on one subject would replace the first"},
		{"max message size", func(c cfg) string { return limit(int64(c.MaxMsgSize)) }, func(c *cfg, w cfg) { c.MaxMsgSize = w.MaxMsgSize }, nil, "commands are limited, a known outcome must always fit"},
		{"max age", func(c cfg) string { return age(c.MaxAge) }, func(c *cfg, w cfg) { c.MaxAge = w.MaxAge }, func(is, want cfg) bool { return lower(int64(is.MaxAge), int64(want.MaxAge)) }, "an expired payment looks like a new one, an expired command is never answered"},
	}
	if limits {
		table = append(table,
			setting[cfg]{"max messages", func(c cfg) string { return limit(c.MaxMsgs) }, func(c *cfg, w cfg) { c.MaxMsgs = w.MaxMsgs }, nil, "a full stream would drop timers"},
			setting[cfg]{"max bytes", func(c cfg) string { return limit(c.MaxBytes) }, func(c *cfg, w cfg) { c.MaxBytes = w.MaxBytes }, nil, "a full stream would drop timers"},
		)
	}
	return table
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
	type cfg = jetstream.ConsumerConfig
	return []setting[cfg]{
		{"durable name", func(c cfg) string { return c.Durable }, nil, nil, "one that is not durable forgets what was acknowledged"},
		{"ack policy", func(c cfg) string { return c.AckPolicy.String() }, nil, nil, "a message would count as done before it is handled"},
		{"deliver policy", func(c cfg) string { return c.DeliverPolicy.String() }, nil, nil, "older commands would never be delivered"},
		{"replay policy", func(c cfg) string { return c.ReplayPolicy.String() }, nil, nil, "messages would come at the pace they were published"},
		{"delivery", func(c cfg) string { return delivery(c.DeliverSubject) }, nil, nil, "a push consumer cannot be shared by pulls"},
		{"memory storage", func(c cfg) string { return onOff(c.MemoryStorage) }, nil, nil, "acknowledgements in memory are gone after a restart"},
		{"ack wait", func(c cfg) string { return c.AckWait.String() }, func(c *cfg, w cfg) { c.AckWait = w.AckWait }, nil, "shorter than the signals of life, every message is delivered twice"},
		{"max deliver", func(c cfg) string { return limit(int64(c.MaxDeliver)) }, func(c *cfg, w cfg) { c.MaxDeliver = w.MaxDeliver }, nil, "a command delivered too often would be dropped silently"},
		{"backoff", func(c cfg) string { return backoff(c.BackOff) }, func(c *cfg, w cfg) { c.BackOff = w.BackOff }, nil, "with it a nak with delay comes back later than asked"},
		{"max ack pending", func(c cfg) string { return limit(int64(c.MaxAckPending)) }, func(c *cfg, w cfg) { c.MaxAckPending = w.MaxAckPending }, nil, "too few and delayed messages stall the rest"},
		{"filter", func(c cfg) string { return list(filters(c)) }, func(c *cfg, w cfg) { c.FilterSubject, c.FilterSubjects = w.FilterSubject, w.FilterSubjects }, nil, "messages outside it are never delivered, schedules inside it too early"},
		{"headers only", func(c cfg) string { return onOff(c.HeadersOnly) }, func(c *cfg, w cfg) { c.HeadersOnly = w.HeadersOnly }, nil, "commands would come without their data"},
		{"inactive threshold", func(c cfg) string { return age(c.InactiveThreshold) }, func(c *cfg, w cfg) { c.InactiveThreshold = w.InactiveThreshold }, nil, "the server would delete the consumer while the service is down"},
		{"replicas", func(c cfg) string { return strconv.Itoa(c.Replicas) }, func(c *cfg, w cfg) { c.Replicas = w.Replicas }, nil, "fewer replicas forget acknowledgements with a server"},
	}
}

func filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func list(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(slices.Sorted(slices.Values(names)), " ")
}

func transform(t *jetstream.SubjectTransformConfig) string {
	if t == nil {
		return "none"
	}
	return t.Source + " to " + t.Destination
}

func limit(n int64) string {
	if n <= 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func age(d time.Duration) string {
	if d <= 0 {
		return "none"
	}
	return d.String()
}

func backoff(steps []time.Duration) string {
	if len(steps) == 0 {
		return "none"
	}
	return strconv.Itoa(len(steps)) + " steps"
}

func delivery(subject string) string {
	if subject == "" {
		return "pull"
	}
	return "push"
}

// lower reports whether the limit want is tighter than the limit is, where
// nothing above zero means no limit.
func lower(is, want int64) bool {
	return want > 0 && (is <= 0 || want < is)
}
