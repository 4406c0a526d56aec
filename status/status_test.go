package status_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

var (
	first  = payment.ID{Provider: "opay-eg", Native: "1001.000"}
	second = payment.ID{Provider: "opay-ng", Native: "1001.000"}
)

// threeOperations is a payment with one ended, one open and one that waits for a person.
func threeOperations(t testing.TB) *book {
	b := newBook(t)
	b.event(first, "a", payment.StatusStarted, nil)
	b.event(first, "a", payment.StatusSucceeded, func(o *payment.Operation) {
		o.Moved, o.Effect, o.Basis, o.ProviderReference = &payment.Money{Value: 399, Currency: "EGP"}, payment.EffectRefunded, payment.BasisAnswer, "r-1"
		o.Full, o.Contradicted = true, true
	})
	b.event(first, "b", payment.StatusStarted, nil)
	b.event(first, "c", payment.StatusStarted, nil)
	b.event(first, "c", payment.StatusIndeterminate, func(o *payment.Operation) {
		o.Open.Review = &payment.Review{Reason: "two candidates", Since: start(), Question: "which?", SafeActions: []string{"query"}}
	})
	return b
}

func TestAPaymentsAnswerHasAllItsOperationsAndCostsOneRead(t *testing.T) {
	t.Parallel()
	b := threeOperations(t)
	r := b.reader(10)
	var got status.Answer
	var err error
	if n := b.costs(func() { got, err = r.Ask(t.Context(), status.Query{Provider: "opay-eg", Payment: "1001.000"}) }); n != 1 {
		t.Errorf("it took %d reads", n)
	}
	at := func(d time.Duration) events.Stamp { return events.Stamp{Time: start().Add(d)} }
	asked := &payment.Money{Value: 400, Currency: "EGP"}
	want := status.Answer{Provider: "opay-eg", Payment: "1001.000", Version: 5, Operations: []status.Operation{
		{
			Operation: payment.Refund, Status: "succeeded", Version: 2, Full: true, Moved: &payment.Money{Value: 399, Currency: "EGP"},
			Effect: payment.EffectRefunded, Basis: payment.BasisAnswer, Attempt: 1, ProviderReference: "r-1", Contradicted: true,
		},
		{
			Operation: payment.Refund, Key: "b", CommandID: "evt-b", CommandSource: "/shop", Status: "started", Version: 3, Amount: asked,
			Attempt: 1, RequestedAt: at(0), CallUntil: at(time.Minute),
		},
		{
			Operation: payment.Refund, Key: "c", CommandID: "evt-c", CommandSource: "/shop", Status: "reviewRequired", Version: 5, Amount: asked,
			Attempt: 1, RequestedAt: at(0), NextAttemptAt: at(time.Hour), Review: &status.Review{Reason: "two candidates", Since: at(0)},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOneOperationIsFoundByItsKeyOrItsCommandWhetherItHasEndedOrNot(t *testing.T) {
	t.Parallel()
	b := threeOperations(t)
	b.event(second, "a", payment.StatusStarted, nil) // the same key and payment elsewhere, a repeated event id too
	r := b.reader(10)
	for _, key := range []payment.Key{"a", "b", "c"} {
		o := command(key)
		queries := []status.Query{
			{Provider: "opay-eg", Payment: "1001.000", Operation: payment.Refund, Key: key},
			{Provider: "opay-eg", Payment: "1001.000", CommandID: o.CommandID, CommandSource: o.CommandSource},
		}
		if key != "a" {
			queries = append(queries, byCommand(key))
		}
		for _, q := range queries {
			got, err := r.Ask(t.Context(), q)
			if err != nil || got.Provider != "opay-eg" || got.Version != 5 || len(got.Operations) != 1 || got.Operations[0].Key != key {
				t.Errorf("%+v is answered %+v, %v", q, got, err)
			}
			if q.CommandID != "" && got.Operations[0].CommandID != o.CommandID {
				t.Errorf("%+v is answered %+v", q, got)
			}
		}
	}
}

func TestWhatHasNoEventIsNotFound(t *testing.T) {
	t.Parallel()
	b := threeOperations(t)
	r := b.reader(10)
	for _, q := range []status.Query{
		{Provider: "opay-eg", Payment: "1001"},
		{Provider: "opay-ua", Payment: "1001.000"},
		{Provider: "opay-eg", Payment: "1001.000", Operation: payment.Cancel, Key: "a"},
		{Provider: "opay-eg", Payment: "1001.000", Operation: payment.Refund, Key: "d"},
		{Provider: "opay-eg", Payment: "1001.000", CommandID: "evt-a", CommandSource: "/other"},
		{Provider: "opay-eg", Payment: "1001.000", CommandID: "evt-d", CommandSource: "/shop"},
		{CommandID: "evt-a", CommandSource: "/other"},
		{Provider: "opay-ng", CommandID: "evt-a", CommandSource: "/shop"}, // of another provider, where only this one may be told
	} {
		if got, err := r.Ask(t.Context(), q); codeOf(err) != status.CodeNotFound || len(got.Operations) > 0 {
			t.Errorf("%+v is answered %+v, %v", q, got, err)
		}
	}
}

func TestAJournalThatCannotBeReadIsNeverNotFound(t *testing.T) {
	t.Parallel()
	b := threeOperations(t)
	r := b.reader(10)
	if _, err := r.Ask(t.Context(), byCommand("b")); err != nil {
		t.Fatal(err)
	}
	b.fail = errors.New("no responders")
	for _, q := range []status.Query{
		{Provider: "opay-eg", Payment: "1001.000"},
		{Provider: "opay-eg", Payment: "1001.000", CommandID: "evt-a", CommandSource: "/shop"},
		byCommand("b"), byCommand("none"),
	} {
		_, err := r.Ask(t.Context(), q)
		if codeOf(err) != status.CodeUnavailable || !errors.Is(err, b.fail) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestAPaymentOfANewerFormatIsUnavailable(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.put(events.Message{
		Subject: "payment.refund.started.opay-eg.1.1",
		Data:    []byte(`{"id":"payment.refund.started.opay-eg.1.1","type":"payment.refund.started","data":{"commandId":"evt-a","commandSource":"/shop","state":{"format":99}}}`),
	})
	for _, q := range []status.Query{{Provider: "opay-eg", Payment: "1"}, byCommand("a")} {
		if _, err := b.reader(10).Ask(t.Context(), q); codeOf(err) != status.CodeUnavailable {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestAnAnswerSaysHowMuchOfThePaymentIsLeft(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.captured = &payment.Money{Value: 1000, Currency: "EGP"}
	b.event(first, "a", payment.StatusStarted, nil)
	b.event(first, "a", payment.StatusSucceeded, func(o *payment.Operation) {
		o.Moved, o.Effect = &payment.Money{Value: 400, Currency: "EGP"}, payment.EffectRefunded
	})
	b.event(first, "b", payment.StatusStarted, nil) // reserves 400 more
	got, err := b.reader(10).Ask(t.Context(), status.Query{Provider: "opay-eg", Payment: "1001.000"})
	if err != nil || got.Captured == nil || got.Captured.Value != 1000 || got.Refundable == nil || got.Refundable.Value != 200 {
		t.Errorf("captured %s, left %s, %v", payment.MoneyText(got.Captured), payment.MoneyText(got.Refundable), err)
	}
}
