package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/payment"
)

// requerierFunc makes a requerier of a function of the result's subject.
type requerierFunc func(subject string) (handlers.Requeried, error)

func (f requerierFunc) RequeryLate(_ context.Context, result events.Message, _ handlers.Scheduler) (handlers.Requeried, error) {
	if string(result.Data) == "{" {
		return handlers.Requeried{}, fmt.Errorf("requery: %w", handlers.ErrNoHistory)
	}
	return f(result.Subject)
}

// result appends an event of a payment of its own.
func (b *bundle) result(op payment.Op, typ payment.EventType, native string) {
	b.t.Helper()
	m, err := events.NewEncoder(nil).EncodeEvent(payment.Event{
		Type: typ, Op: op, ID: payment.ID{Provider: "opay-eg", Native: native}, Key: "key-" + payment.Key(native),
		Payment: payment.Details{OrderID: native, Country: "EG", Currency: "EGP"}, Amount: &payment.Money{Value: 400, Currency: "EGP"},
		Attempt: 1, Origin: payment.Origin{CommandID: "c", CommandSource: "/shop"}, OccurredAt: time.Now(),
		State: payment.State{Format: payment.StateFormat, Version: 1},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.raw(m.Subject, m.Data)
}

func (b *bundle) raw(subject string, data []byte) {
	b.t.Helper()
	if _, err := b.js.Publish(b.ctx(), subject, data); err != nil {
		b.t.Fatal(err)
	}
}

// late is late looks at work. done has the result of each that is done with.
func (b *bundle) late(after time.Duration, now func() time.Time, requery requerierFunc) (done chan string) {
	b.t.Helper()
	done = make(chan string, 100)
	l := broker.NewLateRequeries(b.js, b.topology, requery, after, &broker.LateOptions{
		Now: now, Requeried: func(provider, result string) { done <- provider + " " + result }, Retry: 20 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); receive(b.t, ended, "the late requeries to end") })
	return done
}

func TestResultsAreRequeriedOnceTheyAreOldEnough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const after = 300 * time.Millisecond
	type looked struct {
		subject string
		at      time.Time
	}
	seen := make(chan looked, 10)
	done := b.late(after, nil, func(subject string) (handlers.Requeried, error) {
		seen <- looked{subject, time.Now()}
		if strings.HasPrefix(subject, "payment.cancel.") {
			return handlers.Requeried{Asked: true, Event: payment.EventExecutedLate}, nil
		}
		return handlers.Requeried{Asked: true}, nil
	})
	began := time.Now()
	b.result(payment.Refund, payment.EventStarted, "1")
	b.result(payment.Refund, payment.EventRejected, "2")
	b.result(payment.Cancel, payment.EventSucceeded, "3")
	b.result(payment.Refund, payment.EventSucceeded, "4")
	first := receive(t, seen, "the first requery")
	if first.subject != "payment.refund.succeeded.opay-eg.4.1" {
		t.Errorf("looked at %+v", first)
	}
	if age := first.at.Sub(began); age < after {
		t.Errorf("looked at after %s, want %s at least", age, after)
	}
	b.result(payment.Cancel, payment.EventFailed, "5")
	if got := receive(t, done, "the first result") + ", " + receive(t, done, "the second"); got != "opay-eg agreed, opay-eg fact" {
		t.Errorf("done with %q", got)
	}
	b.settledOn(b.topology.Events)
}

func TestAResultThatWasBroughtBackIsAsOldAsItWas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var asked atomic.Int64
	done := b.late(24*time.Hour, nil, func(string) (handlers.Requeried, error) {
		if asked.Add(1) == 1 {
			return handlers.Requeried{}, errors.New("no answer") // and yet it is not given up: it came back just now
		}
		return handlers.Requeried{Asked: true}, nil
	})
	m := nats.NewMsg("payment.refund.succeeded.opay-eg.1.1")
	m.Data = []byte("{}")
	m.Header.Set(events.RecoveredHeader, "7 "+time.Now().Add(-48*time.Hour).Format(time.RFC3339Nano))
	if _, err := b.js.PublishMsg(b.ctx(), m); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, done, "the requery"); got != "opay-eg agreed" {
		t.Errorf("done with %q", got)
	}
}

// settledOn waits until nothing of a stream's durable consumer is in hand or waiting.
func (b *bundle) settledOn(stream string) {
	b.t.Helper()
	c, err := b.js.Consumer(b.ctx(), stream, b.topology.Consumer)
	if err != nil {
		b.t.Fatal(err)
	}
	eventually(b.t, "everything to be settled", func() bool {
		info, err := c.Info(b.ctx())
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0
	})
}

func TestALateRequeryWithoutAnAnswerIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var tries atomic.Int64
	done := b.late(time.Millisecond, nil, func(string) (handlers.Requeried, error) {
		switch tries.Add(1) {
		case 1:
			return handlers.Requeried{}, errors.New("the journal is away")
		case 2:
			return handlers.Requeried{Asked: true, Later: true}, nil
		default:
			return handlers.Requeried{Asked: true, Event: payment.EventReturned}, nil
		}
	})
	b.result(payment.Refund, payment.EventSucceeded, "1")
	if got := receive(t, done, "the result"); got != "opay-eg fact" || tries.Load() != 3 {
		t.Errorf("%s after %d tries", got, tries.Load())
	}
	b.settledOn(b.topology.Events)
}

func TestALateRequeryIsGivenUpAfterADayAndWhatCannotBeReadAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	twoDaysOn := func() time.Time { return time.Now().Add(48 * time.Hour) }
	done := b.late(time.Hour, twoDaysOn, func(subject string) (handlers.Requeried, error) {
		if strings.HasSuffix(subject, ".2.1") {
			return handlers.Requeried{}, nil
		}
		return handlers.Requeried{Asked: true, Later: true}, nil
	})
	b.raw("payment.refund.succeeded.opay-eg.0.1", []byte("{"))
	b.result(payment.Refund, payment.EventSucceeded, "1")
	for range 2 {
		if got := receive(t, done, "the result"); got != "opay-eg unanswered" {
			t.Error(got)
		}
	}
	b.result(payment.Refund, payment.EventSucceeded, "2")
	if got := receive(t, done, "the next"); got != "opay-eg agreed" {
		t.Error(got)
	}
	b.settledOn(b.topology.Events)
}

func TestWithoutItsConsumerNothingElseIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.js.DeleteConsumer(b.ctx(), b.topology.Events, b.topology.Consumer); err != nil {
		t.Fatal(err)
	}
	findings, err := broker.Verify(b.ctx(), b.js, b.topology)
	if err != nil || len(findings) != 1 || !findings[0].Missing() || !findings[0].Optional {
		t.Errorf("%v, %v", findings, err)
	}
}
