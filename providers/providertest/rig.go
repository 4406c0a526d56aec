package providertest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// patience bounds what should take milliseconds; no test waits for it to pass.
const patience = 20 * time.Second

// rig is one provider in front of one simulator, with a counter between them.
type rig struct {
	t        testing.TB
	s        suite
	sim      Simulator
	front    *front
	url      string
	provider providers.Provider
	seeded   int
}

// rigOptions are optional; the zero value gives the defaults.
type rigOptions struct {
	logger  *slog.Logger
	timeout time.Duration
}

func (s suite) rig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	sim := s.Simulator(t)
	f := &front{sim: sim}
	server := httptest.NewServer(f)
	if o.timeout == 0 {
		o.timeout = patience
	}
	client := providers.NewClient(&providers.ClientOptions{Logger: o.logger, Timeout: o.timeout})
	t.Cleanup(func() {
		sim.Base.Close() // first: it frees the calls that hang
		client.CloseIdle()
		server.Close()
	})
	return &rig{
		t: t, s: s, sim: sim, front: f, url: server.URL,
		provider: s.Provider(t, server.URL, client),
	}
}

// request seeds a payment and prepares its request as the core would: with the
// reading the traits ask for.
func (r *rig) request() providers.Request {
	r.t.Helper()
	r.seeded++
	q := r.sim.Seed(r.t, r.s.c, r.seeded)
	q.Op, q.Full, q.Attempt = r.s.c.Op, r.s.c.Full, 1
	q.SendBefore = time.Now().Add(time.Hour)
	traits := r.provider.Traits().For(q.Op, q.Full)
	if traits.Prepare == payment.PrepareNever || (traits.Prepare == payment.PrepareAmount && q.Amount != nil) {
		return q
	}
	reading := r.provider.Read(context.Background(), q)
	if traits.Prepare == payment.PrepareHelpful {
		if reading.Captured = nil; reading.OK {
			q.Snapshot = &reading
		}
		return q
	}
	if !reading.OK {
		r.t.Fatalf("preparing read: %s", reading.Message)
	}
	if traits.Prepare == payment.PrepareAlways {
		q.Snapshot = &reading
	}
	if q.Full && traits.NeedsAmount && q.Amount == nil {
		q.Amount = reading.Captured
	}
	return q
}

// again is the same operation's next attempt, or a query, while in doubt.
func again(q providers.Request) providers.Request {
	q.InDoubt = true
	q.Attempt++
	return q
}

// call makes one call and proves that it sent at most one request that moves money.
func (r *rig) call(ctx context.Context, q providers.Request) payment.Outcome {
	r.t.Helper()
	before := r.front.moves.Load()
	o := r.provider.Call(ctx, q)
	if sent := r.front.moves.Load() - before; sent > 1 {
		r.t.Errorf("one call sent %d requests that move money", sent)
	}
	return o
}

// query asks and proves that asking sent nothing that moves money.
func (r *rig) query(q providers.Request) payment.Outcome {
	r.t.Helper()
	before := r.front.moves.Load()
	o := r.provider.QueryStatus(context.Background(), q)
	if sent := r.front.moves.Load() - before; sent > 0 {
		r.t.Errorf("a query sent %d requests that move money", sent)
	}
	switch o.Result {
	case payment.NotExecuted, payment.Duplicate:
		r.t.Errorf("a query ended in %s, which only calls can", o.Result)
	default:
	}
	return o
}

// unfound are the answers of a query that finds nothing.
func (r *rig) unfound() []payment.Result {
	switch r.provider.Traits().Asks {
	case payment.AsksHelpful:
		return []payment.Result{payment.NotFound, payment.Indeterminate}
	case payment.AsksNone:
		return []payment.Result{payment.Indeterminate}
	default:
		return []payment.Result{payment.NotFound}
	}
}

// fault makes the simulator misbehave at calls of the case's operation.
func (r *rig) fault(f simulator.Fault) {
	r.t.Helper()
	f.Operation = string(r.s.c.Op)
	if err := r.sim.Base.Fault(f); err != nil {
		r.t.Fatal(err)
	}
}

// settle completes what the provider accepted.
func (r *rig) settle() {
	if r.sim.Settle != nil {
		r.sim.Settle()
	}
}

// ledger proves how often the operation was executed, over all payments.
func (r *rig) ledger(executions int) {
	r.t.Helper()
	r.settle()
	if got := len(r.sim.Base.Ledger().Movements("")); got != executions {
		r.t.Errorf("the ledger shows %d executions, want %d", got, executions)
	}
	currency, value := string(r.s.c.Amount.Currency), r.s.c.Amount.Value
	if got, want := r.sim.Base.Ledger().Total("")[currency], value*int64(executions); got != want {
		r.t.Errorf("the ledger shows %d %s moved, want %d", got, currency, want)
	}
}

// truth proves what a query says once it is known whether the call was executed.
func (r *rig) truth(q providers.Request, executed bool) {
	r.t.Helper()
	o := r.query(again(q))
	switch {
	case o.Result == payment.Failed:
		r.t.Errorf("an operation whose answer was lost was called failed: %s", o.Message)
	case !executed && (o.Result == payment.Succeeded || o.Result == payment.Pending):
		r.t.Errorf("an operation that was not executed is %s: %s", o.Result, o.Message)
	case executed && r.s.c.QueryTells && o.Result == payment.Pending:
		r.settle()
		if o = r.query(again(q)); o.Result != payment.Succeeded {
			r.t.Errorf("executed and completed, but the query says %s: %s", o.Result, o.Message)
		}
	case executed && r.s.c.QueryTells && o.Result != payment.Succeeded:
		r.t.Errorf("executed, but the query says %s: %s", o.Result, o.Message)
	case executed && !r.s.c.QueryTells && o.Result == payment.Succeeded:
		r.t.Errorf("the query cannot tell, but says %s: %s", o.Result, o.Message)
	}
	r.moved(o)
}

// moved proves that a success names the amount that moved, if it names one.
func (r *rig) moved(o payment.Outcome) {
	r.t.Helper()
	if o.Result == payment.Succeeded && o.Moved != nil && *o.Moved != r.s.c.Amount {
		r.t.Errorf("moved %s, want %s", o.Moved, r.s.c.Amount)
	}
}

// want proves a call's result.
func (r *rig) want(o payment.Outcome, results ...payment.Result) {
	r.t.Helper()
	for _, result := range results {
		if o.Result == result {
			return
		}
	}
	r.t.Errorf("outcome is %s (%s), want one of %v", o.Result, o.Message, results)
}

// front stands before the simulator. It counts the requests that move money,
// whether or not they reach the simulator, and can answer in its stead.
type front struct {
	sim     Simulator
	moves   atomic.Int64
	instead atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
}

// answer makes the front answer in the simulator's stead where it returns true.
func (f *front) answer(instead func(w http.ResponseWriter, r *http.Request) bool) {
	f.instead.Store(&instead)
}

// ServeHTTP counts the request and hands it on.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.sim.Moves(r) {
		f.moves.Add(1)
	}
	if instead := f.instead.Load(); instead != nil && (*instead)(w, r) {
		return
	}
	f.sim.Handler.ServeHTTP(w, r)
}
