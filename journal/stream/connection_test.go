package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

func TestAConnectionThatBuffersWhileDisconnectedIsRefused(t *testing.T) {
	t.Parallel()
	buffering, err := nats.Connect(natstest.Start(t, nil).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(buffering.Close)
	if _, err := stream.New(buffering, events.NewEncoder(nil), nil); err == nil || !strings.Contains(err.Error(), "ReconnectBufSize(-1)") {
		t.Errorf("journal on a buffering connection ended in %v", err)
	}
}

// bare hides what a connection tells of itself, so that only the client
// library's own refusal is left. before runs before each try.
type bare struct {
	conn   *nats.Conn
	tries  int
	before func(try int)
}

func (b *bare) RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	b.tries++
	b.before(b.tries)
	return b.conn.RequestMsgWithContext(ctx, msg)
}

// telling lets a test act whenever the journal asks whether there is a connection.
type telling struct {
	*nats.Conn
	asked  int
	before func(ask int)
}

func (c *telling) IsConnected() bool {
	c.asked++
	c.before(c.asked)
	return c.Conn.IsConnected()
}

// withTimeout bounds a call that a broken journal would not return from.
func withTimeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// await returns once the connection has the status.
func await(t *testing.T, conn *nats.Conn, changed <-chan nats.Status, want nats.Status) {
	t.Helper()
	for conn.Status() != want {
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("connection is %s, never %s", conn.Status(), want)
		}
	}
}

func TestADisconnectedJournalLeavesNothingBehindItsBack(t *testing.T) {
	t.Parallel()
	for _, tells := range []bool{true, false} {
		b := setup(t)
		conn := b.Connect(t)
		changed := conn.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
		b.Shutdown(t)
		await(t, conn, changed, nats.RECONNECTING)

		ctx, cancel := context.WithCancel(withTimeout(t))
		giveUp := func(try int) {
			if try == 3 {
				cancel()
			}
		}
		var requester stream.Requester = &bare{conn: conn, before: giveUp}
		if tells {
			requester = &telling{Conn: conn, before: giveUp}
		}
		_, err := open(t, requester, nil).Append(ctx, 0, journaltest.Event(id, 1, "a"))
		if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("append without a connection ended in %v", err)
		}

		b.Restart(t)
		await(t, conn, changed, nats.CONNECTED)
		if err := conn.FlushWithContext(withTimeout(t)); err != nil {
			t.Fatal(err)
		}
		record, err := open(t, conn, nil).Last(withTimeout(t), id)
		if err != nil || record.Sequence != 0 {
			t.Errorf("after the reconnect the payment is at sequence %d (%v): the append came behind our back", record.Sequence, err)
		}
	}
}

func TestAnAppendBegunWithoutAConnectionEndsOnceThereIsOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := b.Connect(t)
	changed := conn.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	b.Shutdown(t)
	await(t, conn, changed, nats.RECONNECTING)
	back := &telling{Conn: conn, before: func(ask int) {
		if ask == 3 {
			b.Restart(t)
		}
	}}
	sequence, err := open(t, back, nil).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
	if err != nil || sequence != 1 {
		t.Errorf("append ended in sequence %d, %v", sequence, err)
	}
}

func TestAServerRestartedBeforeTheAcknowledgementDoesNotDoubleTheAppend(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := b.Connect(t)
	restarting := &faulty{conn: conn, plan: func(try int) journaltest.Fault {
		if try == 1 {
			return journaltest.LoseAnswer
		}
		if try == 2 {
			b.Restart(t)
		}
		return journaltest.None
	}}
	j := open(t, restarting, &stream.Options{TryTimeout: 200 * time.Millisecond})
	sequence, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a"))
	if err != nil || sequence != 1 {
		t.Fatalf("append ended in sequence %d, %v", sequence, err)
	}
	await(t, conn, conn.StatusChanged(nats.CONNECTED), nats.CONNECTED)
	if record, err := j.Last(withTimeout(t), id); err != nil || record.Sequence != 1 || record.State.Version != 1 {
		t.Errorf("payment is at sequence %d, version %d (%v)", record.Sequence, record.State.Version, err)
	}
}

func TestAClosedConnectionEndsAnAppendAtOnce(t *testing.T) {
	t.Parallel()
	conn := setup(t).Connect(t)
	conn.Close()
	for _, requester := range []stream.Requester{conn, &bare{conn: conn, before: func(int) {}}} {
		j := open(t, requester, nil)
		if _, err := j.Append(withTimeout(t), 0, journaltest.Event(id, 1, "a")); !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, nats.ErrConnectionClosed) {
			t.Errorf("append on a closed connection ended in %v", err)
		}
		if _, err := j.Last(withTimeout(t), id); !errors.Is(err, nats.ErrConnectionClosed) {
			t.Errorf("read on a closed connection ended in %v", err)
		}
	}
}

func TestWithoutTheStreamAnAppendIsOfUnknownFate(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(withTimeout(t))
	requester := &bare{conn: natstest.Start(t, nil).Connect(t), before: func(try int) {
		if try == 3 {
			cancel()
		}
	}}
	_, err := open(t, requester, nil).Append(ctx, 0, journaltest.Event(id, 1, "a"))
	if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("append without a stream ended in %v", err)
	}
}

// silent is a server that never answers; times are when it was asked.
type silent struct {
	start time.Time
	times []time.Duration
	msgs  []*nats.Msg
}

func (s *silent) RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	s.times = append(s.times, time.Since(s.start))
	s.msgs = append(s.msgs, msg)
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestASilentServerIsAskedTheSameAgainAfterEachTimeoutUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &silent{start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := open(t, s, &stream.Options{RefuseAfter: time.Minute}).Append(ctx, 0, journaltest.Event(id, 1, "a"))
		if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("append ended in %v", err)
		}
		if len(s.times) != 3 || s.times[1] != 2*time.Second || s.times[2] != 4*time.Second || time.Since(s.start) != 5*time.Second {
			t.Errorf("tries left at %v and the append ended after %v", s.times, time.Since(s.start))
		}
		for _, msg := range s.msgs[1:] {
			if msg != s.msgs[0] {
				t.Error("a later try is another message")
			}
		}
	})
}

func TestASilentLeaderLeavesARefusedAppendOfUnknownFate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s := &script{conn: &silent{start: time.Now()}, turns: answers(refusal(10071, "wrong last sequence: 3"))}
		_, err := open(t, s, nil).Append(ctx, 0, journaltest.Event(id, 1, "a"))
		if !errors.Is(err, journal.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("append ended in %v", err)
		}
	})
}

func TestPausesBetweenAnswersGrowToAQuarterOfASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		s := &script{conn: &silent{start: start}}
		for range 10 {
			s.turns = append(s.turns, func() (*nats.Msg, error) {
				at = append(at, time.Since(start))
				return refusal(10164, "wrong last sequence"), nil
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := open(t, s, nil).Append(ctx, 0, journaltest.Event(id, 1, "a"))
		if !errors.Is(err, journal.ErrUnknown) {
			t.Errorf("append ended in %v", err)
		}
		if len(at) != 10 || at[1] != 2*time.Millisecond || at[9]-at[8] != 250*time.Millisecond {
			t.Errorf("tries left at %v", at)
		}
	})
}

// noting notes the subjects of requests.
type noting struct {
	conn     stream.Requester
	subjects []string
}

func (n *noting) RequestMsgWithContext(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	n.subjects = append(n.subjects, msg.Subject)
	return n.conn.RequestMsgWithContext(ctx, msg)
}

// A direct get may be answered by a replica that lags behind.
func TestReadsAskTheLeaderEvenWhereDirectReadsAreAllowed(t *testing.T) {
	t.Parallel()
	cfg := natstest.EventsConfig(1)
	cfg.AllowDirect = true
	n := &noting{conn: setupWith(t, cfg).Connect(t)}
	if _, err := open(t, n, nil).Last(withTimeout(t), id); err != nil {
		t.Fatal(err)
	}
	if len(n.subjects) != 1 || n.subjects[0] != "$JS.API.STREAM.MSG.GET.PAYMENT_EVENTS" {
		t.Errorf("read asked %v", n.subjects)
	}
}

func TestAFirstAppendNeedsNoRead(t *testing.T) {
	t.Parallel()
	n := &noting{conn: setup(t).Connect(t)}
	if _, err := open(t, n, nil).Append(withTimeout(t), 0, journaltest.Event(id, 1, "a")); err != nil {
		t.Fatal(err)
	}
	if len(n.subjects) != 1 {
		t.Errorf("first append asked %v", n.subjects)
	}
}

func TestAnswersToAReadThatAreNotOursAreNotBelieved(t *testing.T) {
	t.Parallel()
	other, err := events.NewEncoder(nil).EncodeEvent(journaltest.Event(payment.ID{Provider: "opay-eg", Native: "2"}, 1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]events.Message{
		"another payment": other,
		"no event":        {Subject: "payment.refund.started.opay-eg.1001000.1", Data: []byte("{}")},
	} {
		stored, err := json.Marshal(map[string]any{"message": map[string]any{"subject": m.Subject, "seq": 4, "data": m.Data}})
		if err != nil {
			t.Fatal(err)
		}
		if record, err := open(t, answering{string(stored)}, nil).Last(withTimeout(t), id); err == nil {
			t.Errorf("%s: read ended in %+v", name, record)
		}
	}
}

type answering struct{ text string }

func (a answering) RequestMsgWithContext(context.Context, *nats.Msg) (*nats.Msg, error) {
	return reply(a.text), nil
}

func TestAppendsToDifferentPaymentsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	const inFlight = 256
	synctest.Test(t, func(t *testing.T) {
		var waiting atomic.Int64
		all := make(chan struct{})
		conn := gathering{waiting: &waiting, want: inFlight, all: all}
		j := open(t, conn, nil)
		for i := range inFlight {
			go func() {
				e := journaltest.Event(payment.ID{Provider: "opay-eg", Native: string(rune('a'+i%26)) + strings.Repeat("x", i/26)}, 1, "a")
				if _, err := j.Append(t.Context(), 0, e); err != nil {
					t.Errorf("append: %v", err)
				}
			}()
		}
		<-all
	})
}

// gathering answers nobody before everybody has asked.
type gathering struct {
	waiting *atomic.Int64
	want    int64
	all     chan struct{}
}

func (g gathering) RequestMsgWithContext(ctx context.Context, _ *nats.Msg) (*nats.Msg, error) {
	if g.waiting.Add(1) == g.want {
		close(g.all)
	}
	select {
	case <-g.all:
		return reply(`{"stream":"PAYMENT_EVENTS","seq":1}`), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
