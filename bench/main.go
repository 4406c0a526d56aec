//go:build linux

// Command bench measures Countermand beside what people would use instead, and
// beside the floor that the broker itself sets. All do one job: take a refund
// command from JetStream, call a provider once, publish one result.
//
//	go run .                  the contestants in turn, several rounds
//	go run . kill             provider calls repeated after a SIGKILL in mid-flow
//	go run . growth           what becomes of it as journal and load grow
//	go run . record           record anew the events that the floor appends
//	go run . profile          where the consumer's processor time goes, for pprof
//	go run . redraw -json F   chart and tables anew, of what a run has written
//
// It starts every server it needs on free ports and removes everything it has
// written. Nothing but Go is needed for floor, countermand and watermill; river
// wants PostgreSQL and restate npm, and each is left out with a word where what it
// needs is missing. Temporal takes part only when it is named: its server is built
// first, which takes ten minutes. docs/performance.md has the figures and how to read them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	peers    []string
	n        int
	sync     string
	replicas int
	stored   int
	rounds   int
	inFlight []int
	delay    time.Duration
	kill     int
	json     string
	chart    string
	markdown string
	dir      string
	keep     bool
	growth   []string
	soak     time.Duration
	profile  string
}

func main() {
	// A reader that goes away ("… | head") must not end us before we have cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command does what the arguments say.
func command(ctx context.Context, args []string, out io.Writer) error {
	what := "contest"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		what, args = args[0], args[1:]
	}
	opts, err := parse(args)
	if err != nil {
		return err
	}
	if what == "redraw" {
		return redraw(opts)
	}
	bin, clean, err := build(ctx, opts)
	if err != nil {
		return err
	}
	defer clean()
	switch what {
	case "contest":
		return contest(ctx, bin, opts, out)
	case "kill":
		return killOnly(ctx, bin, opts, out)
	case "growth":
		return growth(ctx, bin, opts, out)
	case "record":
		return recordAnew(ctx, bin, opts)
	case "profile":
		return profile(ctx, bin, opts)
	default:
		return fmt.Errorf("there is no %q: contest, kill, growth, record, profile or redraw", what)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	peers := flags.String("peers", "floor,countermand,watermill,watermill-async,river,river-batched,restate", "contestants, in this order")
	flags.IntVar(&o.n, "n", 20_000, "commands of each run; a tenth with one in flight")
	flags.StringVar(&o.sync, "sync", "lazy", "when the broker writes to disk: lazy (its default) or always (before it acknowledges)")
	flags.IntVar(&o.replicas, "replicas", 1, "brokers, and copies of everything: 1 or 3")
	flags.IntVar(&o.stored, "stored", 0, "payments in the journal beforehand, two events each (floor and countermand)")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds")
	inFlight := flags.String("inflight", "1,64,256", "commands without a result at a time, one run each")
	provider := flags.String("provider", "instant", "how long the provider takes: instant, or a duration")
	flags.IntVar(&o.kill, "kill", 2000, "commands of the mid-flow SIGKILL test that follows; 0: no such test")
	flags.StringVar(&o.json, "json", "", "write everything to this file")
	flags.StringVar(&o.chart, "chart", "", "write a chart to this file (.svg or .png)")
	flags.StringVar(&o.markdown, "markdown", "", "write the tables to this file")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where stores are written; its disk is what is measured")
	flags.BoolVar(&o.keep, "keep", false, "keep stores and logs")
	parts := flags.String("parts", "stored,partial,pending,malformed,replicas", "growth: which parts")
	flags.StringVar(&o.profile, "to", "consumer.pprof", "profile: the file it is written to")
	flags.DurationVar(&o.soak, "soak", 0, "growth: watch the memory for so long")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.peers, o.growth = strings.Split(*peers, ","), strings.Split(*parts, ",")
	for _, f := range strings.Split(*inFlight, ",") {
		n, err := strconv.Atoi(f)
		if err != nil || n < 1 {
			return o, fmt.Errorf("in flight: %q is no number of commands", f)
		}
		o.inFlight = append(o.inFlight, n)
	}
	if *provider != "instant" {
		d, err := time.ParseDuration(*provider)
		if err != nil {
			return o, fmt.Errorf("provider: %w", err)
		}
		o.delay = d
	}
	switch {
	case o.sync != "lazy" && o.sync != "always":
		return o, fmt.Errorf("sync: %q is neither lazy nor always", o.sync)
	case o.replicas != 1 && o.replicas != 3:
		return o, fmt.Errorf("replicas: %d is neither 1 nor 3", o.replicas)
	case o.n < 10 || o.rounds < 1 || o.stored < 0 || o.kill < 0:
		return o, errors.New("n is at least 10, rounds at least 1, nothing is negative")
	}
	return o, o.known()
}

// known refuses names of contestants that there are not.
func (o options) known() error {
	var names []string
	for _, c := range contestants() {
		names = append(names, c.name)
	}
	for _, p := range o.peers {
		if !slices.Contains(names, p) {
			return fmt.Errorf("peers: there is no %q, only %s", p, strings.Join(names, ", "))
		}
	}
	return nil
}

// chosen are the contestants of the run, in the order asked for.
func (o options) chosen() []contestant {
	var out []contestant
	for _, p := range o.peers {
		for _, c := range contestants() {
			if c.name == p {
				out = append(out, c)
			}
		}
	}
	return out
}
