package broker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
)

const (
	// wakeReads and wakeWrites are how many timers a sweep reads and brings forward a
	// second. What is brought forward becomes due at once, and goes through the limits of
	// its provider.
	wakeReads, wakeWrites = 500, 200
	// wakeAgain is the pause between two passes of a sweep: a command that was in hand
	// when the pause ended may have written its timer after the first one.
	wakeAgain = 30 * time.Second
	// wakeRetry is the pause after a pass that failed.
	wakeRetry = 5 * time.Second
)

// WakerOptions are the optional parts of a Waker; nil and zero mean the defaults.
type WakerOptions struct {
	// PerSecond bounds how many timers of a provider are brought forward a second, where
	// that is less than 200. Default: 200.
	PerSecond map[string]float64
	// Again is the pause between two passes; default half a minute.
	Again time.Duration
	Now   func() time.Time // default time.Now
	// Logger; default none.
	Logger *slog.Logger
	// Journal says whether commands may be taken in hand; default: they always may.
	Journal Journal
}

// Waker brings the timers of a provider forward when its pause has ended. In a pause
// they lie far ahead, so that operations that wait for days cost next to nothing.
//
// Every process sweeps when it sees that a provider is not paused: at its start and at
// each end of a pause. So a sweep that dies is finished by the others, or by the same
// process when it starts again, and nothing has to be remembered. A process that still
// takes the provider for paused, and puts a timer off once more, sweeps when it sees the
// end as well. Without any sweep each timer comes by itself, within the hour.
//
// A timer is brought forward only in the place of the one that was read. So several
// processes write each one once, and none that has moved on.
type Waker struct {
	js        jetstream.JetStream
	stream    string
	timers    *Timers
	perSecond map[string]float64
	again     time.Duration
	now       func() time.Time
	log       *slog.Logger
	journal   Journal

	mu   sync.Mutex
	news map[string]bool // what was told and is not taken in yet
	told chan struct{}   // holds one value while there are news
}

// NewWaker returns a waker of the topology's timers. It does no I/O until it runs.
func NewWaker(js jetstream.JetStream, t Topology, o *WakerOptions) *Waker {
	if o == nil {
		o = &WakerOptions{}
	}
	w := &Waker{
		js: js, stream: t.Due, timers: NewTimers(js, t), perSecond: o.PerSecond, again: cmp.Or(o.Again, wakeAgain),
		now: o.Now, log: o.Logger, journal: o.Journal, news: map[string]bool{}, told: make(chan struct{}, 1),
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if w.journal == nil {
		w.journal = noJournal{}
	}
	return w
}

// Paused takes in how a provider stands: see type Paused. It must be told after what
// decides about commands. It does not wait, and is safe for concurrent use.
func (w *Waker) Paused(provider string, paused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news[provider] = paused
	select {
	case w.told <- struct{}{}:
	default:
	}
}

// Run sweeps until ctx ends, each provider for itself.
func (w *Waker) Run(ctx context.Context) {
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	stops := map[string]context.CancelFunc{}
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.told:
		}
		for provider, paused := range w.take() {
			if stop := stops[provider]; stop != nil {
				stop()
				delete(stops, provider)
			}
			if paused {
				continue
			}
			inner, stop := context.WithCancel(ctx)
			stops[provider] = stop
			sweeps.Go(func() { w.sweep(inner, provider) })
		}
	}
}

// take takes the news in.
func (w *Waker) take() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.news
	w.news = map[string]bool{}
	return news
}

// sweep makes passes over a provider's timers: two at least, and until one finds nothing.
func (w *Waker) sweep(ctx context.Context, provider string) {
	limit := cmp.Or(min(w.perSecond[provider], wakeWrites), wakeWrites)
	p := pass{
		waker: w, filter: events.TimersAt(provider),
		reads: rate.NewLimiter(wakeReads, wakeReads/10), writes: rate.NewLimiter(rate.Limit(limit), max(int(limit/10), 1)),
	}
	failing := false
	for done := 0; await(ctx, w.journal); {
		before := p.woken
		err := p.run(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			failing = true
			w.log.Warn("what waited for the end of a pause cannot be brought forward, trying on", "provider", provider, "error", err.Error())
		case err == nil:
			failing = false
			done++
		}
		pause := w.again
		switch {
		case err != nil:
			pause = wakeRetry
		case done > 1 && p.woken == before:
			w.finished(provider, p.woken)
			return
		}
		if !sleep.For(ctx, pause) {
			return
		}
	}
}

func (w *Waker) finished(provider string, woken int) {
	if woken > 0 {
		w.log.Info("what waited for the end of a pause was brought forward", "provider", provider, "commands", woken)
	}
}

// pass reads the timers of one provider, from the oldest to the one that is newest when
// it begins.
type pass struct {
	waker         *Waker
	filter        string
	reads, writes *rate.Limiter
	woken         int // in all passes of a sweep
}

func (p *pass) run(ctx context.Context) error {
	lookup, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	s, err := p.waker.js.Stream(lookup, p.waker.stream)
	if err != nil {
		return err
	}
	state := s.CachedInfo().State
	for next := max(state.FirstSeq, 1); next <= state.LastSeq; {
		if err := p.reads.Wait(ctx); err != nil {
			return err
		}
		m, err := p.read(ctx, s, next)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return nil
		case err != nil:
			return err
		case m.Header.Get(headerPaused) != "":
			if err := p.wake(ctx, m); err != nil {
				return err
			}
		}
		next = m.Sequence + 1
	}
	return nil
}

func (p *pass) read(ctx context.Context, s jetstream.Stream, next uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(p.filter))
}

// wake brings one timer forward. It no longer says that it waits for the end of a pause.
func (p *pass) wake(ctx context.Context, m *jetstream.RawStreamMsg) error {
	if err := p.writes.Wait(ctx); err != nil {
		return err
	}
	timer := ReadTimer(m)
	timer.At = p.waker.now()
	replaced, err := p.waker.timers.replace(ctx, timer, m.Sequence)
	if replaced {
		p.woken++
	}
	return err
}
