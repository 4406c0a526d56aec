package handlers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/simulator"
)

// gatekeeper is an isolation of one instance that does as a test says; what
// says nothing lets pass.
type gatekeeper struct {
	state  func() handlers.Standing
	enter  func() bool
	permit func() handlers.Permit
	report func(handlers.Report)
	leave  func()
}

func (g *gatekeeper) State(string) handlers.Standing {
	if g.state == nil {
		return handlers.Standing{}
	}
	return g.state()
}

func (g *gatekeeper) Enter(context.Context, string, time.Duration) (handlers.Place, bool) {
	return g, g.enter == nil || g.enter()
}

func (g *gatekeeper) Permit(context.Context, time.Duration) handlers.Permit {
	if g.permit == nil {
		return handlers.Granted
	}
	return g.permit()
}

func (g *gatekeeper) Report(r handlers.Report) {
	if g.report != nil {
		g.report(r)
	}
}

func (g *gatekeeper) Leave() {
	if g.leave != nil {
		g.leave()
	}
}

// behind puts the handler behind an isolation.
func (b *setup) behind(g handlers.Isolation) {
	b.t.Helper()
	set, err := providers.NewSet(b.instances...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.handler, err = handlers.New(b.journal, set, b.quarantine, events.NewEncoder(nil), &handlers.Options{
		Now: b.clock.Now, Patience: 50 * time.Millisecond, Isolation: g, Losses: b.losses,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// paused is a standing that changes once the journal holds an event of a type.
func (b *setup) pausedAfter(t payment.EventType) func() handlers.Standing {
	return func() handlers.Standing {
		return handlers.Standing{Paused: strings.Contains(b.types(), string(t))}
	}
}

func TestAPauseThatComesBetweenStartedAndTheCallStopsTheCall(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.behind(&gatekeeper{state: b.pausedAfter(payment.EventStarted)})
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later {
		t.Fatalf("disposition %v, want later", out.Kind)
	}
	if got := b.types(); got != "started deferred" || b.refunds() != 0 {
		t.Fatalf("events %q, %d calls", got, b.refunds())
	}
	if op := b.operation(s.id, s.op, key); op.Code != payment.CodePaused || op.InDoubt() {
		t.Fatalf("operation %+v", op)
	}
	b.behind(&gatekeeper{})
	b.drive(func() bool { return b.terminals(key) == 1 })
	if got := b.types(); got != "started deferred started succeeded" || b.refunds() != 1 {
		t.Errorf("after the pause: events %q, %d calls", got, b.refunds())
	}
}

func TestThePauseIsLookedAtWithEachDecision(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("opay refund full") // reads the payment first
	b.seed(s)
	b.behind(&gatekeeper{state: func() handlers.Standing { return handlers.Standing{Paused: len(b.opay.Calls()) > 0} }})
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later {
		t.Fatalf("disposition %v, want later", out.Kind)
	}
	if got := b.types(); got != "" || b.refunds() != 0 || len(b.opay.Calls()) != 1 {
		t.Errorf("events %q, calls %v", got, b.opay.Calls())
	}
}

func TestAPauseThatComesWhileWaitingForThePermitIsSeen(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	paused := false
	b.behind(&gatekeeper{
		state:  func() handlers.Standing { return handlers.Standing{Paused: paused} },
		permit: func() handlers.Permit { paused = true; return handlers.Granted },
	})
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later {
		t.Fatalf("disposition %v, want later", out.Kind)
	}
	if got := b.types(); got != "" || b.refunds() != 0 {
		t.Errorf("events %q, %d calls", got, b.refunds())
	}
}

func TestInAPauseCommandsWaitAndWhatWasBegunIsAskedAbout(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	if err := b.opay.Fault(simulator.Fault{Operation: "refund", Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, s.data))
	b.behind(&gatekeeper{state: func() handlers.Standing { return handlers.Standing{Paused: true} }})
	out := b.deliver(b.command(s.op, strings.Replace(s.data, key, "another-key", 1)))
	if out.Kind != handlers.Later {
		t.Fatalf("disposition %v, want later", out.Kind)
	}
	b.drive(func() bool { return b.terminals(key) == 1 })
	if got := b.operation(s.id, s.op, key); got.Status != payment.StatusSucceeded || got.Basis != payment.BasisQuery {
		t.Errorf("the operation in doubt is %s by %s", got.Status, got.Basis)
	}
	if b.refunds() != 1 || b.terminals("another-key") != 0 {
		t.Errorf("%d calls, want the first alone", b.refunds())
	}
}

func TestAPauseOutlivesGiveUpAfterAndItsEndBeginsTheWaitAnew(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	for i := range b.instances {
		b.instances[i].Policy.GiveUpAfter = time.Hour
	}
	standing := handlers.Standing{Paused: true}
	b.behind(&gatekeeper{state: func() handlers.Standing { return standing }})
	begin := b.clock.Now()
	b.deliver(b.command(s.op, s.data))
	for rounds := 0; b.clock.Now().Sub(begin) < 3*time.Hour; rounds++ {
		d, ok := b.next()
		if !ok || rounds > 1000 {
			t.Fatal("the command does not come back")
		}
		if out := b.deliver(d); out.Kind != handlers.Later {
			t.Fatalf("after %s: disposition %v", b.clock.Now().Sub(begin), out.Kind)
		}
	}
	if got := b.types(); got != "deferred" {
		t.Fatalf("three hours of pause: events %q", got)
	}
	// Resumed, and now the breaker is open: an hour counts from here.
	standing = handlers.Standing{Breaker: payment.BreakerOpen}
	d, _ := b.next()
	b.deliver(d)
	resumed := b.clock.Now()
	if since := b.operation(s.id, s.op, key).Open.WaitingSince; !since.Equal(resumed) {
		t.Fatalf("waiting since %s, want %s", since, resumed)
	}
	b.drive(func() bool { return b.terminals(key) == 1 })
	if waited := b.clock.Now().Sub(resumed); waited < time.Hour || waited > 90*time.Minute {
		t.Errorf("given up %s after the pause", waited)
	}
	if b.refunds() != 0 {
		t.Errorf("%d calls", b.refunds())
	}
}

func TestWhatIsBarredComesBackLaterWithoutAnEvent(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.behind(&gatekeeper{permit: func() handlers.Permit { return handlers.Barred }})
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later {
		t.Fatalf("disposition %v, want later", out.Kind)
	}
	if got := b.types(); got != "" || b.refunds() != 0 {
		t.Errorf("events %q, %d calls", got, b.refunds())
	}
}

func TestAnIsolationThatPanicsLosesNeitherMessageNorOutcome(t *testing.T) {
	t.Parallel()
	for where, row := range map[string]struct {
		broken *gatekeeper
		kind   handlers.DispositionKind
		events string
	}{
		"state":  {&gatekeeper{state: func() handlers.Standing { panic("state") }}, handlers.Later, ""},
		"enter":  {&gatekeeper{enter: func() bool { panic("enter") }}, handlers.Later, ""},
		"permit": {&gatekeeper{permit: func() handlers.Permit { panic("permit") }}, handlers.Later, ""},
		"report": {&gatekeeper{report: func(handlers.Report) { panic("report") }}, handlers.Ack, "started succeeded"},
		"leave":  {&gatekeeper{leave: func() { panic("leave") }}, handlers.Ack, "started succeeded"},
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			b, s := partial(t)
			b.behind(row.broken)
			d := b.command(s.op, s.data)
			d.Panics = 4 // one more would end the operation
			out := b.deliver(d)
			if got := b.types(); out.Kind != row.kind || got != row.events {
				t.Fatalf("disposition %v, events %q", out.Kind, got)
			}
			b.behind(&gatekeeper{})
			b.drive(func() bool { return b.terminals(key) == 1 })
			if got := b.operation(s.id, s.op, key); got.Status != payment.StatusSucceeded || b.refunds() != 1 {
				t.Errorf("operation %s, %d calls", got.Status, b.refunds())
			}
		})
	}
}

func TestWhatACallSaysOfItsInstance(t *testing.T) {
	t.Parallel()
	call := handlers.Report{Call: true}
	failed := handlers.Report{Call: true, Failed: true}
	limited := handlers.Report{Call: true, Failed: true, RetryAfter: 7 * time.Second}
	for name, row := range map[string]struct {
		fault simulator.Fault
		want  handlers.Report
	}{
		"answer":       {simulator.Fault{}, call},
		"business no":  {simulator.Fault{Mode: simulator.Decline}, call},
		"no answer":    {simulator.Fault{Mode: simulator.CutBefore}, failed},
		"timeout":      {simulator.Fault{Mode: simulator.HangAfter}, failed},
		"server error": {simulator.Fault{Mode: simulator.StatusBefore, Status: 503}, failed},
		"rate limit":   {simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 7}, limited},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := partial(t)
			if row.fault.Mode != "" {
				if err := b.opay.Fault(row.fault); err != nil {
					t.Fatal(err)
				}
			}
			if row.fault.Mode == simulator.HangAfter {
				b.hasty()
			}
			var got []handlers.Report
			b.behind(&gatekeeper{report: func(r handlers.Report) { got = append(got, r) }})
			b.deliver(b.command(s.op, s.data))
			if diff := cmp.Diff([]handlers.Report{row.want}, got); diff != "" {
				t.Errorf("reports differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPreparingReadIsReportedAsAQuestionWithItsRetryAfter(t *testing.T) {
	t.Parallel()
	b := newSetup(t)
	s := named("opay refund full")
	b.seed(s)
	if err := b.opay.Fault(simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 9}); err != nil {
		t.Fatal(err)
	}
	var got []handlers.Report
	b.behind(&gatekeeper{report: func(r handlers.Report) { got = append(got, r) }})
	b.deliver(b.command(s.op, s.data))
	if diff := cmp.Diff([]handlers.Report{{Failed: true, RetryAfter: 9 * time.Second}}, got); diff != "" {
		t.Errorf("reports differ (-want +got):\n%s", diff)
	}
}

func TestACrowdedMessageComesBackEverMoreSlowlyAndNotAllAtOnce(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	b.behind(&gatekeeper{enter: func() bool { return false }})
	var got []string
	for _, deliveries := range []int{1, 2, 3, 4, 5, 9} {
		d := b.command(s.op, s.data)
		d.Deliveries, d.OriginSequence = deliveries, 4
		first := b.deliver(d)
		d.OriginSequence = 5
		next := b.deliver(d)
		got = append(got, fmt.Sprint(first.Timer.At.Sub(b.clock.Now()), " ", next.Timer.At.Sub(b.clock.Now())))
	}
	want := []string{"2s 2.5s", "4s 5s", "8s 10s", "16s 20s", "30s 37.5s", "30s 37.5s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("delays differ (-want +got):\n%s", diff)
	}
	if b.types() != "" || b.refunds() != 0 {
		t.Error("it was carried out")
	}
}

func TestAConflictKeepsThePermitForTheNextDecision(t *testing.T) {
	t.Parallel()
	b, s := partial(t)
	permits, left := 0, 0
	b.behind(&gatekeeper{
		permit: func() handlers.Permit { permits++; return handlers.Granted },
		leave:  func() { left++ },
	})
	// Another process appends to the payment first.
	rival := strings.Replace(s.data, key, "rival-key", 1)
	b.newHandler(b.journal, b.instances).Handle(context.Background(), b.command(s.op, rival))
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Ack {
		t.Fatalf("disposition %v", out.Kind)
	}
	if permits != 1 || left != 1 || b.refunds() != 2 {
		t.Errorf("%d permits, %d places given back, %d calls", permits, left, b.refunds())
	}
}
