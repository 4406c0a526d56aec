package stream_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

// BenchmarkAppend appends the first event of fresh payments, left to the
// operating system to flush (lazy) or flushed one by one (always).
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []string{"lazy", "always"} {
		for _, inFlight := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("sync=%s/inflight=%d", sync, inFlight), func(b *testing.B) {
				s := natstest.Start(b, &natstest.Options{SyncAlways: sync == "always"})
				natstest.CreateStream(b, s.JetStream(b), natstest.EventsConfig(1))
				j := open(b, s.Connect(b), nil)
				b.ReportAllocs()
				each(b, inFlight, func(i int64) error {
					_, err := j.Append(b.Context(), 0, journaltest.Event(numbered(i), 1, "a"))
					return err
				})
			})
		}
	}
}

func numbered(i int64) payment.ID {
	return payment.ID{Provider: "opay-eg", Native: strconv.FormatInt(i, 10)}
}

// BenchmarkLast reads the newest event of payments that have two.
func BenchmarkLast(b *testing.B) {
	const payments = 1000
	for _, inFlight := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			j := open(b, setup(b).Connect(b), nil)
			fill(b, j, payments)
			b.ReportAllocs()
			each(b, inFlight, func(i int64) error {
				_, err := j.Last(b.Context(), numbered(i%payments))
				return err
			})
		})
	}
}

func fill(b *testing.B, j *stream.Journal, payments int64) {
	b.Helper()
	for i := range payments {
		sequence, err := j.Append(b.Context(), 0, journaltest.Event(numbered(i), 1, "a"))
		if err == nil {
			_, err = j.Append(b.Context(), sequence, journaltest.Event(numbered(i), 2, "a"))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// each does b.N pieces of work with so many under way at any time, and reports
// how many are done in a second.
func each(b *testing.B, inFlight int, do func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	b.ResetTimer()
	for range inFlight {
		running.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
