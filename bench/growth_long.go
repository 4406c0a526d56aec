//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/judge"
)

// streamOf is where the events of a filter lie: rejections lie beside the journal.
func streamOf(filter string) string {
	if strings.HasPrefix(filter, job.RejectedPrefix) {
		return job.RefusalsStream
	}
	return job.JournalStream
}

// stored waits until there are so many events under a filter.
func (c *client) stored(ctx context.Context, filter string, n int) error {
	s, err := c.js.Stream(ctx, streamOf(filter))
	if err != nil {
		return fmt.Errorf("look at journal: %w", err)
	}
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	last, moved := uint64(0), time.Now()
	for {
		info, err := s.Info(ctx)
		if err != nil {
			return fmt.Errorf("look at journal: %w", err)
		}
		// Counting subjects is dear: only once nothing more comes, or often enough.
		if info.State.LastSeq == last || time.Since(moved) > time.Second {
			got, err := c.count(ctx, filter)
			if err != nil {
				return err
			}
			if got >= n {
				return nil
			}
		}
		if info.State.LastSeq != last {
			last, moved = info.State.LastSeq, time.Now()
		}
		if time.Since(moved) > stallFor {
			return fmt.Errorf("the journal has not moved for %s", stallFor)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// partial refunds one payment in 200 parts, one after the other, and compares the
// first parts with the last; several payments, so that chance evens out.
func (g *grower) partial(ctx context.Context) error {
	const parts, compared = 200, 10
	payments := max(g.opts.n/1000, 3)
	return g.in(ctx, "countermand", 0, 0, func(f *field, cl *client) error {
		results := make(chan *nats.Msg, 16)
		listening, err := cl.nc.ChanSubscribe("payment.refund.succeeded."+job.Instance+".*.*", results)
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		defer func() { _ = listening.Unsubscribe() }() // the connection is closed next
		var first, last []time.Duration
		var firstBytes, lastBytes int
		for p := range payments + 1 { // the first one warms up
			for i := range parts {
				took, size, err := part(ctx, cl, results, partialFrom+p, i)
				switch {
				case err != nil:
					return err
				case p == 0:
				case i < compared:
					first = append(first, took)
				case i >= parts-compared:
					last = append(last, took)
				}
				if i == 0 {
					firstBytes = size
				}
				lastBytes = size
			}
		}
		a, b := judge.Percentile(first, 50), judge.Percentile(last, 50)
		g.found("partial", fmt.Sprintf("%d refunds of one payment, %d times", parts, payments), "first ms", a.Seconds()*1e3, "last ms", b.Seconds()*1e3,
			"last / first", judge.Ratio(float64(b), float64(a)), "first bytes", float64(firstBytes), "last bytes", float64(lastBytes))
		return nil
	})
}

// part is one partial refund from publish to result, and its event's size.
func part(ctx context.Context, cl *client, results <-chan *nats.Msg, payment, i int) (time.Duration, int, error) {
	c := job.Number(payment)
	c.ID, c.Key, c.Amount = fmt.Sprintf("%s-%d", c.ID, i), fmt.Sprintf("part-%03d", i), 100
	began := time.Now()
	if err := cl.publish(c); err != nil {
		return 0, 0, err
	}
	select {
	case m := <-results:
		took := time.Since(began)
		o, err := job.ReadResult(m.Data)
		if err != nil || o.Payment != c.Payment || o.Key != c.Key || o.Moved != c.Amount {
			return 0, 0, fmt.Errorf("part %d of %s was answered with %+v (%w)", i, c.Payment, o, err)
		}
		return took, len(m.Data), nil
	case <-time.After(stallFor):
		return 0, 0, fmt.Errorf("part %d of %s was not answered within %s", i, c.Payment, stallFor)
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
}

// soak keeps the consumer at full load and watches its memory.
func (g *grower) soak(ctx context.Context) error {
	return g.in(ctx, "countermand", g.opts.delay, g.opts.stored, func(f *field, cl *client) error {
		if _, err := cl.drive(ctx, warmup(g.opts.n), concurrency, nil, nil); err != nil {
			return err
		}
		var at, resident []float64
		commands, began := 0, time.Now()
		next := began
		for time.Since(began) < g.opts.soak {
			r, err := cl.drive(ctx, g.opts.n, concurrency, func(int) {
				if now := time.Now(); now.After(next) {
					next = now.Add(g.opts.soak / 200)
					at, resident = append(at, now.Sub(began).Minutes()), append(resident, mb(used(f.program).now))
				}
			}, nil)
			if err != nil {
				return err
			}
			if err := right(r); err != nil {
				return err
			}
			commands += g.opts.n
		}
		// The first fifth is growing into the load.
		skip := len(at) / 5
		g.found("soak", fmt.Sprintf("%s, %d payments stored before", g.opts.soak, g.opts.stored), "commands", float64(commands),
			"commands/s", float64(commands)/time.Since(began).Seconds(), "peak MB", mb(used(f.program).peak), "slope MB/min", judge.Slope(at[skip:], resident[skip:]))
		return nil
	})
}
