package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
	"github.com/countermand/countermand/integrity/streams"
)

func TestTheBucketKeepsTheHighestMark(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL"), streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL")
	at := func(n uint64) integrity.Record {
		return integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: n, Token: "t"}}}
	}
	if r, err := one.Load(t.Context()); err != nil || !r.Zero() {
		t.Fatalf("an empty bucket holds %+v, %v", r, err)
	}
	for i, s := range []struct {
		by   *streams.Bucket
		to   uint64
		want uint64
	}{{one, 5, 5}, {two, 3, 5}, {two, 9, 9}, {one, 7, 9}, {one, 12, 12}, {two, 13, 13}, {two, 14, 14}} {
		r, err := s.by.Raise(t.Context(), at(s.to))
		if err != nil || r.Mark.Journal.Sequence != s.want {
			t.Fatalf("step %d: raised to %d, %v; want %d", i, r.Mark.Journal.Sequence, err, s.want)
		}
	}
	b.deleteStream(b.topology.ControlStream())
	if _, err := one.Load(t.Context()); !errors.Is(err, keeper.ErrNoStore) {
		t.Errorf("a bucket that is gone: %v", err)
	}
	if _, err := two.Raise(t.Context(), at(20)); err == nil {
		t.Error("a bucket that is gone was raised")
	}
	b.provision()
	for _, known := range []*streams.Bucket{one, two} {
		if _, err := known.Raise(t.Context(), at(21)); !errors.Is(err, keeper.ErrSetBack) {
			t.Errorf("a bucket made anew: %v", err)
		}
	}
	// A process that knows nothing writes to the new one; who knew the other is not fooled.
	if r, err := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL").Raise(t.Context(), at(99)); err != nil || r.Mark.Journal.Sequence != 99 {
		t.Fatalf("a new process: %+v, %v", r, err)
	}
	if _, err := one.Load(t.Context()); !errors.Is(err, keeper.ErrSetBack) {
		t.Errorf("a bucket made anew and filled: %v", err)
	}
	accepted := integrity.Record{Epoch: integrity.Epoch{Number: 1}, Mark: integrity.Mark{Epoch: 1, Journal: integrity.Position{Sequence: 4, Token: "t"}}}
	if _, err := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL").Raise(t.Context(), accepted); err != nil {
		t.Fatal(err)
	}
	if r, err := one.Load(t.Context()); err != nil || r.Epoch.Number != 1 {
		t.Errorf("after the loss was accepted: %+v, %v", r, err)
	}
}

// late holds the answers to reads back until it is released.
type late struct {
	streams.Requester
	held, released chan struct{}
}

func (l late) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	answer, err := l.Requester.RequestMsgWithContext(ctx, m)
	if strings.Contains(m.Subject, "MSG.GET") {
		l.held <- struct{}{}
		<-l.released
	}
	return answer, err
}

func TestAnAnswerThatComesAfterALaterRaiseIsNoLoss(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := func(n uint64) integrity.Record {
		return integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: n, Token: "t"}}}
	}
	l := late{Requester: b.js.Conn(), held: make(chan struct{}), released: make(chan struct{})}
	bucket := streams.NewBucket(l, "PAYMENT_CONTROL")
	raise := func(n uint64) {
		t.Helper()
		if _, err := bucket.Raise(t.Context(), at(n)); err != nil {
			t.Fatalf("raise to %d: %v", n, err)
		}
	}
	go func() { <-l.held; l.released <- struct{}{} }()
	raise(1)
	type answer struct {
		r   integrity.Record
		err error
	}
	loaded := make(chan answer)
	go func() { r, err := bucket.Load(t.Context()); loaded <- answer{r, err} }()
	<-l.held // the server has answered 1
	raise(2)
	l.released <- struct{}{}
	if got := <-loaded; got.err != nil || got.r.Mark.Journal.Sequence != 2 {
		t.Errorf("the late answer gives %d, %v; want what is known to be stored, 2", got.r.Mark.Journal.Sequence, got.err)
	}
	raise(3)
}

func TestRaisingCostsOneRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	js := b.server.JetStream(t)
	bucket := streams.NewBucket(js.Conn(), "PAYMENT_CONTROL")
	before := js.Conn().Stats().OutMsgs
	for n := range uint64(10) {
		r := integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: n + 1}}}
		if _, err := bucket.Raise(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if asked := js.Conn().Stats().OutMsgs - before; asked > 11 {
		t.Errorf("10 raises cost %d requests", asked)
	}
}

func TestAWitnessThatWasSetBackIsRaisedAgainAndKeepsItsName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := func(n uint64) integrity.Record {
		return integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: n, Token: "t"}}}
	}
	one, two := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL"), streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL")
	raise := func(s *streams.Bucket, n uint64) {
		t.Helper()
		if r, err := s.Raise(t.Context(), at(n)); err != nil || r.Mark.Journal.Sequence != n {
			t.Fatalf("raised to %d, %v; want %d", r.Mark.Journal.Sequence, err, n)
		}
	}
	raise(one, 5)
	raise(two, 9)
	b.deleteStream(b.topology.ControlStream())
	b.provision()
	for i, known := range []*streams.Bucket{one, two} { // the second knows more than the first has put there
		n := uint64(6 + 5*i)
		if _, err := known.Raise(t.Context(), at(n)); !errors.Is(err, keeper.ErrSetBack) {
			t.Fatalf("a bucket made anew: %v", err)
		}
		if r, err := known.Restore(t.Context(), at(n)); err != nil || r.Mark.Journal.Sequence != n {
			t.Fatalf("restored to %d, %v; want %d", r.Mark.Journal.Sequence, err, n)
		}
	}
	raise(two, 20)
	raise(one, 21)
	b.deleteStream(b.topology.ControlStream())
	b.provision()
	raise(streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL"), 3) // of somebody else
	if _, err := one.Restore(t.Context(), at(22)); !errors.Is(err, keeper.ErrSetBack) {
		t.Errorf("the mark of another was raised: %v", err)
	}
}

func TestWhetherABucketMayBeWrittenIsTriedWithoutAChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL")
	if err := s.Probe(t.Context()); err != nil {
		t.Errorf("a bucket that holds nothing: %v", err)
	}
	held, err := s.Raise(t.Context(), integrity.Record{Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: 5, Token: "t"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL").Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if now, err := s.Load(t.Context()); err != nil || now.Bucket != held.Bucket || now.Mark.Journal != held.Mark.Journal {
		t.Errorf("it holds %+v now, %v", now, err)
	}
	full, err := b.js.Stream(t.Context(), b.topology.ControlStream())
	if err != nil {
		t.Fatal(err)
	}
	sealed := full.CachedInfo().Config
	sealed.Sealed = true
	if _, err := b.js.UpdateStream(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err == nil {
		t.Error("a bucket that takes nothing passes for one that may be written")
	}
}

func TestAnOlderReleaseThatStoresNoDecisionsSetsNothingBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := streams.NewBucket(b.js.Conn(), "PAYMENT_CONTROL")
	r := integrity.Record{
		Epoch: integrity.FirstEpoch(), Mark: integrity.Mark{Journal: integrity.Position{Sequence: 5, Token: "t"}},
		Pauses: integrity.Decisions{"opay-eg": {Sequence: 4, At: time.Now()}},
	}
	held, err := s.Raise(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	held.Pauses = nil
	data, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), "$KV.PAYMENT_CONTROL._mark", data); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Load(t.Context()); err != nil || now.Covers(r) {
		t.Errorf("it holds %+v, %v", now, err)
	}
	if now, err := s.Raise(t.Context(), r); err != nil || !now.Covers(r) {
		t.Errorf("raised again it holds %+v, %v", now, err)
	}
}
