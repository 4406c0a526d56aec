//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/countermand/countermand/internal/program"
)

// healthyCommand is "chaos healthy": the other side of the marks. A journal that has
// lost nothing must never be found broken.
type healthyCommand struct {
	common

	Appends   int      `help:"Appends that are accepted, a fifth of them on one server and the rest on three." default:"100000"`
	InFlight  int      `help:"Appends under way at any time." default:"256"`
	Processes int      `help:"Processes that append and keep marks, each with a connection, a keeper and a witness of its own." default:"6"`
	Decks     int      `help:"How often each strike is made at least." default:"2"`
	Only      []string `help:"Make only strikes whose name holds one of these texts." placeholder:"TEXT"`
	Commands  int      `help:"Commands of the rolling update; 0: none." default:"2000"`
	Before    string   `help:"The commit of the version that is updated; default: the last one that kept no marks." placeholder:"COMMIT"`
}

// Help is the long help text.
func (healthyCommand) Help() string {
	return `Nothing is lost here, and nothing may be found lost. Several processes append through the real journal and
keep the marks of it, while servers are killed, put to sleep and cut off from each other, leaders step down, streams
are scaled from one replica to three and back, and bucket and witness answer late or not at all. Then the service is
updated from the version before the marks while commands come in; that needs the history of git. Exit 1 if a journal
was found broken, a provider was taken for paused, or an accepted append is not there.

Example: go run ./proof/chaos healthy --appends 6000 --decks 1 --only "killed,stepped down" --commands 200`
}

// Run does all of it.
func (c *healthyCommand) Run(s *surroundings) error {
	return c.with(s, func(dir string, bin binaries) (outcome, error) {
		r := &healthReport{Run: "healthy", Seed: c.Seed, began: time.Now()}
		s.say("%d appends, %d in flight, %d processes; seed %d; in %s", c.Appends, c.InFlight, c.Processes, c.Seed, dir)
		for _, size := range []wardSize{{1, c.Appends / 5}, {3, c.Appends - c.Appends/5}} {
			w, err := newWard(s.ctx, dir, bin, size.nodes)
			if err != nil {
				return nil, err
			}
			err = c.watch(s, r, w, size)
			w.close()
			if err != nil {
				return nil, err
			}
		}
		if c.Commands > 0 {
			if err := c.update(s, r, dir, bin); err != nil {
				return nil, err
			}
		}
		r.Seconds = time.Since(r.began).Seconds()
		return r, nil
	})
}

// wardSize is how many servers a ward has and how many appends are wanted there.
type wardSize struct{ nodes, appends int }

// watch appends and strikes in a ward, and takes in what was seen.
func (c *healthyCommand) watch(s *surroundings, r *healthReport, w *ward, size wardSize) error {
	nodes, appends := size.nodes, size.appends
	random := rand.New(rand.NewPCG(c.Seed, uint64(nodes))) //nolint:gosec // a run must be repeatable
	if err := w.admit(s.ctx, c.Processes, random); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	work := newAppenders(w, appends)
	working := work.begin(ctx, c.InFlight)
	strikes := newHealthStrikes(w, random, c.Only)
	err := strikes.run(ctx, c.Decks, func() bool { return work.accepted() >= appends }, func(what healthStrike) {
		s.say("%d nodes, %d of %d appends: %s", nodes, work.accepted(), appends, what)
	})
	if err != nil {
		return err
	}
	work.enough()
	if err := await(s.ctx, time.Minute, func() bool { return isDone(working) }); err != nil {
		r.note("%d nodes: the last appends did not end within a minute", nodes)
	}
	cancel()
	<-working
	settled, stop := context.WithTimeout(s.ctx, time.Minute)
	defer stop()
	if err := program.Await(settled, w.whole); err != nil {
		r.note("%d nodes: a minute after the last strike the journal is not whole everywhere", nodes)
	}
	lost, err := work.missing(s.ctx)
	if err != nil {
		return err
	}
	r.take(nodes, w, work, strikes, lost)
	return s.ctx.Err()
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// await waits until it is so, for so long at most.
func await(ctx context.Context, atMost time.Duration, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if err := program.Await(ctx, so); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	return nil
}
