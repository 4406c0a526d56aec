package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/payment"
)

// Journal is what a Survey reads.
type Journal interface {
	// Open lists the payments that may have an open operation, none twice.
	// complete is false if there are more than it lists.
	Open(ctx context.Context) (payments []payment.ID, complete bool, err error)
	// State is the payment's newest state.
	State(ctx context.Context, id payment.ID) (payment.State, error)
}

// SurveyOptions are the optional parts of a Survey; nil and zero values mean
// the defaults.
type SurveyOptions struct {
	Logger *slog.Logger // default: discards
	// Every is the pause between two passes; default one minute. It varies by a
	// tenth, so that replicas do not make their passes at the same time.
	Every time.Duration
	// PerSecond is how many payments are read per second at most; default 500. Then
	// 10,000 open operations take 20 seconds and a small part of the server's time.
	PerSecond int
}

// Survey counts the open operations on a schedule, and soon after Changed reports a
// change. Every replica finds the same numbers: queries take the maximum.
type Survey struct {
	metrics   *Metrics
	journal   Journal
	log       *slog.Logger
	every     time.Duration
	perSecond int
	news      chan struct{} // holds one value while a change is not counted yet

	mu sync.Mutex
	// told are the payments that Changed reported since the last pass began.
	told map[payment.ID]bool
	// known are the payments that had an open operation in the last pass. They are
	// read again even if no timer lists them any more: an operation that has lost
	// its timer must stay in the metrics.
	known map[payment.ID]bool
}

const (
	surveyEvery = time.Minute
	readsASec   = 500
	// readFor bounds one read.
	readFor = 5 * time.Second
	// bursts is how many bursts of reads a pass makes per second. It waits after each.
	bursts = 10
	// hopeless is the number of failed reads in a row after which a pass gives up.
	hopeless = 5
	// maxKnown bounds what is remembered between two passes.
	maxKnown = 100_000
	// The pause between two passes is at least atLeast, and at least share times as
	// long as the last pass took: the more is open, the less often it is counted.
	atLeast = 5 * time.Second
	share   = 4
)

// NewSurvey returns a survey that shows what it finds in m. It does no I/O.
func NewSurvey(m *Metrics, j Journal, o *SurveyOptions) *Survey {
	s := &Survey{
		metrics: m, journal: j, log: slog.New(slog.DiscardHandler), every: surveyEvery, perSecond: readsASec,
		news: make(chan struct{}, 1), told: map[payment.ID]bool{}, known: map[payment.ID]bool{},
	}
	if o == nil {
		return s
	}
	if o.Logger != nil {
		s.log = o.Logger
	}
	if o.Every > 0 {
		s.every = o.Every
	}
	if o.PerSecond > 0 {
		s.perSecond = o.PerSecond
	}
	return s
}

// Run makes one pass after the other until ctx ends. A pass that fails does not
// change the metrics.
func (s *Survey) Run(ctx context.Context) {
	for {
		began := time.Now()
		if err := s.Pass(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("open operations could not be counted", "error", err.Error())
		}
		spread := time.Duration(rand.Int64N(int64(s.every)/5 + 1)) //nolint:gosec // nothing secret: it keeps replicas from keeping step
		if !s.rest(ctx, s.every-s.every/10+spread, max(atLeast, share*time.Since(began))) {
			return
		}
	}
}

// rest waits for d. After least it also ends as soon as there is a change. It
// reports whether ctx is still alive.
func (s *Survey) rest(ctx context.Context, d, least time.Duration) bool {
	least = min(least, d)
	if !sleep.For(ctx, least) {
		return false
	}
	timer := time.NewTimer(d - least)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.news:
	case <-timer.C:
	}
	return true
}

// Changed reports an event of a payment: a person is needed now (review), or an
// operation has ended. The next pass comes soon and also reads this payment, which
// may have no timer yet. The end of an operation that was not counted is ignored.
// Changed does not wait, and is safe for concurrent use.
func (s *Survey) Changed(id payment.ID, review bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !review && !s.known[id] && !s.told[id] || len(s.told) >= maxKnown {
		return
	}
	s.told[id] = true
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// Pass counts once. It is not safe for concurrent use.
func (s *Survey) Pass(ctx context.Context) error {
	listed, complete, err := s.journal.Open(ctx)
	if err != nil {
		return fmt.Errorf("list open operations: %w", err)
	}
	t := newTally()
	t.complete = complete
	known := map[payment.ID]bool{}
	misses, burst := 0, max(s.perSecond/bursts, 1)
	for i, id := range s.payments(listed) {
		if i%burst == burst-1 && !sleep.For(ctx, time.Second*time.Duration(burst)/time.Duration(s.perSecond)) {
			return ctx.Err()
		}
		state, err := s.read(ctx, id)
		switch {
		case err != nil && misses+1 >= hopeless:
			return fmt.Errorf("read open operations: %w", err)
		case err != nil:
			misses++
			t.complete = false
			known[id] = true // not known to have ended
			continue
		}
		misses = 0
		if t.add(s.metrics.provider(id.Provider), state) && len(known) < maxKnown {
			known[id] = true
		}
	}
	s.mu.Lock()
	s.known = known
	s.mu.Unlock()
	s.metrics.open.show(t)
	return nil
}

// payments are the listed ones, the known ones and those that Changed reported,
// each once. The reported ones become known: they are read again if this pass fails.
func (s *Survey) payments(listed []payment.ID) []payment.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.news:
	default:
	}
	for id := range s.told {
		s.known[id] = true
	}
	clear(s.told)
	all := listed
	rest := make(map[payment.ID]bool, len(s.known))
	for id := range s.known {
		rest[id] = true
	}
	for _, id := range listed {
		delete(rest, id)
	}
	for id := range rest {
		all = append(all, id)
	}
	return all
}

func (s *Survey) read(ctx context.Context, id payment.ID) (payment.State, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readFor, errors.New("no answer for "+readFor.String()))
	defer cancel()
	return s.journal.State(ctx, id)
}
