package telemetry

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/countermand/countermand/payment"
)

// openStates are the states an open operation can be in.
func openStates() []payment.Status {
	return []payment.Status{
		payment.StatusStarted, payment.StatusDeferred, payment.StatusPending, payment.StatusIndeterminate,
	}
}

// group counts operations and keeps the time since which the oldest one waits.
type group struct {
	count int
	since time.Time
}

func (g group) with(since time.Time) group {
	if g.count == 0 || since.Before(g.since) {
		g.since = since
	}
	g.count++
	return g
}

// age is how long the oldest one has waited; 0 if there is none.
func (g group) age(now time.Time) float64 {
	if g.count == 0 {
		return 0
	}
	return max(now.Sub(g.since), 0).Seconds()
}

// place is the labels of an open operation.
type place struct {
	provider string
	state    payment.Status
}

// tally is the result of one pass over the open operations.
type tally struct {
	open     map[place]group
	review   map[string]group
	complete bool
}

func newTally() *tally {
	return &tally{open: map[place]group{}, review: map[string]group{}, complete: true}
}

// add counts the open operations of one payment and reports whether it has any.
func (t *tally) add(provider string, s payment.State) bool {
	some := false
	for _, op := range s.Operations {
		if op.Status.Terminal() || op.Open == nil {
			continue
		}
		some = true
		p := place{provider, op.Status}
		t.open[p] = t.open[p].with(op.Open.RequestedAt)
		if op.Open.Review != nil {
			t.review[provider] = t.review[provider].with(op.Open.Review.Since)
		}
	}
	return some
}

// openGauges shows the newest tally; ages grow from scrape to scrape.
type openGauges struct {
	names []string
	now   func() time.Time

	open, oldest, review, oldestReview, complete *prometheus.Desc

	mu     sync.Mutex
	newest *tally
}

var _ prometheus.Collector = (*openGauges)(nil)

func newOpenGauges(names []string, now func() time.Time) *openGauges {
	return &openGauges{
		names: names, now: now,
		open:         describe("open_operations", "Operations that have not ended, by the state the journal has them in.", "provider", "state"),
		oldest:       describe("oldest_open_operation_seconds", "Age of the oldest operation that has not ended, since its command was published.", "provider", "state"),
		review:       describe("review_required", "Operations that wait for a person's decision; they count in open_operations too.", "provider"),
		oldestReview: describe("oldest_review_seconds", "How long the oldest operation has waited for a person's decision.", "provider"),
		complete:     describe("open_operations_complete", "1 if the last pass could read every open operation it counts; 0 before the first."),
	}
}

// show replaces the newest tally.
func (g *openGauges) show(t *tally) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.newest = t
}

// Describe implements prometheus.Collector.
func (g *openGauges) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.open, g.oldest, g.review, g.oldestReview, g.complete} {
		out <- d
	}
}

// Collect implements prometheus.Collector. Before the first pass nothing is
// known, and nothing is shown: zero would mean that nothing is open.
func (g *openGauges) Collect(out chan<- prometheus.Metric) {
	g.mu.Lock()
	t := g.newest
	g.mu.Unlock()
	put := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if t == nil {
		put(g.complete, 0)
		return
	}
	put(g.complete, yes(t.complete))
	now := g.now()
	for _, name := range append([]string{unknown}, g.names...) {
		for _, state := range openStates() {
			found := t.open[place{name, state}]
			put(g.open, float64(found.count), name, string(state))
			put(g.oldest, found.age(now), name, string(state))
		}
		put(g.review, float64(t.review[name].count), name)
		put(g.oldestReview, t.review[name].age(now), name)
	}
}
