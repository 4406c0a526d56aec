package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/console"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// told keeps what the follower hands on, in its order.
type told struct {
	mu                  sync.Mutex
	results, rejections []string
	skipped             int
}

func (s *told) Take(r console.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, r.ID.Native)
}

func (s *told) TakeRejection(r console.Rejection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejections = append(s.rejections, r.Token)
}

func (s *told) Skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped++
}

func (s *told) ForgetResults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = nil
}

func (s *told) ForgetRejections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejections = nil
}

// followed is a follower on a real server, and what it handed on.
type followed struct {
	t       *testing.T
	server  *natstest.Server
	js      jetstream.JetStream
	journal *stream.Journal
	told    *told
	*follower
}

func setupFollower(t *testing.T) *followed {
	t.Helper()
	b := &followed{t: t, server: natstest.Start(t, nil), told: &told{}}
	conn := b.server.Connect(t)
	var err error
	if b.js, err = jetstream.New(conn); err != nil {
		t.Fatal(err)
	}
	if b.journal, err = stream.New(conn, events.NewEncoder(&events.EncoderOptions{Source: "/payments/consumer"}), nil); err != nil {
		t.Fatal(err)
	}
	b.create()
	b.follower = &follower{
		js: b.server.JetStream(t), stream: natstest.EventsStream, refusals: natstest.RefusalsStream,
		feed: b.told, changed: func(payment.ID, bool) {}, log: slog.New(slog.DiscardHandler),
	}
	return b
}

func (b *followed) create() {
	b.t.Helper()
	natstest.CreateStream(b.t, b.js, natstest.EventsConfig(1))
	natstest.CreateStream(b.t, b.js, natstest.RefusalsConfig(1))
}

// write appends the nth event, rejection and operator's action, until they are stored.
func (b *followed) write(ctx context.Context, n int) {
	for ctx.Err() == nil {
		e := journaltest.Event(payment.ID{Provider: "opay-eg", Native: fmt.Sprint("p", n)}, 1, "w")
		_, err := b.journal.Append(ctx, 0, e)
		if err == nil {
			err = b.journal.AppendRejection(ctx, journaltest.Rejection(uint64(n)+1))
		}
		if err == nil && n%7 == 0 {
			m := nats.NewMsg(events.OperatorSubject("pause", fmt.Sprint("U", n)))
			_, err = b.js.PublishMsg(ctx, m)
		}
		if err == nil {
			return
		}
	}
}

// held is what the two streams hold now, read message by message.
func (b *followed) held() (results, rejections []string) {
	b.t.Helper()
	each := func(name string, do func(m *jetstream.RawStreamMsg)) {
		s, err := b.js.Stream(b.t.Context(), name)
		if err != nil {
			b.t.Fatal(err)
		}
		for sequence := max(s.CachedInfo().State.FirstSeq, 1); sequence <= s.CachedInfo().State.LastSeq; sequence++ {
			m, err := s.GetMsg(b.t.Context(), sequence)
			if err != nil {
				b.t.Fatal(err)
			}
			do(m)
		}
	}
	each(natstest.EventsStream, func(m *jetstream.RawStreamMsg) {
		if id, err := events.PaymentOf(m.Subject); err == nil {
			results = append(results, id.Native)
		}
	})
	each(natstest.RefusalsStream, func(m *jetstream.RawStreamMsg) {
		token, _ := events.RejectedToken(m.Subject)
		rejections = append(rejections, token)
	})
	return results, rejections
}

// catchUp makes rounds until the follower has said as much as the streams hold, and two
// more. It fails unless that is what they hold, event by event.
func (b *followed) catchUp(when string) {
	b.t.Helper()
	results, rejections := b.held()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	for more := 2; more > 0 && ctx.Err() == nil; {
		err := b.round(ctx)
		if err == nil && len(b.told.results) >= len(results) && len(b.told.rejections) >= len(rejections) {
			more--
		}
	}
	if diff := cmp.Diff(results, b.told.results); diff != "" {
		b.t.Errorf("%s: results (-journal +console):\n%s", when, diff)
	}
	if diff := cmp.Diff(rejections, b.told.rejections); diff != "" {
		b.t.Errorf("%s: rejections (-refusals +console):\n%s", when, diff)
	}
}

func TestTheConsoleTellsEachEventOnceUnderLoadAndOverAReconnect(t *testing.T) {
	t.Parallel()
	const each, restart = 300, 120
	b := setupFollower(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var writing sync.WaitGroup
	half := make(chan struct{})
	writing.Go(func() {
		for n := range each {
			if n == restart {
				close(half)
			}
			b.write(ctx, n)
		}
	})
	ended := make(chan struct{})
	go func() { defer close(ended); writing.Wait() }()
	for under := true; under; {
		_ = b.round(ctx) // fails while the server is away
		select {
		case <-half:
			half = nil
			b.server.Restart(t)
		case <-ended:
			under = false
		default:
		}
	}
	b.catchUp("after the load")
	if n := len(b.told.results); n != each || b.told.skipped > 0 {
		t.Errorf("%d results and %d gaps, want %d and none", n, b.told.skipped, each)
	}
}

// growing is a client whose streams grow each time after they have said where they end.
type growing struct {
	jetstream.JetStream

	grow func()
}

func (g growing) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := g.JetStream.Stream(ctx, name)
	g.grow()
	return s, err
}

func TestAStreamThatGrowsWhileItIsReadIsToldOnce(t *testing.T) {
	t.Parallel()
	b := setupFollower(t)
	n := 0
	still := b.follower.js
	b.follower.js = growing{still, func() {
		b.write(t.Context(), n)
		b.write(t.Context(), n+1)
		n += 2
	}}
	for range 5 {
		if err := b.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.follower.js = still
	b.catchUp("while it grows")
}

func TestAnEmptyStreamOneMadeAnewAndOneThatLostItsEndAreToldAsTheyAre(t *testing.T) {
	t.Parallel()
	b := setupFollower(t)
	write := func(from, to int) {
		for n := from; n < to; n++ {
			b.write(t.Context(), n)
		}
	}
	b.catchUp("empty")
	write(0, 10)
	copied := b.server.Copy(t)
	b.catchUp("first events")
	write(10, 20)
	b.catchUp("more events")

	b.server.Restore(t, copied) // both end at the tenth again
	// The second answer in a row says so.
	b.twice()
	b.catchUp("its end is lost")
	write(30, 35)
	b.catchUp("on what is left")

	for _, name := range []string{natstest.EventsStream, natstest.RefusalsStream} {
		b.server.DeleteStream(t, b.js, name)
	}
	if err := b.round(t.Context()); err == nil {
		t.Error("streams that are gone were read")
	}
	b.create()
	b.twice()
	b.catchUp("made anew and empty")
	write(40, 80) // longer than what was read of the old one
	b.catchUp("made anew")
	if slices.Contains(b.told.results, "p0") {
		t.Error("an event of the old stream is still told")
	}
}

// twice makes two rounds, as soon as the server answers.
func (b *followed) twice() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	for done := 0; done < 2; {
		err := b.round(ctx)
		switch {
		case ctx.Err() != nil:
			b.t.Fatal(err)
		case err == nil:
			done++
		}
	}
}

func TestMoreThanThePageCanShowIsSkippedAndSaidAndNeverToldTwice(t *testing.T) {
	t.Parallel()
	b := setupFollower(t)
	b.write(t.Context(), 0)
	b.catchUp("first")
	for n := 1; n <= followBehind+200; n++ {
		if _, err := b.journal.Append(t.Context(), 0, journaltest.Event(payment.ID{Provider: "opay-eg", Native: fmt.Sprint("p", n)}, 1, "w")); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := b.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := slices.Clone(b.told.results)
	slices.Sort(all)
	if len(slices.Compact(all)) != len(b.told.results) {
		t.Error("a result is told twice")
	}
	if last := b.told.results[len(b.told.results)-1]; b.told.skipped != 1 || last != fmt.Sprint("p", followBehind+200) {
		t.Errorf("%d gaps, the last result is %s", b.told.skipped, last)
	}
}
