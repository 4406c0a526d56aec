//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/countermand/countermand/bench/job"
)

// finding is one line of the growth report: figures of one case.
type finding struct {
	Part    string   `json:"part"`
	Case    string   `json:"case"`
	Figures []figure `json:"figures"`
}

type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func (f finding) String() string {
	text := fmt.Sprintf("%-10s %-34s", f.Part, f.Case)
	for _, g := range f.Figures {
		text += fmt.Sprintf("  %s %.4g", g.Name, g.Value)
	}
	return text
}

// grower collects the findings.
type grower struct {
	bin  binaries
	opts options
	out  io.Writer

	Date     time.Time `json:"date"`
	Machine  machine   `json:"machine"`
	Settings settings  `json:"settings"`
	Findings []finding `json:"findings"`
}

// growth runs the parts that were asked for, and writes what was found.
func growth(ctx context.Context, bin binaries, opts options, out io.Writer) error {
	r := newReport(opts, bin)
	g := &grower{bin: bin, opts: opts, out: out, Date: r.Date, Machine: r.Machine, Settings: r.Settings}
	parts := map[string]func(context.Context) error{
		"stored": g.stored, "partial": g.partial, "pending": g.pending, "malformed": g.malformed, "replicas": g.replicas, "soak": g.soak,
	}
	asked := opts.growth
	if opts.soak > 0 {
		asked = append(asked, "soak")
	}
	for _, name := range asked {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("growth: there is no part %q", name)
		}
		if err := part(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if opts.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return fmt.Errorf("encode findings: %w", err)
	}
	if err := os.WriteFile(opts.json, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}

// found keeps and prints a finding. Figures come as pairs of name and value.
func (g *grower) found(part, what string, pairs ...any) {
	f := finding{Part: part, Case: what}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Figures = append(f.Figures, figure{pairs[i].(string), pairs[i+1].(float64)})
	}
	g.Findings = append(g.Findings, f)
	fmt.Fprintln(g.out, f)
}

// named is one of the contestants.
func named(name string) contestant {
	for _, c := range contestants() {
		if c.name == name {
			return c
		}
	}
	return contestant{}
}

// in does something with a contestant in a world of its own.
func (g *grower) in(ctx context.Context, name string, delay time.Duration, payments int, do func(*field, *client) error) error {
	w, err := newWorld(ctx, g.bin, g.opts, delay)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.fill(ctx, payments); err != nil {
		return err
	}
	f, cl, err := enter(ctx, named(name), w)
	if err != nil {
		return err
	}
	defer f.close()
	defer cl.close()
	if err := do(f, cl); err != nil {
		return fmt.Errorf("%s: %w%s", name, err, f.program.Tail())
	}
	return nil
}

// median runs the load as often as there are rounds and returns the run of median
// throughput (the lower of the middle two); a wrong result of any is an error.
func (g *grower) median(ctx context.Context, f *field, cl *client, inFlight int) (measured, error) {
	var runs []measured
	for range g.opts.rounds {
		m, err := f.once(ctx, cl, g.opts.n, inFlight)
		if err == nil {
			err = right(m.run)
		}
		if err != nil {
			return measured{}, err
		}
		runs = append(runs, m)
	}
	slices.SortFunc(runs, func(a, b measured) int { return cmp.Compare(a.perSecond(), b.perSecond()) })
	return runs[(len(runs)-1)/2], nil
}

// right turns a wrong verdict into an error: a fast wrong answer is no figure.
func right(r run) error {
	if !r.Verdict.Right() {
		return fmt.Errorf("results: %s", r.Verdict)
	}
	return nil
}

// stored is throughput, memory and start-up with ever more payments in the journal.
func (g *grower) stored(ctx context.Context) error {
	empty := map[string]float64{}
	most := 1_000_000
	if g.opts.stored > 0 {
		most = g.opts.stored
	}
	for _, payments := range []int{0, most / 10, most} {
		for _, name := range []string{"floor", "countermand"} {
			err := g.in(ctx, name, g.opts.delay, payments, func(f *field, cl *client) error {
				if _, err := cl.drive(ctx, warmup(g.opts.n), 64, nil, nil); err != nil {
					return err
				}
				m, err := g.median(ctx, f, cl, concurrency)
				if err != nil {
					return err
				}
				if payments == 0 {
					empty[name] = m.perSecond()
				}
				broker, program := used(f.brokers...), used(f.program)
				again, ready, err := f.restart(ctx, cl)
				if err != nil {
					return err
				}
				g.found("stored", fmt.Sprintf("%d payments, %s", payments, name), "commands/s", m.perSecond(), "/empty", m.perSecond()/empty[name],
					"p50 ms", p50(m), "p99 ms", p99(m), "peak MB", mb(program.peak), "broker peak MB", mb(broker.peak),
					"broker restart s", again.Seconds(), "start to first result s", ready.Seconds())
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// restart stops the broker and the program, and times how long each takes to be
// there again: the broker to be healthy, the program to its first result.
func (f *field) restart(ctx context.Context, cl *client) (broker, program time.Duration, err error) {
	f.program.Terminate(readyFor)
	f.brokers[0].Terminate(readyFor)
	began := time.Now()
	if err := f.brokers[0].Start(); err != nil {
		return 0, 0, err
	}
	if err := answers(ctx, f.brokers[0], f.healthy); err != nil {
		return 0, 0, err
	}
	broker = time.Since(began)
	if err := await(ctx, f.brokers[0], cl.nc.IsConnected); err != nil {
		return 0, 0, err
	}
	began = time.Now()
	if err := f.program.Start(); err != nil {
		return 0, 0, err
	}
	if _, err := cl.drive(ctx, 1, 1, nil, nil); err != nil {
		return 0, 0, err
	}
	return broker, time.Since(began), nil
}

func mb(b int64) float64 { return float64(b) / (1 << 20) }

// pending opens operations that the provider keeps pending, all asked after by
// timers, and measures ordinary commands beside them.
func (g *grower) pending(ctx context.Context) error {
	const operations = 10_000
	return g.in(ctx, "countermand", g.opts.delay, 0, func(f *field, cl *client) error {
		alone, err := g.median(ctx, f, cl, concurrency)
		if err != nil {
			return err
		}
		began := time.Now()
		for i := range operations {
			c := job.Number(pendingFrom + i)
			c.Amount = job.PendingAmount
			if err := cl.publish(c); err != nil {
				return err
			}
		}
		if err := cl.stored(ctx, "payment.refund.pending.>", operations); err != nil {
			return err
		}
		opened := time.Since(began)
		before, err := f.calls(ctx)
		if err != nil {
			return err
		}
		began = time.Now()
		beside, err := g.median(ctx, f, cl, concurrency)
		if err != nil {
			return err
		}
		took := time.Since(began)
		after, err := f.calls(ctx)
		if err != nil {
			return err
		}
		g.found("pending", fmt.Sprintf("%d pending operations", operations), "opened/s", operations/opened.Seconds(),
			"commands/s", beside.perSecond(), "/ without", beside.perSecond()/alone.perSecond(),
			"asked/s meanwhile", float64(after.Queries-before.Queries)/took.Seconds(), "p99 ms", p99(beside), "peak MB", mb(used(f.program).peak))
		return nil
	})
}

// pendingFrom and partialFrom are numbers of payments that no other run uses.
const (
	pendingFrom = 400_000_000
	partialFrom = 300_000_000
)

// malformed publishes messages that are no commands, as large as the stream takes
// them, and measures how fast they are refused and kept.
func (g *grower) malformed(ctx context.Context) error {
	messages := min(g.opts.n, 5000)
	body := []byte(`{"specversion":"1.0","id":` + strings.Repeat(`"not a command",`, 60<<10/16) + `}`)
	return g.in(ctx, "countermand", 0, 0, func(f *field, cl *client) error {
		before, began := used(f.program).cpu, time.Now()
		for range messages {
			if _, err := cl.js.PublishAsync(job.CommandSubject, body); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
		if err := cl.stored(ctx, job.RejectedPrefix+"*", messages); err != nil {
			return err
		}
		took := time.Since(began)
		cpu := (used(f.program).cpu - before) / time.Duration(messages)
		kept, err := f.stored(ctx, cl.js, "PAYMENT_REJECTED")
		if err != nil {
			return err
		}
		g.found("malformed", fmt.Sprintf("%d messages of %d bytes", messages, len(body)), "refused/s", float64(messages)/took.Seconds(),
			"µs CPU each", float64(cpu)/1e3, "peak MB", mb(used(f.program).peak), "kept", float64(kept))
		after, err := f.once(ctx, cl, min(g.opts.n, 2000), concurrency)
		if err != nil {
			return err
		}
		return right(after.run)
	})
}

// replicas is throughput of one, two and three consumers at a provider that takes
// 40 ms; on as many cores.
func (g *grower) replicas(ctx context.Context) error {
	for count := 1; count <= 3; count++ {
		err := g.in(ctx, "countermand", killDelay, 0, func(f *field, cl *client) error {
			for i := 1; i < count; i++ {
				p, err := f.consumer(fmt.Sprintf("-%d", i+1))
				if err != nil {
					return err
				}
				f.helpers = append(f.helpers, p)
				if err := p.Start(); err != nil {
					return err
				}
			}
			if _, err := cl.drive(ctx, warmup(g.opts.n), concurrency, nil, nil); err != nil {
				return err
			}
			m, err := g.median(ctx, f, cl, count*concurrency)
			if err != nil {
				return err
			}
			g.found("replicas", fmt.Sprintf("%d consumer(s), %d in flight, 40 ms", count, count*concurrency), "commands/s", m.perSecond(),
				"p50 ms", p50(m), "p99 ms", p99(m), "µs CPU all consumers", cpu(m)+helperCPU(m))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
