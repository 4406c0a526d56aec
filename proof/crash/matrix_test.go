package crash_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// shortPath is how many steps a path may have to be broken twice.
const shortPath = 9

// TestNoStepThatBreaksCostsAResultOrMovesMoneyTwice is the matrix.
func TestNoStepThatBreaksCostsAResultOrMovesMoneyTwice(t *testing.T) {
	t.Parallel()
	m := &matrix{
		world: newWorld(t), met: map[kind]int{}, broken: map[breakage]int{}, events: map[string]bool{}, said: map[string]bool{}, kept: map[string]bool{},
	}
	byProvider := map[string][]row{}
	for _, r := range rows(t) {
		byProvider[r.kind.Instance] = append(byProvider[r.kind.Instance], r)
		m.wanted += len(r.paths())
	}
	t.Run("matrix", func(t *testing.T) {
		for provider, rows := range byProvider {
			t.Run(provider, func(t *testing.T) {
				t.Parallel()
				m.provider(t, rows)
			})
		}
	})
	m.verify(t)
	m.report(t)
}

// provider runs the paths of a provider's rows one after the other, so that the
// sample is the same in each run; the cells of a path run side by side.
func (m *matrix) provider(t *testing.T, rows []row) {
	s := &sample{stride: stride, seen: map[breakage]bool{}}
	if rows[0].kind.Variant != "" {
		s.stride = variantStride
	}
	for _, r := range rows {
		for _, p := range r.paths() {
			t.Run(slug(string(r.name))+"/"+slug(p.name), func(t *testing.T) { m.path(t, r, p, s) })
		}
	}
}

// matrix collects what the cells found.
type matrix struct {
	world *world

	mu         sync.Mutex
	next       int
	wanted     int
	paths      int
	steps      int
	possible   int // cells there could be, with an undisturbed one for each path
	cells      int
	violations int
	calls      int
	moved      int
	met        map[kind]int
	broken     map[breakage]int // 0: possible, and not in any cell
	lines      []string
	// events, said and kept are the subjects that must be in the streams: each
	// once, and no others.
	events map[string]bool
	said   map[string]bool
	kept   map[string]bool
}

// path runs the path cleanly, to find its steps, and then breaks each of them
// in every way it can break.
func (m *matrix) path(t *testing.T, r row, p path, s *sample) {
	b := newBench(t, r, p)
	clean := m.cell(t, b, p, nil)
	if t.Failed() {
		return
	}
	if len(clean.trace) == 0 {
		t.Fatal("the harness found no step")
	}
	if got := clean.ends(); !slices.Equal(got, p.ends) {
		t.Errorf("the clean run ends %v, want %v: the path is not what its name says\n%v", got, p.ends, clean.trace)
	}
	m.mu.Lock()
	m.paths++
	m.steps += len(clean.trace) - clean.ruledFrom
	chosen, possible := s.plans(clean)
	m.possible += 1 + possible
	for b := range s.seen {
		m.broken[b] += 0
	}
	m.mu.Unlock()
	m.breakEach(t, b, clean, chosen)
}

// workers is how many cells of a path run side by side, each on a bench and a
// clock of its own: they wait for answers more than they work.
const workers = 3

// breakEach runs a cell for each plan.
func (m *matrix) breakEach(t *testing.T, first *bench, clean *cell, chosen []plan) {
	t.Helper()
	plans := make(chan plan)
	var working sync.WaitGroup
	for n := range min(workers, len(chosen)) {
		b := first
		if n > 0 {
			b = newBench(t, first.row, clean.path)
		}
		working.Go(func() {
			for breaks := range plans {
				m.breakOne(t, b, clean.path, breaks, clean)
			}
		})
	}
	for _, p := range chosen {
		plans <- p
	}
	close(plans)
	working.Wait()
}

// breakOne runs one cell, and with -pairs all that break a second step of it.
func (m *matrix) breakOne(t *testing.T, b *bench, p path, breaks plan, clean *cell) {
	t.Helper()
	once := m.cell(t, b, p, breaks)
	if len(once.struck) == 0 {
		return // a violation already: the step was never reached
	}
	n := once.struck[0] - 1
	if once.trace[n] != clean.trace[n] {
		t.Errorf("step %d is %s in one run and %s in another", n+1, clean.trace[n], once.trace[n])
	}
	if *pairs && len(clean.trace) <= shortPath {
		m.again(t, once)
	}
}

// again breaks a second step, after the first, of a run that is known.
func (m *matrix) again(t *testing.T, once *cell) {
	first := once.struck[0]
	for n := first; n < len(once.trace); n++ {
		for _, f := range once.trace[n].faults() {
			both := maps.Clone(once.plan)
			both[n+1] = f
			m.cell(t, once.bench, once.path, both)
		}
	}
}

// cell runs one cell and enters it.
func (m *matrix) cell(t *testing.T, b *bench, p path, breaks plan) *cell {
	t.Helper()
	m.mu.Lock()
	m.next++
	native := fmt.Sprintf("p%d", m.next)
	m.mu.Unlock()
	c := &cell{
		t: t, world: m.world, bench: b, path: p, plan: breaks, id: payment.ID{Provider: b.row.kind.Instance, Native: native},
	}
	for _, cmd := range p.commands {
		c.commands = append(c.commands, &cmd)
	}
	c.run()
	for _, v := range c.violations {
		t.Errorf("%s: %s\n  %s", c.plan, v, c.story())
	}
	m.enter(c)
	return c
}

// maxStory bounds a story.
const maxStory = 60

// story lists the steps of a cell, for whoever has to understand a violation.
func (c *cell) story() string {
	var b strings.Builder
	for i, s := range c.trace {
		if i == maxStory {
			fmt.Fprintf(&b, "and %d more", len(c.trace)-i)
			break
		}
		fmt.Fprintf(&b, "%d %s; ", i+1, s)
		if f := c.plan[i+1]; f != "" {
			fmt.Fprintf(&b, "[%s]; ", f)
		}
	}
	return b.String()
}

// ends says how each command ended.
func (c *cell) ends() []string {
	var all []string
	state := c.state()
	for _, cmd := range c.commands {
		op := operation(state, cmd)
		switch {
		case refuses(state, cmd) && c.answered(state, cmd):
			all = append(all, refused)
		case op == nil:
			all = append(all, "nothing")
		case op.Open != nil && op.Open.Review != nil:
			all = append(all, review)
		default:
			all = append(all, string(op.Status))
		}
	}
	return all
}

// sent counts the calls that were given to the adapter.
func (c *cell) sent() int {
	n := 0
	for _, k := range c.calls {
		if k.sent {
			n++
		}
	}
	return n
}

func (m *matrix) enter(c *cell) {
	moved := len(c.bench.base.Ledger().Movements(c.id.Native))
	name := "-"
	if len(c.struck) > 0 {
		name = c.trace[c.struck[0]-1].String()
	}
	line := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d", c.bench.row.kind.Instance, c.bench.row.name, c.path.name,
		name, c.plan, strings.Join(c.ends(), ", "), c.sent(), moved)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range c.history {
		subject, err := events.EventSubject(e.Op, e.Type, e.ID, e.Version())
		c.must(err)
		m.events[subject] = true
	}
	for _, a := range c.audits {
		m.events[events.OperatorSubject(a.Action, a.ULID)] = true
	}
	for token := range c.said {
		m.said[events.RejectedSubject(token)] = true
	}
	for token := range c.kept {
		m.kept[events.QuarantineSubject(token)] = true
	}
	m.lines = append(m.lines, line)
	m.cells++
	m.calls += c.sent()
	m.moved += moved
	m.violations += len(c.violations)
	for n, s := range c.trace {
		m.met[s.kind]++
		if f := c.plan[n+1]; f != "" {
			m.broken[breakage{s.kind, f}]++
		}
	}
}

// verify holds the streams against what the cells were judged by: nothing may
// be missing, nothing else may lie there, and nothing twice.
func (m *matrix) verify(t *testing.T) {
	t.Helper()
	for _, s := range []struct {
		stream jetstream.Stream
		want   map[string]bool
	}{{m.world.events, m.events}, {m.world.refusals, m.said}, {m.world.rejected, m.kept}} {
		got, err := subjects(t.Context(), s.stream)
		if err != nil {
			t.Fatal(err)
		}
		for subject, n := range got {
			if n != 1 || !s.want[subject] {
				t.Errorf("%s: %d messages that no cell knows of, or more than one", subject, n)
			}
		}
		if len(got) != len(s.want) {
			t.Errorf("the stream has %d subjects, the cells know %d", len(got), len(s.want))
		}
	}
}

// report prints the matrix, and fails if a tap was never met or a kind of step
// not broken in one of its ways.
func (m *matrix) report(t *testing.T) {
	t.Helper()
	if testing.Verbose() {
		slices.Sort(m.lines)
		var table strings.Builder
		w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "provider\toperation\tpath\tstep\tfault\tended as\tcalls\tmoved")
		for _, line := range m.lines {
			fmt.Fprintln(w, line)
		}
		_ = w.Flush() // into memory
		t.Logf("crash matrix:\n%s", table.String())
	}
	t.Logf("crash matrix: %d paths with %d steps, %d of %d cells, %d calls, %d movements, %d violations",
		m.paths, m.steps, m.cells, m.possible, m.calls, m.moved, m.violations)
	if m.paths < m.wanted {
		return // only some were asked for
	}
	for _, k := range kinds() {
		if m.met[k] == 0 {
			t.Errorf("no path came through %s", k)
		}
	}
	for b, n := range m.broken {
		if n == 0 {
			t.Errorf("no cell has %s at %s", b.fault, b.kind)
		}
	}
}
