package openwork_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

var began = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)

// bundle is a provisioned server with a journal and timers on it.
type bundle struct {
	t       *testing.T
	server  *natstest.Server
	js      jetstream.JetStream
	journal *stream.Journal
	timers  *broker.Timers
	encoder *events.Encoder
	last    map[payment.ID]uint64
	states  map[payment.ID]payment.State
}

func setup(t *testing.T) *bundle {
	t.Helper()
	server := natstest.Start(t, nil)
	js := server.JetStream(t)
	if _, err := broker.Provision(t.Context(), js, broker.DefaultTopology()); err != nil {
		t.Fatal(err)
	}
	encoder := events.NewEncoder(nil)
	journal, err := stream.New(js.Conn(), encoder, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{
		t: t, server: server, js: js, journal: journal, timers: broker.NewTimers(js, broker.DefaultTopology()), encoder: encoder,
		last: map[payment.ID]uint64{}, states: map[payment.ID]payment.State{},
	}
}

func command(order, key string, amount int64) payment.Command {
	c := payment.Command{
		Op: payment.Refund, Key: payment.Key(key), Provider: "opay-eg", Reason: "item returned",
		Payment: payment.Details{
			OrderID: order, Country: "EG", Currency: "EGP", CapturedAmount: &payment.Money{Value: 40000, Currency: "EGP"},
		},
		Origin: payment.Origin{CommandID: "event-" + key, CommandSource: "/orders"}, Trace: payment.Trace{CorrelationID: "order-" + order, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "a=b"},
		Expiry: began.Add(24 * time.Hour), RequestedAt: began,
	}
	if amount == 0 {
		c.Full = true
	} else {
		c.Amount = &payment.Money{Value: amount, Currency: "EGP"}
	}
	return c
}

func id(order string) payment.ID { return payment.ID{Provider: "opay-eg", Native: order} }

// input is what the core decides on, for a kind like OPay.
func (b *bundle) input(c payment.Command) payment.Input {
	refund := payment.OperationTraits{Supported: true, Repeat: payment.RepeatRefused, NeedsAmount: true}
	return payment.Input{
		Command: c, ID: id(c.Payment.OrderID), State: b.states[id(c.Payment.OrderID)], Now: began.Add(time.Second),
		Traits: payment.Traits{Kind: "opay", Parallel: true, FullRefund: refund, PartialRefund: refund},
		Instance: payment.Instance{
			Configured: true, Account: payment.AccountHash("opay", "host", "merchant"), Policy: payment.DefaultPolicy(),
		},
	}
}

// start has the core begin an operation and appends what it says.
func (b *bundle) start(c payment.Command) payment.Event {
	b.t.Helper()
	d := payment.Decide(b.input(c))
	if d.Event == nil || d.Event.Type != payment.EventStarted {
		b.t.Fatalf("the core does not start %s: %+v", c.Key, d)
	}
	b.append(*d.Event)
	return *d.Event
}

// conclude has the core fold an outcome.
func (b *bundle) conclude(c payment.Command, r payment.Result) {
	b.t.Helper()
	d := payment.Conclude(b.input(c), payment.Heard{Attempt: 1, Outcome: payment.Outcome{Result: r}})
	if d.Event == nil {
		b.t.Fatalf("the core says nothing of %s", r)
	}
	b.append(*d.Event)
}

func (b *bundle) append(e payment.Event) {
	b.t.Helper()
	sequence, err := b.journal.Append(b.t.Context(), b.last[e.ID], e)
	if err != nil {
		b.t.Fatal(err)
	}
	b.last[e.ID], b.states[e.ID] = sequence, e.State
}

func (b *bundle) scan() *openwork.Index {
	b.t.Helper()
	x, err := openwork.Scan(b.t.Context(), b.js, "PAYMENT_EVENTS", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, most := range []uint64{1, 3, 1000} {
		b.parts(x, most)
	}
	return x
}

// parts holds what parts of the journal say against what a scan says.
func (b *bundle) parts(x *openwork.Index, most uint64) {
	b.t.Helper()
	all, from := openwork.Index{}, uint64(0)
	for {
		p, err := openwork.ReadPart(b.t.Context(), b.js, "PAYMENT_EVENTS", from, most)
		if err != nil {
			b.t.Fatal(err)
		}
		all.Events += p.Events
		all.Operations, all.Damaged = append(all.Operations, p.Operations...), append(all.Damaged, p.Damaged...)
		if from = p.Next; from == 0 {
			break
		}
	}
	inOrder := []cmp.Option{
		cmpopts.SortSlices(func(a, b openwork.Operation) bool { return a.Subject < b.Subject }),
		cmpopts.SortSlices(func(a, b openwork.Damage) bool { return a.Sequence < b.Sequence }), cmpopts.EquateEmpty(),
	}
	if diff := cmp.Diff(x, &all, inOrder...); diff != "" {
		b.t.Errorf("parts of %d say something else than a scan (-scan +parts):\n%s", most, diff)
	}
}

func TestAScanFindsWhatIsOpenAndForgetsWhatHasEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	full, part, done := command("1001", "whole", 0), command("1002", "part", 400), command("1003", "done", 500)
	second := command("1002", "second", 100)
	b.start(full)
	b.start(part)
	b.start(done)
	b.conclude(done, payment.Succeeded)
	b.start(second)
	b.conclude(second, payment.Succeeded)
	natstest.OldRejection(t, b.js, &nats.Msg{Subject: "payment.command.rejected.7-0123456789ab", Data: []byte("{}")})
	x := b.scan()
	if x.Events != 6 || len(x.Damaged) != 0 {
		t.Errorf("read %d events with damage %v, want 6 without", x.Events, x.Damaged)
	}
	var got []payment.Command
	for _, o := range x.Operations {
		got = append(got, o.Command)
		if o.Sequence != b.last[o.ID] {
			t.Errorf("%s: newest event is %d, want %d", o.ID.Native, o.Sequence, b.last[o.ID])
		}
		if want := events.ScheduleSubject(o.Command, o.ID); o.Subject != want {
			t.Errorf("timer lies on %s, want %s", o.Subject, want)
		}
		if want := o.Operation.Open.CallUntil; o.Due() != want || o.Settled() != want || o.Overdue(want.Add(time.Minute)) != time.Minute {
			t.Errorf("due %s, settled %s, want both %s", o.Due(), o.Settled(), want)
		}
	}
	if diff := cmp.Diff([]payment.Command{full, part}, got); diff != "" {
		t.Errorf("open commands differ (-want +got):\n%s", diff)
	}
}

// A full refund's amount is resolved when it starts; it must not become part of
// the command, whose fingerprint would be another operation's.
func TestAFullRefundIsRebuiltWithoutTheAmountThatWasResolved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := command("1001", "whole", 0)
	if e := b.start(c); e.State.Operations[0].Amount == nil {
		t.Fatal("the core resolved no amount: this test tests nothing")
	}
	got := b.scan().Operations[0]
	if got.Command.Amount != nil || !got.Command.Full || got.Command.Fingerprint() != c.Fingerprint() {
		t.Errorf("rebuilt with amount %v, full %t", got.Command.Amount, got.Command.Full)
	}
}

func TestATimerBringsTheSameCommandBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := command("1001", "part", 400)
	b.start(c)
	o := b.scan().Operations[0]
	late := o.Due().Add(time.Hour)
	for now, want := range map[time.Time]time.Time{began: o.Due(), late: late} {
		timer, err := o.Timer(b.encoder, now)
		if err != nil {
			t.Fatal(err)
		}
		if timer.At != want || timer.Subject != o.Subject || timer.Target != "payment.due.refund" {
			t.Errorf("timer at %s on %s for %s, want %s", timer.At, timer.Subject, timer.Target, want)
		}
		if diff := cmp.Diff(payment.Recorded{Version: 1, Operation: 1}, timer.Recorded); diff != "" {
			t.Errorf("what it says of the journal (-want +got):\n%s", diff)
		}
		decoder, err := events.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		m := timer.Message
		m.Subject = timer.Target
		got, invalid := decoder.DecodeCommand(m)
		if invalid != nil {
			t.Fatalf("the timer's message is refused: %v", invalid)
		}
		got.RequestedAt = timer.OriginTime
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("command differs (-want +got):\n%s", diff)
		}
	}
}

func TestWhatDoesNotGiveItsCommandIsDamagedAndNotGuessed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cases := map[string]func(*payment.Operation){
		"another-fingerprint": func(o *payment.Operation) { o.Fingerprint = command("x", "y", 1).Fingerprint() },
		"another-key":         func(o *payment.Operation) { o.Open.Key = "other" },
		"another-amount":      func(o *payment.Operation) { o.Amount = &payment.Money{Value: 401, Currency: "EGP"} },
		"nothing-to-go-on":    func(o *payment.Operation) { o.Open = nil },
	}
	for order, harm := range cases {
		e := *payment.Decide(b.input(command(order, "part", 400))).Event
		harm(&e.State.Operations[0])
		b.append(e)
	}
	x := b.scan()
	if len(x.Operations) != 0 || len(x.Damaged) != len(cases) {
		t.Fatalf("found %d operations and damage %+v, want none and %d", len(x.Operations), x.Damaged, len(cases))
	}
	for _, d := range x.Damaged {
		if d.Newer || d.Reason == "" || d.Operation == "" || d.Sequence == 0 {
			t.Errorf("damage says too little: %+v", d)
		}
	}
}

func TestAnEventOfANewerVersionIsSaidToBeAndOnlyWhileItIsTheNewest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := command("1001", "part", 400)
	e := *payment.Decide(b.input(c)).Event
	m, err := b.encoder.EncodeEvent(e)
	if err != nil {
		t.Fatal(err)
	}
	m.Data = bytes.Replace(m.Data, []byte(`"format":1`), []byte(`"format":99`), 1)
	ack, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	if err != nil {
		t.Fatal(err)
	}
	x := b.scan()
	if len(x.Operations) != 0 || len(x.Damaged) != 1 || !x.Damaged[0].Newer || x.Damaged[0].Sequence != ack.Sequence {
		t.Fatalf("found %+v", x)
	}
	b.last[e.ID], b.states[e.ID] = ack.Sequence, e.State
	b.conclude(c, payment.Pending)
	if x := b.scan(); len(x.Operations) != 1 || len(x.Damaged) != 0 {
		t.Errorf("after a readable event there is %+v", x)
	}
}

func TestAnEventWhoseSubjectNamesNoPaymentIsDamaged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	subject := "payment.refund.started.opay-eg.=41.1" // no token of ours: A needs no escape
	ack, err := b.js.Publish(t.Context(), subject, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	x := b.scan()
	if len(x.Damaged) != 1 || x.Damaged[0].Subject != subject || x.Damaged[0].Sequence != ack.Sequence || x.Damaged[0].Reason == "" {
		t.Errorf("found %+v", x)
	}
}

func TestProgressGoesFromNothingToTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = 600
	for i := range n {
		b.start(command(fmt.Sprint(i), "part", 400))
	}
	var seen []uint64
	x, err := openwork.Scan(t.Context(), b.js, "PAYMENT_EVENTS", func(done, total uint64) {
		if total != n {
			t.Errorf("total is %d, want %d", total, n)
		}
		seen = append(seen, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{0, 256, 512, n}, seen); diff != "" || len(x.Operations) != n {
		t.Errorf("%d operations, progress differs (-want +got):\n%s", len(x.Operations), diff)
	}
}

func TestAnEmptyJournalHasNothingOpenAndAMissingOneIsAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if x := b.scan(); len(x.Operations) != 0 || x.Events != 0 {
		t.Errorf("found %+v in an empty journal", x)
	}
	if _, err := openwork.Scan(t.Context(), b.js, "NOWHERE", nil); err == nil {
		t.Error("a missing journal was read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.start(command("1001", "part", 400))
	cancel()
	if _, err := openwork.Scan(ctx, b.js, "PAYMENT_EVENTS", nil); err == nil {
		t.Error("a scan that was cancelled says nothing")
	}
}

func TestTimersAreListedWhetherTheyWaitOrAreDelivered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(command("1001", "waits", 400))
	b.start(command("1002", "delivered", 400))
	b.start(command("1003", "none", 400))
	all := b.scan().Operations
	at := map[string]time.Time{"1001": time.Now().Add(time.Hour), "1002": time.Now().Add(-time.Hour)}
	subjects := map[string]string{}
	for _, o := range all {
		subjects[o.ID.Native] = o.Subject
		when, wanted := at[o.ID.Native]
		if !wanted {
			continue
		}
		timer, err := o.Timer(b.encoder, when)
		if err != nil {
			t.Fatal(err)
		}
		timer.At = when
		if err := b.timers.Schedule(t.Context(), timer); err != nil {
			t.Fatal(err)
		}
	}
	due, err := b.js.Consumer(t.Context(), "PAYMENT_DUE", "payment-consumer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := due.Next(jetstream.FetchMaxWait(20 * time.Second)); err != nil { // and it is not acknowledged
		t.Fatal(err)
	}
	set, err := openwork.Timers(t.Context(), b.js, "PAYMENT_DUE")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ Has, Delivered bool }
	got := map[string]row{}
	for order, subject := range subjects {
		got[order] = row{set.Has(subject), set.HasDelivered(subject)}
	}
	if diff := cmp.Diff(map[string]row{"1001": {Has: true}, "1002": {true, true}, "1003": {}}, got); diff != "" {
		t.Errorf("timers differ (-want +got):\n%s", diff)
	}
	if set.Scheduled != 1 || set.Delivered != 1 || !set.Complete || set.Providers()["opay-eg"] != 2 {
		t.Errorf("set is %+v, providers %v", set, set.Providers())
	}
	for order, want := range map[string]bool{"1001": true, "1002": false} {
		when, there, err := openwork.At(t.Context(), b.js, "PAYMENT_DUE", subjects[order])
		if err != nil || there != want || there && when.Sub(at[order]) > time.Second {
			t.Errorf("%s: comes %s, %t, %v", order, when, there, err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	js := natstest.Start(b, nil).JetStream(b)
	natstest.CreateStream(b, js, natstest.EventsConfig(1))
	encoder := events.NewEncoder(nil)
	const n = 20_000
	for i := range n {
		c := command(fmt.Sprint(i), "part", 400)
		e := payment.Decide((&bundle{}).input(c)).Event
		m, err := encoder.EncodeEvent(*e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	for b.Loop() {
		x, err := openwork.Scan(b.Context(), js, natstest.EventsStream, nil)
		if err != nil || len(x.Operations) != n {
			b.Fatal(err, len(x.Operations))
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
