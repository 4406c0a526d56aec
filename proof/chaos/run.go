//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/countermand/countermand/proof/chaos/compare"
)

// timing is the providers' settings in a chaos run: short, so that what
// takes hours in production takes seconds here. A call of an attempt is over a
// second and the documented margin of five after it began.
const timing = "timeout: 1s, retry: {initial: 500ms, max: 2s, giveUpAfter: 1h}, poll: {initial: 1s, max: 2s}, reviewAfter: 5s"

// pastCall is longer than timeout and margin together.
const pastCall = 6500 * time.Millisecond

// runCommand is "chaos run".
type runCommand struct {
	common

	Commands    int           `help:"Distinct commands; repeats (20 of 100) and malformed messages (3) come on top." default:"20000"`
	Kills       int           `help:"How often a consumer is killed. Stops (a tenth) and cut and slow connections (as many) come with it." default:"100"`
	NATSRestart int           `help:"How often servers are struck: one node is killed or restarted; of three the leader is killed, killed with another, or steps down." name:"nats-restarts" default:"20"`
	Nodes       int           `help:"Servers: 1, or 3 with streams of three replicas." default:"1" enum:"1,3"`
	Consumers   int           `help:"Processes of the service." default:"3"`
	Duration    time.Duration `help:"Time over which commands and faults are spread; 0: by their number." default:"0"`
	AckWait     time.Duration `help:"How long the server waits for an acknowledgement before it delivers again. The service signals every ten seconds: less than that delivers again what is in hand." default:"12s"`
	Apart       bool          `help:"No two operations that wait for each other on one payment: for quick runs, since a wait is quiet for a minute."`
	Twins       bool          `help:"All partial refunds of a payment ask for the same amount: then no ledger tells operators whose a movement is, and there are none."`
	Operators   bool          `help:"Two operators at the desk: they rule on what needs a person, replay what was rejected, pause providers." default:"true" negatable:""`
	Patience    time.Duration `help:"How long it may take after the last fault until all results are there." default:"5m"`
}

// Help is the long help text.
func (runCommand) Help() string {
	return `Starts nats-server, three times "consumer run" and the simulated providers as processes, publishes
commands, kills and stops the one and cuts off the other all the while, then compares what was
asked, what was said and what happened, command by command. Exit 1 on any violation.

Example: go run ./proof/chaos run --commands 1500 --kills 8 --nats-restarts 2`
}

// over is the time everything is spread over.
func (c *runCommand) over() time.Duration {
	if c.Duration > 0 {
		return c.Duration
	}
	perServer := 6 * time.Second
	if c.Nodes > 1 {
		perServer = 10 * time.Second
	}
	return max(
		time.Duration(c.Commands)*time.Second/150, time.Duration(c.Kills)*2*time.Second,
		time.Duration(c.NATSRestart)*perServer, 5*time.Second,
	)
}

// Run does all of it.
func (c *runCommand) Run(s *surroundings) error {
	return c.with(s, func(dir string, bin binaries) (outcome, error) {
		d := newDrawer(c.Seed)
		c.Operators = c.Operators && !c.Twins
		d.apart, d.twins, d.misspell = c.Apart, c.Twins, c.Operators
		p, err := d.draw(c.Commands)
		if err != nil {
			return nil, err
		}
		s.say("%d commands, %d messages, %d payments; seed %d; %s in %s", len(p.commands), len(p.messages), len(p.payments), c.Seed, c.over(), dir)
		w, err := newWorld(s.ctx, dir, bin, shape{nodes: c.Nodes, consumers: c.Consumers, ackWait: c.AckWait, timing: timing})
		if err != nil {
			return nil, err
		}
		defer w.close()
		if err := w.simulators.seed(s.ctx, p.payments); err != nil {
			return nil, err
		}
		return c.strikeAndJudge(s, w, p)
	})
}

// strikeAndJudge is the run itself: trouble while commands come in, then calm,
// then the comparison. Operators work all the while.
func (c *runCommand) strikeAndJudge(s *surroundings, w *world, p *plan) (*report, error) {
	r := newReport("run", c.Seed, c.Nodes, p)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	during, sent := newTold(c.Operators), &published{}
	followed := w.follow(ctx, during)
	if err := w.serve(); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(c.Seed, 2)) //nolint:gosec // a run must be repeatable
	people, leave, err := c.begin(ctx, w, p, sent, r)
	if err != nil {
		return nil, err
	}
	defer leave()
	stopTelling := s.tell(ctx, during, len(p.commands))
	striker, err := c.trouble(s.ctx, w, p.messages, trouble{
		random: random, sent: sent, people: people,
		settled: func() bool { n, _ := during.counts(); return n >= len(p.commands) },
	})
	if err != nil {
		return nil, err
	}
	var failed []error
	r.Faults, r.lastFault, failed = striker.result()
	r.noteFailed(failed)
	if err := w.unexpected(); err != nil {
		r.note("%v", err)
	}
	s.say("faults are over; waiting for the rest")
	if left := w.rest(s.ctx, during, len(p.commands), len(sent.malformed), c.Patience); left != "" {
		r.note("not at rest after %s: %s", c.Patience, left)
	}
	leave()
	stopTelling()
	cancel()
	if err := <-followed; err != nil {
		r.note("the journal could not be followed: %v", err)
	}
	err = w.judge(s.ctx, r, p, sent, during)
	return r, err
}

// begin sets operators to work, where there are any; leave ends that, once.
func (c *runCommand) begin(ctx context.Context, w *world, p *plan, sent *published, r *report) (people *operators, leave func(), err error) {
	if !c.Operators {
		return nil, func() {}, nil
	}
	people, err = newOperators(w, p, sent, rand.New(rand.NewPCG(c.Seed, 3))) //nolint:gosec // a run must be repeatable
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		people.work(ctx)
	}()
	return people, sync.OnceFunc(func() {
		cancel()
		<-ended
		people.nc.Close()
		people.report(r)
	}), nil
}

// judge reads all ledgers, compares them and fills the report.
func (w *world) judge(ctx context.Context, r *report, p *plan, sent *published, during *told) error {
	l, rec, err := w.ledgers(ctx, p, sent, during)
	if err != nil {
		return err
	}
	return r.fill(ctx, w, rec, during, compare.Compare(l))
}

// trouble is what happens while everything is struck.
type trouble struct {
	random *rand.Rand
	sent   *published
	people *operators // nil: none
	// settled reports whether every operation has its end.
	settled func() bool
}

// leastSorts is how many sorts of faults of providers belong to a run. Where all
// commands wait until the strikes are over, as on a busy machine, none of them would
// meet any.
const leastSorts = 3

// trouble publishes all commands while everything is struck, and returns when
// the faults are over and all processes run.
func (c *runCommand) trouble(ctx context.Context, w *world, messages []message, t trouble) (*striker, error) {
	strikes := schedule(t.random, amount{kills: c.Kills, servers: c.NATSRestart, nodes: c.Nodes, over: c.over()})
	striker := newStriker(w, rand.New(rand.NewPCG(t.random.Uint64(), 0)), pastCall) //nolint:gosec // a run must be repeatable
	faults, stop := context.WithCancel(ctx)
	defer stop()
	var group, lasting sync.WaitGroup
	var misbehaving, pausing error
	group.Go(func() { striker.run(ctx, strikes) })
	lasting.Go(func() {
		misbehaving = w.simulators.misbehave(faults, rand.New(rand.NewPCG(t.random.Uint64(), 0))) //nolint:gosec // as above
	})
	if t.people != nil {
		lasting.Go(func() { pausing = t.people.pause(ctx, faults) })
	}
	publishing := w.publish(ctx, messages, c.over(), t.sent)
	group.Wait()
	met := w.simulators.awaitStruck(ctx, leastSorts, t.settled, c.Patience)
	stop()
	lasting.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run: %w", ctx.Err())
	}
	if err := cmp.Or(publishing, met, misbehaving, pausing, w.simulators.calm(ctx)); err != nil {
		return nil, err
	}
	if t.people != nil {
		t.people.calm()
	}
	return striker, nil
}
