package books

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/reconcile"
)

const (
	// tries is how often one question is asked that got no answer.
	tries = 4
	// firstWait and longestWait space them; a provider's own wish counts up to the latter.
	firstWait   = 500 * time.Millisecond
	longestWait = time.Minute
)

// Asker asks one provider what became of operations. It moves no money. It is
// safe for concurrent use.
type Asker struct {
	instance providers.Instance
	limit    *rate.Limiter
	compares bool
	hides    bool
}

// NewAsker returns an asker that sends no more than perSecond questions a second,
// evenly spaced; 0: no limit.
func NewAsker(in providers.Instance, perSecond float64) *Asker {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	t := in.Provider.Traits()
	return &Asker{
		instance: in, limit: rate.NewLimiter(limit, 1),
		// A kind that looks at a payment before each call tells in its readings what
		// was refunded, or at least whether: one question for the whole payment.
		compares: t.FullRefund.Prepare == payment.PrepareAlways || t.Cancel.Prepare == payment.PrepareAlways,
		hides:    !t.ShowsRefunds,
	}
}

// Ask asks about one payment's operations, those that the period touches. The
// error is ctx's; everything else is an answer.
func (a *Asker) Ask(ctx context.Context, ops []reconcile.Operation, p reconcile.Period) (reconcile.Answers, error) {
	var out reconcile.Answers
	if a.compares {
		reading, err := a.read(ctx, a.request(ops[0]))
		if err != nil {
			return out, err
		}
		out.Reading, out.HidesParts = &reading, a.hides
		if reconcile.Settles(ops, reading) {
			return out, nil
		}
	}
	out.Outcomes = make([]*payment.Outcome, len(ops))
	for i, o := range ops {
		if !o.Called() || !p.Touches(o) {
			continue
		}
		answer, err := a.query(ctx, a.request(o))
		if err != nil {
			return out, err
		}
		out.Outcomes[i] = &answer
	}
	return out, nil
}

// request names the operation as it was named when it was carried out.
func (a *Asker) request(o reconcile.Operation) providers.Request {
	d := o.Details
	d.Country = cmp.Or(d.Country, a.instance.Country)
	d.Currency = cmp.Or(d.Currency, a.instance.Currency)
	return providers.Request{
		Op: o.Op, Payment: d, Amount: o.Amount, Full: o.Full, Reference: o.Reference, Key: o.Key,
		Attempt: o.Attempt, InDoubt: true, Snapshot: o.Snapshot,
	}
}

func (a *Asker) query(ctx context.Context, r providers.Request) (payment.Outcome, error) {
	var out payment.Outcome
	err := a.patiently(ctx, func(ctx context.Context) (again bool, wait time.Duration) {
		out = a.instance.Provider.QueryStatus(ctx, r)
		return reconcile.Unavailable(out), out.RetryAfter
	})
	return out, err
}

func (a *Asker) read(ctx context.Context, r providers.Request) (payment.Reading, error) {
	var out payment.Reading
	err := a.patiently(ctx, func(ctx context.Context) (again bool, wait time.Duration) {
		out = a.instance.Provider.Read(ctx, r)
		return !out.OK, out.RetryAfter
	})
	return out, err
}

// patiently asks until there is an answer, a few times at most and within the rate.
func (a *Asker) patiently(ctx context.Context, ask func(context.Context) (again bool, wait time.Duration)) error {
	wait := firstWait
	for try := 1; ; try++ {
		if err := a.limit.Wait(ctx); err != nil {
			return fmt.Errorf("ask provider: %w", err)
		}
		again, wish := a.once(ctx, ask)
		if ctx.Err() != nil {
			return fmt.Errorf("ask provider: %w", ctx.Err())
		}
		if !again || try == tries {
			return nil
		}
		if !sleep.For(ctx, min(max(wait, wish), longestWait)) {
			return fmt.Errorf("ask provider: %w", ctx.Err())
		}
		wait *= 2
	}
}

func (a *Asker) once(ctx context.Context, ask func(context.Context) (bool, time.Duration)) (again bool, wish time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, a.instance.Policy.CallTimeout)
	defer cancel()
	return ask(ctx)
}
