package streams_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/streams"
	"github.com/countermand/countermand/internal/natstest"
)

const tokenHeader = "Countermand-Append"

// bench is a provisioned server, and a reader of its streams.
type bench struct {
	t        *testing.T
	server   *natstest.Server
	js       jetstream.JetStream
	topology broker.Topology
	reader   *streams.Reader
}

func plan(topology broker.Topology) streams.Plan {
	durable := func(stream string) streams.Durable { return streams.Durable{Stream: stream, Name: topology.Consumer} }
	return streams.Plan{
		Journal: topology.Events, TokenHeader: tokenHeader,
		Others:   []string{topology.Commands, topology.Due, topology.Refusals, topology.Rejected, topology.ControlStream()},
		Durables: []streams.Durable{durable(topology.Commands), durable(topology.Due), durable(topology.Events)},
	}
}

func setup(t *testing.T) *bench {
	t.Helper()
	server := natstest.Start(t, nil)
	conn := server.Connect(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	topology := broker.DefaultTopology()
	topology.Replicas = 1
	b := &bench{t: t, server: server, js: js, topology: topology, reader: streams.NewReader(conn, plan(topology))}
	b.provision()
	return b
}

func (b *bench) provision() {
	b.t.Helper()
	if _, err := broker.Provision(b.t.Context(), b.js, b.topology); err != nil {
		b.t.Fatalf("provision: %v", err)
	}
}

// fill appends events from one sequence to another, each with its own token.
func (b *bench) fill(from, to uint64) {
	b.t.Helper()
	fill(b.t, b.js, from, to)
}

func fill(t *testing.T, js jetstream.JetStream, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		m := nats.NewMsg(fmt.Sprintf("payment.refund.succeeded.opay-eg.%d.%d", i, 1))
		m.Header.Set(tokenHeader, fmt.Sprintf("t%d", i))
		m.Data = fmt.Appendf(nil, `{"n":%d}`, i)
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatalf("append %d: %v", i, err)
		}
	}
}

// read makes one reading; it asks again while a server comes back.
func (b *bench) read(m integrity.Mark) integrity.Reading {
	b.t.Helper()
	return read(b.t, b.reader, m)
}

func read(t *testing.T, reader *streams.Reader, m integrity.Mark) integrity.Reading {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		try, end := context.WithTimeout(ctx, 2*time.Second)
		r, _, err := reader.Read(try, m, nil)
		end()
		if err == nil {
			return r
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no reading: %v", err)
		case <-again.C:
		}
	}
}

// known is the mark that a whole reading gives.
func (b *bench) known() integrity.Mark {
	b.t.Helper()
	r := b.read(integrity.Mark{})
	if f := integrity.Judge(integrity.Mark{}, r, integrity.Names{Journal: b.topology.Events}); len(f) > 0 {
		b.t.Fatalf("a healthy journal has findings: %v", f)
	}
	return integrity.MarkOf(r, r.Newest, 0)
}

// finds reads and compares the kinds that are found with those expected.
func (b *bench) finds(m integrity.Mark, want ...integrity.Kind) {
	b.t.Helper()
	findings := integrity.Judge(m, b.read(m), integrity.Names{Journal: b.topology.Events})
	left := map[integrity.Kind]bool{}
	for _, k := range want {
		left[k] = true
	}
	for _, f := range findings {
		if !left[f.Kind] && len(want) == 0 {
			b.t.Errorf("found %s: %s", f.Kind, f.Text)
		}
		delete(left, f.Kind)
	}
	for k := range left {
		b.t.Errorf("%s was not found, only %v", k, findings)
	}
	b.glanceAgrees(m, findings)
}

// glanceAgrees compares what a glance finds in the journal with what a reading
// has found there. Only a reading looks at the first message.
func (b *bench) glanceAgrees(m integrity.Mark, findings []integrity.Finding) {
	b.t.Helper()
	r, err := b.reader.Glance(b.t.Context(), m)
	if err != nil {
		b.t.Fatalf("glance: %v", err)
	}
	ofJournal := func(all []integrity.Finding) (kinds []integrity.Kind) {
		for _, f := range all {
			if f.Object == b.topology.Events && f.Kind != integrity.JournalReplaced {
				kinds = append(kinds, f.Kind)
			}
		}
		return kinds
	}
	names := integrity.Names{Journal: b.topology.Events}
	if got, want := ofJournal(integrity.Judge(m, r, names)), ofJournal(findings); !slices.Equal(got, want) {
		b.t.Errorf("a glance finds %v, a reading %v", got, want)
	}
}

func (b *bench) deleteStream(name string) {
	b.t.Helper()
	b.server.DeleteStream(b.t, b.js, name)
}

func (b *bench) change(change func(*jetstream.StreamConfig)) {
	b.t.Helper()
	cfg := b.topology.EventsConfig()
	change(&cfg)
	if _, err := b.js.UpdateStream(b.t.Context(), cfg); err != nil {
		b.t.Fatalf("update stream: %v", err)
	}
}

func TestAHealthyJournalHasNoFindings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	empty := b.known()
	b.finds(empty)
	b.fill(1, 20)
	m := b.known()
	if m.Journal != (integrity.Position{Sequence: 20, Token: "t20"}) || m.Identity.Subject != "payment.refund.succeeded.opay-eg.1.1" {
		t.Errorf("the mark is %+v", m)
	}
	b.fill(21, 40)
	b.finds(m)
	b.finds(empty)
	b.server.Restart(t)
	b.finds(m)
}

func TestTheNewestAcceptanceIsRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 3)
	with := plan(b.topology)
	with.Acceptances = "payment.operator.journal_accepted.*"
	with.EpochOf = func(_ string, _ map[string][]string, data []byte) uint64 { return uint64(len(data)) }
	b.reader = streams.NewReader(b.js.Conn(), with)
	read := func(m integrity.Mark) uint64 { return b.read(m).Accepted }
	if read(integrity.Mark{}) > 0 {
		t.Error("an acceptance was read that nobody wrote")
	}
	if _, err := b.js.Publish(t.Context(), "payment.operator.journal_accepted.01JDZZZZZZZZZZZZZZZZZZZZZZ", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	known := integrity.Mark{Epoch: 1, Journal: integrity.Position{Sequence: 3}}
	if read(integrity.Mark{}) != 2 || read(known) != 2 {
		t.Error("the acceptance was not read")
	}
	if _, err := b.js.Publish(t.Context(), "payment.operator.journal_accepted.01JDZZZZZZZZZZZZZZZZZZZZZY", nil); err != nil {
		t.Fatal(err)
	}
	if read(known) != 1 {
		t.Error("an acceptance that cannot be read is none")
	}
}

func TestWhetherTheJournalAnswersIsReadWhereThereIsNoMark(t *testing.T) {
	t.Parallel()
	b := setup(t)
	with := plan(b.topology)
	with.Answers = []string{"payment.refund.*.*.*.*", "payment.command.rejected.*"}
	b.reader = streams.NewReader(b.js.Conn(), with)
	publish := func(subject string) {
		if _, err := b.js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if b.read(integrity.Mark{}).Answered {
		t.Error("an empty journal answers")
	}
	publish("payment.operator.journal_propose.01JDZZZZZZZZZZZZZZZZZZZZZZ")
	if b.read(integrity.Mark{}).Answered {
		t.Error("what an operator has recorded is taken for an answer")
	}
	natstest.OldRejection(t, b.js, &nats.Msg{Subject: "payment.command.rejected.1-0123456789ab", Data: []byte("{}")})
	if !b.read(integrity.Mark{}).Answered || b.read(b.known()).Answered {
		t.Error("a rejection is an answer, and beside a mark nobody asks")
	}
}

// The stream was set back and has been filled again before anybody looked: its
// sequence shows nothing.
func TestAStreamThatWasFilledAgainIsFoundByTheTimeOfItsMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	with := plan(b.topology)
	with.Aging = map[string]time.Duration{b.topology.Commands: b.topology.CommandsConfig().MaxAge}
	b.reader = streams.NewReader(b.js.Conn(), with)
	b.fill(1, 3)
	publish := func(n int) {
		for range n {
			if _, err := b.js.Publish(t.Context(), "payment.refund.requested", []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(5)
	m := b.known()
	if len(m.Stamps) != 1 || m.Stamps[b.topology.Commands].IsZero() {
		t.Fatalf("the mark is %+v", m)
	}
	b.finds(m)
	publish(4)
	b.finds(m)
	b.deleteStream(b.topology.Commands)
	b.provision()
	publish(4)
	b.finds(m, integrity.StreamShorter)
	publish(1)
	b.finds(m, integrity.StreamRewritten)
	publish(7)
	b.finds(m, integrity.StreamRewritten)
}

// commands is a bench whose stream of commands keeps each message for a time, and may be
// deleted from.
func commands(t *testing.T, keeps time.Duration) *bench {
	t.Helper()
	b := setup(t)
	b.deleteStream(b.topology.Commands)
	b.commandsAre(func(c *jetstream.StreamConfig) { c.MaxAge = keeps })
	with := plan(b.topology)
	with.Aging = map[string]time.Duration{b.topology.Commands: b.topology.CommandsConfig().MaxAge}
	b.reader = streams.NewReader(b.js.Conn(), with)
	b.fill(1, 3)
	return b
}

// commandsAre makes or changes the stream of commands.
func (b *bench) commandsAre(change func(*jetstream.StreamConfig)) {
	b.t.Helper()
	cfg := b.topology.CommandsConfig()
	cfg.DenyDelete, cfg.DenyPurge = false, false
	change(&cfg)
	if _, err := b.js.CreateOrUpdateStream(b.t.Context(), cfg); err != nil {
		b.t.Fatalf("change stream: %v", err)
	}
}

func (b *bench) publish(n int) {
	b.t.Helper()
	for range n {
		if _, err := b.js.Publish(b.t.Context(), "payment.refund.requested", []byte("{}")); err != nil {
			b.t.Fatal(err)
		}
	}
}

// holding reads until the stream of commands holds so many messages.
func (b *bench) holding(m integrity.Mark, messages uint64) integrity.Reading {
	b.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		r := b.read(m)
		if r.Streams[b.topology.Commands].Messages == messages {
			return r
		}
		select {
		case <-b.t.Context().Done():
			b.t.Fatal("the test has ended")
		case <-again.C:
		}
	}
}

const month = 30 * 24 * time.Hour

func TestCommandsThatGoBeforeTheirAgeAreFound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	aged := func(b *bench, m integrity.Mark) { // max_age for a moment
		b.commandsAre(func(c *jetstream.StreamConfig) { c.MaxAge = 100 * time.Millisecond })
		b.holding(m, 0)
		b.finds(m, integrity.StreamBeheaded)
		b.commandsAre(func(*jetstream.StreamConfig) {})
	}
	deleted := func(sequence uint64) func(*bench, integrity.Mark) {
		return func(b *bench, _ integrity.Mark) {
			s, err := b.js.Stream(ctx, b.topology.Commands)
			if err == nil {
				err = s.DeleteMsg(ctx, sequence)
			}
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
	for name, row := range map[string]struct {
		lose  func(*bench, integrity.Mark)
		after int
		kind  integrity.Kind
		lacks uint64
	}{
		"max_age for a moment":                   {aged, 0, integrity.StreamBeheaded, 9},
		"max_age for a moment, and new ones":     {aged, 4, integrity.StreamBeheaded, 9},
		"the oldest ones, while others are left": {deleted(1), 4, integrity.StreamBeheaded, 1},
		"one in the middle":                      {deleted(4), 4, integrity.StreamHoles, 1},
		"the newest known one":                   {deleted(9), 4, integrity.StreamHoles, 1},
		"made anew behind the mark": {func(b *bench, _ integrity.Mark) {
			b.deleteStream(b.topology.Commands)
			b.commandsAre(func(c *jetstream.StreamConfig) { c.FirstSeq = 12 })
		}, 0, integrity.StreamBeheaded, 11},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := commands(t, month)
			b.publish(9)
			m := b.known()
			b.finds(m)
			row.lose(b, m)
			b.publish(row.after)
			b.finds(m, row.kind)
			r := b.read(m)
			if got := integrity.ShortfallOf(m, b.topology.Commands, r.Streams[b.topology.Commands]).Messages(); got != row.lacks {
				t.Errorf("lacks %d, want %d", got, row.lacks)
			}
			// What was accepted is not found again, and the next loss is.
			m = integrity.MarkOf(r, r.Newest, 1)
			b.finds(m)
			b.publish(3)
			m = m.Merge(integrity.MarkOf(b.read(m), r.Newest, 1))
			b.finds(m)
			deleted(m.Streams[b.topology.Commands]-1)(b, m)
			b.finds(m, integrity.StreamHoles)
		})
	}
}

func TestCommandsThatGoByTheirAgeAreNoLoss(t *testing.T) {
	t.Parallel()
	b := commands(t, time.Second)
	b.publish(5)
	m := b.known()
	b.finds(m)
	r := b.holding(m, 0)
	b.finds(m)
	b.publish(5)
	m = m.Merge(integrity.MarkOf(r, r.Newest, 0)).Merge(integrity.MarkOf(b.read(m), r.Newest, 0))
	b.finds(m)
	b.holding(m, 0)
	b.finds(m)
	b.server.Restart(t)
	b.finds(m)
}

func TestADeletedJournalIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 20)
	m := b.known()
	b.deleteStream(b.topology.Events)
	b.finds(m, integrity.JournalMissing)
	b.provision()
	b.finds(m, integrity.JournalShorter)
	b.fill(101, 120) // others, at the same sequences
	b.finds(m, integrity.JournalReplaced, integrity.JournalRewritten)
}

func TestAnOlderCopyIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 20)
	old := b.server.Copy(t)
	b.read(integrity.Mark{}) // the server is there again
	b.fill(21, 40)
	m := b.known()
	b.server.Restore(t, old)
	b.finds(m, integrity.JournalShorter)
	b.fill(41, 60)
	b.finds(m, integrity.JournalRewritten)
}

func TestADeletedMessageIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 20)
	m := b.known()
	b.deleteStreamRule(func(stream jetstream.Stream) error { return stream.DeleteMsg(t.Context(), 7) })
	b.finds(m, integrity.JournalHoles)
	m.Holes = []integrity.Range{{From: 7, To: 7}}
	b.finds(m)
}

// deleteStreamRule makes the journal anew without its rule against deletion,
// since the server lets nobody lift that, and carries something out there.
func (b *bench) deleteStreamRule(do func(jetstream.Stream) error) {
	b.t.Helper()
	b.deleteStream(b.topology.Events)
	cfg := b.topology.EventsConfig()
	cfg.DenyDelete, cfg.DenyPurge = false, false
	stream, err := b.js.CreateStream(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatalf("create stream: %v", err)
	}
	b.fill(1, 20)
	if err := do(stream); err != nil {
		b.t.Fatalf("carry out: %v", err)
	}
}

func TestAMomentOfMaxAgeIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 20)
	m := b.known()
	b.change(func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = 100*time.Millisecond, 100*time.Millisecond })
	for natstest.Messages(t, b.js, b.topology.Events) > 0 {
		if t.Context().Err() != nil {
			return
		}
	}
	b.change(func(*jetstream.StreamConfig) {})
	b.finds(m, integrity.JournalBeheaded)
}

func TestALostBucketIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.js.Publish(t.Context(), "$KV.PAYMENT_CONTROL.opay-eg", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	m := b.known()
	b.deleteStream(b.topology.ControlStream())
	b.finds(m, integrity.StreamMissing)
	b.provision()
	b.finds(m, integrity.StreamShorter)
}

func TestADurableAheadOfItsStreamIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 20)
	durable, err := b.js.Consumer(t.Context(), b.topology.Events, b.topology.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := durable.Fetch(20)
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		if err := m.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	r := b.read(integrity.Mark{})
	if len(r.Durables) != 3 || r.Durables[2].Delivered != 20 {
		t.Fatalf("durables: %+v", r.Durables)
	}
	r.Journal.Last, r.Journal.Messages = 10, 10 // as a restored journal beside a durable that was not
	f := integrity.Judge(integrity.Mark{}, r, integrity.Names{Journal: b.topology.Events})
	if len(f) != 1 || f[0].Kind != integrity.DurableAhead {
		t.Errorf("found %v", f)
	}
}

func TestWhatCannotBeReadIsNoReading(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.Shutdown(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if r, _, err := b.reader.Read(ctx, integrity.Mark{}, nil); err == nil {
		t.Errorf("a server that is away was read: %+v", r)
	}
}

func TestAnUnreadableRecordStaysOpenWhileItsSubjectIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 2)
	open := func(subject string) []integrity.Finding {
		return []integrity.Finding{{Kind: integrity.RecordUnreadable, Object: subject}}
	}
	for _, subject := range []string{"payment.refund.succeeded.opay-eg.1.1", "payment.refund.succeeded.opay-eg.9.1"} {
		if _, still, err := b.reader.Read(t.Context(), integrity.Mark{}, open(subject)); err != nil || len(still) > 0 {
			t.Errorf("%s: still %v, %v", subject, still, err)
		}
	}
	conn := b.server.Connect(t)
	blind := streams.NewReader(blindTo{conn, "opay-eg.1.1"}, plan(b.topology))
	if _, still, err := blind.Read(t.Context(), integrity.Mark{}, open("payment.refund.succeeded.opay-eg.1.1")); err != nil || len(still) != 1 {
		t.Errorf("a record that cannot be read: still %v, %v", still, err)
	}
}

func TestWhatATimerKnewStaysOpenWhileTheLeaderShowsLess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 2)
	var open []integrity.Finding
	for i := range 20 {
		open = append(open, integrity.Finding{Kind: integrity.TimerAhead, Object: fmt.Sprint(i)}, integrity.Finding{Kind: integrity.TimerUnknown, Object: fmt.Sprint(i)})
	}
	if _, still, err := b.reader.Read(t.Context(), integrity.Mark{}, open); err != nil || len(still) > 0 {
		t.Errorf("nobody can tell: still %v, %v", still, err)
	}
	failed := errors.New("no leader")
	for name, c := range map[string]struct {
		holds func(integrity.Finding) (bool, error)
		want  int
	}{
		"healed":           {func(integrity.Finding) (bool, error) { return false, nil }, 0},
		"one kind holds":   {func(f integrity.Finding) (bool, error) { return f.Kind == integrity.TimerAhead && f.Object < "3", nil }, 13},
		"a few are enough": {func(integrity.Finding) (bool, error) { return true, nil }, 10},
		"no answer":        {func(integrity.Finding) (bool, error) { return false, failed }, -1},
	} {
		asked := plan(b.topology)
		asked.TimerHolds = func(_ context.Context, f integrity.Finding) (bool, error) { return c.holds(f) }
		_, still, err := streams.NewReader(b.server.Connect(t), asked).Read(t.Context(), integrity.Mark{}, open)
		if c.want < 0 && !errors.Is(err, failed) || c.want >= 0 && (err != nil || len(still) != min(c.want, 10)) {
			t.Errorf("%s: still %d, %v", name, len(still), err)
		}
	}
}

// blindTo answers reads of a subject as a leader with a damaged block does.
type blindTo struct {
	streams.Requester
	subject string
}

func (b blindTo) RequestMsgWithContext(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	if strings.Contains(m.Subject, "MSG.GET") && strings.Contains(string(m.Data), b.subject) {
		return &nats.Msg{Data: []byte(`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`)}, nil
	}
	return b.Requester.RequestMsgWithContext(ctx, m)
}

func TestThreeReplicas(t *testing.T) {
	t.Parallel()
	cluster := natstest.StartCluster(t)
	conn := cluster.Connect(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	topology := broker.DefaultTopology()
	topology.Replicas = 3
	for _, cfg := range topology.Streams() {
		cluster.CreateStream(t, js, cfg)
	}
	fill(t, js, 1, 20)
	p := plan(topology)
	reader := streams.NewReader(conn, p)
	r := read(t, reader, integrity.Mark{})
	m := integrity.MarkOf(r, r.Newest, 0)
	for range 3 {
		cluster.RestartLeader(t, topology.Events)
		if f := integrity.Judge(m, read(t, reader, m), integrity.Names{Journal: topology.Events}); len(f) > 0 {
			t.Errorf("after a change of leaders: %v", f)
		}
	}
	if m.Journal.Sequence != 20 || !strings.HasPrefix(r.Leader, "natstest-") {
		t.Errorf("mark %+v of leader %q", m.Journal, r.Leader)
	}
}
