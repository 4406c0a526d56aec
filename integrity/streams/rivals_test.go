package streams_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/natstest"
)

func TestManyProcessesRaiseTheMarkAtOnceAndNoneFails(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	topology := broker.DefaultTopology()
	if _, err := broker.Provision(t.Context(), server.JetStream(t), topology); err != nil {
		t.Fatal(err)
	}
	var sequence, failed atomic.Uint64
	var all sync.WaitGroup
	for range 12 {
		bucket := streams.NewBucket(server.Connect(t), topology.Control)
		all.Go(func() {
			for range 30 {
				n := sequence.Add(1)
				r := integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: n, Token: "t"}}}
				stored, err := bucket.Raise(t.Context(), r)
				if err != nil {
					failed.Add(1)
					t.Log(err)
				} else if stored.Mark.Journal.Sequence < n {
					t.Errorf("raised to %d, %d is stored", n, stored.Mark.Journal.Sequence)
				}
			}
		})
	}
	all.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d raises failed", failed.Load(), sequence.Load())
	}
}

// inFlight is a bucket on three replicas under whose key another process's write is
// on its way for a while.
type inFlight struct{ until time.Time }

func (f inFlight) RequestMsgWithContext(_ context.Context, m *nats.Msg) (*nats.Msg, error) {
	answer := `{"stream":"KV_PAYMENT_CONTROL","seq":7}`
	switch {
	case strings.Contains(m.Subject, "MSG.GET"):
		answer = `{"error":{"code":404,"err_code":10037,"description":"no message found"}}`
	case time.Now().Before(f.until):
		answer = `{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}`
	}
	return &nats.Msg{Data: []byte(answer)}, nil
}

func TestARaiseOutlastsAWriteThatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := streams.NewBucket(inFlight{time.Now().Add(100 * time.Millisecond)}, "PAYMENT_CONTROL")
		want := integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: 3, Token: "t"}}}
		if r, err := bucket.Raise(t.Context(), want); err != nil || r.Mark.Journal.Sequence != 3 {
			t.Errorf("raised to %d: %v", r.Mark.Journal.Sequence, err)
		}
	})
}

// An earlier version stores the mark without what it does not know of.
func TestAMarkThatAnEarlierVersionHasStoredIsNotSetBack(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, nil)
	topology := broker.DefaultTopology()
	if _, err := broker.Provision(t.Context(), server.JetStream(t), topology); err != nil {
		t.Fatal(err)
	}
	bucket := streams.NewBucket(server.Connect(t), topology.Control)
	mark := integrity.Mark{Streams: map[string]uint64{topology.Commands: 7}, Stamps: map[string]time.Time{topology.Commands: time.Unix(1, 0)}}
	want := integrity.Record{Epoch: integrity.FirstEpoch(), Mark: mark}
	stored, err := bucket.Raise(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	stored.Mark.Stamps = nil
	raw, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.JetStream(t).Publish(t.Context(), "$KV."+topology.Control+"."+streams.MarkKey, raw); err != nil {
		t.Fatal(err)
	}
	if r, err := bucket.Load(t.Context()); err != nil || r.Mark.Streams[topology.Commands] != 7 {
		t.Errorf("%+v, %v", r.Mark, err)
	}
	if again, err := bucket.Raise(t.Context(), want); err != nil || len(again.Mark.Stamps) != 1 {
		t.Errorf("%+v, %v", again.Mark, err)
	}
}
