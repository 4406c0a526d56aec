package simulation_test

import (
	"encoding/hex"
	"flag"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countermand/countermand/proof/simulation"
)

// Flags of the test binary.
var (
	seed      = flag.Uint64("seed", 0, "play this seed alone, and print what happens")
	first     = flag.Uint64("first", 1, "the first seed")
	schedules = flag.Uint64("schedules", 6000, "how many seeds to play")
)

// played sums up many schedules.
type played struct {
	schedules, steps, events, calls, movements, ends, reviews atomic.Int64
}

func (p *played) add(r simulation.Result) {
	p.schedules.Add(1)
	p.steps.Add(int64(r.Steps))
	p.events.Add(int64(r.Events))
	p.calls.Add(int64(r.Calls))
	p.movements.Add(int64(r.Movements))
	p.ends.Add(int64(r.Ends))
	p.reviews.Add(int64(r.Reviews))
}

// Every schedule, on all cores. The full size is -schedules 1000000.
func TestNoScheduleMovesMoneyTwiceOrLosesAResult(t *testing.T) {
	t.Parallel()
	if *seed != 0 {
		t.Skip("one seed is asked for")
	}
	var sum played
	var next atomic.Uint64
	var failed atomic.Bool
	next.Store(*first - 1)
	last := *first - 1 + *schedules
	began := time.Now()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			engine := newEngine(t)
			for n := next.Add(1); n <= last && !failed.Load(); n = next.Add(1) {
				r := engine.Play(simulation.Schedule(n), false)
				sum.add(r)
				if r.Violation != "" && !failed.Swap(true) {
					t.Errorf("seed %d: %s\n%s", n, r.Violation, shrunk(engine, simulation.Schedule(n)))
				}
				if done := n - *first + 1; done%100000 == 0 {
					t.Logf("%d schedules, %s", done, time.Since(began).Round(time.Second))
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	t.Logf("%d schedules in %s (%.0f/s): %d steps, %d events, %d calls, %d movements, %d terminal results, %d before a person",
		sum.schedules.Load(), took.Round(time.Millisecond), float64(sum.schedules.Load())/took.Seconds(),
		sum.steps.Load(), sum.events.Load(), sum.calls.Load(), sum.movements.Load(), sum.ends.Load(), sum.reviews.Load())
	if !failed.Load() && (sum.movements.Load() == 0 || sum.reviews.Load() == 0 || sum.calls.Load() <= sum.movements.Load()) {
		t.Error("the schedules hardly did anything")
	}
}

// TestSeed plays one seed and prints what happens: go test ./proof/simulation -run TestSeed -v -seed N.
func TestSeed(t *testing.T) {
	t.Parallel()
	if *seed == 0 {
		t.Skip("no -seed")
	}
	engine := newEngine(t)
	r := engine.Play(simulation.Schedule(*seed), true)
	t.Logf("seed %d:\n%s", *seed, strings.Join(r.Trace, "\n"))
	if r.Violation != "" {
		t.Errorf("%s\n%s", r.Violation, shrunk(engine, simulation.Schedule(*seed)))
	}
}

func newEngine(t testing.TB) *simulation.Engine {
	t.Helper()
	engine, err := simulation.New()
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// shrunk tells the shortest story that breaks a rule.
func shrunk(engine *simulation.Engine, schedule []byte) string {
	return shrunkBy(engine.Play, schedule)
}

func shrunkBy(play func([]byte, bool) simulation.Result, schedule []byte) string {
	rule := play(schedule, false).Violation
	least := simulation.Shrink(schedule, func(candidate []byte) bool {
		broken := play(candidate, false).Violation
		return broken != "" && broken[:min(len(broken), 8)] == rule[:min(len(rule), 8)]
	})
	r := play(least, true)
	return "shrunk to " + hex.EncodeToString(least) + ":\n" + strings.Join(r.Trace, "\n")
}
