package providertest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// trouble is one way to misbehave and what an honest adapter makes of it.
type trouble struct {
	fault    simulator.Fault
	executed bool
	result   payment.Result
}

func troubles() []trouble {
	list := []trouble{
		{simulator.Fault{Mode: simulator.CutBefore}, false, payment.Indeterminate},
		{simulator.Fault{Mode: simulator.CutAfter}, true, payment.Indeterminate},
		{simulator.Fault{Mode: simulator.GarbageBefore}, false, payment.Indeterminate},
		{simulator.Fault{Mode: simulator.GarbageAfter}, true, payment.Indeterminate},
		{simulator.Fault{Mode: simulator.OversizedAfter}, true, payment.Indeterminate},
		{simulator.Fault{Mode: simulator.RedirectBefore}, false, payment.Indeterminate},
		{simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 7}, false, payment.NotExecuted},
	}
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		list = append(
			list,
			trouble{simulator.Fault{Mode: simulator.StatusBefore, Status: status}, false, payment.Indeterminate},
			trouble{simulator.Fault{Mode: simulator.StatusAfter, Status: status}, true, payment.Indeterminate},
		)
	}
	return list
}

func (s suite) misbehaviour(t *testing.T) {
	for _, x := range troubles() {
		t.Run(fmt.Sprint(x.fault.Mode, x.fault.Status), func(t *testing.T) {
			t.Parallel()
			r := s.rig(t, rigOptions{})
			q := r.request()
			x.fault.Times = 1
			r.fault(x.fault)
			o := r.call(context.Background(), q)
			r.want(o, x.result)
			if want := time.Duration(x.fault.RetryAfter) * time.Second; o.RetryAfter != want {
				t.Errorf("RetryAfter %v, want %v", o.RetryAfter, want)
			}
			executions := 0
			if x.executed {
				executions = 1
			}
			r.ledger(executions)
			r.truth(q, x.executed)
			r.ledger(executions)
		})
	}
}

// lateExecution: the connection breaks, a query finds nothing, and only then
// the provider executes. "Not found" was no proof.
func (s suite) lateExecution(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	r.fault(simulator.Fault{Mode: simulator.Late, Times: 1})
	r.want(r.call(context.Background(), q), payment.Indeterminate)
	r.truth(q, false)
	r.ledger(0)
	if n := r.sim.Base.Release(); n != 1 {
		t.Fatalf("%d late executions, want 1", n)
	}
	r.ledger(1)
	r.truth(q, true)
}

// delayBeyondDeadline cancels the call once the simulator has it, and lets it
// be executed afterwards.
func (s suite) delayBeyondDeadline(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	r.fault(simulator.Fault{Mode: simulator.Delay, Times: 1})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan payment.Outcome, 1)
	go func() { done <- r.call(ctx, q) }()
	r.awaitCall()
	cancel()
	r.want(<-done, payment.Indeterminate)
	r.release(1)
	r.ledger(1)
	r.truth(q, true)
}

// awaitCall returns once the simulator has taken a call of the case's operation.
func (r *rig) awaitCall() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for n := 1; ; n++ {
		if err := r.sim.Base.WaitCalls(ctx, n); err != nil {
			r.t.Fatal(err)
		}
		if r.sim.Base.Calls()[n-1].Operation == string(r.s.c.Op) {
			return
		}
	}
}

// release lets the delayed calls go on and returns once there are n executions.
func (r *rig) release(executions int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r.sim.Base.Release()
	if err := r.sim.Base.WaitExecuted(ctx, string(r.s.c.Op), executions); err != nil {
		r.t.Fatal(err)
	}
}

// hangingAnswer needs the clock: that the client's own timeout works cannot be
// shown without letting it pass. It is long enough for a busy machine to send.
func (s suite) hangingAnswer(t *testing.T) {
	r := s.rig(t, rigOptions{timeout: 2 * time.Second})
	q := r.request()
	r.fault(simulator.Fault{Mode: simulator.HangAfter, Times: 1})
	r.want(r.call(context.Background(), q), payment.Indeterminate)
	r.ledger(1)
}

// laggingQuery: it was executed, and the provider's books do not show it yet.
func (s suite) laggingQuery(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	r.fault(simulator.Fault{Mode: simulator.CutAfter, Times: 1})
	r.want(r.call(context.Background(), q), payment.Indeterminate)
	if err := r.sim.Base.Fault(simulator.Fault{Mode: simulator.Lag}); err != nil {
		t.Fatal(err)
	}
	r.want(r.query(again(q)), r.unfound()...)
	r.sim.Base.ClearFaults()
	r.truth(q, true)
	r.ledger(1)
}

// questionsMoveNothing asks before, after, and while the provider misbehaves.
func (s suite) questionsMoveNothing(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	ask := func() {
		r.query(again(q))
		r.provider.Read(context.Background(), q)
	}
	ask()
	r.ledger(0)
	r.call(context.Background(), q)
	r.ledger(1)
	sent := r.front.moves.Load()
	for _, mode := range []simulator.Mode{
		"", simulator.CutAfter, simulator.StatusAfter, simulator.GarbageAfter, simulator.OversizedAfter,
		simulator.RedirectBefore, simulator.RateLimit, simulator.Lag,
	} {
		r.sim.Base.ClearFaults()
		if mode != "" {
			if err := r.sim.Base.Fault(simulator.Fault{Mode: mode}); err != nil {
				t.Fatal(err)
			}
		}
		ask()
	}
	r.ledger(1)
	if now := r.front.moves.Load(); now != sent {
		t.Errorf("questions sent %d requests that move money", now-sent)
	}
}

// refusedConnection calls an address where nobody listens any more.
func (s suite) refusedConnection(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	client := providers.NewClient(nil)
	elsewhere := *r
	elsewhere.provider = s.Provider(t, deadAddress, client)
	o := elsewhere.call(context.Background(), q)
	r.want(o, payment.NotExecuted)
	if o.Code == "" {
		t.Error("the outcome shows no cause")
	}
	r.want(elsewhere.query(again(q)), payment.Indeterminate)
	r.ledger(0)
}

func (s suite) nothingAfterItsTime(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	q.SendBefore = time.Now().Add(-time.Second)
	r.want(r.call(context.Background(), q), payment.NotExecuted)
	if n := r.front.moves.Load(); n != 0 {
		t.Errorf("%d requests that move money were sent after their time", n)
	}
	r.ledger(0)
}

func (s suite) cancelledContext(t *testing.T) {
	r := s.rig(t, rigOptions{})
	q := r.request()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.want(r.call(ctx, q), payment.NotExecuted, payment.Indeterminate)
	if n := r.front.moves.Load(); n != 0 {
		t.Errorf("%d requests that move money were sent for a cancelled context", n)
	}
	r.ledger(0)
}
