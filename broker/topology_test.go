package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/natstest"
)

func TestProvisionCreatesWhatIsMissingAndNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	b := &bundle{t: t, server: server, js: server.JetStream(t), topology: broker.DefaultTopology()}

	first, err := broker.Provision(b.ctx(), b.js, b.topology)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range first {
		lines = append(lines, c.String())
	}
	want := []string{
		"created stream PAYMENT_COMMANDS", "created stream PAYMENT_EVENTS",
		"created stream PAYMENT_REFUSALS",
		"created stream PAYMENT_DUE", "created stream PAYMENT_REJECTED", "created stream KV_PAYMENT_CONTROL",
		"created consumer payment-consumer on PAYMENT_COMMANDS", "created consumer payment-consumer on PAYMENT_DUE",
		"created consumer payment-consumer on PAYMENT_EVENTS",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	second, err := broker.Provision(b.ctx(), b.js, b.topology)
	if err != nil || len(second) != 0 {
		t.Errorf("second provision = %v, %v; want nothing", second, err)
	}
	findings, err := broker.Verify(b.ctx(), b.js, b.topology)
	if err != nil || len(findings) != 0 {
		t.Errorf("verify = %v, %v; want nothing", findings, err)
	}
}

func TestTheJournalStreamIsTheOneTheJournalIsTestedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := natstest.Start(t, nil).JetStream(t)
	want := natstest.CreateStream(t, other, natstest.EventsConfig(1)).CachedInfo().Config
	stream, err := b.js.Stream(b.ctx(), b.topology.Events)
	if err != nil {
		t.Fatal(err)
	}
	got := stream.CachedInfo().Config
	got.Description, want.Description = "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestVerifyNamesEachWrongSetting provisions with one setting wrong and looks
// for it in the findings; then lets Provision mend it, where that is possible.
func TestVerifyNamesEachWrongSetting(t *testing.T) {
	t.Parallel()
	type stream = jetstream.StreamConfig
	type consumer = jetstream.ConsumerConfig
	cases := []struct {
		object   string
		setting  string
		stream   func(*stream)
		consumer func(*consumer)
		mended   bool
	}{
		{"stream PAYMENT_COMMANDS", "storage", func(c *stream) { c.Storage = jetstream.MemoryStorage }, nil, false},
		{"stream PAYMENT_COMMANDS", "discard", func(c *stream) { c.Discard = jetstream.DiscardOld }, nil, true},
		{"stream PAYMENT_COMMANDS", "rollup", func(c *stream) { c.AllowRollup, c.DenyPurge = true, false }, nil, true},
		{"stream PAYMENT_COMMANDS", "deny delete", func(c *stream) { c.DenyDelete = false }, nil, true},
		{"stream PAYMENT_COMMANDS", "deny purge", func(c *stream) { c.DenyPurge = false }, nil, true},
		{"stream PAYMENT_COMMANDS", "max message size", func(c *stream) { c.MaxMsgSize = -1 }, nil, true},
		{"stream PAYMENT_COMMANDS", "max age", func(c *stream) { c.MaxAge = time.Hour }, nil, true},
		{"stream PAYMENT_COMMANDS", "retention", func(c *stream) { c.Retention = jetstream.WorkQueuePolicy }, nil, false},
		{"stream PAYMENT_COMMANDS", "message TTL", func(c *stream) { c.AllowMsgTTL = true }, nil, false},
		{"stream PAYMENT_COMMANDS", "subjects", func(c *stream) { c.Subjects = c.Subjects[:2] }, nil, true},
		{"stream PAYMENT_COMMANDS", "direct get", func(c *stream) { c.AllowDirect = true }, nil, true},
		{"stream PAYMENT_COMMANDS", "no ack", func(c *stream) { c.NoAck = true }, nil, true},
		{"stream PAYMENT_COMMANDS", "schedules", func(c *stream) {
			c.AllowMsgSchedules, c.AllowRollup, c.DenyPurge, c.Discard = true, true, false, jetstream.DiscardOld
		}, nil, false},
		{"stream PAYMENT_COMMANDS", "subject transform", func(c *stream) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "payment.cancel.requested.*", Destination: "payment.refund.requested.$1"}
		}, nil, false},
		{"stream PAYMENT_EVENTS", "discard new per subject", func(c *stream) { c.DiscardNewPerSubject = false }, nil, true},
		{"stream PAYMENT_EVENTS", "max messages per subject", func(c *stream) { c.MaxMsgsPerSubject = 2 }, nil, true},
		{"stream PAYMENT_EVENTS", "max messages", func(c *stream) { c.MaxMsgs = 1000 }, nil, true},
		{"stream PAYMENT_COMMANDS", "max messages", func(c *stream) { c.MaxMsgs = 1000 }, nil, true},
		{"stream PAYMENT_REFUSALS", "max messages", func(c *stream) { c.MaxMsgs = 1000 }, nil, true},
		{"stream PAYMENT_EVENTS", "max age", func(c *stream) { c.MaxAge = time.Hour }, nil, true},
		{"stream PAYMENT_EVENTS", "persist mode", func(c *stream) { c.PersistMode = jetstream.AsyncPersistMode }, nil, false},
		{"stream PAYMENT_DUE", "retention", func(c *stream) { c.Retention = jetstream.LimitsPolicy }, nil, false},
		{"stream PAYMENT_DUE", "schedules", func(c *stream) { c.AllowMsgSchedules = false }, nil, true},
		{"stream PAYMENT_DUE", "max age", func(c *stream) { c.MaxAge = time.Hour }, nil, true},
		{"stream PAYMENT_DUE", "max bytes", func(c *stream) { c.MaxBytes = 1 << 20 }, nil, true},
		{"stream PAYMENT_EVENTS", "max bytes", func(c *stream) { c.MaxBytes = 1 << 20 }, nil, false},
		{"stream PAYMENT_EVENTS", "max message size", func(c *stream) { c.MaxMsgSize = 600 }, nil, true},
		{"stream PAYMENT_EVENTS", "no ack", func(c *stream) { c.NoAck = true }, nil, true},
		{"stream PAYMENT_EVENTS", "max consumers", func(c *stream) { c.MaxConsumers = 2 }, nil, false},
		{"stream PAYMENT_EVENTS", "message counter", func(c *stream) {
			c.AllowMsgCounter, c.Discard, c.DiscardNewPerSubject, c.MaxMsgsPerSubject = true, jetstream.DiscardOld, false, -1
		}, nil, false},
		{"stream PAYMENT_EVENTS", "atomic batches", func(c *stream) { c.AllowAtomicPublish = true }, nil, true},
		{"stream PAYMENT_COMMANDS", "fast batches", func(c *stream) { c.AllowBatchPublish = true }, nil, true},
		{"stream PAYMENT_COMMANDS", "duplicate window", func(c *stream) { c.Duplicates = 100 * time.Millisecond }, nil, true},
		{"stream PAYMENT_COMMANDS", "duplicate window", func(c *stream) { c.Duplicates = 24 * time.Hour }, nil, true},
		{"stream PAYMENT_REJECTED", "duplicate window", func(c *stream) { c.MaxAge, c.Duplicates = time.Minute, time.Minute }, nil, true},
		{"stream PAYMENT_EVENTS", "republish", func(c *stream) { c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"} }, nil, true},
		{"stream PAYMENT_COMMANDS", "sources", func(c *stream) { c.Sources = []*jetstream.StreamSource{{Name: "EVIL"}} }, nil, true},
		{"stream PAYMENT_REJECTED", "mirror", func(c *stream) { c.Subjects, c.Mirror = nil, &jetstream.StreamSource{Name: "EVIL"} }, nil, false},
		{"stream PAYMENT_COMMANDS", "consumer limits", func(c *stream) { c.ConsumerLimits.InactiveThreshold = time.Hour }, nil, true},
		{"stream KV_PAYMENT_CONTROL", "max messages", func(c *stream) { c.MaxMsgs = 1000 }, nil, true},
		{"stream KV_PAYMENT_CONTROL", "max bytes", func(c *stream) { c.MaxBytes = 1 << 20 }, nil, false},
		{"stream PAYMENT_DUE", "max messages", func(c *stream) { c.MaxMsgs = 1000 }, nil, true},
		{"stream PAYMENT_REJECTED", "max age", func(c *stream) { c.MaxAge = 0 }, nil, true},
		{"stream PAYMENT_REJECTED", "deny delete", func(c *stream) { c.DenyDelete = true }, nil, false},
		{"stream PAYMENT_REJECTED", "max bytes", func(c *stream) { c.MaxBytes = -1 }, nil, true},
		{"stream PAYMENT_COMMANDS", "max bytes", func(c *stream) { c.MaxBytes = 1 << 20 }, nil, true},
		{"stream PAYMENT_REFUSALS", "max bytes", func(c *stream) { c.MaxBytes = -1 }, nil, true},
		{"stream PAYMENT_REFUSALS", "max age", func(c *stream) { c.MaxAge = 0 }, nil, true},
		{"stream PAYMENT_REFUSALS", "discard", func(c *stream) { c.Discard = jetstream.DiscardNew }, nil, true},
		{"stream PAYMENT_REFUSALS", "deny purge", func(c *stream) { c.DenyPurge = false }, nil, true},
		{"stream PAYMENT_REFUSALS", "deny delete", func(c *stream) { c.DenyDelete = false }, nil, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "ack wait", nil, func(c *consumer) { c.AckWait = time.Second }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "ack policy", nil, func(c *consumer) { c.AckPolicy = jetstream.AckAllPolicy }, false},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "deliver policy", nil, func(c *consumer) { c.DeliverPolicy = jetstream.DeliverNewPolicy }, false},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "max deliver", nil, func(c *consumer) { c.MaxDeliver = 5 }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "backoff", nil, func(c *consumer) { c.BackOff = []time.Duration{30 * time.Second, time.Minute} }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "max ack pending", nil, func(c *consumer) { c.MaxAckPending = 10 }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "memory storage", nil, func(c *consumer) { c.MemoryStorage = true }, false},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "headers only", nil, func(c *consumer) { c.HeadersOnly = true }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "inactive threshold", nil, func(c *consumer) { c.InactiveThreshold = time.Hour }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "replay policy", nil, func(c *consumer) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }, false},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "max waiting", nil, func(c *consumer) { c.MaxWaiting = 1 }, false},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "max request batch", nil, func(c *consumer) { c.MaxRequestBatch = 1 }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "max request expires", nil, func(c *consumer) { c.MaxRequestExpires = time.Second }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "max request bytes", nil, func(c *consumer) { c.MaxRequestMaxBytes = 100 }, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "priority", nil, func(c *consumer) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"g"}
		}, true},
		{"consumer payment-consumer on PAYMENT_COMMANDS", "delivery", nil, func(c *consumer) { c.DeliverSubject = "innocent.x" }, false},
		{"consumer payment-consumer on PAYMENT_DUE", "filter", nil, func(c *consumer) { c.FilterSubject = "payment.due.refund" }, true},
	}
	js := natstest.Start(t, nil).JetStream(t)
	for _, tc := range cases { //nolint:paralleltest // one server's streams, spoiled in turn
		t.Run(tc.object+" "+tc.setting, func(t *testing.T) {
			b := &bundle{t: t, js: js, topology: broker.DefaultTopology()}
			b.createAnew(tc.object, tc.stream, tc.consumer)
			b.mustFind(tc.object, tc.setting)
			again := b.mustFind(tc.object, tc.setting) // Verify changed nothing

			changes := b.provisionAnew()
			wantKind := broker.Refused
			if tc.mended {
				wantKind = broker.Updated
			}
			if !slices.ContainsFunc(changes, func(c broker.Change) bool {
				return c.Kind == wantKind && c.Object == tc.object && c.Setting == tc.setting && c.Is == again.Is && c.Want == again.Want
			}) {
				t.Errorf("changes %v have no %s of %s", changes, wantKind, tc.setting)
			}
			findings, err := broker.Verify(b.ctx(), b.js, b.topology)
			if err != nil {
				t.Fatal(err)
			}
			if tc.mended && len(findings) != 0 {
				t.Errorf("after provision there are still %v", findings)
			}
			if !tc.mended && len(findings) == 0 {
				t.Error("what cannot be changed is not found any more")
			}
		})
	}
}

// createAnew deletes the topology and creates it with one thing wrong.
func (b *bundle) createAnew(object string, wrongStream func(*jetstream.StreamConfig), wrongConsumer func(*jetstream.ConsumerConfig)) {
	b.t.Helper()
	for _, cfg := range b.topology.Streams() {
		if err := b.js.DeleteStream(b.ctx(), cfg.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			b.t.Fatal(err)
		}
	}
	for _, cfg := range b.topology.Streams() {
		if wrongStream != nil && object == "stream "+cfg.Name {
			wrongStream(&cfg)
			b.createStream(cfg)
		}
	}
	if wrongConsumer != nil {
		stream, cfg := b.topology.CommandsConfig(), b.topology.CommandsConsumerConfig()
		if strings.HasSuffix(object, b.topology.Due) {
			stream, cfg = b.topology.DueConfig(), b.topology.DueConsumerConfig()
		}
		b.createStream(stream)
		wrongConsumer(&cfg)
		if _, err := b.js.CreateConsumer(b.ctx(), stream.Name, cfg); err != nil {
			b.t.Fatal(err)
		}
	}
}

// provisionAnew provisions what was deleted a moment ago, and returns all changes.
func (b *bundle) provisionAnew() []broker.Change {
	b.t.Helper()
	var all []broker.Change
	eventually(b.t, "the topology to be provisioned", func() bool {
		changes, err := broker.Provision(b.ctx(), b.js, b.topology)
		all = append(all, changes...)
		if err != nil && !strings.Contains(err.Error(), "error creating store") {
			b.t.Fatal(err)
		}
		return err == nil
	})
	return all
}

// createStream creates a stream whose namesake was deleted a moment ago, the
// files of which the server may still be removing.
func (b *bundle) createStream(cfg jetstream.StreamConfig) {
	b.t.Helper()
	const storeNotCreated = 10049
	eventually(b.t, "the stream to be created", func() bool {
		_, err := b.js.CreateStream(b.ctx(), cfg)
		var refusal *jetstream.APIError
		if err != nil && (!errors.As(err, &refusal) || refusal.ErrorCode != storeNotCreated) {
			b.t.Fatal(err)
		}
		return err == nil
	})
}

func (b *bundle) mustFind(object, setting string) broker.Finding {
	b.t.Helper()
	findings, err := broker.Verify(b.ctx(), b.js, b.topology)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range findings {
		if f.Object == object && f.Setting == setting {
			if f.Is == f.Want || f.Do == "" {
				b.t.Errorf("finding says nothing: %v", f)
			}
			return f
		}
	}
	b.t.Fatalf("no finding of %s in %v", setting, findings)
	return broker.Finding{}
}

func TestVerifyNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.js.DeleteStream(b.ctx(), b.topology.Rejected); err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteConsumer(b.ctx(), b.topology.Commands, b.topology.Consumer); err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteStream(b.ctx(), b.topology.Due); err != nil {
		t.Fatal(err)
	}
	for _, object := range []string{
		"stream PAYMENT_REJECTED", "stream PAYMENT_DUE",
		"consumer payment-consumer on PAYMENT_COMMANDS", "consumer payment-consumer on PAYMENT_DUE",
	} {
		if f := b.mustFind(object, "existence"); f.Is != "missing" {
			t.Errorf("finding = %v", f)
		}
	}
}

func TestVerifyNamesAPausedConsumer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.js.PauseConsumer(b.ctx(), b.topology.Due, b.topology.Consumer, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.mustFind("consumer payment-consumer on PAYMENT_DUE", "pause")
}

func TestVerifyReportsThatTheServerCannotBeAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.js.Conn().Close()
	if _, err := broker.Verify(b.ctx(), b.js, b.topology); err == nil {
		t.Error("verify without a connection found nothing wrong")
	}
	if _, err := broker.Provision(b.ctx(), b.js, b.topology); err == nil {
		t.Error("provision without a connection found nothing wrong")
	}
}

func TestProvisionDeletesNoMessageToMakeASettingFit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cfg := b.topology.CommandsConfig()
	cfg.MaxAge = 400 * 24 * time.Hour
	if _, err := b.js.UpdateStream(b.ctx(), cfg); err != nil {
		t.Fatal(err)
	}
	b.command("old", nil)
	changes, err := broker.Provision(b.ctx(), b.js, b.topology)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Kind != broker.Refused || changes[0].Setting != "max age" {
		t.Errorf("changes = %v; want max age refused", changes)
	}
	b.mustFind("stream PAYMENT_COMMANDS", "max age")
}

func TestProvisionDeletesNoMessageToMakeABoundFit(t *testing.T) {
	t.Parallel()
	for _, large := range []bool{true, false} {
		b := setup(t)
		b.topology.RejectedBytes = 10 << 20
		b.provision()
		size := 1000
		if large {
			size = 2 << 20
		}
		for token := range 2 {
			if _, err := b.js.Publish(b.ctx(), fmt.Sprintf("payment.quarantine.%d-a", token), make([]byte, min(size, 900<<10))); err != nil {
				t.Fatal(err)
			}
		}
		b.topology.RejectedBytes = 1 << 20
		changes, err := broker.Provision(b.ctx(), b.js, b.topology)
		want := broker.Updated
		if large {
			want = broker.Refused
		}
		if err != nil || len(changes) != 1 || changes[0].Setting != "max bytes" || changes[0].Kind != want {
			t.Errorf("large %t: %v, %v", large, changes, err)
		}
		if n := natstest.Messages(t, b.js, b.topology.Rejected); n != 2 {
			t.Errorf("large %t: %d messages are left", large, n)
		}
	}
}

func TestProvisionLeavesAnOperatorsOwnSettingsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cfg := b.topology.EventsConfig()
	cfg.MaxBytes, cfg.DenyDelete, cfg.Metadata = 1<<30, true, map[string]string{"team": "payments"}
	cfg.AllowDirect = true
	if _, err := b.js.UpdateStream(b.ctx(), cfg); err != nil {
		t.Fatal(err)
	}
	b.provision()
	stream, err := b.js.Stream(b.ctx(), b.topology.Events)
	if err != nil {
		t.Fatal(err)
	}
	got := stream.CachedInfo().Config
	if got.AllowDirect || got.MaxBytes != 1<<30 || got.Metadata["team"] != "payments" {
		t.Errorf("config after provision = %+v", got)
	}
	if f := b.mustFind("stream PAYMENT_EVENTS", "max bytes"); !strings.Contains(f.Do, "by hand") {
		t.Error(f)
	}
}

func TestTheCommandStreamRefusesWhatCouldEraseItOrIsTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cases := []struct {
		name   string
		header nats.Header
		size   int
		code   jetstream.ErrorCode
	}{
		{"rollup of the stream", nats.Header{"Nats-Rollup": {"all"}}, 1, 10111},
		{"rollup of the subject", nats.Header{"Nats-Rollup": {"sub"}}, 1, 10111},
		{"schedule", nats.Header{"Nats-Schedule": {"@at 2030-01-01T00:00:00Z"}, "Nats-Schedule-Target": {"payment.cancel.requested"}}, 1, jetstream.JSErrCodeMessageSchedulesDisabled},
		{"time to live", nats.Header{"Nats-TTL": {"1s"}}, 1, 10166},
		{"65 KiB", nil, 65 << 10, jetstream.JSErrCodeStreamMessageExceedsMaximum},
	}
	for _, tc := range cases {
		_, err := b.js.PublishMsg(b.ctx(), &nats.Msg{Subject: "payment.refund.requested", Header: tc.header, Data: bytes.Repeat([]byte("x"), tc.size)})
		var refusal *jetstream.APIError
		if !errors.As(err, &refusal) || refusal.ErrorCode != tc.code {
			t.Errorf("%s: error = %v, want code %d", tc.name, err, tc.code)
		}
	}
	b.command(strings.Repeat("x", 63<<10), nil)
}

func TestTheJournalAndTheQueueCannotBePurgedOrDeletedFrom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seq := b.command("stays", nil)
	if _, err := b.js.Publish(b.ctx(), "payment.refund.succeeded.opay-eg.1.1", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(b.ctx(), "payment.command.rejected.1-0123456789ab", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{b.topology.Commands, b.topology.Events, b.topology.Refusals} {
		stream, err := b.js.Stream(b.ctx(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(b.ctx()); err == nil {
			t.Errorf("%s was purged", name)
		}
		if err := stream.DeleteMsg(b.ctx(), seq); err == nil {
			t.Errorf("a message of %s was deleted", name)
		}
		if n := natstest.Messages(t, b.js, name); n != 1 {
			t.Errorf("%s holds %d messages, want 1", name, n)
		}
	}
	_, err := b.js.Publish(b.ctx(), "payment.refund.succeeded.opay-eg.1.1", []byte("{}"))
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode != 10077 {
		t.Errorf("second event on one subject: %v, want 10077", err)
	}
}
