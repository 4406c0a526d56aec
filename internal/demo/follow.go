//go:build !production

package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// follower reads every result event from the first, as a ledger would.
type follower struct {
	mu         sync.Mutex
	operations map[string][]events.Entry // by operation
	rejections []rejection
	news       chan struct{} // closed and replaced with each event
}

// rejection is a payment.command.rejected as the demo reads it.
type rejection struct {
	Code           payment.Code    `json:"code"`
	Faults         []payment.Fault `json:"faults"`
	CommandID      string          `json:"commandId"`
	OriginSequence uint64          `json:"originSequence"`
}

func newFollower() *follower {
	return &follower{operations: map[string][]events.Entry{}, news: make(chan struct{})}
}

// run follows one stream until ctx ends; each event's data is passed to show, one at a time.
func (f *follower) run(ctx context.Context, js jetstream.JetStream, stream string, show func([]byte)) error {
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("follow results: %w", err)
	}
	consuming, err := c.Consume(func(m jetstream.Msg) {
		f.take(events.Message{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, show)
	})
	if err != nil {
		return fmt.Errorf("follow results: %w", err)
	}
	<-ctx.Done()
	consuming.Stop()
	<-consuming.Closed()
	return nil
}

func (f *follower) take(m events.Message, show func([]byte)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	show(m.Data)
	defer func() {
		close(f.news)
		f.news = make(chan struct{})
	}()
	if _, rejected := events.RejectedToken(m.Subject); rejected {
		var e struct {
			Data rejection `json:"data"`
		}
		if json.Unmarshal(m.Data, &e) == nil {
			f.rejections = append(f.rejections, e.Data)
		}
		return
	}
	e, err := events.DecodeEvent(m)
	if err != nil {
		return
	}
	d := e.Data
	id := operation{d.Provider, nativeID(d), d.Operation, string(d.IdempotencyKey)}.id()
	f.operations[id] = append(f.operations[id], e)
}

// nativeID is the identifier that names the payment at its kind.
func nativeID(d events.Result) string {
	if d.Provider == openpayEU || d.Provider == openpayUK || d.Provider == bentoUK {
		return d.Payment.TransactionID
	}
	return d.Payment.OrderID
}

// changed is closed at the next event.
func (f *follower) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

// history returns an operation's events so far.
func (f *follower) history(o operation) []events.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]events.Entry{}, f.operations[o.id()]...)
}

// answered returns the rejection of one of the story's messages, if there is one.
func (f *follower) answered(s story, sequences map[uint64]bool) (rejection, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rejections {
		if r.Code == s.rejected && sequences[r.OriginSequence] {
			return r, true
		}
	}
	return rejection{}, false
}

// tally counts what the results say.
func (f *follower) tally() (operations, terminal, review int, doubled []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, list := range f.operations {
		ends := 0
		for _, e := range list {
			if e.Type.Terminal() {
				ends++
			}
		}
		switch last := list[len(list)-1]; {
		case ends > 1:
			doubled = append(doubled, id)
		case ends == 0 && last.Data.Status == events.StatusReviewRequired:
			review++
		}
		terminal += ends
	}
	return len(f.operations), terminal, review, doubled
}
