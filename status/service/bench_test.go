package service_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

// positions is the journal by positions, as the program has it.
type positions struct{ *stream.Journal }

func (p positions) Newest(ctx context.Context) (status.Message, error) {
	s, err := p.Journal.Newest(ctx)
	return status.Message{Sequence: s.Sequence, Time: s.Time, Message: s.Message}, err
}

func (p positions) At(ctx context.Context, sequence uint64) (status.Message, error) {
	s, err := p.Journal.At(ctx, sequence)
	return status.Message{Sequence: s.Sequence, Time: s.Time, Message: s.Message}, err
}

const benchPayments = 5000

// stocked is a server with a journal of payments with two events each, and a
// service on a connection of its own.
func stocked(b *testing.B) *natstest.Server {
	b.Helper()
	s := natstest.Start(b, nil)
	natstest.CreateStream(b, s.JetStream(b), natstest.EventsConfig(1))
	j, err := stream.New(s.Connect(b), events.NewEncoder(nil), nil)
	if err != nil {
		b.Fatal(err)
	}
	var filling sync.WaitGroup
	for worker := range 32 {
		filling.Go(func() {
			for i := worker; i < benchPayments; i += 32 {
				id := payment.ID{Provider: "opay-eg", Native: strconv.Itoa(i)}
				sequence, err := j.Append(b.Context(), 0, journaltest.Event(id, 1, "evt-"+id.Native))
				if err == nil {
					_, err = j.Append(b.Context(), sequence, journaltest.Event(id, 2, "evt-"+id.Native))
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	filling.Wait()
	r, err := status.NewReader(j, positions{j}, &status.Options{Recent: 2 * benchPayments})
	if err != nil {
		b.Fatal(err)
	}
	serve(b, s, r, 1e6)
	return s
}

// BenchmarkStatus compares requests for a status with what nobody can be faster
// than: a plain client that reads the payment's newest event from the stream.
func BenchmarkStatus(b *testing.B) {
	s := stocked(b)
	raw := func(i int64) (string, string) {
		return "$JS.API.STREAM.MSG.GET." + natstest.EventsStream, fmt.Sprintf(`{"last_by_subj":"payment.*.*.opay-eg.%d.*"}`, i%benchPayments)
	}
	byPayment := func(i int64) (string, string) {
		return "payments.status", fmt.Sprintf(`{"provider":"opay-eg","payment":"%d"}`, i%benchPayments)
	}
	byCommand := func(i int64) (string, string) {
		return "payments.status", fmt.Sprintf(`{"commandId":"evt-%d","commandSource":"/orders"}`, i%benchPayments)
	}
	// Once the whole journal is remembered, each command is known.
	nc := connect(b, s)
	for body := `{"commandId":"none","commandSource":"/orders"}`; ; {
		m, err := nc.RequestWithContext(b.Context(), "payments.status", []byte(body))
		if err != nil {
			b.Fatal(err)
		}
		if string(m.Data[len(m.Data)-len(`"whole":true}}}`):]) == `"whole":true}}}` {
			break
		}
	}
	for _, inFlight := range []int{1, 16, 48} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			all := []*measured{{name: "raw", ask: raw}, {name: "payment", ask: byPayment}, {name: "command", ask: byCommand}}
			// In turns, so that all meet the same noise of the machine.
			for done := 0; done < b.N; done += block {
				for _, m := range all {
					m.run(b, nc, inFlight, done)
				}
			}
			for _, m := range all {
				m.report(b)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// block is how many requests of one kind are made before the next kind's.
const block = 500

// measured is one kind of request.
type measured struct {
	name    string
	ask     func(int64) (subject, body string)
	elapsed time.Duration
	took    []time.Duration
}

// run makes a block of requests, so many at a time.
func (k *measured) run(b *testing.B, nc *nats.Conn, inFlight, done int) {
	b.Helper()
	took := make([]time.Duration, block)
	var next atomic.Int64
	var running sync.WaitGroup
	start := time.Now()
	for range inFlight {
		running.Go(func() {
			for i := next.Add(1) - 1; i < block; i = next.Add(1) - 1 {
				subject, body := k.ask((int64(done) + i) * 7919)
				before := time.Now()
				m, err := nc.RequestWithContext(b.Context(), subject, []byte(body))
				if err != nil || m.Header.Get(micro.ErrorCodeHeader) != "" || len(m.Data) < 100 {
					b.Errorf("%s: %v, %v", body, m, err)
					return
				}
				took[i] = time.Since(before)
			}
		})
	}
	running.Wait()
	k.elapsed += time.Since(start)
	k.took = append(k.took, took...)
}

// report tells how many were answered a second, and how long they took.
func (k *measured) report(b *testing.B) {
	b.Helper()
	slices.Sort(k.took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(float64(len(k.took))/k.elapsed.Seconds(), k.name+"/s")
	b.ReportMetric(ms(k.took[len(k.took)/2]), k.name+"-p50-ms")
	b.ReportMetric(ms(k.took[len(k.took)*99/100]), k.name+"-p99-ms")
}
