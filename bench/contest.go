//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/bench/judge"
)

// measured is one run of one contestant in one round, and what it used.
type measured struct {
	run

	Round int `json:"round"`
	// CPU of the contestant's program for a command, of the servers only it needs,
	// and of the brokers, which work for everybody.
	CPU       time.Duration `json:"cpuPerCommandNanoseconds"`
	HelperCPU time.Duration `json:"ownServersCPUPerCommandNanoseconds"`
	BrokerCPU time.Duration `json:"brokerCPUPerCommandNanoseconds"`
	// AllCPU is that of everything that runs: provider and measuring client too.
	AllCPU time.Duration `json:"allCPUPerCommandNanoseconds"`
}

// entry is what one contestant did in all rounds.
type entry struct {
	Name    string     `json:"name"`
	Tuning  string     `json:"tuning"`
	Version string     `json:"version"`
	Runs    []measured `json:"runs"`
	// Peak is the most resident memory of the program, HelperPeak that of its own
	// servers; bytes, by round.
	Peak       []int64 `json:"peakBytes"`
	HelperPeak []int64 `json:"ownServersPeakBytes"`
	// Records is the durable records of a command, its result included, by round.
	Records []float64 `json:"recordsPerCommand"`
	// Repeated calls of the undisturbed rounds, summed.
	Repeated int `json:"repeatedCalls"`
	// Calls that moved money and Queries of the provider in the undisturbed rounds, summed,
	// the first command and the warm-up included.
	Calls   int     `json:"calls"`
	Queries int     `json:"queries"`
	Kill    *killed `json:"kill,omitempty"`
	// Skipped says why it did not take part.
	Skipped string `json:"skipped,omitempty"`
	// Fault says why its last round, or its interruption, could not be measured.
	Fault string `json:"fault,omitempty"`
}

// killed is what a SIGKILL in mid-flow led to.
type killed struct {
	Commands int           `json:"commands"`
	Answered int           `json:"answeredBefore"`
	Calls    job.Calls     `json:"calls"`
	Verdict  judge.Verdict `json:"verdict"`
	Took     time.Duration `json:"tookNanoseconds"`
	Fault    string        `json:"fault,omitempty"`
}

// contest runs the contestants in turn, in rounds, then interrupts each, and reports.
func contest(ctx context.Context, bin binaries, opts options, out io.Writer) error {
	r := newReport(opts, bin)
	chosen := opts.chosen()
	entries := make([]*entry, len(chosen))
	for i, c := range chosen {
		entries[i] = &entry{Name: c.name, Tuning: c.tuning, Version: version(bin, c)}
	}
	r.Entries = entries
	for round := range opts.rounds {
		for _, i := range turn(len(chosen), round) {
			c := chosen[i]
			if entries[i].Skipped != "" {
				continue
			}
			fmt.Fprintf(out, "round %d of %d: %s\n", round+1, opts.rounds, c.name)
			err := patiently(ctx, func() error { return stage{bin, opts}.measure(ctx, c, entries[i], round) })
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				entries[i].Fault = err.Error()
				fmt.Fprintf(out, "  FAILED: %v\n", err)
			}
			if why := entries[i].Skipped; why != "" {
				fmt.Fprintf(out, "  skipped: %s\n", why)
			}
			entries[i].printRound(out, round)
		}
	}
	if err := killAll(ctx, bin, opts, entries, out); err != nil {
		return err
	}
	return r.write(out)
}

// turn is the order of a round: every other one goes backwards, so that nobody is
// always the first on a machine that warms up or tires.
func turn(n, round int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
		if round%2 == 1 {
			order[i] = n - 1 - i
		}
	}
	return order
}

// killOnly is the mid-flow test alone.
func killOnly(ctx context.Context, bin binaries, opts options, out io.Writer) error {
	r := newReport(opts, bin)
	for _, c := range opts.chosen() {
		r.Entries = append(r.Entries, &entry{Name: c.name, Tuning: c.tuning, Version: version(bin, c)})
	}
	if err := killAll(ctx, bin, opts, r.Entries, out); err != nil {
		return err
	}
	return r.writeKills(out)
}

// stage is what all rounds share.
type stage struct {
	bin  binaries
	opts options
}

// startError is that something could not be started.
type startError struct{ error }

func (e startError) Unwrap() error { return e.error }

// starts is how often a round is begun, if something does not start: on a machine
// that others use a port that was free may be taken a moment later.
const starts = 3

// patiently does something again if it could not be started.
func patiently(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		var start startError
		var missing notBuiltError
		if try == starts || ctx.Err() != nil || errors.As(err, &missing) || !errors.As(err, &start) {
			return err
		}
	}
}

// measure is one contestant's round: a world of its own, a warm-up, then one run
// for each number of commands in flight.
func (s stage) measure(ctx context.Context, c contestant, e *entry, round int) error {
	opts := s.opts
	w, err := newWorld(ctx, s.bin, opts, opts.delay)
	if err != nil {
		return startError{err}
	}
	defer w.close()
	if opts.stored > 0 && c.stream == job.JournalStream {
		if err := w.fill(ctx, opts.stored); err != nil {
			return err
		}
	}
	f, cl, err := enter(ctx, c, w)
	var missing notBuiltError
	if errors.As(err, &missing) {
		e.Skipped = missing.Error()
		return nil
	}
	if err != nil {
		return startError{err}
	}
	defer f.close()
	defer cl.close()
	if _, err := cl.drive(ctx, warmup(opts.n), 64, nil, nil); err != nil {
		return fmt.Errorf("warm up: %w%s", err, f.program.Tail())
	}
	before, err := c.records(ctx, f)
	if err != nil {
		return err
	}
	commands := 0
	for _, inFlight := range opts.inFlight {
		m, err := f.once(ctx, cl, runSize(opts.n, inFlight), inFlight)
		if err != nil {
			return fmt.Errorf("%d in flight: %w%s", inFlight, err, f.program.Tail())
		}
		m.Round = round
		commands += m.Commands
		e.Runs = append(e.Runs, m)
	}
	if err := f.settled(ctx); err != nil {
		return err
	}
	if err := cl.unsaid(); err != nil {
		return err
	}
	after, err := c.records(ctx, f)
	if err != nil {
		return err
	}
	calls, err := w.calls(ctx)
	if err != nil {
		return err
	}
	e.Repeated += calls.Repeated
	e.Calls += calls.Total
	e.Queries += calls.Queries
	e.Records = append(e.Records, (after-before)/float64(commands))
	e.Peak = append(e.Peak, used(f.program).peak)
	e.HelperPeak = append(e.HelperPeak, used(f.helpers...).peak)
	return nil
}

// once is one run with what it used.
func (f *field) once(ctx context.Context, cl *client, n, inFlight int) (measured, error) {
	before := f.spent()
	r, err := cl.drive(ctx, n, inFlight, nil, nil)
	if err != nil {
		return measured{}, err
	}
	m := measured{run: r}
	after := f.spent()
	for i, to := range []*time.Duration{&m.CPU, &m.HelperCPU, &m.BrokerCPU, nil, nil} {
		each := (after[i] - before[i]) / time.Duration(n)
		m.AllCPU += each
		if to != nil {
			*to = each
		}
	}
	return m, nil
}

// spent is the time the program, its own servers, the brokers, the provider and the
// measuring client have computed.
func (f *field) spent() [5]time.Duration {
	return [5]time.Duration{used(f.program).cpu, used(f.helpers...).cpu, used(f.brokers...).cpu, used(f.provider).cpu, ownCPU()}
}

func warmup(n int) int { return min(max(n/10, 10), 2000) }

// runSize is how many commands a run has: one in flight is slow, and steady soon.
func runSize(n, inFlight int) int {
	if inFlight == 1 {
		return max(n/10, 10)
	}
	return n
}

// The mid-flow test: the provider takes its time, so that many calls are under way
// when the contestant is killed; it is started again a moment later.
const (
	killDelay    = 40 * time.Millisecond
	killInFlight = 256
	killPause    = time.Second
)

func killAll(ctx context.Context, bin binaries, opts options, entries []*entry, out io.Writer) error {
	if opts.kill == 0 {
		return nil
	}
	for i, c := range opts.chosen() {
		if !c.killed || entries[i].Skipped != "" {
			continue
		}
		fmt.Fprintf(out, "SIGKILL in mid-flow: %s\n", c.name)
		var k *killed
		err := patiently(ctx, func() (err error) {
			k, err = interrupt(ctx, bin, opts, c)
			return err
		})
		var missing notBuiltError
		if errors.As(err, &missing) {
			entries[i].Skipped = missing.Error()
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			entries[i].Fault = err.Error()
			fmt.Fprintf(out, "  FAILED: %v\n", err)
			continue
		}
		entries[i].Kill = k
		fmt.Fprintf(out, "  %s\n", k)
	}
	return nil
}

// interrupt kills a contestant's program, not its servers, once half the commands
// have their results, starts it again, and judges when nothing is open any more.
func interrupt(ctx context.Context, bin binaries, opts options, c contestant) (*killed, error) {
	w, err := newWorld(ctx, bin, opts, killDelay)
	if err != nil {
		return nil, startError{err}
	}
	defer w.close()
	f, cl, err := enter(ctx, c, w)
	if err != nil {
		return nil, startError{err}
	}
	defer f.close()
	defer cl.close()
	k := &killed{Commands: opts.kill}
	var again <-chan time.Time
	var restarted error
	began := time.Now()
	r, err := cl.drive(ctx, opts.kill, killInFlight, func(answered int) {
		if k.Answered == 0 && answered >= opts.kill/2 {
			f.program.Kill()
			k.Answered, again = answered, time.After(killPause)
		}
		select {
		case <-again:
			again, restarted = nil, f.program.Start()
		default:
		}
	}, func() error { return errors.Join(f.settled(ctx), cl.quiet(ctx)) })
	k.Took, k.Verdict = time.Since(began), r.Verdict
	switch {
	case restarted != nil:
		return nil, restarted
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		k.Fault = err.Error() // a result that never comes is a finding, not a fault of the benchmark
	}
	if k.Calls, err = w.calls(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// String is the finding in a line.
func (k *killed) String() string {
	text := fmt.Sprintf("%d calls repeated; %s; after %s", k.Calls.Repeated, k.Verdict, k.Took.Round(100*time.Millisecond))
	if k.Fault != "" {
		text += "; " + k.Fault
	}
	return text
}
