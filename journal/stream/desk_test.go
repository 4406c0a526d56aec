package stream_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/natstest"
	"github.com/countermand/countermand/journal/journaltest"
	"github.com/countermand/countermand/journal/stream"
	"github.com/countermand/countermand/payment"
)

func TestAPaymentsHistoryAndOperatorsActionsAreReadBackInOrderAndApart(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	natstest.CreateStream(t, js, natstest.EventsConfig(1))
	j, err := stream.New(js.Conn(), events.NewEncoder(nil), &stream.Options{Stream: natstest.EventsStream})
	if err != nil {
		t.Fatal(err)
	}
	id, other := payment.ID{Provider: "opay-eg", Native: "10.01"}, payment.ID{Provider: "opay-eg", Native: "10"}
	var last uint64
	for version := uint64(1); version <= 3; version++ {
		if last, err = j.Append(t.Context(), last, journaltest.Event(id, version, "a")); err != nil {
			t.Fatal(err)
		}
		if version == 1 {
			if _, err := j.Append(t.Context(), 0, journaltest.Event(other, 1, "b")); err != nil {
				t.Fatal(err)
			}
		}
		a := journaltest.Action(int(version))
		a.Moved, a.ProviderReference, a.Follows, a.Outcome = &payment.Money{Value: 4, Currency: "EUR"}, "rf", "f", "refused"
		if err := j.AppendOperator(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	all, complete, err := j.History(t.Context(), id)
	if err != nil || !complete || len(all) != 3 {
		t.Fatalf("history has %d events, complete %t, %v", len(all), complete, err)
	}
	for i, e := range all {
		if e.State.Version != uint64(i+1) || e.Data.Payment.OrderID != id.Native {
			t.Errorf("event %d is %+v", i, e.Data)
		}
	}
	if none, complete, err := j.History(t.Context(), payment.ID{Provider: "opay-eg", Native: "none"}); err != nil || !complete || len(none) != 0 {
		t.Errorf("a payment nobody knows has %d events, %v", len(none), err)
	}
	actions, err := j.OperatorActions(t.Context(), "resolve", last)
	if err != nil {
		t.Fatal(err)
	}
	want := journaltest.Action(3)
	want.Moved, want.ProviderReference, want.Follows, want.Outcome = &payment.Money{Value: 4, Currency: "EUR"}, "rf", "f", "refused"
	want.At, want.Sequence = want.At.Truncate(time.Millisecond), last+1
	if diff := cmp.Diff([]payment.OperatorAction{want}, actions); diff != "" {
		t.Errorf("actions behind the last event (-want +got):\n%s", diff)
	}
	if some, err := j.OperatorActions(t.Context(), "propose", 0); err != nil || len(some) != 0 {
		t.Errorf("actions of another kind: %v, %v", some, err)
	}
}

func TestAnEventThatCannotBeReadIsAMessageAndEndsTheHistory(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	natstest.CreateStream(t, js, natstest.EventsConfig(1))
	j, err := stream.New(js.Conn(), events.NewEncoder(nil), &stream.Options{Stream: natstest.EventsStream})
	if err != nil {
		t.Fatal(err)
	}
	id := payment.ID{Provider: "opay-eg", Native: "10.01"}
	if _, err := j.Append(t.Context(), 0, journaltest.Event(id, 1, "a")); err != nil {
		t.Fatal(err)
	}
	subject, err := events.EventSubject(payment.Refund, payment.EventStarted, id, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), subject, []byte("not an event")); err != nil {
		t.Fatal(err)
	}
	var found []string
	for m, err := range j.Messages(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, m.Message.Subject[len(m.Message.Subject)-2:])
	}
	if diff := cmp.Diff([]string{".1", ".2"}, found); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if all, _, err := j.History(t.Context(), id); err == nil {
		t.Errorf("a history of %d events, one of which cannot be read", len(all))
	}
}

func TestAnActionThatRestsOnTheNewestOneIsAppendedOnlyBehindIt(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t, nil).JetStream(t)
	natstest.CreateStream(t, js, natstest.EventsConfig(1))
	encoder := events.NewEncoder(nil)
	j, err := stream.New(js.Conn(), encoder, &stream.Options{Stream: natstest.EventsStream})
	if err != nil {
		t.Fatal(err)
	}
	put := func(n int, newest uint64) (uint64, error) {
		m, err := encoder.EncodeOperator(journaltest.Action(n))
		if err != nil {
			t.Fatal(err)
		}
		return j.PutNext(t.Context(), events.OperatorsFilter(), newest, m)
	}
	first, err := put(1, 0)
	if err != nil || first != 1 {
		t.Fatalf("at %d, %v", first, err)
	}
	if _, err := put(2, 0); !errors.Is(err, stream.ErrOvertaken) {
		t.Errorf("one that has not seen the first: %v", err)
	}
	if _, err := j.Append(t.Context(), 0, journaltest.Event(payment.ID{Provider: "opay-eg", Native: "1"}, 1, "a")); err != nil {
		t.Fatal(err)
	}
	if second, err := put(2, first); err != nil || second != 3 {
		t.Errorf("one that has: at %d, %v", second, err)
	}
	if m, err := j.On(t.Context(), events.OperatorsFilter()); err != nil || m.Sequence != 3 {
		t.Errorf("the newest lies at %d, %v", m.Sequence, err)
	}
	m, err := encoder.EncodeOperator(journaltest.Action(4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.PutNext(t.Context(), events.OperatorFilter("pause"), 0, m); err == nil {
		t.Error("a filter that does not cover the message is taken")
	}
}
