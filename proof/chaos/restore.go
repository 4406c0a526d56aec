//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countermand/countermand/internal/program"
)

// restoreCommand is "chaos restore".
type restoreCommand struct {
	common

	Operations int           `help:"Operations of each kind that are lost, of each sort that moves money at once; a quarter as many of each other sort." default:"100"`
	Rows       []string      `help:"Only these rows, by name; default: all but majority." placeholder:"ROW"`
	AtOnce     int           `help:"Rows that are played side by side." default:"3"`
	AckWait    time.Duration `help:"How long the server waits for an acknowledgement." default:"12s"`
	Patience   time.Duration `help:"How long each step of a row may take." default:"3m"`
}

// Help is the long help text.
func (restoreCommand) Help() string {
	text := `Refunds at every kind, then takes from the journal what it knew, in one way a row: with real servers, real
processes and the simulated providers' own ledgers. The loss has to be noticed; it is accepted as
docs/journal-loss.md says, commands are repeated, and in the end is compared what was paid and told before and
after. Exit 1 if money moved twice, if what had succeeded was told otherwise, if a call went out that nothing makes
repeatable before the loss was accepted, if noticing took longer than five seconds, or if a row could not be played.

The rows:
`
	for _, row := range lossRows() {
		text += fmt.Sprintf("  %-10s %s\n", row.name, row.title)
	}
	return text + "\nExample: go run ./proof/chaos restore --operations 8 --rows whole,gone"
}

// Run plays the rows.
func (c *restoreCommand) Run(s *surroundings) error {
	rows := lossRows()
	for _, name := range c.Rows {
		if !slices.ContainsFunc(rows, func(r lossRow) bool { return r.name == name }) {
			return fmt.Errorf("there is no row %q", name)
		}
	}
	rows = slices.DeleteFunc(rows, func(r lossRow) bool {
		return !slices.Contains(c.Rows, r.name) && (len(c.Rows) > 0 || r.onRequest)
	})
	return c.with(s, func(dir string, bin binaries) (outcome, error) {
		s.say("%d rows, %d operations of each kind and sort; seed %d; in %s", len(rows), c.Operations, c.Seed, dir)
		r := &lossReport{Run: "restore", Seed: c.Seed, Operations: c.Operations, Rows: make([]*lossResult, len(rows))}
		began := time.Now()
		free := make(chan struct{}, max(1, c.AtOnce))
		ports := &program.Ports{}
		failed := make([]error, len(rows))
		var all sync.WaitGroup
		for _, i := range longestFirst(rows) {
			row := rows[i]
			free <- struct{}{}
			all.Go(func() {
				defer func() { <-free }()
				r.Rows[i], failed[i] = c.row(s, row, filepath.Join(dir, row.name), bin, ports)
			})
		}
		all.Wait()
		r.Seconds = time.Since(began).Seconds()
		return r, errors.Join(failed...)
	})
}

// longestFirst is the order in which rows are begun: those with elections to wait for
// take the longest.
func longestFirst(rows []lossRow) []int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rows[b].nodes - rows[a].nodes })
	return order
}

// row plays one row in a world of its own. What could not be done is part of the
// result; an error means that there is no world.
func (c *restoreCommand) row(s *surroundings, row lossRow, dir string, bin binaries, ports *program.Ports) (*lossResult, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of %s: %w", row.name, err)
	}
	w, err := newWorld(s.ctx, dir, bin, shape{
		nodes: max(1, row.nodes), consumers: max(1, row.consumers), ackWait: c.AckWait, timing: row.times(),
		direct: true, witness: row.witness, ports: ports,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", row.name, err)
	}
	defer w.close()
	began := time.Now()
	p := &lossPlay{
		world: w, row: row, seed: c.Seed, load: newWorkload(c.Seed, c.Operations), patience: c.Patience,
		say:    func(format string, args ...any) { s.say(row.name+": "+format, args...) },
		result: newLossResult(row),
	}
	if err := p.play(s.ctx); err != nil {
		p.result.note("%v", err)
	}
	p.result.Seconds = time.Since(began).Seconds()
	s.say("%s: done in %.0f s: %s", row.name, p.result.Seconds, p.result.line())
	return p.result, s.ctx.Err()
}

// lossTiming is the providers' settings of time: an operation that may have been
// lost is asked about after the longest call, and a person is asked soon.
const lossTiming = "timeout: %s, retry: {initial: 500ms, max: 2s, giveUpAfter: 1h}, poll: {initial: 1s, max: 2s}, reviewAfter: 2s"

// times is the row's settings of time.
func (r lossRow) times() string {
	timeout := "1s"
	if r.slow > 0 {
		timeout = (r.slow + 2*time.Second).String()
	}
	return fmt.Sprintf(lossTiming, timeout)
}

// consumer runs one of the operators' commands and returns what it printed. The
// error holds what it said went wrong.
func (w *world) consumer(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, said, err := w.command(ctx, append(args, "--config", w.operatorConfig)...)
	if err != nil {
		return out, fmt.Errorf("consumer %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said))
	}
	return out, nil
}
