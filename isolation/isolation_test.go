package isolation_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/isolation"
	"github.com/countermand/countermand/payment"
)

const patience = time.Second

// What a call can say of its instance.
var (
	answered  = handlers.Report{Call: true}
	lost      = handlers.Report{Call: true, Failed: true}
	unhealthy = handlers.Report{Call: true, Unhealthy: true}
)

// bundle is an isolation of the instances "one" and "other".
type bundle struct {
	t *testing.T
	*isolation.Isolation
}

func setup(t *testing.T, l isolation.Limits) bundle {
	return bundle{t, isolation.New(map[string]isolation.Limits{"one": l, "other": l}, nil)}
}

// enter takes a slot that must be free.
func (b bundle) enter(name string) handlers.Place {
	b.t.Helper()
	p, ok := b.Enter(b.t.Context(), name, patience)
	if !ok {
		b.t.Fatalf("no slot at %s", name)
	}
	return p
}

// try asks for one permit and, if it is granted, reports.
func (b bundle) try(name string, r handlers.Report) handlers.Permit {
	b.t.Helper()
	p := b.enter(name)
	defer p.Leave()
	permit := p.Permit(b.t.Context(), patience)
	if permit == handlers.Granted {
		p.Report(r)
	}
	return permit
}

// times tries n times and counts what was granted.
func (b bundle) times(n int, r handlers.Report) (granted int) {
	b.t.Helper()
	for range n {
		if b.try("one", r) == handlers.Granted {
			granted++
		}
	}
	return granted
}

func (b bundle) want(name string, want payment.Breaker) {
	b.t.Helper()
	if got := b.State(name).Breaker; got != want {
		b.t.Errorf("breaker of %s is %d, want %d", name, got, want)
	}
}

func TestFailuresInARowOpenTheBreakerOfTheirInstanceOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{})
		b.times(4, lost)
		b.times(1, answered) // a business no counts as well: somebody answers
		b.times(4, lost)
		b.want("one", payment.BreakerClosed)
		if granted := b.times(3, lost); granted != 1 {
			t.Errorf("%d calls passed, want the one that opened it", granted)
		}
		b.want("one", payment.BreakerOpen)
		b.want("other", payment.BreakerClosed)
		if b.try("other", answered) != handlers.Granted {
			t.Error("the other instance was stopped too")
		}
	})
}

func TestAnUnhealthyInstanceIsStoppedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{})
		if granted := b.times(2, unhealthy); granted != 1 {
			t.Errorf("%d calls passed, want 1", granted)
		}
	})
}

func TestAnOpenBreakerLetsOneProbePassAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{OpenFor: time.Second})
		b.times(1, unhealthy)
		time.Sleep(time.Second + time.Millisecond)
		b.want("one", payment.BreakerProbe)
		probe, second := b.enter("one"), b.enter("one")
		if got := probe.Permit(t.Context(), patience); got != handlers.Granted {
			t.Fatalf("probe: %d", got)
		}
		b.want("one", payment.BreakerOpen)
		if got := second.Permit(t.Context(), patience); got != handlers.Barred {
			t.Fatalf("a second probe: %d, want barred", got)
		}
		if got := probe.Permit(t.Context(), patience); got != handlers.Granted {
			t.Fatalf("asked again, the permit in hand is gone: %d", got)
		}
		probe.Report(answered)
		b.want("one", payment.BreakerClosed)
		if got := second.Permit(t.Context(), patience); got != handlers.Granted {
			t.Fatalf("after the probe: %d", got)
		}
		probe.Leave()
		second.Leave()
	})
}

func TestAProbeThatWasNotSentLeavesItsTurnToAnother(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(handlers.Place){
		"left":   func(handlers.Place) {},
		"unused": func(p handlers.Place) { p.Report(handlers.Report{Call: true, Unused: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, isolation.Limits{OpenFor: time.Second})
				b.times(1, unhealthy)
				time.Sleep(2 * time.Second)
				p := b.enter("one")
				p.Permit(t.Context(), patience)
				end(p)
				p.Leave()
				b.want("one", payment.BreakerProbe)
			})
		})
	}
}

func TestTheBreakerStaysOpenLongerWithEachProbeThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{OpenFor: time.Second, OpenMax: 5 * time.Second})
		var waits []time.Duration
		for range 5 {
			b.times(5, lost)
			waits = append(waits, time.Until(b.States()["one"].Until))
			time.Sleep(waits[len(waits)-1] + time.Millisecond)
			b.want("one", payment.BreakerProbe)
		}
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Errorf("open for (-want +got):\n%s", diff)
		}
		b.times(1, answered)
		b.times(5, lost)
		if got := time.Until(b.States()["one"].Until); got != time.Second {
			t.Errorf("open for %s after it had been closed, want it to begin anew", got)
		}
	})
}

func TestAnAnsweredQuestionDoesNotProveThatCallsWorkAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{OpenFor: time.Second})
		b.times(1, unhealthy) // a call met an empty balance, say
		time.Sleep(2 * time.Second)
		if granted := b.times(3, handlers.Report{}); granted != 3 {
			t.Errorf("%d questions passed one by one, want 3", granted)
		}
		b.want("one", payment.BreakerProbe)
		b.times(1, answered)
		b.want("one", payment.BreakerClosed)

		b.times(1, handlers.Report{Unhealthy: true}) // a question met wrong credentials
		time.Sleep(2 * time.Second)
		b.times(1, handlers.Report{})
		b.want("one", payment.BreakerClosed)
	})
}

func TestRetryAfterStopsEverythingUntilThenAndNoLongerThanAnHour(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]time.Duration{7 * time.Second: 7 * time.Second, 24 * time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t, isolation.Limits{})
			held := b.enter("one")
			defer held.Leave()
			b.times(1, handlers.Report{Failed: true, RetryAfter: after})
			b.times(1, handlers.Report{Failed: true, RetryAfter: time.Second}) // barred
			time.Sleep(want - time.Millisecond)
			b.want("one", payment.BreakerOpen)
			if got := held.Permit(t.Context(), patience); got != handlers.Barred {
				t.Errorf("%d before the time was over, want barred", got)
			}
			time.Sleep(time.Millisecond)
			b.want("one", payment.BreakerClosed)
			if got := held.Permit(t.Context(), patience); got != handlers.Granted {
				t.Errorf("%d when the time was over", got)
			}
		})
	}
}

func TestCallsAreSpacedByTheRateAndNobodyWaitsLongerThanPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{Rate: 4})
		began := time.Now()
		granted, refused := make(chan time.Duration, 6), make(chan time.Duration, 6)
		for range 6 {
			go func() {
				if b.try("one", answered) == handlers.Granted {
					granted <- time.Since(began)
				} else {
					refused <- time.Since(began)
				}
			}()
			synctest.Wait()
		}
		var at []time.Duration
		for range 5 {
			at = append(at, <-granted)
		}
		want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second}
		if diff := cmp.Diff(want, at); diff != "" {
			t.Errorf("calls at (-want +got):\n%s", diff)
		}
		if after := <-refused; after != 0 {
			t.Errorf("the sixth was refused after %s: its turn is more than a second away", after)
		}
	})
}

func TestWhatWasBegunIsNotRefusedForASlowRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{Rate: 0.2})
		p := b.enter("one")
		defer p.Leave()
		began := time.Now()
		p.Permit(t.Context(), patience)
		p.Report(handlers.Report{}) // the question before the call
		if got := b.try("one", answered); got != handlers.Refused {
			t.Errorf("another message: %d, want refused: its turn is five seconds away", got)
		}
		if got := p.Permit(t.Context(), patience); got != handlers.Granted || time.Since(began) != 5*time.Second {
			t.Errorf("the call after the question: %d after %s", got, time.Since(began))
		}
	})
}

func TestNoMoreAreUnderWayThanAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{Concurrent: 2})
		first, second := b.enter("one"), b.enter("one")
		entered := make(chan handlers.Place, 1)
		go func() { entered <- b.enter("one") }()
		synctest.Wait()
		if got := b.States()["one"].UnderWay; got != 2 || len(entered) != 0 {
			t.Fatalf("%d under way, %d more entered", got, len(entered))
		}
		first.Leave()
		third := <-entered
		second.Leave()
		third.Leave()
		if got := b.States()["one"].UnderWay; got != 0 {
			t.Errorf("%d under way at the end", got)
		}
	})
}

func TestNobodyWaitsForAnInstanceThatMakesNoHeadway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{Concurrent: 1})
		held := b.enter("one")
		wait := func() time.Duration {
			began := time.Now()
			if _, ok := b.Enter(t.Context(), "one", patience); ok {
				t.Error("entered a full instance")
			}
			return time.Since(began)
		}
		// A burst may find the first call just begun; later ones see that it hangs.
		if got := wait(); got != 250*time.Millisecond {
			t.Errorf("the first waited %s", got)
		}
		if got := wait(); got != 0 {
			t.Errorf("the second waited %s for an instance that hangs", got)
		}
		held.Leave()
		held = b.enter("one")
		time.Sleep(500 * time.Millisecond) // no burst any more, but one came through lately
		if got := wait(); got != patience {
			t.Errorf("waited %s for an instance that makes headway", got)
		}
		held.Leave()
	})
}

func TestAPauseIsSeenAtOnceAndUnknownInstancesAreNeverCalled(t *testing.T) {
	t.Parallel()
	b := setup(t, isolation.Limits{})
	b.SetPaused("one", true)
	b.SetPaused("nobody", true)
	if !b.State("one").Paused || b.State("other").Paused || !b.States()["one"].Paused {
		t.Errorf("states are %+v", b.States())
	}
	b.SetPaused("one", false)
	if b.State("one").Paused {
		t.Error("still paused")
	}
	if _, ok := b.Enter(context.Background(), "nobody", patience); ok || b.State("nobody").Breaker != payment.BreakerOpen {
		t.Error("an instance that is not known may be called")
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, isolation.Limits{Concurrent: 1, Rate: 1})
		held := b.enter("one")
		defer held.Leave()
		held.Permit(t.Context(), patience)
		held.Report(answered)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		began := time.Now()
		if _, ok := b.Enter(ctx, "one", patience); ok || time.Since(began) != 100*time.Millisecond {
			t.Errorf("waited %s for a slot", time.Since(began))
		}
		if got := held.Permit(ctx, patience); got != handlers.Refused {
			t.Errorf("permit %d after the context had ended", got)
		}
	})
}
