//go:build unix

// Command chaos runs the service as it is run in production, as processes
// beside real servers, and breaks everything around it: consumers are killed and
// put to sleep, servers are killed and restarted, leaders step down,
// connections are cut, slowed down and silenced, providers lose answers, execute
// late and say nothing. At the end package compare holds three ledgers against each
// other: what was asked, what was said, and what happened.
//
// It is not part of the service and not of its tests' fast round: a run takes
// minutes. It leaves no process behind, also when it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/countermand/countermand/internal/sleep"
)

// errViolated ends a run that found something; the report has said what.
var errViolated = errors.New("a promise was broken, or the run was not what it should be")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// surroundings is what a command gets of the process it runs in.
type surroundings struct {
	ctx    context.Context //nolint:containedctx // lives as long as the one command that is run
	stdout io.Writer

	telling sync.Mutex // held over each line
	stderr  io.Writer
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var cli struct {
		Run  runCommand  `cmd:"" help:"Break everything, again and again, and compare the ledgers."`
		Kill killCommand `cmd:"" help:"Kill the service once in mid-flow and count the provider calls it repeats."`

		Restore restoreCommand `cmd:"" help:"Take from the journal what it knew, in every way, and compare what was paid and told before and after."`
		Healthy healthyCommand `cmd:"" help:"Strike servers and processes, and see that no loss of the journal is found where nothing was lost."`
	}
	parser, err := kong.New(&cli, kong.Name("chaos"), kong.Writers(stdout, stderr),
		kong.Description("Break everything around the service and compare what was asked, said and done."))
	if err != nil {
		return err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return k.Run(&surroundings{ctx: ctx, stdout: stdout, stderr: stderr})
}

// common is what all commands take.
type common struct {
	Seed       uint64 `help:"Seed of everything that is drawn; 0: by the clock." default:"0"`
	JSON       bool   `help:"The report as JSON." name:"json"`
	Keep       string `help:"Keep everything written (logs, streams, report.json) in this new directory." placeholder:"DIR" type:"path"`
	Consumer   string `help:"A consumer binary to use instead of building one." placeholder:"FILE" type:"path"`
	NATSServer string `help:"A nats-server binary to use instead of building one." name:"nats-server" placeholder:"FILE" type:"path"`
}

// outcome is a report of any command.
type outcome interface {
	// ok: every promise was kept, and the run was what it should be.
	ok() bool
	json(w io.Writer) error
	print(w io.Writer)
}

// with does the work in a directory, writes its report, and fails where that does not
// hold.
func (c *common) with(s *surroundings, work func(dir string, bin binaries) (outcome, error)) error {
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	dir, err := c.directory()
	if err != nil {
		return err
	}
	if c.Keep == "" {
		defer func() { _ = os.RemoveAll(dir) }() // a directory of our own under the system's temporary one
	}
	s.say("building")
	bin, err := build(s.ctx, dir, binaries{consumer: c.Consumer, server: c.NATSServer})
	if err != nil {
		return err
	}
	r, err := work(dir, bin)
	if err != nil {
		return err
	}
	if err := c.write(s, dir, r); err != nil {
		return err
	}
	if !r.ok() {
		return errViolated
	}
	return nil
}

func (c *common) directory() (string, error) {
	if c.Keep == "" {
		return os.MkdirTemp("", "countermand-chaos-")
	}
	if err := os.Mkdir(c.Keep, 0o700); err != nil {
		return "", fmt.Errorf("make directory to keep: %w", err)
	}
	return c.Keep, nil
}

func (c *common) write(s *surroundings, dir string, r outcome) error {
	f, err := os.Create(filepath.Join(dir, "report.json"))
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer f.Close()
	if err := r.json(f); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if c.JSON {
		return r.json(s.stdout)
	}
	r.print(s.stdout)
	return nil
}

// say tells people how it goes; the report alone is on standard output.
func (s *surroundings) say(format string, args ...any) {
	s.telling.Lock()
	defer s.telling.Unlock()
	fmt.Fprintf(s.stderr, "chaos: "+format+"\n", args...)
}

// tellEvery is how often progress is told.
const tellEvery = 10 * time.Second

// tell says every few seconds how far it is, until the returned function is
// called or the context ends.
func (s *surroundings) tell(ctx context.Context, t *told, want int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		began := time.Now()
		for sleep.For(ctx, tellEvery); ctx.Err() == nil; sleep.For(ctx, tellEvery) {
			settled, answers := t.counts()
			s.say("%3.0f s: %d of %d operations settled, %d messages refused", time.Since(began).Seconds(), settled, want, answers)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
