package books_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/reconcile"
	"github.com/countermand/countermand/reconcile/books"
)

// scripted is a provider that answers as it is told and counts.
type scripted struct {
	traits  payment.Traits
	answers []payment.Outcome // the last one is repeated
	reading payment.Reading
	asked   []providers.Request
	reads   int
}

func (s *scripted) Traits() payment.Traits { return s.traits }

func (*scripted) Call(context.Context, providers.Request) payment.Outcome { panic("a call") }

func (s *scripted) QueryStatus(_ context.Context, r providers.Request) payment.Outcome {
	s.asked = append(s.asked, r)
	out := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return out
}

func (s *scripted) Read(context.Context, providers.Request) payment.Reading {
	s.reads++
	return s.reading
}

func instance(s *scripted) providers.Instance {
	return providers.Instance{Name: "p", Provider: s, Country: "EG", Policy: payment.Policy{CallTimeout: time.Second}}
}

func refunds(n int) []reconcile.Operation {
	var all []reconcile.Operation
	for range n {
		now := time.Now()
		all = append(all, reconcile.Operation{
			Payment: payment.ID{Provider: "p", Native: "1"}, Op: payment.Refund, Key: "k", Reference: "ours", Amount: &payment.Money{Value: 4, Currency: "EGP"},
			Last: payment.EventSucceeded, Effect: payment.EffectRefunded, Attempt: 2, Started: now, Changed: now,
		})
	}
	return all
}

func today() reconcile.Period {
	return reconcile.Period{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}
}

func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{answers: []payment.Outcome{{Result: payment.Succeeded}}}
		began := time.Now()
		if _, err := books.NewAsker(instance(s), 4).Ask(t.Context(), refunds(9), today()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); len(s.asked) != 9 || took != 2*time.Second {
			t.Errorf("%d questions in %s, want 9 in 2s", len(s.asked), took)
		}
		r := s.asked[0]
		if r.Reference != "ours" || r.Attempt != 2 || !r.InDoubt || r.Payment.Country != "EG" || r.Amount.Value != 4 {
			t.Errorf("asked as %+v", r)
		}
	})
}

func TestAProviderThatDoesNotAnswerIsAskedAgainAndNotForEver(t *testing.T) {
	t.Parallel()
	away := payment.Outcome{Code: payment.CodeProviderUnavailable}
	for name, c := range map[string]struct {
		answers []payment.Outcome
		asked   int
		took    time.Duration
	}{
		"answers the third time": {[]payment.Outcome{away, away, {Result: payment.Succeeded}}, 3, 1500 * time.Millisecond},
		"never answers":          {[]payment.Outcome{away}, 4, 3500 * time.Millisecond},
		"wants to be left alone": {[]payment.Outcome{{RetryAfter: 20 * time.Second}, {Result: payment.NotFound}}, 2, 20 * time.Second},
		"wants it for a day":     {[]payment.Outcome{{RetryAfter: 24 * time.Hour}, {Result: payment.NotFound}}, 2, time.Minute},
		"cannot tell":            {[]payment.Outcome{{Result: payment.Ambiguous}}, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{answers: c.answers}
			began := time.Now()
			out, err := books.NewAsker(instance(s), 0).Ask(t.Context(), refunds(1), today())
			if err != nil || out.Outcomes[0] == nil {
				t.Fatal(err)
			}
			if took := time.Since(began); len(s.asked) != c.asked || took != c.took {
				t.Errorf("%s: asked %d times in %s, want %d in %s", name, len(s.asked), took, c.asked, c.took)
			}
		})
	}
}

func TestAnEndedContextEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s := &scripted{answers: []payment.Outcome{{Code: payment.CodeProviderUnavailable}}}
		if _, err := books.NewAsker(instance(s), 0).Ask(ctx, refunds(1), today()); err == nil || len(s.asked) != 1 {
			t.Errorf("asked %d times, error %v", len(s.asked), err)
		}
	})
}

func TestAReadingThatAgreesNeedsNoFurtherQuestion(t *testing.T) {
	t.Parallel()
	for refunded, want := range map[int64]int{8: 0, 9: 2} {
		s := &scripted{
			answers: []payment.Outcome{{Result: payment.Succeeded}},
			reading: payment.Reading{OK: true, Status: payment.PaymentPartiallyRefunded, Refunded: &payment.Money{Value: refunded, Currency: "EGP"}},
		}
		s.traits.FullRefund.Prepare = payment.PrepareAlways
		if _, err := books.NewAsker(instance(s), 0).Ask(t.Context(), refunds(2), today()); err != nil {
			t.Fatal(err)
		}
		if s.reads != 1 || len(s.asked) != want {
			t.Errorf("%d refunded: %d reads and %d questions, want 1 and %d", refunded, s.reads, len(s.asked), want)
		}
	}
}
