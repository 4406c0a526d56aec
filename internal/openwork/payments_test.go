package openwork_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/internal/openwork"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// schedule schedules the timer of an operation that the scan found.
func (b *bundle) schedule(o openwork.Operation, at time.Time) {
	b.t.Helper()
	timer, err := o.Timer(b.encoder, at)
	if err != nil {
		b.t.Fatal(err)
	}
	timer.At = at
	if err := b.timers.Schedule(b.t.Context(), timer); err != nil {
		b.t.Fatal(err)
	}
}

// payments lists what Payments finds, in order.
func (b *bundle) payments(limit int) (natives []string, complete bool) {
	b.t.Helper()
	ids, complete, err := openwork.Payments(b.t.Context(), b.js, "PAYMENT_DUE", limit)
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(ids, func(a, b payment.ID) int { return cmp.Compare(a.Native, b.Native) })
	for _, id := range ids {
		natives = append(natives, id.Native)
	}
	return natives, complete
}

func TestPaymentsWithATimerAreListedOnceWhetherItWaitsOrIsDelivered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(command("10.01", "waits", 400))
	b.start(command("10.01", "waits too", 500))
	b.start(command("1002", "delivered", 400))
	b.start(command("1003", "without", 400))
	for _, o := range b.scan().Operations {
		switch o.ID.Native {
		case "10.01":
			b.schedule(o, time.Now().Add(time.Hour))
		case "1002":
			b.schedule(o, time.Now().Add(-time.Hour))
		}
	}
	due, err := b.js.Consumer(t.Context(), "PAYMENT_DUE", "payment-consumer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := due.Next(jetstream.FetchMaxWait(20 * time.Second)); err != nil { // and it is not acknowledged
		t.Fatal(err)
	}
	got, complete := b.payments(100)
	if diff := gocmp.Diff([]string{"10.01", "1002"}, got); diff != "" || !complete {
		t.Errorf("complete: %t, payments (-want +got):\n%s", complete, diff)
	}
	// Over the limit only delivered ones are listed, and it is said.
	got, complete = b.payments(1)
	if diff := gocmp.Diff([]string{"1002"}, got); diff != "" || complete {
		t.Errorf("over the limit: complete: %t, payments (-want +got):\n%s", complete, diff)
	}
}

func TestPaymentsOfAStreamThatIsMissingAreAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, _, err := openwork.Payments(t.Context(), b.js, "NOWHERE", 100); err == nil {
		t.Error("no error")
	}
}

// tenThousand is a server with as many open operations, each with its timer.
func tenThousand(b *testing.B) (jetstream.JetStream, *stream.Journal) {
	b.Helper()
	js := natstest.Start(b, nil).JetStream(b)
	if _, err := broker.Provision(b.Context(), js, broker.DefaultTopology()); err != nil {
		b.Fatal(err)
	}
	encoder := events.NewEncoder(nil)
	publish := func(m *nats.Msg) {
		if _, err := js.PublishMsgAsync(m); err != nil {
			b.Fatal(err)
		}
	}
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for i := range 10_000 {
		c := command(fmt.Sprint(i), "part", 400)
		m, err := encoder.EncodeEvent(*payment.Decide((&bundle{}).input(c)).Event)
		if err != nil {
			b.Fatal(err)
		}
		publish(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		timer, err := encoder.EncodeCommand(c)
		if err != nil {
			b.Fatal(err)
		}
		publish(&nats.Msg{Subject: events.ScheduleSubject(c, id(c.Payment.OrderID)), Data: timer.Data, Header: nats.Header{
			jetstream.ScheduleHeader: {"@at " + at}, jetstream.ScheduleTargetHeader: {events.DueSubject(c.Op)},
		}})
		if i%500 == 499 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	journal, err := stream.New(js.Conn(), encoder, nil)
	if err != nil {
		b.Fatal(err)
	}
	return js, journal
}

// BenchmarkCountTenThousandOpen is what one pass over 10,000 open operations
// costs, unpaced: the list, then a read of each payment.
func BenchmarkCountTenThousandOpen(b *testing.B) {
	js, journal := tenThousand(b)
	var listing, reading time.Duration
	for b.Loop() {
		began := time.Now()
		ids, complete, err := openwork.Payments(b.Context(), js, "PAYMENT_DUE", 100_000)
		if err != nil || !complete || len(ids) != 10_000 {
			b.Fatal(len(ids), complete, err)
		}
		listing += time.Since(began)
		began = time.Now()
		for _, id := range ids {
			if r, err := journal.Last(b.Context(), id); err != nil || len(r.State.Operations) != 1 {
				b.Fatal(err)
			}
		}
		reading += time.Since(began)
	}
	b.ReportMetric(listing.Seconds()*1000/float64(b.N), "ms/list")
	b.ReportMetric(reading.Seconds()*1e6/float64(b.N)/10_000, "µs/read")
}
