//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

// recoverFor bounds how long struck servers may take to be healthy again
// before the next of them is struck.
const recoverFor = 30 * time.Second

// striker strikes a world and counts. Its randomness is drawn from by one
// goroutine at a time.
type striker struct {
	world *world
	// stopFor is how long a short stop lasts: past the end of any call. A long
	// one lasts until the server has given the work to others as well.
	stopFor time.Duration

	mu     sync.Mutex
	random *rand.Rand
	counts map[strike]int
	last   time.Time // end of the last strike
	errs   []error
}

func newStriker(w *world, random *rand.Rand, stopFor time.Duration) *striker {
	return &striker{world: w, random: random, stopFor: stopFor, counts: map[strike]int{}}
}

// run carries a schedule out and returns when everything that was struck is
// back.
func (s *striker) run(ctx context.Context, all []planned) {
	servers := make(chan strike, len(all))
	var group sync.WaitGroup
	group.Go(func() { // one at a time, each until the servers are back
		for what := range servers {
			s.do(ctx, what)
		}
	})
	began := time.Now()
	for _, p := range all {
		sleep.For(ctx, time.Until(began.Add(p.at)))
		if ctx.Err() != nil {
			break
		}
		if p.what.onServers() {
			servers <- p.what
			continue
		}
		group.Go(func() { s.do(ctx, p.what) })
	}
	close(servers)
	group.Wait()
}

// do carries one strike out, and its end.
func (s *striker) do(ctx context.Context, what strike) {
	if ctx.Err() != nil {
		return
	}
	err := s.strike(ctx, what)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", what, err))
		return
	}
	s.counts[what]++
}

func (s *striker) strike(ctx context.Context, what strike) error {
	switch what {
	case killConsumer:
		return s.killConsumer(ctx)
	case stopConsumer:
		return s.stopConsumer(ctx)
	case killServer:
		return s.restart(ctx, []*program.NATSServer{s.world.servers[0]}, true)
	case endServer:
		return s.restart(ctx, []*program.NATSServer{s.world.servers[0]}, false)
	case killLeader, killTwo:
		return s.killLeader(ctx, what == killTwo)
	case stepDown:
		return s.stepDown(ctx)
	case cutNATS, slowNATS:
		c := s.world.consumers[s.below(len(s.world.consumers))]
		return s.disturb(ctx, c.nats[s.below(len(c.nats))], what == cutNATS)
	default:
		return s.disturb(ctx, s.world.providers[s.below(len(s.world.providers))], what == cutProvider)
	}
}

// below draws a number from 0 to n-1.
func (s *striker) below(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// between draws a time.
func (s *striker) between(from, to time.Duration) time.Duration {
	return from + time.Duration(s.below(int(to-from)))
}

// free returns a consumer to which nothing is being done; unlock its busy.
func (s *striker) free(ctx context.Context) (*consumerProcess, error) {
	all := s.world.consumers
	var found *consumerProcess
	err := program.Await(ctx, func() bool {
		first := s.below(len(all))
		for i := range all {
			if c := all[(first+i)%len(all)]; c.busy.TryLock() {
				found = c
				return true
			}
		}
		return false
	})
	return found, err
}

func (s *striker) killConsumer(ctx context.Context) error {
	c, err := s.free(ctx)
	if err != nil {
		return err
	}
	defer c.busy.Unlock()
	c.Kill()
	sleep.For(ctx, s.between(0, time.Second))
	return c.Start()
}

// stopConsumer lets a process sleep in the middle of what it does, as a
// hypervisor may, and wakes it when its calls are no longer its own to make.
func (s *striker) stopConsumer(ctx context.Context) error {
	c, err := s.free(ctx)
	if err != nil {
		return err
	}
	defer c.busy.Unlock()
	asleep := s.stopFor
	if s.below(2) == 0 {
		asleep += s.world.shape.ackWait
	}
	c.Signal(syscall.SIGSTOP)
	sleep.For(ctx, asleep+s.between(0, 2*time.Second))
	c.Signal(syscall.SIGCONT)
	return nil
}

// restart ends servers at once or gently, starts them again and waits until
// all are healthy.
func (s *striker) restart(ctx context.Context, which []*program.NATSServer, kill bool) error {
	for _, one := range which {
		if kill {
			one.Kill()
		} else {
			one.Terminate(recoverFor)
		}
	}
	sleep.For(ctx, s.between(200*time.Millisecond, 2*time.Second))
	for _, one := range which {
		if err := one.Start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, recoverFor)
	defer cancel()
	return s.world.servers.ready(ctx)
}

// leader returns the name of a random stream and the server that leads it.
func (s *striker) leader(ctx context.Context) (stream string, leads *program.NATSServer, err error) {
	t := topology()
	stream = []string{t.Events, t.Commands, t.Due}[s.below(3)]
	err = program.Await(ctx, func() bool {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		found, err := s.world.js.Stream(try, stream)
		if err != nil || found.CachedInfo().Cluster == nil {
			return false
		}
		leads = s.world.servers.named(found.CachedInfo().Cluster.Leader)
		return leads != nil
	})
	return stream, leads, err
}

func (s *striker) killLeader(ctx context.Context, two bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*recoverFor)
	defer cancel()
	_, leads, err := s.leader(ctx)
	if err != nil {
		return err
	}
	which := []*program.NATSServer{leads}
	for _, other := range s.world.servers {
		if two && other != leads && len(which) < 2 {
			which = append(which, other)
		}
	}
	return s.restart(ctx, which, true)
}

func (s *striker) stepDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverFor)
	defer cancel()
	stream, _, err := s.leader(ctx)
	if err != nil {
		return err
	}
	answer, err := s.world.nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
	if err != nil {
		return err
	}
	var said struct {
		Success bool `json:"success"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil || !said.Success {
		return fmt.Errorf("stream %s: %s", stream, answer.Data)
	}
	return nil
}

// disturb cuts a path, or makes it slow or silent, once nothing else is being
// done to it.
func (s *striker) disturb(ctx context.Context, p *path, cut bool) error {
	p.busy.Lock()
	defer p.busy.Unlock()
	if cut {
		return p.cut(ctx, s.between(50*time.Millisecond, 2*time.Second))
	}
	delay := s.between(100*time.Millisecond, 800*time.Millisecond)
	if s.below(3) == 0 {
		delay = 0
	}
	return p.slow(ctx, delay, s.between(time.Second, 3*time.Second))
}

// result returns what was done, when the last of it ended, and what failed of it.
func (s *striker) result() (map[string]int, time.Time, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for what, n := range maps.All(s.counts) {
		counts[string(what)] = n
	}
	return counts, s.last, s.errs
}
