package cli

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Gauge is a progress bar on a terminal and nothing elsewhere. It is safe for
// concurrent use.
type Gauge struct {
	world *World // nil: nothing is shown
	what  string

	mu  sync.Mutex
	bar *progressbar.ProgressBar // nil: not begun
}

// NewGauge returns a gauge on standard error that says what is going on. A quiet
// one shows nothing.
func NewGauge(w *World, quiet bool, what string) *Gauge {
	if quiet || !Terminal(w.Stderr) {
		return &Gauge{}
	}
	return &Gauge{world: w, what: what}
}

// Set shows how much of the total is done.
func (g *Gauge) Set(done, total uint64) {
	g.draw(int64(total), func(b *progressbar.ProgressBar) error { return b.Set64(int64(done)) })
}

// Add shows that n more are done of a total; a total below 0 is not known.
func (g *Gauge) Add(n int, total int64) {
	g.draw(total, func(b *progressbar.ProgressBar) error { return b.Add(n) })
}

// draw changes the bar. A bar that cannot be drawn harms nothing.
func (g *Gauge) draw(total int64, change func(*progressbar.ProgressBar) error) {
	if g.world == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bar == nil {
		g.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(Drawing(g.world.Stderr)), progressbar.OptionSetDescription(g.what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond))
	}
	_ = change(g.bar)
}

// End removes the bar.
func (g *Gauge) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bar != nil {
		_ = g.bar.Finish()
	}
}
