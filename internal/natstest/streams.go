package natstest

import (
	"context"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
)

// EventsStream is the name of the journal's stream, RefusalsStream that of the rejections.
const (
	EventsStream   = "PAYMENT_EVENTS"
	RefusalsStream = "PAYMENT_REFUSALS"
)

// EventsConfig is the journal's stream as production has it, with the number
// of replicas left to the test: on disk, nothing ever removed, every subject
// written once, and no read that a stale replica may answer.
func EventsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:                 EventsStream,
		Subjects:             events.JournalSubjects(),
		Storage:              jetstream.FileStorage,
		Retention:            jetstream.LimitsPolicy,
		Discard:              jetstream.DiscardNew,
		MaxMsgsPerSubject:    1,
		DiscardNewPerSubject: true,
		DenyDelete:           true,
		DenyPurge:            true,
		AllowRollup:          false,
		AllowDirect:          false,
		Replicas:             replicas,
	}
}

// RefusalsConfig is the stream of rejections as production has it, without its bounds.
func RefusalsConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       RefusalsStream,
		Subjects:   []string{events.RejectedFilter},
		Storage:    jetstream.FileStorage,
		Retention:  jetstream.LimitsPolicy,
		Discard:    jetstream.DiscardOld,
		DenyDelete: true,
		DenyPurge:  true,
		Replicas:   replicas,
	}
}

// CreateStream creates a stream and fails the test if that is not possible.
func CreateStream(t testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	created, err := js.CreateStream(ctx, cfg)
	if err != nil {
		t.Fatalf("create stream %s: %v", cfg.Name, err)
	}
	return created
}

// OldRejection puts a rejection into the journal, where versions before PAYMENT_REFUSALS
// had it: the journal takes its subject in for that moment. The stream of refusals must
// be empty.
func OldRejection(t testing.TB, js jetstream.JetStream, m *nats.Msg) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("put an old rejection: %v", err)
		}
	}
	refusals, err := js.Stream(ctx, RefusalsStream)
	must(err)
	if n := refusals.CachedInfo().State.LastSeq; n > 0 {
		t.Fatalf("put an old rejection: %s has held %d already", RefusalsStream, n)
	}
	own := refusals.CachedInfo().Config
	aside := own
	aside.Subjects = []string{"natstest.aside"}
	_, err = js.UpdateStream(ctx, aside)
	must(err)
	journal, err := js.Stream(ctx, EventsStream)
	must(err)
	cfg := journal.CachedInfo().Config
	wide := cfg
	wide.Subjects = append(slices.Clone(cfg.Subjects), events.RejectedFilter)
	_, err = js.UpdateStream(ctx, wide)
	must(err)
	_, err = js.PublishMsg(ctx, m)
	must(err)
	_, err = js.UpdateStream(ctx, cfg)
	must(err)
	_, err = js.UpdateStream(ctx, own)
	must(err)
}

// Messages counts what a stream holds.
func Messages(t testing.TB, js jetstream.JetStream, name string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), ready)
	defer cancel()
	found, err := js.Stream(ctx, name)
	if err != nil {
		t.Fatalf("look up stream %s: %v", name, err)
	}
	return int(found.CachedInfo().State.Msgs)
}
