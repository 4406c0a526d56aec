//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/proof/chaos/compare"
)

// publishers is how many messages are on their way at once; a server that is
// away holds them all up, as it does order services.
const publishers = 16

// published is what came of publishing.
type published struct {
	mu        sync.Mutex
	malformed []compare.Malformed
	refused   []refusedMessage
	done      int
	last      time.Time
}

// refusedMessage is one that the service is to answer with payment.command.rejected.
type refusedMessage struct {
	message

	token string
}

// publish sends the messages over the given time and returns once all are
// stored: each is sent again until the server says so, under its own id, so
// that it is stored once.
func (w *world) publish(ctx context.Context, messages []message, over time.Duration, p *published) error {
	queue := make(chan message)
	var group sync.WaitGroup
	for range publishers {
		group.Go(func() {
			for m := range queue {
				w.send(ctx, m, p)
			}
		})
	}
	began := time.Now()
	for _, m := range messages {
		if d := time.Until(began.Add(time.Duration(m.at * float64(over)))); d > 0 {
			sleep.For(ctx, d)
		}
		if ctx.Err() != nil {
			break
		}
		queue <- m
	}
	close(queue)
	group.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

func (w *world) send(ctx context.Context, m message, p *published) {
	header := nats.Header{jetstream.MsgIDHeader: {m.id}}
	maps.Copy(header, m.header)
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		ack, err := w.js.PublishMsg(try, &nats.Msg{Subject: m.subject, Header: header, Data: m.data})
		cancel()
		if err != nil {
			sleep.For(ctx, 200*time.Millisecond)
			continue
		}
		p.stored(m, ack.Sequence)
		return
	}
}

func (p *published) stored(m message, sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.last = time.Now()
	if m.malformed != "" {
		token := events.RejectionToken(sequence, m.data)
		p.malformed = append(p.malformed, compare.Malformed{Token: token, What: m.malformed})
		p.refused = append(p.refused, refusedMessage{m, token})
	}
}

// refusedSince returns what was refused after the first n of it.
func (p *published) refusedSince(n int) []refusedMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refused[n:])
}
