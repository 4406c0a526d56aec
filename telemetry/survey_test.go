package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/telemetry"
)

// open is the state of a payment with one open operation of that age.
func (b *bundle) open(status payment.Status, age time.Duration) payment.State {
	return payment.State{Operations: []payment.Operation{{
		Op: payment.Refund, Status: status, Open: &payment.Open{RequestedAt: b.clock.Now().Add(-age)},
	}}}
}

// pass makes one pass over j.
func (b *bundle) pass(s *telemetry.Survey) {
	b.t.Helper()
	if err := s.Pass(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func TestOpenOperationsAreCountedByTheStateTheJournalHas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	review := b.open(payment.StatusIndeterminate, time.Hour)
	review.Operations[0].Open.Review = &payment.Review{Since: b.clock.Now().Add(-10 * time.Minute)}
	done := payment.State{Operations: []payment.Operation{{Op: payment.Refund, Status: payment.StatusSucceeded}}}
	j := journalOf{
		{Provider: "opay-eg", Native: "1"}:  b.open(payment.StatusDeferred, time.Minute),
		{Provider: "opay-eg", Native: "2"}:  b.open(payment.StatusDeferred, time.Hour),
		{Provider: "opay-eg", Native: "3"}:  review,
		{Provider: "bento-uk", Native: "4"}: b.open(payment.StatusPending, time.Second),
		{Provider: "bento-uk", Native: "5"}: done,
		{Provider: "removed", Native: "6"}:  b.open(payment.StatusStarted, time.Second),
	}
	b.pass(telemetry.NewSurvey(b.metrics, j, nil))
	b.want("open_operations", "provider=opay-eg,state=deferred", 2)
	b.want("oldest_open_operation_seconds", "provider=opay-eg,state=deferred", 3600)
	b.want("open_operations", "provider=opay-eg,state=indeterminate", 1)
	b.want("review_required", "provider=opay-eg", 1)
	b.want("oldest_review_seconds", "provider=opay-eg", 600)
	b.want("open_operations", "provider=bento-uk,state=pending", 1)
	b.want("open_operations", "provider=bento-uk,state=started", 0)
	b.want("open_operations", "provider=unknown,state=started", 1)
	b.want("open_operations_complete", "", 1)
	b.clock.advance(time.Minute)
	b.want("oldest_open_operation_seconds", "provider=opay-eg,state=deferred", 3660)
}

func TestNothingIsSaidOfOpenOperationsBeforeTheFirstPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if n := len(b.series("open_operations")) + len(b.series("review_required")); n != 0 {
		t.Errorf("%d series", n)
	}
	b.want("open_operations_complete", "", 0)
}

// losing is a journal whose list forgets what it listed before.
type losing struct {
	journalOf

	lost bool
	fail func(payment.ID) error
}

func (l *losing) Open(ctx context.Context) ([]payment.ID, bool, error) {
	if l.lost {
		return nil, true, nil
	}
	return l.journalOf.Open(ctx)
}

func (l *losing) State(ctx context.Context, id payment.ID) (payment.State, error) {
	if l.fail != nil {
		if err := l.fail(id); err != nil {
			return payment.State{}, err
		}
	}
	return l.journalOf.State(ctx, id)
}

func TestAnOperationThatLostItsTimerStaysOpenUntilItEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := payment.ID{Provider: "opay-eg", Native: "1"}
	j := &losing{journalOf: journalOf{id: b.open(payment.StatusIndeterminate, time.Hour)}}
	s := telemetry.NewSurvey(b.metrics, j, nil)
	b.pass(s)
	j.lost = true
	b.pass(s)
	b.want("open_operations", "provider=opay-eg,state=indeterminate", 1)
	j.journalOf[id] = payment.State{Operations: []payment.Operation{{Status: payment.StatusSucceeded}}}
	b.pass(s)
	b.want("open_operations", "provider=opay-eg,state=indeterminate", 0)
}

func TestAPaymentThatCannotBeReadMakesTheCountIncompleteAndIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := &losing{journalOf: journalOf{}}
	for i := range 3 {
		j.journalOf[payment.ID{Provider: "opay-eg", Native: fmt.Sprint(i)}] = b.open(payment.StatusDeferred, time.Hour)
	}
	j.fail = func(id payment.ID) error {
		if id.Native == "1" {
			return errors.New("newer format")
		}
		return nil
	}
	s := telemetry.NewSurvey(b.metrics, j, nil)
	b.pass(s)
	b.want("open_operations", "provider=opay-eg,state=deferred", 2)
	b.want("open_operations_complete", "", 0)
	j.fail, j.lost = nil, true
	b.pass(s)
	b.want("open_operations", "provider=opay-eg,state=deferred", 3)
	b.want("open_operations_complete", "", 1)
}

func TestAJournalThatIsAwayLeavesTheLastCountStanding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := &losing{journalOf: journalOf{}}
	for i := range 20 {
		j.journalOf[payment.ID{Provider: "opay-eg", Native: fmt.Sprint(i)}] = b.open(payment.StatusPending, time.Hour)
	}
	s := telemetry.NewSurvey(b.metrics, j, nil)
	b.pass(s)
	asked := 0
	j.fail = func(payment.ID) error { asked++; return errors.New("away") }
	if err := s.Pass(context.Background()); err == nil || asked > 5 {
		t.Errorf("the pass ended with %v after %d questions", err, asked)
	}
	b.want("open_operations", "provider=opay-eg,state=pending", 20)
}

func TestReadsAreSpreadOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		j := journalOf{}
		for i := range 1000 {
			j[payment.ID{Provider: "opay-eg", Native: fmt.Sprint(i)}] = b.open(payment.StatusDeferred, time.Hour)
		}
		began := time.Now()
		b.pass(telemetry.NewSurvey(b.metrics, j, &telemetry.SurveyOptions{PerSecond: 100}))
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("1000 reads at 100 a second took %s", took)
		}
		b.want("open_operations", "provider=opay-eg,state=deferred", 1000)
	})
}

// counting counts the passes.
type counting struct {
	journalOf

	passes atomic.Int64
}

func (c *counting) Open(ctx context.Context) ([]payment.ID, bool, error) {
	c.passes.Add(1)
	return c.journalOf.Open(ctx)
}

// watched is a journal that is changed while a survey reads it, and that no
// timer lists.
type watched struct {
	mu     sync.Mutex
	states journalOf
	passes int
	takes  time.Duration // a pass
}

func (w *watched) Open(context.Context) ([]payment.ID, bool, error) {
	w.mu.Lock()
	w.passes++
	w.mu.Unlock()
	if w.takes > 0 {
		<-time.After(w.takes)
	}
	return nil, true, nil
}

func (w *watched) State(ctx context.Context, id payment.ID) (payment.State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states.State(ctx, id)
}

func (w *watched) set(id payment.ID, s payment.State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[id] = s
}

func (w *watched) made() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.passes
}

// running begins a survey that ends with the test's bubble.
func (b *bundle) running(t *testing.T, w *watched) *telemetry.Survey {
	t.Helper()
	s := telemetry.NewSurvey(b.metrics, w, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	synctest.Wait()
	return s
}

func TestWhatNeedsAPersonIsCountedWithinSecondsOfItsEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		id := payment.ID{Provider: "opay-eg", Native: "1"}
		review := b.open(payment.StatusIndeterminate, time.Hour)
		review.Operations[0].Open.Review = &payment.Review{Since: b.clock.Now()}
		w := &watched{states: journalOf{}}
		s := b.running(t, w)
		waits := func(what string, want float64) {
			t.Helper()
			began := time.Now()
			for got := want + 1; got != want && time.Since(began) < time.Minute; got, _ = b.value("review_required", "provider=opay-eg") {
				<-time.After(100 * time.Millisecond)
				synctest.Wait()
			}
			if took := time.Since(began); took > 5100*time.Millisecond {
				t.Errorf("%s was counted after %s", what, took)
			}
		}
		w.set(id, review)
		s.Changed(id, true) // right after a pass: the longest wait
		waits("what needs a person", 1)
		w.set(id, payment.State{Operations: []payment.Operation{{Op: payment.Refund, Status: payment.StatusSucceeded}}})
		s.Changed(id, false)
		waits("its end", 0)
	})
}

func TestHoweverMuchChangesASurveyDoesNotPassMoreOftenThanItMay(t *testing.T) {
	t.Parallel()
	for takes, most := range map[time.Duration]int{0: 13, 3 * time.Second: 5} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t)
			w := &watched{states: journalOf{}, takes: takes}
			id := payment.ID{Provider: "opay-eg", Native: "1"}
			w.states[id] = b.open(payment.StatusPending, time.Hour)
			s := b.running(t, w)
			for range 600 {
				s.Changed(id, true)
				<-time.After(100 * time.Millisecond)
			}
			if n := w.made(); n < most-1 || n > most {
				t.Errorf("%d passes in a minute of changes where one takes %s, want %d", n, takes, most)
			}
		})
	}
}

func TestTheEndOfWhatWasNeverCountedIsNoReasonToCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		w := &watched{states: journalOf{}}
		s := b.running(t, w)
		for n := range 100 {
			s.Changed(payment.ID{Provider: "opay-eg", Native: fmt.Sprint(n)}, false)
		}
		<-time.After(30 * time.Second)
		if n := w.made(); n != 1 {
			t.Errorf("%d passes", n)
		}
	})
}

func TestASurveyPassesOnceAMinuteUntilItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		j := &counting{}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		telemetry.NewSurvey(b.metrics, j, nil).Run(ctx)
		if n := j.passes.Load(); n < 10 || n > 12 {
			t.Errorf("%d passes in ten minutes", n)
		}
	})
}
