//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

const (
	// faultEvery is how often a provider is told to misbehave; each strikes one
	// to three calls.
	faultEvery = 100 * time.Millisecond
	// forgetEvery is after how many of them those that met no call are forgotten.
	forgetEvery = 50
)

// misbehave has the simulated providers misbehave at random until the context
// ends.
func (s *simulators) misbehave(ctx context.Context, random *rand.Rand) error {
	tick := time.NewTicker(faultEvery)
	defer tick.Stop()
	all := kinds()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k := all[random.IntN(len(all))]
		err := s.fault(ctx, k.Name, drawFault(random, k))
		if err == nil && n%forgetEvery == 0 {
			for _, k := range all {
				err = s.do(ctx, http.MethodDelete, "/"+k.Name+"/faults", nil, nil)
			}
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("have %s misbehave: %w", k.Name, err)
		}
	}
}

// drawFault draws one fault for the next calls of any sort, or of one. A call
// may come to be carried out seconds after its caller has given it up.
func drawFault(random *rand.Rand, k simulator.Kind) simulator.Fault {
	modes := append([]simulator.Mode{
		simulator.CutBefore, simulator.CutAfter, simulator.CutAfter, simulator.Late, simulator.Late, simulator.Delay, simulator.HangAfter,
		simulator.StatusBefore, simulator.StatusAfter, simulator.GarbageBefore, simulator.GarbageAfter, simulator.OversizedAfter,
		simulator.RedirectBefore, simulator.RateLimit, simulator.Lag, simulator.Lag, simulator.Decline,
	}, k.Modes...)
	f := simulator.Fault{
		Operation: []string{"", "refund", "refund", "refund", "cancel"}[random.IntN(5)],
		Times:     1 + random.IntN(3), Mode: modes[random.IntN(len(modes))],
	}
	switch f.Mode {
	case simulator.Late:
		f.Delay = simulator.Wait(time.Duration(500+random.IntN(12_000)) * time.Millisecond)
	case simulator.Delay:
		f.Delay = simulator.Wait(time.Duration(50+random.IntN(3000)) * time.Millisecond)
	case simulator.StatusBefore, simulator.StatusAfter:
		f.Status = []int{500, 502, 503, 504}[random.IntN(4)]
	case simulator.RateLimit:
		f.RetryAfter = 1
	case simulator.Lag:
		f.Operation = []string{"query", "read"}[random.IntN(2)]
	default: // the others need nothing more
	}
	return f
}
