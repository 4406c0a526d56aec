//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/proof/chaos/compare"
	"github.com/countermand/countermand/providers/simulator"
)

const (
	// keptShare and freshShare are how much of the full number is asked for before
	// the copy is made, and after the loss was accepted.
	keptShare, freshShare = 0.25, 0.25
	// newer is how long after the acceptance a command counts as newer than it.
	newer = 6 * time.Second
	// underLoad is over which time commands come in while the journal is lost.
	underLoad = 4 * time.Second
)

// lossPlay is one row being played.
type lossPlay struct {
	world    *world
	row      lossRow
	seed     uint64
	load     *workload
	patience time.Duration
	say      func(format string, args ...any)
	result   *lossResult

	sent   published
	copies map[string]string // of each server's files, by its name
	// kept is what a copy holds, lost what was asked for after it.
	kept, lost batch
	// before is what the journal said until the loss; told are the ends in it, from when
	// forget was called.
	before *told
	told   map[string]compare.Event
	forget func() // ends the reading of it
	lamps  *lamps
	// began is when the loss began, lostAt what the time to notice it is counted
	// from, accepted when a person had accepted it, resumed when calls may begin again.
	began, lostAt, accepted, resumed time.Time
}

// play plays the row.
func (p *lossPlay) play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.lamps = watchLamps(ctx, p.world)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"before the loss", p.prepare},
		{"lose", p.loseIt},
		{"notice", p.notice},
		{"accept", p.accept},
		{"go on", p.goOn},
		{"come to rest", p.comeToRest},
		{"to the end", p.toTheEnd},
		{"judge", p.judge},
	} {
		p.say("%s", step.name)
		bounded, cancel := context.WithTimeout(ctx, p.patience)
		err := step.do(bounded)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// prepare has everything done that the loss will be of.
func (p *lossPlay) prepare(ctx context.Context) error {
	w := p.world
	p.kept, p.lost = p.load.batch(keptShare), p.load.batch(1)
	for _, b := range []batch{p.kept, p.lost} {
		if err := p.load.seed(ctx, w.simulators, b); err != nil {
			return err
		}
	}
	p.before = newTold(false)
	p.listen(ctx)
	if err := w.serve(); err != nil {
		return err
	}
	if err := p.settle(ctx, p.kept.messages); err != nil {
		return err
	}
	if p.row.before != nil {
		if err := p.row.before(ctx, p); err != nil {
			return err
		}
		p.listen(ctx)
	}
	return p.work(ctx)
}

// listen reads the journal into before until forget is called, from where that
// stands. Nobody waits for the reading to end: on a stream that is deleted under it,
// or whose servers all went away, it may hang for long.
func (p *lossPlay) listen(ctx context.Context) {
	if p.forget != nil {
		p.forget()
	}
	reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.read(reading, p.before)
	p.forget = func() {
		cancel()
		p.told = p.before.ends()
	}
}

// settle publishes messages and waits until all that was asked for has its end.
func (p *lossPlay) settle(ctx context.Context, messages []message) error {
	if err := p.world.publish(ctx, messages, 0, &p.sent); err != nil {
		return err
	}
	return p.atRest(ctx, p.before, p.sent.done)
}

// atRest waits until so many operations have their end, and nothing is in hand.
func (p *lossPlay) atRest(ctx context.Context, t *told, want int) error {
	if left := p.world.rest(ctx, t, want, 0, p.patience); left != "" {
		return fmt.Errorf("not at rest: %s", left)
	}
	return nil
}

// work has done what the copy does not hold.
func (p *lossPlay) work(ctx context.Context) error {
	half := len(p.lost.messages) / 2
	switch {
	case p.row.load:
		return nil // with the loss
	case p.row.held:
		if _, err := p.world.consumer(ctx, "pause", "--all", "--reason", "a rehearsal", "--operator", "ann"); err != nil {
			return err
		}
		if err := p.allPaused(ctx); err != nil {
			return err
		}
		if err := p.world.publish(ctx, p.lost.messages, 0, &p.sent); err != nil {
			return err
		}
		return p.allHeld(ctx)
	case p.row.slow > 0:
		return p.inMidCall(ctx)
	case p.row.archive:
		if err := p.settle(ctx, p.lost.messages[:half]); err != nil {
			return err
		}
		if _, err := p.world.consumer(ctx, "archive", "journal.jsonl"); err != nil {
			return err
		}
		return p.settle(ctx, p.lost.messages[half:])
	default:
		return p.settle(ctx, p.lost.messages)
	}
}

// allHeld waits until nothing is in hand: every refund has its end or a timer.
func (p *lossPlay) allHeld(ctx context.Context) error {
	return program.Await(ctx, func() bool {
		hand, err := p.world.inHand(ctx)
		return err == nil && hand == 0
	})
}

// inMidCall publishes everything at providers that take their time, and returns
// once every call is there and none is answered.
func (p *lossPlay) inMidCall(ctx context.Context) error {
	w := p.world
	calls, err := w.simulators.moving(ctx)
	if err != nil {
		return err
	}
	want := len(calls) + len(p.lost.commands)
	for _, c := range p.lost.commands {
		if c.Refused {
			want--
		}
	}
	for _, k := range kinds() {
		f := simulator.Fault{Operation: string(payment.Refund), Mode: simulator.Delay, Delay: simulator.Wait(p.row.slow)}
		if err := w.simulators.fault(ctx, k.Name, f); err != nil {
			return err
		}
	}
	if err := w.publish(ctx, p.lost.messages, 0, &p.sent); err != nil {
		return err
	}
	return program.Await(ctx, func() bool {
		calls, err = w.simulators.moving(ctx)
		return err == nil && len(calls) >= want
	})
}

// loseIt loses it, with commands coming in where the row says so.
func (p *lossPlay) loseIt(ctx context.Context) error {
	loading := make(chan error, 1)
	if p.row.load {
		go func() { loading <- p.world.publish(ctx, p.lost.messages, underLoad, &p.sent) }()
		sleep.For(ctx, underLoad/2)
	} else {
		loading <- nil
		p.forget()
	}
	p.began = time.Now()
	if err := p.row.lose(ctx, p); err != nil {
		return err
	}
	if p.lostAt.IsZero() {
		p.lostAt = time.Now()
	}
	if p.row.repeats {
		if err := p.world.publish(ctx, again("early", p.kept, p.lost), 0, &p.sent); err != nil {
			return err
		}
	}
	return <-loading
}

// goOn has work begin again after the acceptance, and gives it new commands.
func (p *lossPlay) goOn(ctx context.Context) error {
	w := p.world
	if err := w.simulators.calm(ctx); err != nil {
		return err
	}
	if p.row.archive {
		out, err := w.consumer(ctx, "recover", "--archive", "journal.jsonl", "--apply", "--json")
		if p.result.Recovered = recovered(out); p.result.Recovered == nil {
			return err // payments that have moved on since the loss are no fault, and the exit code is 1
		}
	}
	_, unfinished := w.consumer(ctx, "recover", "--commands", "--apply", "--json")
	if _, err := w.consumer(ctx, "journal", "go", "--apply", "--operator", "ann"); err != nil {
		return err
	}
	var last error
	rearmed := func() bool { // a process learns within a second that the journal is open again
		_, last = w.consumer(ctx, "rearm", "--operator", "ann")
		return last == nil
	}
	if err := program.Await(ctx, rearmed); err != nil {
		return fmt.Errorf("%w (%w)", err, last)
	}
	if p.row.held { // what it forgot of pauses ends none
		sleep.For(ctx, 2*time.Second)
	}
	p.resumed = time.Now()
	if err := program.Await(ctx, func() bool {
		_, last = w.consumer(ctx, "resume", "--all", "--operator", "ann")
		return last == nil
	}); err != nil {
		return fmt.Errorf("%w (%w)", err, last)
	}
	if unfinished != nil {
		if err := p.walk(ctx); err != nil {
			return err
		}
	}
	sleep.For(ctx, time.Until(p.accepted.Add(newer)))
	fresh := p.load.batch(freshShare)
	if err := p.load.seed(ctx, w.simulators, fresh); err != nil {
		return err
	}
	messages := fresh.messages
	if p.row.repeats {
		messages = slices.Concat(messages, again("late", p.kept, p.lost))
	}
	return w.publish(ctx, messages, 0, &p.sent)
}

// walk walks over the commands until the journal knows them all.
func (p *lossPlay) walk(ctx context.Context) error {
	var last error
	err := program.Await(ctx, func() bool {
		_, last = p.world.consumer(ctx, "recover", "--commands", "--apply", "--json")
		if last != nil {
			sleep.For(ctx, time.Second)
		}
		return last == nil
	})
	if err != nil {
		return fmt.Errorf("%w (%w)", err, last)
	}
	return nil
}

// comeToRest waits until every operation has its end, or a person has it.
func (p *lossPlay) comeToRest(ctx context.Context) error {
	t := newTold(false)
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	p.read(reading, t)
	return p.atRest(ctx, t, len(p.load.drawer.plan.commands))
}

const (
	// lookFor bounds one look at the journal of several servers, lookAgain is the time
	// between two.
	lookFor   = 5 * time.Second
	lookAgain = 300 * time.Millisecond
)

// read reads the journal as it grows until the context ends. After all of several
// servers went away together, a reader that follows may wait for ever: there it looks
// again and again.
func (p *lossPlay) read(ctx context.Context, t *told) {
	if len(p.world.servers) == 1 {
		_ = p.world.follow(ctx, t)
		return
	}
	go func() {
		for ; ctx.Err() == nil; sleep.For(ctx, lookAgain) {
			look, cancel := context.WithTimeout(ctx, lookFor)
			if err := p.world.readOn(look, t); err != nil { // the next look goes on where this one ended
				p.say("look at the journal: %v", err)
			}
			cancel()
		}
	}()
}
