//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/internal/program"
	"github.com/countermand/countermand/internal/sleep"
)

const (
	// pauseEvery is how long it is between two pauses, at most.
	pauseEvery = 6 * time.Second
	// commandFor bounds one command of an operator's.
	commandFor = 20 * time.Second
	// leftAlone: of so many malformed messages one is replayed as it is.
	leftAlone = 4
)

// pause pauses providers and lets them go on, one at a time, with the commands
// that people use; when the context of the faults ends, nothing stays paused.
func (o *operators) pause(ctx, faults context.Context) error {
	all := kinds()
	next := func() { sleep.For(faults, pauseEvery/3+time.Duration(o.below(int(pauseEvery*2/3)))) }
	for next(); faults.Err() == nil; next() {
		provider := all[o.below(len(all))].Instance
		if o.command(ctx, "pause", provider, "--reason", "a rehearsal", "--operator", "ann") == nil {
			o.did("paused a provider")
			sleep.For(faults, time.Duration(o.below(int(2*time.Second))))
		}
		// Also after a pause that failed: it may be stored.
		if err := program.Await(ctx, func() bool { return o.command(ctx, "resume", provider, "--operator", "ann") == nil }); err != nil {
			return fmt.Errorf("resume %s: %w", provider, err)
		}
		o.did("resumed a provider")
	}
	return nil
}

// command runs one of the consumer's.
func (o *operators) command(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandFor)
	defer cancel()
	_, _, err := o.world.command(ctx, append(args, "--config", o.world.operatorConfig)...)
	return err
}

// command runs the consumer's binary as an operator does, and returns what it
// printed on standard output and on standard error.
func (w *world) command(ctx context.Context, args ...string) (printed, said string, err error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, w.binary, args...) //nolint:gosec // a binary we have built
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, append(os.Environ(), credentials()...), &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// replayAll replays what was refused: corrected where that can be done, and
// some of the rest as it is, which must come to nothing.
func (o *operators) replayAll(ctx context.Context) {
	var waiting []refusedMessage
	for seen := 0; ctx.Err() == nil; sleep.For(ctx, ruleEvery) {
		fresh := o.sent.refusedSince(seen)
		for i, m := range fresh {
			if m.corrected != nil || (seen+i)%leftAlone == 0 {
				waiting = append(waiting, m)
			}
		}
		seen += len(fresh)
		var again []refusedMessage
		for _, m := range waiting {
			if !o.replay(ctx, m) {
				again = append(again, m)
			}
		}
		waiting = again
	}
}

// replay replays one message, and reports whether that is done with.
func (o *operators) replay(ctx context.Context, m refusedMessage) bool {
	r := desk.Replay{Token: m.token, Reason: "its shop asked for it", Subject: m.subject, Header: m.header, Data: m.data}
	what := "replayed a rejected message as it was"
	if m.corrected != nil {
		r.Data, r.Corrected, what = m.corrected, true, "replayed a corrected message"
	}
	out, err := asked(ctx, func(ctx context.Context) (desk.Replayed, error) { return o.someone().client.Replay(ctx, r) })
	var no *desk.Error
	if errors.As(err, &no) && no.Fault == desk.FaultNotFound {
		return false // the service has not rejected it yet
	}
	o.did(what)
	if o.heard(err); unheard(err) {
		return false // again: it is one operation
	}
	switch {
	case m.corrected == nil && out.Applied:
		o.wrong("%s was published as it was, although it is no command", m.token)
	case m.corrected != nil && len(out.Faults) > 0:
		// It is whole now, and the desk sees that the service would reject it. Its shop
		// wants to have that in writing.
		o.did("was told what a corrected message lacks; its shop sent it itself")
		again := m.message
		again.id, again.data, again.malformed = m.id+"-corrected", m.corrected, ""
		o.world.send(ctx, again, &published{})
	case m.corrected == nil && err == nil:
		o.heard(&desk.Error{Fault: "no command"})
	case m.corrected != nil && !out.Applied:
		return false // not now
	case m.corrected != nil && o.below(3) == 0:
		o.did("replayed it once more")
		_, err := asked(ctx, func(ctx context.Context) (desk.Replayed, error) { return o.someone().client.Replay(ctx, r) })
		o.heard(err)
	}
	return true
}
