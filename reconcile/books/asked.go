package books

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/reconcile"
)

// Asking is one run in which a provider is asked.
type Asking struct {
	Asker *Asker
	// AtOnce is how many payments are asked about at a time; at least 1.
	AtOnce int
	// Checkpoint may be nil.
	Checkpoint *Checkpoint
	// Progress, if not nil, is told how many payments are done.
	Progress func(done, total uint64)
	// Recalled is, after Compare, how many payments' answers came from the checkpoint.
	Recalled int
}

// Compare asks about every payment with an operation in the period and judges what is
// said, in the order of payments.
func (a *Asking) Compare(ctx context.Context, j *Journal, sink *reconcile.Sink) error {
	total, err := survey(j, sink)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan *question, max(a.AtOnce, 1))
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel() // before the wait
	var listed error
	asking.Go(func() {
		defer close(queue)
		listed = a.list(ctx, j, sink.Period, func(q *question) bool {
			select {
			case queue <- q: // its room is what bounds those under way
			case <-ctx.Done():
				return false
			}
			asking.Go(func() { q.ask(ctx, a.Asker, sink.Period) })
			return true
		})
	})
	var done uint64
	for q := range queue {
		<-q.ready
		if err := a.judge(q, sink); err != nil {
			return err
		}
		done++
		if a.Progress != nil {
			a.Progress(done, total)
		}
	}
	return errors.Join(listed, ctx.Err())
}

// survey counts, and tells how many payments are to be asked about.
func survey(j *Journal, sink *reconcile.Sink) (total uint64, err error) {
	for ops, err := range j.Payments() {
		if err != nil {
			return 0, err
		}
		touched := 0
		for _, o := range ops {
			sink.Report.Operations++
			if sink.Period.Touches(o) {
				touched++
			}
		}
		sink.Report.InPeriod += touched
		if touched > 0 {
			total++
		}
	}
	return total, nil
}

// list puts every payment that is to be asked about.
func (a *Asking) list(ctx context.Context, j *Journal, p reconcile.Period, put func(*question) bool) error {
	for ops, err := range j.Payments() {
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(ops, p.Touches) {
			continue
		}
		q := &question{token: events.Token(ops[0].Payment.Native), ops: ops, ready: make(chan struct{})}
		for _, o := range ops {
			q.version = max(q.version, o.Version)
		}
		if q.answers, q.recalled, err = a.Checkpoint.Recall(q.token, q.version); err != nil {
			return err
		}
		if !put(q) {
			return ctx.Err()
		}
	}
	return nil
}

// judge takes the next answer in order.
func (a *Asking) judge(q *question, sink *reconcile.Sink) error {
	if q.err != nil {
		return q.err
	}
	if q.recalled {
		a.Recalled++
	} else if err := a.Checkpoint.Keep(q.token, q.version, q.answers); err != nil {
		return err
	}
	return sink.JudgeAsked(q.ops, q.answers)
}

// question is one payment being asked about.
type question struct {
	token    string
	version  uint64
	ops      []reconcile.Operation
	recalled bool
	ready    chan struct{} // closed when answers or err are there
	answers  reconcile.Answers
	err      error
}

func (q *question) ask(ctx context.Context, a *Asker, p reconcile.Period) {
	defer close(q.ready)
	if !q.recalled {
		q.answers, q.err = a.Ask(ctx, q.ops, p)
	}
}
