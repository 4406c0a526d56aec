package telemetry_test

import (
	"context"
	"errors"
	"fmt"
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
