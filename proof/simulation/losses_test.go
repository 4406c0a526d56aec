package simulation_test

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/proof/simulation"
)

// lossesOf is how many seeds to play with losses.
var lossesOf = flag.Uint64("losses", 2000, "how many seeds to play in which streams lose something")

// Whatever the streams lose, and whatever people do afterwards, money moves once.
// The full size is -losses 100000.
func TestNoLossMovesMoneyTwiceOrTellsASuccessOtherwise(t *testing.T) {
	t.Parallel()
	if *seed != 0 {
		t.Skip("one seed is asked for")
	}
	var next, done, lost, accepted, unnoticed, otherwise, trusted, contradicted atomic.Int64
	var failed atomic.Bool
	var sum played
	next.Store(int64(*first) - 1)
	last := int64(*first) - 1 + int64(*lossesOf)
	began := time.Now()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			engine := newEngine(t)
			for n := next.Add(1); n <= last && !failed.Load(); n = next.Add(1) {
				schedule := simulation.Schedule(uint64(n))
				r := engine.PlayLosses(schedule, false)
				sum.add(r)
				done.Add(1)
				lost.Add(int64(r.Losses))
				accepted.Add(int64(r.Accepted))
				contradicted.Add(int64(r.Contradictions))
				otherwise.Add(int64(r.Otherwise))
				if r.Unnoticed {
					unnoticed.Add(1)
				}
				if r.Trusted {
					trusted.Add(1)
				}
				if r.Violation != "" && !failed.Swap(true) {
					t.Logf("seed %d: %s", n, r.Violation)
					t.Errorf("seed %d: %s\n%s", n, r.Violation, shrunkBy(engine.PlayLosses, schedule))
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d schedules in %s: %d losses, %d accepted, %d schedules trusted again, %d timers contradicted the journal, %d schedules in which nobody could notice; %d calls, %d movements, %d terminal results, %d told otherwise, %d before a person",
		done.Load(), time.Since(began).Round(time.Millisecond), lost.Load(), accepted.Load(), trusted.Load(), contradicted.Load(), unnoticed.Load(),
		sum.calls.Load(), sum.movements.Load(), sum.ends.Load(), otherwise.Load(), sum.reviews.Load())
	if !failed.Load() && (lost.Load() == 0 || accepted.Load() == 0 || contradicted.Load() == 0 || sum.movements.Load() == 0) {
		t.Error("the schedules hardly did anything")
	}
}

// A journal that loses nothing is never found broken, and costs no question, no
// call and no event. (That nothing is ever found the simulation checks itself.)
func TestAHealthyJournalCostsNothing(t *testing.T) {
	t.Parallel()
	engine := newEngine(t)
	for n := range uint64(500) {
		with, without := engine.Play(simulation.Schedule(n+1), false), engine.PlayUnwatched(simulation.Schedule(n+1), false)
		if with.Calls != without.Calls || with.Queries != without.Queries || with.Events != without.Events || with.Steps != without.Steps {
			t.Errorf("seed %d: with marks %+v, without %+v", n+1, with, without)
		}
	}
}
