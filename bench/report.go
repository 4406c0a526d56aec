//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/countermand/countermand/bench/judge"
)

// report is everything a run found; it is also the JSON.
type report struct {
	Date     time.Time `json:"date"`
	Machine  machine   `json:"machine"`
	Settings settings  `json:"settings"`
	Entries  []*entry  `json:"contestants"`
	Targets  []target  `json:"goals"`

	json, plot, tables string
}

type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Server     string `json:"natsServer"`
	Load       string `json:"loadBefore"`
}

type settings struct {
	N        int    `json:"n"`
	Sync     string `json:"sync"`
	Replicas int    `json:"replicas"`
	Stored   int    `json:"stored"`
	Rounds   int    `json:"rounds"`
	InFlight []int  `json:"inFlight"`
	Provider string `json:"provider"`
}

func newReport(o options, bin binaries) *report {
	provider := "instant"
	if o.delay > 0 {
		provider = o.delay.String()
	}
	return &report{
		Date: time.Now().UTC(), json: o.json, plot: o.chart, tables: o.markdown,
		Machine: machine{
			CPU: line("/proc/cpuinfo", "model name"), Memory: line("/proc/meminfo", "MemTotal"), Kernel: first("/proc/sys/kernel/osrelease"),
			Load: first("/proc/loadavg"), Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), Go: runtime.Version(), Server: said(bin.server, "--version"),
		},
		Settings: settings{o.n, o.sync, o.replicas, o.stored, o.rounds, o.inFlight, provider},
	}
}

// line is the value of a "name: value" line of a file, or nothing.
func line(file, name string) string {
	b, _ := os.ReadFile(file)
	for l := range strings.Lines(string(b)) {
		if before, after, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

func first(file string) string {
	b, _ := os.ReadFile(file)
	return strings.TrimSpace(string(b))
}

// said is what a program prints, or nothing.
func said(path string, args ...string) string {
	b, _ := exec.CommandContext(context.Background(), path, args...).Output() // moments; what says nothing has no version
	return strings.TrimSpace(string(b))
}

// version is that of a contestant: its module's as built in, or the commit.
func version(bin binaries, c contestant) string {
	switch base(c.name) {
	case "countermand":
		text := said("git", "describe", "--always", "--dirty")
		return "commit " + text
	case "restate":
		return "server " + restateVersion + ", sdk " + built(bin.restate, c.module)
	case "temporal":
		return "server " + temporalVersion + ", sdk " + built(bin.temporal, c.module)
	case "river":
		folder, err := postgresFolder()
		if err != nil {
			return built(bin.river, c.module)
		}
		return built(bin.river, c.module) + " on " + said(folder+"/postgres", "--version")
	case "watermill":
		return built(bin.watermill, c.module) + ", watermill " + built(bin.watermill, "github.com/ThreeDotsLabs/watermill")
	default:
		return "nats.go " + built(bin.floor, c.module)
	}
}

// built is a module's version in a binary.
func built(path, module string) string {
	for l := range strings.Lines(said("go", "version", "-m", path)) {
		if f := strings.Fields(l); len(f) > 2 && f[0] == "dep" && f[1] == module {
			return f[2]
		}
	}
	return "?"
}

// over is the spread of a figure over the rounds with so many in flight.
func (e *entry) over(inFlight int, figure func(measured) float64) judge.Spread {
	var values []float64
	for _, m := range e.Runs {
		if m.InFlight == inFlight {
			values = append(values, figure(m))
		}
	}
	return judge.Over(values)
}

// by is the spread of a figure's ratio to another contestant's in the same round:
// what the machine does meanwhile changes from round to round, and for both alike.
func (e *entry) by(other *entry, inFlight int, figure func(measured) float64) judge.Spread {
	var ratios []float64
	for _, m := range e.Runs {
		for _, o := range other.Runs {
			if m.InFlight == inFlight && o.InFlight == inFlight && m.Round == o.Round {
				ratios = append(ratios, judge.Ratio(figure(m), figure(o)))
			}
		}
	}
	return judge.Over(ratios)
}

func perSecond(m measured) float64 { return m.perSecond() }
func p50(m measured) float64       { return float64(m.P50) / 1e6 }
func p99(m measured) float64       { return float64(m.P99) / 1e6 }
func cpu(m measured) float64       { return float64(m.CPU) / 1e3 }
func helperCPU(m measured) float64 { return float64(m.HelperCPU) / 1e3 }
func allCPU(m measured) float64    { return float64(m.AllCPU) / 1e3 }
func brokerCPU(m measured) float64 { return float64(m.BrokerCPU) / 1e3 }

func (e *entry) printRound(out io.Writer, round int) {
	for _, m := range e.Runs {
		if m.Round == round {
			fmt.Fprintf(out, "  %4d in flight: %7.0f/s, p50 %6.2f ms, p99 %7.2f ms, %4.0f µs CPU, %s\n", m.InFlight, m.perSecond(), p50(m), p99(m), cpu(m), m.Verdict)
		}
	}
}

// right reports whether every run of an entry gave exactly the right results.
func (e *entry) right() bool {
	return !slices.ContainsFunc(e.Runs, func(m measured) bool { return !m.Verdict.Right() }) && e.Repeated == 0 && e.Fault == ""
}

// verdict is right, or what is not.
func (e *entry) verdict() string {
	switch {
	case e.Fault != "":
		return "FAILED"
	case !e.right():
		return fmt.Sprintf("WRONG, %d calls repeated", e.Repeated)
	default:
		return "right"
	}
}

// write prints the tables and writes the files; a contestant with a wrong result
// is an error.
func (r *report) write(out io.Writer) error {
	fmt.Fprintf(out, "\n%s, %d cores, GOMAXPROCS %d, %s, Linux %s, %s, %s\n", r.Machine.CPU, r.Machine.Cores, r.Machine.GOMAXPROCS, r.Machine.Memory, r.Machine.Kernel, r.Machine.Go, r.Machine.Server)
	fmt.Fprintf(out, "%s; load before: %s; n %d, sync %s, %d replica(s), %d payments stored, provider %s, %d round(s): median (least to most)\n\n",
		r.Date.Format(time.RFC3339), r.Machine.Load, r.Settings.N, r.Settings.Sync, r.Settings.Replicas, r.Settings.Stored, r.Settings.Provider, r.Settings.Rounds)
	r.throughput(out)
	r.costs(out)
	r.marks(out)
	r.Targets = r.targets()
	r.printTargets(out)
	if err := r.writeKills(out); err != nil {
		return err
	}
	for _, e := range r.Entries {
		fmt.Fprintf(out, "%s: %s; %s\n", e.Name, e.Version, e.Tuning)
	}
	if r.plot != "" {
		if err := r.chart(r.plot); err != nil {
			return err
		}
	}
	for _, e := range r.Entries {
		switch {
		case e.Fault != "":
			return fmt.Errorf("%s could not be measured: %s", e.Name, e.Fault)
		case !e.right():
			return fmt.Errorf("%s: its results are not right", e.Name)
		}
	}
	return nil
}

// throughput is the table of speed and latency.
func (r *report) throughput(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "contestant\tin flight\tcommands/s\t\t/ floor\t/ countermand\t/ unmarked\tp50 ms\t\tp99 ms\t")
	for _, e := range r.Entries {
		if e.Skipped != "" {
			fmt.Fprintf(t, "%s\tskipped: %s\n", e.Name, e.Skipped)
			continue
		}
		for _, k := range r.Settings.InFlight {
			s, l, tail := e.over(k, perSecond), e.over(k, p50), e.over(k, p99)
			fmt.Fprintf(t, "%s\t%d\t%.0f\t(%.0f to %.0f)\t%s\t%s\t%s\t%.2f\t(%.2f to %.2f)\t%.2f\t(%.2f to %.2f)\n", e.Name, k, s.Median, s.Min, s.Max,
				r.ratio(e, "floor", k), r.ratio(e, "countermand", k), r.ratio(e, "countermand-unmarked", k), l.Median, l.Min, l.Max, tail.Median, tail.Min, tail.Max)
		}
	}
	_ = t.Flush() // out has said so already
	fmt.Fprintln(out)
}

// ratio is a throughput by another contestant's, or a dash.
func (r *report) ratio(e *entry, to string, inFlight int) string {
	if other := r.entry(to); other != nil {
		return fmt.Sprintf("%.2f", e.by(other, inFlight, perSecond).Median)
	}
	return "–"
}

// costs is the table of what a command costs, at the most in flight.
func (r *report) costs(out io.Writer) {
	most := slices.Max(r.Settings.InFlight)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "contestant\tµs CPU a command\tits own servers\tbroker\tall\tpeak memory MB\tits own servers\trecords a command\tresults\n")
	for _, e := range r.Entries {
		if e.Skipped != "" {
			continue
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%s\n", e.Name, e.over(most, cpu).Median, e.over(most, helperCPU).Median, e.over(most, brokerCPU).Median, e.over(most, allCPU).Median,
			megabytes(e.Peak), megabytes(e.HelperPeak), judge.Over(e.Records).Median, e.verdict())
	}
	_ = t.Flush() // out has said so already
	fmt.Fprintln(out)
}

// marks compares the contestants that keep marks of the journal with the one that
// keeps none, round by round: speed, latency, and whether anything more was done.
func (r *report) marks(out io.Writer) {
	without := r.entry("countermand-unmarked")
	if without == nil {
		return
	}
	for _, e := range r.Entries {
		if base(e.Name) != "countermand" || r.entry(e.Name) == nil {
			continue
		}
		for _, k := range r.Settings.InFlight {
			if e == without {
				break
			}
			s, l := e.by(without, k, perSecond), e.by(without, k, p50)
			fmt.Fprintf(out, "%s by countermand-unmarked, %d in flight: throughput %.3f (%.3f to %.3f), p50 %.3f (%.3f to %.3f)\n",
				e.Name, k, s.Median, s.Min, s.Max, l.Median, l.Min, l.Max)
		}
		fmt.Fprintf(out, "%s: %.4f events a command, %d provider calls, %d repeated, %d queries\n",
			e.Name, judge.Over(e.Records).Median, e.Calls, e.Repeated, e.Queries)
	}
	fmt.Fprintln(out)
}

func megabytes(rounds []int64) float64 {
	var values []float64
	for _, b := range rounds {
		values = append(values, float64(b)/(1<<20))
	}
	return judge.Over(values).Median
}

// writeKills prints what the interruptions led to, and writes the JSON.
func (r *report) writeKills(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, e := range r.Entries {
		if e.Kill != nil {
			fmt.Fprintf(t, "SIGKILL at %d of %d\t%s\t%s\n", e.Kill.Answered, e.Kill.Commands, e.Name, e.Kill)
		}
	}
	_ = t.Flush() // out has said so already
	fmt.Fprintln(out)
	if r.tables != "" {
		if err := r.markdown(r.tables); err != nil {
			return err
		}
	}
	if r.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(r.json, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
