package telemetry_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/telemetry"
)

func TestEveryMetricIsNamedAndDescribedAsPrometheusAsks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.everything()
	problems, err := testutil.GatherAndLint(b.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestAnEventIsCountedOnceItIsAcceptedAndNotBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, result := range []handlers.AppendResult{handlers.AppendConflict, handlers.AppendRefused, handlers.AppendUnknown} {
		b.append(b.event(payment.EventSucceeded), result)
	}
	b.want("commands_total", "operation=refund,outcome=succeeded,provider=opay-eg", 0)
	b.append(b.event(payment.EventSucceeded), handlers.AppendAccepted)
	b.want("commands_total", "operation=refund,outcome=succeeded,provider=opay-eg", 1)
	b.want("command_age_seconds", "operation=refund,outcome=succeeded,provider=opay-eg", 1)
}

func TestWhatBecameOfACommandIsCountedByOutcome(t *testing.T) {
	t.Parallel()
	review := &payment.Review{Reason: "lost answer"}
	for _, row := range []struct {
		typ     payment.EventType
		review  *payment.Review
		outcome string
		ages    bool
	}{
		{payment.EventSucceeded, nil, "succeeded", true},
		{payment.EventFailed, nil, "failed", true},
		{payment.EventRejected, nil, "rejected", true},
		{payment.EventDeferred, nil, "deferred", false},
		{payment.EventPending, nil, "pending", false},
		{payment.EventIndeterminate, nil, "indeterminate", false},
		{payment.EventIndeterminate, review, "review_required", false},
		{payment.EventPending, review, "review_required", false},
	} {
		b := setup(t)
		e := b.event(row.typ)
		e.Review = row.review
		b.append(e, handlers.AppendAccepted)
		labels := "operation=refund,outcome=" + row.outcome + ",provider=opay-eg"
		b.want("commands_total", labels, 1)
		if _, ages := b.value("command_age_seconds", labels); ages != row.ages {
			t.Errorf("%s: age observed: %t, want %t", row.outcome, ages, row.ages)
		}
		total := 0.0
		for _, s := range b.series("commands_total") {
			total += s.value
		}
		if total != 1 {
			t.Errorf("%s: %v events counted in all", row.outcome, total)
		}
	}
}

func TestStartedCountsNoOutcomeAndARetryFromTheSecondAttemptOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for attempt := 1; attempt <= 3; attempt++ {
		e := b.event(payment.EventStarted)
		e.Attempt = attempt
		b.append(e, handlers.AppendAccepted)
	}
	b.want("provider_retries_total", "operation=refund,provider=opay-eg", 2)
	for _, s := range b.series("commands_total") {
		if s.value != 0 {
			t.Errorf("counted as an outcome: %s", s.labels)
		}
	}
}

func TestAMessageThatIsNoCommandCountsAsInvalidUnderNoProvider(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, end := b.metrics.Appending(context.Background(), handlers.Append{Rejection: &payment.Rejection{Code: payment.CodeInvalidCommand}})
	end(handlers.AppendAccepted)
	b.want("commands_total", "operation=unknown,outcome=invalid,provider=unknown", 1)
}

func TestRejectionsAreCountedByTheProviderTheirSubjectNamesAndSayNothingOfTheJournal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tell := func(subject string, result handlers.AppendResult) {
		_, end := b.metrics.Appending(context.Background(), handlers.Append{Rejection: &payment.Rejection{Code: payment.CodeInvalidCommand, OriginSubject: subject}})
		end(result)
	}
	_, refused := b.metrics.Appending(context.Background(), handlers.Append{Event: &payment.Event{Op: payment.Refund, Type: payment.EventStarted}})
	refused(handlers.AppendRefused)
	for _, subject := range []string{
		"payment.refund.requested.opay-eg", "payment.cancel.requested.opay-eg", "payment.refund.requested", "payment.due.refund",
		"payment.refund.requested.evil-one", "payment.refund.requested.evil-two",
	} {
		tell(subject, handlers.AppendAccepted)
	}
	b.want("journal_refusing", "", 1) // what lies beside the journal does not clear it
	tell("payment.refund.requested.opay-eg", handlers.AppendRefused)
	tell("payment.refund.requested.opay-eg", handlers.AppendUnknown)
	_, taken := b.metrics.Appending(context.Background(), handlers.Append{Event: &payment.Event{Op: payment.Refund, Type: payment.EventStarted}})
	taken(handlers.AppendAccepted)
	tell("payment.refund.requested.opay-eg", handlers.AppendRefused)
	b.want("journal_refusing", "", 0)
	b.want("rejections_total", "origin=opay-eg", 2)
	b.want("rejections_total", "origin=none", 2)
	b.want("rejections_total", "origin=other", 2)
	b.want("rejections_not_stored_total", "", 3)
}

// Whatever publishers and events name, the labels stay a closed set.
func TestOddNamesMakeNoSeries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.everything()
	b.tellOf("nobody", "x")
	before := b.labels()
	for _, odd := range []string{"", "nobody", "opay-eg2", "OPAY-EG", `a"b`, "4111111111111111", strings.Repeat("x", 300)} {
		b.tellOf(odd, payment.Op("chargeback "+odd))
	}
	for series := range b.labels() {
		if !before[series] {
			t.Errorf("a new series: %s", series)
		}
	}
	for series := range before {
		if strings.Contains(series, "nobody") {
			t.Errorf("an unconfigured provider is a label: %s", series)
		}
	}
}

// tellOf tells of everything under a provider and an operation.
func (b *bundle) tellOf(provider string, op payment.Op) {
	for _, typ := range []payment.EventType{
		payment.EventStarted, payment.EventSucceeded, payment.EventReturned, payment.EventExecutedLate,
	} {
		e := b.event(typ)
		e.ID.Provider, e.Op, e.Attempt = provider, op, 2
		b.append(e, handlers.AppendAccepted)
		b.append(e, handlers.AppendConflict)
	}
	b.call(provider, "refund", handlers.CallResult{Result: payment.Failed.String(), Unhealthy: true})
	j := journalOf{{Provider: provider, Native: "1"}: {Operations: []payment.Operation{{
		Op: op, Status: payment.StatusIndeterminate, Open: &payment.Open{Review: &payment.Review{}},
	}}}}
	if err := telemetry.NewSurvey(b.metrics, j, nil).Pass(context.Background()); err != nil {
		b.t.Error(err)
	}
}

// labels lists all series there are.
func (b *bundle) labels() map[string]bool {
	b.t.Helper()
	all := map[string]bool{}
	for name, list := range b.gather() {
		for _, s := range list {
			all[name+"{"+s.labels+"}"] = true
		}
	}
	return all
}

func TestAContradictedResultIsCountedByKindOfFact(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(b.event(payment.EventReturned), handlers.AppendAccepted)
	b.append(b.event(payment.EventExecutedLate), handlers.AppendAccepted)
	b.want("contradictions_total", "provider=opay-eg,type=returned", 1)
	b.want("contradictions_total", "provider=opay-eg,type=executed_late", 1)
}

func TestTheJournalRefusesUntilItAcceptsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, row := range []struct {
		result   handlers.AppendResult
		refusing float64
	}{
		{handlers.AppendAccepted, 0},
		{handlers.AppendRefused, 1},
		{handlers.AppendUnknown, 1},
		{handlers.AppendConflict, 1},
		{handlers.AppendAccepted, 0},
	} {
		b.append(b.event(payment.EventStarted), row.result)
		b.want("journal_refusing", "", row.refusing)
	}
	b.want("journal_append_seconds", "result=accepted", 2)
	b.want("conflicts_total", "provider=opay-eg", 1)
}

func TestAnUnhealthyAnswerStandsUntilTheNextAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call("opay-eg", "refund", handlers.CallResult{Result: "not_executed", Unhealthy: true})
	b.want("provider_unhealthy", "provider=opay-eg", 1)
	b.want("provider_unhealthy", "provider=bento-uk", 0)
	b.call("opay-eg", handlers.CallRead, handlers.CallResult{Result: "ok"})
	b.want("provider_unhealthy", "provider=opay-eg", 0)
	b.want("provider_call_seconds", "call=read,provider=opay-eg,result=ok", 1)
}

func TestATimersLagIsThatOfItsFirstDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	due := b.clock.Now()
	b.clock.advance(3 * time.Second)
	b.metrics.Handling(context.Background(), handlers.Delivery{Timer: true, Due: due}, payment.Command{})
	b.metrics.Handling(context.Background(), handlers.Delivery{Timer: true, Due: due, Redelivered: true}, payment.Command{})
	b.metrics.Handling(context.Background(), handlers.Delivery{}, payment.Command{})
	lag := b.series("timer_lag_seconds")[0]
	if lag.value != 1 || lag.sum != 3 {
		t.Errorf("%v lags, %v s in all", lag.value, lag.sum)
	}
	b.want("redeliveries_total", "stream=PAYMENT_DUE", 1)
	b.want("redeliveries_total", "stream=PAYMENT_COMMANDS", 0)
}

func TestWhatHoldsAnInstanceBackIsAskedOnEachScrape(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want("breaker_state", "provider=opay-eg", 0)
	b.standing["opay-eg"] = handlers.Standing{Paused: true, Breaker: payment.BreakerOpen}
	b.standing["bento-uk"] = handlers.Standing{Breaker: payment.BreakerProbe}
	b.standing["nobody"] = handlers.Standing{Paused: true}
	b.want("breaker_state", "provider=opay-eg", 2)
	b.want("breaker_state", "provider=bento-uk", 1)
	b.want("instance_paused", "provider=opay-eg", 1)
	b.want("instance_paused", "provider=bento-uk", 0)
	if n := len(b.series("instance_paused")); n != 2 {
		t.Errorf("%d instances shown", n)
	}
}

func TestReadinessIsAskedOnEachScrape(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.want("ready", "", 0)
	b.ready = true
	b.want("ready", "", 1)
}

func TestMessagesInHandAreThoseTakenAndNotDisposed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.metrics.Taken(false)
	b.metrics.Taken(false)
	b.metrics.Disposed(false, handlers.Later, time.Second)
	b.want("messages_in_hand", "stream=PAYMENT_COMMANDS", 1)
	b.want("dispositions_total", "disposition=later,stream=PAYMENT_COMMANDS", 1)
}

func TestTwoServicesDoNotShareARegistryByAccident(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := telemetry.New(registry, telemetry.Names{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := telemetry.New(registry, telemetry.Names{}, nil); err == nil {
		t.Error("registered twice")
	}
}
