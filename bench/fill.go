//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/record"
)

// filledFrom is the number of the first payment that a journal is filled with;
// runs begin at 0 and never come so far.
const filledFrom = 500_000_000

// fill writes payments with two events each into the journal, as fast as the
// broker takes them.
func (w *world) fill(ctx context.Context, payments int) error {
	nc, _, err := w.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	var failed error
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2048),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) {
			failed = fmt.Errorf("store %s: %w", m.Subject, err)
		}))
	if err != nil {
		return fmt.Errorf("use jetstream: %w", err)
	}
	for i := range payments {
		c := job.Number(filledFrom + i)
		for _, e := range []record.Event{record.Started(c), record.Succeeded(c)} {
			m := &nats.Msg{Subject: e.Subject, Data: e.Data, Header: nats.Header{"Content-Type": {job.ContentType}}}
			if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(30*time.Second)); err != nil {
				return fmt.Errorf("fill journal: %w", err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		return ctx.Err()
	}
	if failed != nil {
		return fmt.Errorf("fill journal: %w", failed)
	}
	n, err := w.stored(ctx, js, job.JournalStream)
	if err == nil && n != uint64(2*payments) {
		return fmt.Errorf("fill journal: it holds %d events, not %d", n, 2*payments)
	}
	return err
}

// count is how many subjects of the journal match a filter; each has one event.
func (c *client) count(ctx context.Context, filter string) (int, error) {
	s, err := c.js.Stream(ctx, streamOf(filter))
	if err != nil {
		return 0, fmt.Errorf("look at journal: %w", err)
	}
	// A consumer that is never read counts what waits for it, without a list of names.
	name := fmt.Sprintf("count-%d", time.Now().UnixNano())
	made, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{Name: name, FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute})
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	n := int(made.CachedInfo().NumPending)
	if err := s.DeleteConsumer(ctx, name); err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return n, nil
}
