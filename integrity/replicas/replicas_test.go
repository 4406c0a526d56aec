package replicas_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/replicas"
	"github.com/countermand/countermand/internal/natstest"
)

const bucket = "PAYMENT_CONTROL"

func provisioned(t *testing.T) jetstream.JetStream {
	t.Helper()
	js := natstest.Start(t, nil).JetStream(t)
	if _, err := broker.Provision(t.Context(), js, broker.DefaultTopology()); err != nil {
		t.Fatal(err)
	}
	return js
}

// knows is a keeper that never learns anything.
type knows keeper.Status

func (k knows) Status() keeper.Status    { return keeper.Status(k) }
func (k knows) Changed() <-chan struct{} { return nil }

// run registers a process that stands as given, and returns what ends it.
func run(t *testing.T, js jetstream.JetStream, id string, standing integrity.Standing) (r *replicas.Registration, stop func()) {
	t.Helper()
	r = replicas.New(js, bucket, id, &replicas.Options{Every: 10 * time.Millisecond})
	var findings []integrity.Finding
	if standing == integrity.Broken {
		findings = []integrity.Finding{{Kind: integrity.JournalShorter}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx, knows{Watch: integrity.Watch{Standing: standing, Findings: findings}})
	}()
	return r, func() {
		cancel()
		<-ended
	}
}

// start runs a process and waits until it is seen.
func start(t *testing.T, js jetstream.JetStream, id string, standing integrity.Standing) (r *replicas.Registration, stop func()) {
	t.Helper()
	r, stop = run(t, js, id, standing)
	live := func() bool {
		for _, other := range list(t, js) {
			if other.ID == id && !other.Left {
				return true
			}
		}
		return false
	}
	for !live() {
		if t.Context().Err() != nil {
			t.Fatalf("%s was not registered", id)
		}
	}
	return r, stop
}

func list(t *testing.T, js jetstream.JetStream) []integrity.Registered {
	t.Helper()
	all, _, err := replicas.List(t.Context(), js, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAKeyThatNobodyRenewsIsTakenOver(t *testing.T) {
	t.Parallel()
	js := provisioned(t)
	_, stopA := start(t, js, "a", integrity.Whole)
	_, stopB := start(t, js, "b", integrity.Whole)
	defer stopB()
	stopA()
	taker, stopTaker := start(t, js, "c", integrity.Whole)
	if live, ever, err := taker.Others(t.Context()); len(live) != 1 || !ever || err != nil {
		t.Errorf("it sees %v, %t, %v", live, ever, err)
	}
	stopTaker()
	for range 3 {
		_, stop := start(t, js, "c", integrity.Whole)
		stop()
	}
	_, stopC := start(t, js, "c", integrity.Whole)
	defer stopC()
	if all := list(t, js); len(all) != 2 || all[0].ID != "b" || all[1].ID != "c" {
		t.Errorf("%d registrations for two processes at a time: %+v", len(all), all)
	}
}

func TestProcessesThatStartTogetherGetAKeyEach(t *testing.T) {
	t.Parallel()
	js := provisioned(t)
	const n = 5
	for range n {
		_, stop := run(t, js, "same", integrity.Whole)
		t.Cleanup(stop)
	}
	for len(list(t, js)) < n {
		if t.Context().Err() != nil {
			t.Fatalf("%d registrations of %d", len(list(t, js)), n)
		}
	}
}

func TestAProcessSeesWhatOthersHaveFound(t *testing.T) {
	t.Parallel()
	js := provisioned(t)
	whole, stopWhole := start(t, js, "whole", integrity.Whole)
	defer stopWhole()
	broken, stopBroken := start(t, js, "broken", integrity.Broken)
	found := func(r *replicas.Registration, epoch uint64) []integrity.Finding {
		t.Helper()
		others, ever, err := r.Others(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ever {
			t.Error("it remembers no other process")
		}
		return integrity.FoundByOthers(epoch, others)
	}
	if f := found(whole, 0); len(f) != 1 || f[0].Kind != integrity.ReplicaBroken || f[0].Object != "broken" {
		t.Errorf("the whole one sees %v", f)
	}
	if f := found(whole, 1); len(f) != 0 {
		t.Errorf("in the next epoch the whole one sees %v", f)
	}
	if f := found(broken, 0); len(f) != 0 {
		t.Errorf("the broken one sees %v", f)
	}
	stopBroken()
	if f := found(whole, 0); len(f) != 0 {
		t.Errorf("of one that has left the whole one sees %v", f)
	}
}
