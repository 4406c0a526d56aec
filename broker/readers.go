package broker

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// The bounds of other services' pull consumers. Each waiting pull costs the server work
// whenever a heartbeat is due or an event is stored, so that a few hundred of them take
// the throughput of everybody else.
const (
	// MaxReaderPulls is how many pulls may wait at most: one for each of its processes.
	MaxReaderPulls = 4
	// MaxReaderBatch is how many messages one pull may ask for.
	MaxReaderBatch = 256
	// MaxReaderExpires is how long one pull may wait.
	MaxReaderExpires = 30 * time.Second

	// readerHeartbeat is how often a push consumer tells its reader that it is there.
	readerHeartbeat = 5 * time.Second
)

// Reader is what another service reads, an order service or a ledger: a durable consumer
// on the journal and, where its filters cover refusals, one of the same name on the
// stream of refusals. Nobody but the provisioner may create one, because its settings
// say where the server sends events.
type Reader struct {
	// Name of the consumer.
	Name string
	// Filters are the subjects it delivers.
	Filters []string
	// Pulls is how many pulls may wait, 1 to MaxReaderPulls; 0 means MaxReaderPulls.
	// A push consumer has none.
	Pulls int
	// Push has the server deliver to events.ReaderSubject and events.RefusalsSubject.
	Push bool
}

// ReaderConfig is the consumer of one reader on the journal. It keeps a filter of
// refusals: the journal of an older version may hold some that the reader has not read.
func (t Topology) ReaderConfig(r Reader) jetstream.ConsumerConfig {
	cfg := t.consumer("Read by " + r.Name + ".")
	cfg.Durable, cfg.MaxAckPending = r.Name, maxReaderPending
	cfg.FilterSubjects = r.Filters
	if r.Push {
		cfg.DeliverSubject, cfg.FlowControl, cfg.IdleHeartbeat = events.ReaderSubject(r.Name), true, readerHeartbeat
		return cfg
	}
	cfg.MaxWaiting, cfg.MaxRequestBatch, cfg.MaxRequestExpires = MaxReaderPulls, MaxReaderBatch, MaxReaderExpires
	if r.Pulls > 0 {
		cfg.MaxWaiting = min(r.Pulls, MaxReaderPulls)
	}
	return cfg
}

// RefusalsReaderConfig is the consumer of one reader on the stream of refusals; ok is
// false where its filters cover none.
func (t Topology) RefusalsReaderConfig(r Reader) (cfg jetstream.ConsumerConfig, ok bool) {
	if !slices.ContainsFunc(r.Filters, events.CoversRejections) {
		return cfg, false
	}
	cfg = t.ReaderConfig(r)
	cfg.FilterSubjects = []string{events.RejectedFilter}
	if r.Push {
		cfg.DeliverSubject = events.RefusalsSubject(r.Name)
	}
	return cfg, true
}

// maxReaderPending is the server's own default.
const maxReaderPending = 1000

// readers returns the durable consumers of other services.
func (t Topology) readers() []consumerSpec {
	var all []consumerSpec
	for _, r := range t.Readers {
		all = append(all, consumerSpec{stream: t.Events, config: t.ReaderConfig(r), foreign: true})
		if cfg, ok := t.RefusalsReaderConfig(r); ok {
			all = append(all, consumerSpec{stream: t.Refusals, config: cfg, foreign: true})
		}
	}
	return all
}

// ReaderFindings compares the consumer of another service, as the server has it, with
// its bounds, whoever has created it. It names every difference that lets the reader do
// more than a reader may.
func ReaderFindings(is jetstream.ConsumerConfig) []Finding {
	var findings []Finding
	object := "consumer " + is.Name
	if is.Name == "" {
		object = "consumer " + is.Durable
	}
	for _, s := range readerBounds() {
		if s.within(is) {
			continue
		}
		findings = append(findings, Finding{Object: object, Setting: s.name, Is: s.show(is), Want: s.want, Do: s.why})
	}
	return findings
}

// VerifyReader compares the consumer of another service, as the server has it on a stream,
// with what Provision makes for the configured reader of that name, and with the bounds
// of any reader. It names each setting once.
func (t Topology) VerifyReader(stream string, is jetstream.ConsumerConfig) []Finding {
	findings := ReaderFindings(is)
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Setting == delivered }) {
		return findings // it must go, whatever else it differs in
	}
	named := func(f Finding) bool {
		return slices.ContainsFunc(findings, func(other Finding) bool { return other.Setting == f.Setting })
	}
	for _, want := range t.readers() {
		if want.stream == stream && want.config.Durable == cmp.Or(is.Durable, is.Name) {
			more := compare(consumerObject(want), is, want.config, want.settings())
			findings = append(findings, slices.DeleteFunc(more, named)...)
		}
	}
	return findings
}

// readerBound is what a consumer of another service must keep to.
type readerBound struct {
	name, want, why string
	show            func(jetstream.ConsumerConfig) string
	within          func(jetstream.ConsumerConfig) bool
}

func readerBounds() []readerBound {
	type cfg = jetstream.ConsumerConfig
	const slows = "a reader, or who holds its credential, can slow everybody down: name it in the setting readers, delete the consumer and run provision"
	pull := func(c cfg) bool { return c.DeliverSubject == "" }
	return []readerBound{
		{
			name: "max waiting", want: "at most " + limit(MaxReaderPulls), why: slows,
			show:   func(c cfg) string { return limit(int64(c.MaxWaiting)) },
			within: func(c cfg) bool { return !pull(c) || c.MaxWaiting > 0 && c.MaxWaiting <= MaxReaderPulls },
		},
		{
			name: "max request batch", want: "at most " + limit(MaxReaderBatch), why: slows,
			show:   func(c cfg) string { return limit(int64(c.MaxRequestBatch)) },
			within: func(c cfg) bool { return !pull(c) || c.MaxRequestBatch > 0 && c.MaxRequestBatch <= MaxReaderBatch },
		},
		{
			name: "max request expires", want: "at most " + MaxReaderExpires.String(), why: slows,
			show: func(c cfg) string { return age(c.MaxRequestExpires) },
			within: func(c cfg) bool {
				return !pull(c) || c.MaxRequestExpires > 0 && c.MaxRequestExpires <= MaxReaderExpires
			},
		},
		{
			name: delivered, want: "none, or a subject of results",
			why:  "the server publishes every event to it, as commands or into the journal: delete the consumer, and take the right to create consumers from whoever made it",
			show: func(c cfg) string { return c.DeliverSubject },
			within: func(c cfg) bool {
				return pull(c) || slices.ContainsFunc([]string{c.Name, c.Durable}, func(name string) bool {
					return name != "" && (c.DeliverSubject == events.ReaderSubject(name) || c.DeliverSubject == events.RefusalsSubject(name))
				})
			},
		},
		{
			name: "inactive threshold", want: "none",
			why:    "the server deletes the consumer, and whoever may create it makes it anew with another delivery: run provision, and take the provisioner's credential from whoever set it",
			show:   func(c cfg) string { return age(c.InactiveThreshold) },
			within: func(c cfg) bool { return c.Durable == "" || c.InactiveThreshold == 0 }, // others end by themselves
		},
	}
}

// readerSettings is the table for other services' consumers: provision changes what the
// server lets it, and never how far a reader has come. The reader's own pace is left
// alone (ack wait, backoff, max ack pending).
func readerSettings() []setting[jetstream.ConsumerConfig] {
	type cfg = jetstream.ConsumerConfig
	table := []setting[cfg]{
		{
			name: "max waiting", why: tooMany,
			show: func(c cfg) string { return limit(int64(c.MaxWaiting)) },
		},
		{
			name: delivered, why: "results go to where its reader does not listen",
			show: func(c cfg) string { return cmp.Or(c.DeliverSubject, "none: its reader pulls") },
			put:  func(c *cfg, w cfg) { c.DeliverSubject = w.DeliverSubject },
		},
		{
			name: "deliver group", why: "its reader listens alone, and gets nothing that is for a group",
			show: func(c cfg) string { return cmp.Or(c.DeliverGroup, "none") },
			put:  func(c *cfg, w cfg) { c.DeliverGroup = w.DeliverGroup },
		},
		{
			name: "flow control", why: "without it the server drops a slow reader, and a lost connection is not noticed",
			show: func(c cfg) string { return onOff(c.FlowControl) + ", heartbeat " + age(c.IdleHeartbeat) },
		},
		{
			name: "rate limit", why: "results come so slowly that its reader falls behind for ever",
			show: func(c cfg) string { return limit(int64(min(c.RateLimit, math.MaxInt64))) },
			put:  func(c *cfg, w cfg) { c.RateLimit = w.RateLimit },
		},
		{
			name: "filter", why: "outside it, its reader misses results for good; wider, it sees those of others",
			show: func(c cfg) string { return list(filters(c)) },
			put:  func(c *cfg, w cfg) { c.FilterSubject, c.FilterSubjects = w.FilterSubject, w.FilterSubjects },
		},
		{
			name: "max deliver", why: "a result delivered too often is given up, and its reader never books it",
			show: func(c cfg) string { return limit(int64(c.MaxDeliver)) },
			put:  func(c *cfg, w cfg) { c.MaxDeliver = w.MaxDeliver },
		},
		{
			name: "headers only", why: "results would come without their data",
			show: func(c cfg) string { return onOff(c.HeadersOnly) },
			put:  func(c *cfg, w cfg) { c.HeadersOnly = w.HeadersOnly },
		},
	}
	table = append(table, pullRules(tooMany)...)
	for _, s := range consumerSettings() {
		switch s.name {
		case "ack policy", "deliver policy", "replay policy", "inactive threshold", "replicas", "memory storage", "durable name":
			table = append(table, s)
		}
	}
	return table
}

// delivered is where the server pushes to.
const delivered = "deliver subject"

// tooMany is why pulls are bounded.
const tooMany = "more, and a reader could ask for so much at once that everybody else waits; less, and its pulls are refused"
