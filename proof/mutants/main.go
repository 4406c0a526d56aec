// Command mutants shows that the proofs have teeth. It breaks the program on
// purpose, one deliberate bug at a time, and runs the simulation, and where that
// passes the crash matrix: each bug has to be caught by one of them. One that
// costs time alone, or that the simulation cannot notice, is for tests of handlers.
//
//	go run ./proof/mutants                 all of them
//	go run ./proof/mutants -only 'query'   those whose name matches
//	go run ./proof/mutants -list           what they are
//
// The sources are not touched: the compiler is given the broken file in place
// of the real one (-overlay). A bug whose place is no longer found exactly once
// is an error, so that the list stays true. Exit codes: 0 all caught, 1 one
// survived or could not be applied, 2 bad usage.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out io.Writer) int {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(out)
	only := flags.String("only", "", "regular expression: only bugs whose name matches")
	list := flags.Bool("list", false, "list the bugs and end")
	schedules := flags.Int("schedules", 20000, "how many schedules the simulation may take to catch one")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(out, "mutants:", err)
		return 2
	}
	if *list {
		return printList(out)
	}
	hunt := &hunt{schedules: *schedules, out: out}
	caught, all := 0, 0
	for _, m := range mutants() {
		if !wanted.MatchString(m.name) || ctx.Err() != nil {
			continue
		}
		all++
		if hunt.catch(ctx, m) {
			caught++
		}
	}
	fmt.Fprintf(out, "%d of %d deliberate bugs caught\n", caught, all)
	if caught < all || all == 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

func printList(out io.Writer) int {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, m := range mutants() {
		fmt.Fprintf(w, "%s\t%s\n", m.file, m.name)
	}
	if err := w.Flush(); err != nil {
		return 1
	}
	return 0
}

// mutant is one deliberate bug: in file, old becomes new.
type mutant struct {
	name, file, old, new string
}

// real reports whether the bug is in what only the crash matrix runs.
func (m mutant) real() bool {
	return strings.HasPrefix(m.file, "journal/stream/") || strings.HasPrefix(m.file, "broker/")
}

// slow reports whether the bug costs time alone.
func (m mutant) slow() bool { return slices.Contains(delaying(), m) }

type hunt struct {
	schedules int
	out       io.Writer
}

// catch reports whether a proof notices the bug.
func (h *hunt) catch(ctx context.Context, m mutant) bool {
	began := time.Now()
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		fmt.Fprintln(h.out, "mutants:", err)
		return false
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := m.overlay(dir)
	if err != nil {
		fmt.Fprintf(h.out, "ERROR     %s: %v\n", m.name, err)
		return false
	}
	for _, proof := range h.proofs(m) {
		how, err := test(ctx, overlay, proof)
		if err != nil {
			fmt.Fprintf(h.out, "ERROR     %s: %v\n", m.name, err)
			return false
		}
		if how != "" {
			fmt.Fprintf(h.out, "caught    %s\n          %s, %s: %s\n", m.name, filepath.Base(proof[0]), time.Since(began).Round(time.Second), how)
			return true
		}
	}
	fmt.Fprintf(h.out, "SURVIVED  %s\n", m.name)
	return false
}

// proofs are the tests that have to notice the bug, the likeliest first.
func (h *hunt) proofs(m mutant) [][]string {
	if m.slow() {
		return [][]string{{"./handlers", "-timeout", "4m", "-run", "TestAnOperationWhoseRequeryDied"}}
	}
	if slices.Contains(comingBack(), m) {
		return [][]string{{"./handlers", "-timeout", "4m", "-run", "ATimer|AfterItWaited|AcceptedLoss"}}
	}
	if slices.Contains(denying(), m) {
		return [][]string{{"./handlers", "-timeout", "4m", "-run", "Denied|NobodyUnderstands"}}
	}
	proofs := [][]string{
		{"./proof/simulation", "-timeout", "4m", "-run", "TestNoSchedule|TestWhatBroke", "-schedules", strconv.Itoa(h.schedules)},
		{"./proof/crash", "-timeout", "4m", "-run", "TestNoStep/matrix/opay", "-every"},
	}
	if slices.Contains(losing(), m) {
		return [][]string{{
			"./proof/simulation", "-timeout", "8m", "-run", "TestNoLoss|TestWhatBroke|TestWhatALoss|TestNoSchedule",
			"-schedules", "2000", "-losses", strconv.Itoa(h.schedules),
		}, {"./payment", "-run", "Loss|Lost|Presumed|ATimer"}, {"./integrity"}}
	}
	if m.real() {
		slices.Reverse(proofs)
	}
	return proofs
}

// overlay writes the broken file and the compiler's map to it.
func (m mutant) overlay(dir string) (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", fmt.Errorf("read source (run this from the repository's root): %w", err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("its place is found %d times in %s, want once", n, m.file)
	}
	broken := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil { // #nosec G703 -- our own list
		return "", fmt.Errorf("write broken source: %w", err)
	}
	absolute, err := filepath.Abs(m.file)
	if err != nil {
		return "", fmt.Errorf("find source: %w", err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {absolute: broken}})
	if err != nil {
		return "", fmt.Errorf("encode overlay: %w", err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return file, nil
}

// test runs one proof over the broken program and returns how it failed, or ""
// if it passed. One that does not end in its time has noticed something. Code
// that does not compile is an error: nothing was proved.
func test(ctx context.Context, overlay string, proof []string) (string, error) {
	args := append([]string{"test", "-count=1", "-failfast", "-overlay", overlay}, proof...)
	command := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- our own list
	text, err := command.CombinedOutput()
	if err == nil {
		return "", nil
	}
	var failed *exec.ExitError
	if !errors.As(err, &failed) || ctx.Err() != nil {
		return "", fmt.Errorf("run proof: %w", err)
	}
	if strings.Contains(string(text), "[build failed]") || strings.Contains(string(text), "[setup failed]") {
		return "", fmt.Errorf("the broken program does not compile:\n%s", text)
	}
	return reason(string(text)), nil
}

// reason picks the line that says what was noticed.
func reason(text string) string {
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if at := strings.Index(line, "_test.go:"); at >= 0 {
			if _, said, ok := strings.Cut(line[at:], ": "); ok {
				return said
			}
		}
		if strings.HasPrefix(line, "panic: ") {
			return line
		}
	}
	return "failed"
}
