package desk

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/countermand/countermand/payment"
)

// Filter narrows a queue. The zero value lets everything pass.
type Filter struct {
	Provider  string        `json:"provider,omitempty"`
	OlderThan time.Duration `json:"olderThan,omitempty"` // since a person is needed
	// MinAmount at risk, in minor units of Currency, which it needs. What is not
	// known passes.
	MinAmount int64            `json:"minAmount,omitempty"`
	Currency  payment.Currency `json:"currency,omitempty"`
	Limit     int              `json:"limit,omitempty"` // of the items; 0: none
}

// Queue is what needs a person.
type Queue struct {
	At time.Time `json:"at"`
	// Items, the longest waiting first; of those that came within one hour the
	// largest amount (in minor units, whatever the currency) first.
	Items []Item `json:"items"`
	// Total is how many pass the filter; more than Items where it has a limit.
	Total int `json:"total"`
	// Complete is false where not everything open could be looked at.
	Complete bool `json:"complete"`
}

// Item is one operation that needs a person.
type Item struct {
	Provider  string         `json:"provider"`
	Payment   string         `json:"payment"`
	Operation payment.Op     `json:"operation"`
	Key       payment.Key    `json:"idempotencyKey"`
	Version   uint64         `json:"version"`
	Status    payment.Status `json:"status"`
	Reason    string         `json:"reason"`
	Question  string         `json:"question"`
	Since     time.Time      `json:"since"`
	// Age in seconds since a person is needed.
	Age int64 `json:"ageSeconds"`
	// AtRisk is what would be paid twice; absent: not known.
	AtRisk   *payment.Money `json:"atRisk,omitempty"`
	Attempts int            `json:"attempts"`
	// NextLook is when the service asks the provider again by itself.
	NextLook time.Time `json:"nextLook,omitzero"`
}

const (
	// queueFor is for how long a queue is given out again: many pages may ask.
	queueFor = time.Second
	// queueReaders is how many payments are read at a time.
	queueReaders = 16
)

// Queue lists what needs a person. It is at most a second old.
func (d *Desk) Queue(ctx context.Context, f Filter) (*Queue, error) {
	if f.MinAmount != 0 && f.Currency == "" {
		return nil, invalid("minAmount needs a currency: it is in its minor units")
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, unavailable("list what is open", ctx.Err())
	}
	now := d.o.Now()
	if d.queued.IsZero() || now.Sub(d.queued) >= queueFor || now.Before(d.queued) {
		q, err := d.makeQueue(ctx, now)
		if err != nil {
			return nil, unavailable("list what is open", err)
		}
		d.queue, d.queued = q, now
	}
	out := Queue{At: d.queue.At, Items: []Item{}, Complete: d.queue.Complete}
	for _, item := range d.queue.Items {
		if !f.passes(item) {
			continue
		}
		if out.Total++; f.Limit == 0 || len(out.Items) < f.Limit {
			out.Items = append(out.Items, item)
		}
	}
	return &out, nil
}

func (f Filter) passes(i Item) bool {
	switch {
	case f.Provider != "" && f.Provider != i.Provider, i.Age < int64(f.OlderThan/time.Second):
		return false
	case i.AtRisk == nil:
		return true
	case f.Currency != "" && f.Currency != i.AtRisk.Currency:
		return false
	default:
		return i.AtRisk.Value >= f.MinAmount
	}
}

// makeQueue reads every payment that may have something open.
func (d *Desk) makeQueue(ctx context.Context, now time.Time) (Queue, error) {
	ids, complete, err := d.o.Index.Open(ctx)
	if err != nil {
		return Queue{}, err
	}
	q := Queue{At: now.UTC(), Complete: complete}
	var mu sync.Mutex
	var readers sync.WaitGroup
	work := make(chan payment.ID)
	for range min(queueReaders, len(ids)) {
		readers.Go(func() {
			for id := range work {
				rec, err := d.o.Journal.Last(ctx, id)
				items := reviews(id, rec.State, now)
				mu.Lock()
				q.Complete = q.Complete && err == nil
				q.Items = append(q.Items, items...)
				mu.Unlock()
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	readers.Wait()
	slices.SortFunc(q.Items, byAgeAndAmount)
	return q, ctx.Err()
}

// reviews are the payment's operations that need a person.
func reviews(id payment.ID, s payment.State, now time.Time) []Item {
	var items []Item
	for _, op := range s.Operations {
		if op.Open == nil || op.Open.Review == nil {
			continue
		}
		r := op.Open.Review
		items = append(items, Item{
			Provider: id.Provider, Payment: id.Native, Operation: op.Op, Key: op.Open.Key, Version: s.Version,
			Status: op.Status, Reason: r.Reason, Question: r.Question, Since: r.Since,
			Age: int64(max(now.Sub(r.Since), 0) / time.Second), AtRisk: s.AtRisk(op), Attempts: op.Attempt, NextLook: op.Open.Due,
		})
	}
	return items
}

func byAgeAndAmount(a, b Item) int {
	amount := func(i Item) int64 {
		if i.AtRisk == nil {
			return payment.MaxAmount // not known: it may be anything
		}
		return i.AtRisk.Value
	}
	return cmp.Or(
		a.Since.Truncate(time.Hour).Compare(b.Since.Truncate(time.Hour)), cmp.Compare(amount(b), amount(a)),
		a.Since.Compare(b.Since), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Payment, b.Payment), cmp.Compare(a.Key, b.Key),
	)
}
