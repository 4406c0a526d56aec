//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countermand/countermand/bench/job"
	"github.com/countermand/countermand/internal/program"
)

// concurrency is how many commands each contestant may have in hand; each keeps as
// many connections to the provider.
const concurrency = 256

// contestant is one way to do the job. The order of the table is that of the report.
type contestant struct {
	name string
	// tuning is how it is set up, and why, in one line of the report.
	tuning string
	// module is whose version is printed.
	module string
	// stream and results are where its results appear.
	stream, results string
	// durable is the name of its consumer of commands.
	durable string
	// records says where its durable records are counted, the results included.
	records func(ctx context.Context, f *field) (float64, error)
	// prepare starts what it needs besides the broker and returns its program, not
	// started. An error of type notBuiltError leaves it out of the run.
	prepare func(ctx context.Context, f *field) (*program.Program, error)
	// killed: it is interrupted in the mid-flow test.
	killed bool
}

// notBuiltError says why a contestant cannot take part here.
type notBuiltError struct{ why string }

func (n notBuiltError) Error() string { return "not built: " + n.why }

// contestants is all of them.
func contestants() []contestant {
	journal := func(c contestant) contestant {
		c.stream, c.results, c.durable, c.records = job.JournalStream, "payment.refund.succeeded.>", "payment-consumer", journalRecords
		return c
	}
	peer := func(c contestant) contestant {
		c.stream, c.results, c.durable = job.ResultStream, job.ResultPrefix+">", base(c.name)
		return c
	}
	return []contestant{
		journal(contestant{
			name: "floor", prepare: prepareFloor, module: "github.com/nats-io/nats.go",
			tuning: "the same two guarded appends, one call and one acknowledgement; no decoding, no checks, no decision; 256 goroutines",
		}),
		journal(contestant{
			name: "countermand", prepare: prepareCountermand, killed: true,
			tuning: "the production binary; concurrency 256 (default), provider maxConcurrent 256 (default 32), all else default",
		}),
		journal(contestant{
			name: "countermand-unmarked", prepare: prepareUnmarked,
			tuning: "as countermand, but built so that it keeps no marks of the journal (which no setting can do)",
		}),
		journal(contestant{
			name: "countermand-witness", prepare: prepareWitness,
			tuning: "as countermand, with a file as the witness of its marks",
		}),
		journal(contestant{
			name: "countermand-unsafe", prepare: prepareUnsafe,
			tuning: "as countermand-witness, with refunds whose repeat is unsafe: each call waits until bucket and reading cover its started event",
		}),
		peer(contestant{
			name: "watermill", prepare: func(_ context.Context, f *field) (*program.Program, error) { return f.own(f.bin.watermill), nil },
			module: "github.com/ThreeDotsLabs/watermill-nats/v2", killed: true, records: resultRecords,
			tuning: "pkg/nats (which its documentation recommends for production) with a durable queue group, SubscribersCount 256, acknowledgements waited for as in its example; Deduplicator over SHA-256, which remembers in the process",
		}),
		peer(contestant{
			name: "watermill-async", prepare: func(_ context.Context, f *field) (*program.Program, error) {
				return f.own(f.bin.watermill, "--async"), nil
			},
			module: "github.com/ThreeDotsLabs/watermill-nats/v2", killed: true, records: resultRecords,
			tuning: "as watermill, but AckAsync",
		}),
		peer(contestant{
			name: "river", prepare: func(ctx context.Context, f *field) (*program.Program, error) { return prepareRiver(ctx, f) },
			module: "github.com/riverqueue/river", killed: true, records: riverRecords,
			tuning: "one Insert a command, 256 at a time, acknowledged once committed, unique by arguments; " + riverTuning,
		}),
		peer(contestant{
			name: "river-batched", prepare: func(ctx context.Context, f *field) (*program.Program, error) {
				return prepareRiver(ctx, f, "--batched")
			},
			module: "github.com/riverqueue/river", killed: true, records: riverRecords,
			tuning: "as river, but all commands that wait in one InsertMany",
		}),
		peer(contestant{
			name: "restate", prepare: prepareRestate, module: "github.com/restatedev/sdk-go", killed: true, records: restateRecords,
			tuning: "one service with the call and the publish each in a Run, commands sent through the ingress with an idempotency key, 256 at a time; write-ahead log not synced where the broker syncs lazily",
		}),
		peer(contestant{
			name: "temporal", prepare: prepareTemporal, module: "go.temporal.io/sdk", killed: true, records: asked,
			tuning: "a workflow a command under its id, two activities (15 s each), 16 pollers of each kind, 256 activities at a time, 4 history shards as in its development configuration, PostgreSQL as for river with 20 connections",
		}),
	}
}

// base is a contestant's name without the variant's.
func base(name string) string {
	name, _, _ = strings.Cut(name, "-")
	return name
}

const riverTuning = "PostgreSQL of the distribution with shared_buffers 256 MB, 20 connections, one queue, MaxWorkers 256, FetchCooldown 5 ms (default 100 ms), " +
	"FetchPollInterval 20 ms (default 1 s), a killed worker's job taken again after 15 s (default an hour); synchronous_commit off where the broker syncs lazily"

// field is one contestant in one world.
type field struct {
	contestant
	*world
	program *program.Program
	// helpers are servers that only this contestant needs.
	helpers []*program.Program
	// ask is how records are counted beside the streams, if they are.
	ask func(ctx context.Context) (float64, error)
}

// close ends the contestant and its servers, the world stays.
func (f *field) close() {
	if f.program != nil {
		f.program.Kill()
	}
	for i := len(f.helpers) - 1; i >= 0; i-- {
		f.helpers[i].Kill()
	}
}

func journalRecords(ctx context.Context, f *field) (float64, error) {
	return f.messages(ctx, job.JournalStream)
}

func resultRecords(ctx context.Context, f *field) (float64, error) {
	return f.messages(ctx, job.ResultStream)
}

func (f *field) messages(ctx context.Context, stream string) (float64, error) {
	nc, js, err := f.connect()
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	n, err := f.stored(ctx, js, stream)
	return float64(n), err
}

// program is a contestant of this module: all take the same flags.
func (f *field) own(binary string, more ...string) *program.Program {
	args := append([]string{"--nats", f.url, "--provider", f.address, "--concurrency", fmt.Sprint(concurrency)}, more...)
	return &program.Program{Name: f.name, Path: binary, Args: args, Dir: f.dir}
}

func prepareFloor(_ context.Context, f *field) (*program.Program, error) {
	return f.own(f.bin.floor), nil
}

func prepareCountermand(_ context.Context, f *field) (*program.Program, error) {
	return f.consumer("")
}

func prepareUnmarked(_ context.Context, f *field) (*program.Program, error) {
	p, err := f.consumer("")
	if err == nil {
		p.Path = f.bin.unmarked
	}
	return p, err
}

func prepareWitness(_ context.Context, f *field) (*program.Program, error) {
	return f.configured("", f.witness(), "")
}

func prepareUnsafe(_ context.Context, f *field) (*program.Program, error) {
	return f.configured("", f.witness(), "    refundRepeat: unsafe\n")
}

// witness is the setting of a file beside the consumer's.
func (f *field) witness() string {
	return fmt.Sprintf("journal: {witness: {file: %q}}\n", filepath.Join(f.dir, "witness.json"))
}

// consumer is a "consumer run" with a configuration of its own.
func (f *field) consumer(suffix string) (*program.Program, error) {
	return f.configured(suffix, "", "")
}

// configured is a "consumer run" with more settings, of its own and of its provider.
func (f *field) configured(suffix, settings, ofProvider string) (*program.Program, error) {
	free, err := f.ports.Free(1)
	if err != nil {
		return nil, err
	}
	secret := filepath.Join(f.dir, "secret")
	if err := os.WriteFile(secret, []byte("OPAYPRV-benchmark-0123456789abcdef"), 0o600); err != nil {
		return nil, fmt.Errorf("write secret: %w", err)
	}
	text := settings + fmt.Sprintf(`nats: {url: %q, replicas: %d}
admin: {listen: %q}
concurrency: %d
providers:
  - name: %s
    kind: opay
    baseURL: %q
    merchantID: "256612345678901"
    secretKey: {file: %q}
    callbackURL: https://shop.example/opay
    country: EG
    maxConcurrent: %d
`, f.url, f.opts.replicas, program.Local(free[0]), concurrency, job.Instance, f.address, secret, concurrency) + ofProvider
	file := filepath.Join(f.dir, "consumer"+suffix+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	setup := &program.Program{Name: "provision" + suffix, Path: f.bin.consumer, Args: []string{"provision", "--config", file}, Dir: f.dir}
	if err := setup.Run(); err != nil {
		return nil, err
	}
	return &program.Program{Name: "countermand" + suffix, Path: f.bin.consumer, Args: []string{"run", "--config", file}, Dir: f.dir}, nil
}

// enter starts a contestant in a world and waits until it has done the job once.
func enter(ctx context.Context, c contestant, w *world) (*field, *client, error) {
	f := &field{contestant: c, world: w}
	program, err := c.prepare(ctx, f)
	if err != nil {
		f.close()
		return nil, nil, err
	}
	f.program = program
	cl, err := listen(ctx, w.url, c.stream, c.results)
	if err != nil {
		f.close()
		return nil, nil, err
	}
	if err := f.program.Start(); err != nil {
		f.close()
		cl.close()
		return nil, nil, err
	}
	first, cancel := context.WithTimeout(ctx, readyFor)
	defer cancel()
	if _, err := cl.drive(first, 1, 1, nil, nil); err != nil {
		err = fmt.Errorf("wait for the first result of %s: %w%s", c.name, err, f.program.Tail())
		f.close()
		cl.close()
		return nil, nil, err
	}
	return f, cl, nil
}

// settleFor is how long the end of a run's acknowledgements is waited for: beyond
// the time after which the broker delivers again what was not acknowledged.
const settleFor = 75 * time.Second

// settled waits until no command is left unacknowledged.
func (f *field) settled(ctx context.Context) error {
	nc, js, err := f.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		n, err := pending(ctx, js, f.durable)
		if err == nil && n == 0 {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for acknowledgements: %d commands have none, %w", n, errors.Join(err, ctx.Err()))
		}
	}
}
