package stream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

func startCluster(t *testing.T) (*natstest.Cluster, jetstream.JetStream) {
	t.Helper()
	if testing.Short() {
		t.Skip("three servers take seconds to start")
	}
	c := natstest.StartCluster(t)
	js := c.JetStream(t)
	c.CreateStream(t, js, natstest.EventsConfig(3))
	c.CreateStream(t, js, natstest.RefusalsConfig(3))
	return c, js
}

// The guard on three replicas is another piece of the server than on one: the
// leader checks before the replicas agree, and holds appends in flight apart by
// their filter strings.
func TestOnThreeReplicasEachVersionIsAcceptedOnceWhileLeadersRestart(t *testing.T) {
	t.Parallel()
	c, js := startCluster(t)
	const writers, payments, rounds = 12, 10, 20
	tally := &tally{accepted: map[place]string{}}
	var running sync.WaitGroup
	for w := range writers {
		conn := c.Connect(t)
		running.Go(func() {
			j := open(t, conn, &stream.Options{TryTimeout: 500 * time.Millisecond})
			for round := range rounds {
				for p := range payments {
					tally.append(t, j, p, w, round)
				}
			}
		})
	}
	for range 3 {
		tally.awaitMore(t, 50)
		c.RestartLeader(t, natstest.EventsStream)
	}
	running.Wait()

	versions := uint64(0)
	j := open(t, c.Connect(t), nil)
	for p := range payments {
		record, err := j.Last(withTimeout(t), paymentID(p))
		if err != nil {
			t.Fatal(err)
		}
		versions += record.State.Version
	}
	stored := natstest.Messages(t, js, natstest.EventsStream)
	if uint64(stored) != versions {
		t.Errorf("the stream holds %d events, the payments have %d versions", stored, versions)
	}
	t.Logf("%d events stored, %d of them acknowledged to their writers, %d conflicts", stored, len(tally.accepted), tally.conflicts.Load())
}

func paymentID(p int) payment.ID {
	return payment.ID{Provider: "opay-eg", Native: string(rune('a' + p))}
}

// place is a version of a payment.
type place struct {
	payment int
	version uint64
}

// tally counts who was told that which version is theirs.
type tally struct {
	mu        sync.Mutex
	accepted  map[place]string
	conflicts atomic.Int64
	more      atomic.Int64
}

// append reads a payment and appends its next version; losing is no fault.
func (c *tally) append(t *testing.T, j *stream.Journal, p, writer, round int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, err := j.Last(ctx, paymentID(p))
	if err != nil {
		t.Errorf("read payment %d: %v", p, err)
		return
	}
	name := string(rune('A'+writer)) + "-" + string(rune('a'+round))
	version := seen.State.Version + 1
	e := journaltest.Event(paymentID(p), version, name)
	if writer%2 == 1 {
		e.Type = payment.EventDeferred // write-once subjects do not hold this one and started apart
	}
	_, err = j.Append(ctx, seen.Sequence, e)
	var moved *journal.ConflictError
	switch {
	case err == nil:
		c.mu.Lock()
		defer c.mu.Unlock()
		if other, taken := c.accepted[place{p, version}]; taken {
			t.Errorf("version %d of payment %d was accepted from %s and from %s", version, p, other, name)
		}
		c.accepted[place{p, version}] = name
		c.more.Add(1)
	case errors.As(err, &moved):
		if moved.Last.Sequence <= seen.Sequence {
			t.Errorf("payment %d conflicts at sequence %d with %d", p, seen.Sequence, moved.Last.Sequence)
		}
		c.conflicts.Add(1)
	default:
		t.Errorf("append to payment %d: %v", p, err)
	}
}

// awaitMore returns once so many more appends were accepted.
func (c *tally) awaitMore(t *testing.T, n int64) {
	t.Helper()
	target := c.more.Load() + n
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for c.more.Load() < target {
		select {
		case <-look.C:
		case <-t.Context().Done():
			t.Fatal("appends stopped being accepted")
		}
	}
}

func TestJournalOnThreeReplicasKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	c, js := startCluster(t)
	journaltest.Run(t, func(t *testing.T) journaltest.Store {
		// Not parallel: the checks share the cluster, each with a new stream.
		for _, name := range []string{natstest.EventsStream, natstest.RefusalsStream} {
			if err := js.DeleteStream(withTimeout(t), name); err != nil {
				t.Fatal(err)
			}
		}
		c.CreateStream(t, js, natstest.EventsConfig(3))
		c.CreateStream(t, js, natstest.RefusalsConfig(3))
		return &replicated{cluster: c, js: js}
	})
}

// replicated lends a stream with three replicas to the conformance suite.
type replicated struct {
	cluster *natstest.Cluster
	js      jetstream.JetStream
}

func (r *replicated) Writer(t *testing.T, plan journaltest.Plan) journal.Journal {
	t.Helper()
	return writer(t, r.cluster.Connect(t), plan, false)
}

func (r *replicated) Len(t *testing.T) int {
	t.Helper()
	return natstest.Messages(t, r.js, natstest.EventsStream) + natstest.Messages(t, r.js, natstest.RefusalsStream)
}
