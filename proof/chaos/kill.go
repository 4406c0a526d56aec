//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/providers/simulator"
)

// killCommand is "chaos kill": the figure that can be compared with other
// engines.
type killCommand struct {
	common

	Commands int           `help:"Commands, each for a payment of its own." default:"2000"`
	Latency  time.Duration `help:"How long the provider takes to answer." default:"40ms"`
	Away     time.Duration `help:"How long the service is away." default:"1s"`
	AckWait  time.Duration `help:"How long the server waits for an acknowledgement." default:"30s"`
	Patience time.Duration `help:"How long it may take until all results are there." default:"5m"`
}

// Help is the long help text.
func (killCommand) Help() string {
	return `One service carries out partial refunds at a provider that would execute a second call again and
cannot say what became of the first. Half way through it is killed and started again. A provider call
is repeated where the provider is called a second time for one command. Exit 1 on any violation.

Example: go run ./proof/chaos kill --commands 500`
}

// killTiming leaves a call time enough, and a person is asked soon.
const killTiming = "timeout: 2s, poll: {initial: 1s, max: 4s}, reviewAfter: 3s"

// Run does all of it.
func (c *killCommand) Run(s *surroundings) error {
	return c.with(s, func(dir string, bin binaries) (outcome, error) {
		p := killPlan(c.Seed, c.Commands)
		s.say("%d commands, answers after %s; seed %d; in %s", len(p.commands), c.Latency, c.Seed, dir)
		w, err := newWorld(s.ctx, dir, bin, shape{nodes: 1, consumers: 1, ackWait: c.AckWait, timing: killTiming, direct: true})
		if err != nil {
			return nil, err
		}
		defer w.close()
		if err := w.simulators.seed(s.ctx, p.payments); err != nil {
			return nil, err
		}
		slow := simulator.Fault{Operation: "refund", Mode: simulator.Delay, Delay: simulator.Wait(c.Latency)}
		if err := w.simulators.fault(s.ctx, "openpay", slow); err != nil {
			return nil, err
		}
		return c.killAndJudge(s, w, p)
	})
}

// killPlan is n partial refunds at Openpay, all at once.
func killPlan(seed uint64, n int) *plan {
	d := newDrawer(seed)
	d.once = true
	all := kinds()
	k := all[slices.IndexFunc(all, func(k simulator.Kind) bool { return k.Name == "openpay" })]
	for i := range n {
		d.begin(k, fmt.Sprintf("c-%d", i))
		d.parts(1, "unsafe")
		d.seed(simulator.Paid)
	}
	return d.plan
}

// killAndJudge publishes everything, kills the service half way and starts it
// again, then compares.
func (c *killCommand) killAndJudge(s *surroundings, w *world, p *plan) (*report, error) {
	r := newReport("kill", c.Seed, 1, p)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	during := newTold(false)
	followed := w.follow(ctx, during)
	sent := &published{}
	if err := w.publish(s.ctx, p.messages, 0, sent); err != nil {
		return nil, err
	}
	if err := w.serve(); err != nil {
		return nil, err
	}
	stopTelling := s.tell(ctx, during, len(p.commands))
	settled, err := c.strike(s.ctx, w.consumers[0], during)
	if err != nil {
		return nil, err
	}
	r.Faults, r.lastFault = map[string]int{string(killConsumer): 1}, time.Now()
	s.say("killed with %d of %d settled", settled, c.Commands)
	if settled == c.Commands {
		r.note("everything was settled before the kill: it struck nothing")
	}
	if left := w.rest(s.ctx, during, len(p.commands), 0, c.Patience); left != "" {
		r.note("not at rest after %s: %s", c.Patience, left)
	}
	stopTelling()
	cancel()
	if err := <-followed; err != nil {
		r.note("the journal could not be followed: %v", err)
	}
	err = w.judge(s.ctx, r, p, sent, during)
	return r, err
}

// inFlow is how many calls are under way at least when the service is killed.
const inFlow = 8

// strike kills the service once half of the commands are settled and calls are
// under way, and starts it again; it returns how many were settled.
func (c *killCommand) strike(ctx context.Context, service *consumerProcess, during *told) (settled int, err error) {
	err = program.Await(ctx, func() bool { // it looks more rarely than a call takes, so the moment is anyone's guess
		settled, _ = during.counts()
		return settled >= c.Commands/2 && (during.inFlow() >= inFlow || settled == c.Commands)
	})
	if err != nil {
		return settled, fmt.Errorf("wait for half of the commands: %w", err)
	}
	service.Kill()
	settled, _ = during.counts()
	sleep.For(ctx, c.Away)
	return settled, service.Start()
}
