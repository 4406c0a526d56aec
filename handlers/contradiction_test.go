package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers/simulator"
)

// knownLosses is what a test says of accepted losses; it keeps what is reported.
type knownLosses struct {
	epoch    uint64
	at       time.Time
	doubted  bool
	reported []handlers.Contradiction
}

func (l *knownLosses) Accepted() (time.Time, bool)           { return l.at, l.doubted }
func (l *knownLosses) Epoch() uint64                         { return l.epoch }
func (l *knownLosses) Contradicted(c handlers.Contradiction) { l.reported = append(l.reported, c) }

// inDoubt is a partial refund that was executed and whose answer was lost, at a
// kind where nothing stops a second one, and the timer that brings it back.
func inDoubt(t *testing.T) (*setup, subject, *knownLosses, handlers.Delivery) {
	t.Helper()
	b, s := unsafe(t)
	l := &knownLosses{}
	b.losses = l
	b.handler = b.newHandler(b.journal, b.instances)
	if err := b.bases[s.id.Provider].Fault(simulator.Fault{Operation: string(s.op), Mode: simulator.CutAfter, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if out := b.deliver(b.command(s.op, s.data)); out.Kind != handlers.Later {
		t.Fatalf("disposition %v", out.Kind)
	}
	d, _ := b.next()
	return b, s, l, d
}

func TestATimerSaysWhatTheJournalHeld(t *testing.T) {
	t.Parallel()
	b, s, _, d := inDoubt(t)
	version := func() uint64 {
		t.Helper()
		last, err := b.journal.Last(t.Context(), s.id)
		if err != nil {
			t.Fatal(err)
		}
		return last.State.Version
	}
	if diff := cmp.Diff(payment.Recorded{Version: version(), Operation: version()}, d.Recorded); diff != "" || d.Recorded.Version < 2 {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A process that cannot read the journal passes on what it was told.
	h := b.newHandler(newerFormat{b.journal}, b.instances)
	out := h.Handle(t.Context(), d)
	if out.Kind != handlers.Later || out.Timer.Recorded != d.Recorded {
		t.Errorf("%v, it says %+v, was told %+v", out.Kind, out.Timer.Recorded, d.Recorded)
	}
	// So does one in which the provider is not configured.
	h = b.newHandler(b.journal, nil)
	if out := h.Handle(t.Context(), d); out.Kind != handlers.Later || out.Timer.Recorded != d.Recorded {
		t.Errorf("%v, it says %+v, was told %+v", out.Kind, out.Timer.Recorded, d.Recorded)
	}
}

func TestATimerThatNothingWasRecordedOfIsNoSignOfALoss(t *testing.T) {
	t.Parallel()
	b, s := unsafe(t)
	l := &knownLosses{}
	b.losses = l
	open := false
	b.behind(&gatekeeper{enter: func() bool { return open }})
	d := b.command(s.op, s.data)
	for range 20 { // it finds no place for much longer than the quiet minute
		if out := b.deliver(d); out.Kind != handlers.Later || out.Timer.Recorded != (payment.Recorded{}) {
			t.Fatalf("%v, it says %+v", out.Kind, out.Timer.Recorded)
		}
		d, _ = b.next()
	}
	if waited := b.clock.Now().Sub(d.OriginTime); waited < 2*time.Minute {
		t.Fatalf("it waited only %s", waited)
	}
	open = true
	if out := b.deliver(d); out.Kind != handlers.Ack || b.executed(s) != 1 || len(l.reported) > 0 {
		t.Errorf("%v, %d executions, reported %+v", out.Kind, b.executed(s), l.reported)
	}
}

func TestATimerThatKnowsMoreThanTheJournalStaysAndIsReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(*setup, subject)
		want func(payment.Recorded) handlers.Contradiction
	}{
		"the payment is gone": {
			func(b *setup, _ subject) { b.journal.Cut(0) },
			func(r payment.Recorded) handlers.Contradiction {
				return handlers.Contradiction{Ahead: true, Known: r.Version}
			},
		},
		"its newest event is gone": {
			func(b *setup, _ subject) { b.journal.Cut(b.journal.Extent().Last - 1) },
			func(r payment.Recorded) handlers.Contradiction {
				return handlers.Contradiction{Ahead: true, Known: r.Version, Found: r.Version - 1}
			},
		},
		"it is gone, and another operation was written over it": {
			func(b *setup, s subject) {
				b.journal.Cut(0)
				b.deliver(b.command(s.op, strings.Replace(s.data, key, "other-key", 1)))
			},
			func(r payment.Recorded) handlers.Contradiction {
				return handlers.Contradiction{Known: r.Operation}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s, l, d := inDoubt(t)
			c.lose(b, s)
			paid := b.executed(s)
			want := c.want(d.Recorded)
			want.Operation = s.id.Provider + "/" + events.Token(s.id.Native) + "/refund/" + payment.Key(key).Hash()
			for range 2 { // it is not acknowledged, so it comes again
				before := b.journal.Extent()
				if out := b.deliver(d); out.Kind != handlers.Redeliver || out.Delay <= 0 || out.StopPulling {
					t.Fatalf("disposition %+v", out)
				}
				if b.journal.Extent() != before || b.executed(s) != paid {
					t.Error("something was appended or called")
				}
			}
			if len(l.reported) != 2 || l.reported[0] != want {
				t.Fatalf("reported %+v, want %+v", l.reported, want)
			}
			if holds, err := handlers.Contradicts(t.Context(), b.journal, want); err != nil || !holds {
				t.Errorf("the leader asked again: %t, %v", holds, err)
			}
		})
	}
}

func TestALeaderThatShowsItAfterAllContradictsNothing(t *testing.T) {
	t.Parallel()
	b, s, _, d := inDoubt(t)
	c := handlers.Contradiction{
		Operation: s.id.Provider + "/" + events.Token(s.id.Native) + "/refund/" + payment.Key(key).Hash(),
		Known:     d.Recorded.Operation,
	}
	for _, c.Ahead = range []bool{true, false} {
		if holds, err := handlers.Contradicts(t.Context(), b.journal, c); err != nil || holds {
			t.Errorf("ahead %t: %t, %v", c.Ahead, holds, err)
		}
		if holds, err := handlers.Contradicts(t.Context(), newerFormat{b.journal}, c); err != nil || holds {
			t.Errorf("a newer format: %t, %v", holds, err)
		}
		if _, err := handlers.Contradicts(t.Context(), unanswered{b.journal}, c); err == nil {
			t.Error("no answer is taken for one")
		}
	}
	for _, path := range []string{"", "a/b", "a/=zz/refund/0"} {
		if _, err := handlers.Contradicts(t.Context(), b.journal, handlers.Contradiction{Operation: path}); err == nil {
			t.Errorf("operation %q was looked up", path)
		}
	}
}

// Whatever is known of the journal since: an operation that its timer knew, and that
// an accepted loss took, is presumed, and the provider is not called.
func TestAnOperationThatAnAcceptedLossTookIsPresumed(t *testing.T) {
	t.Parallel()
	for name, doubted := range map[string]bool{"doubting": true, "trusted again": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s, l, d := inDoubt(t)
			b.journal.Cut(0)
			l.epoch, l.at, l.doubted = 1, b.clock.Now(), doubted
			d.OriginTime = b.clock.Now().Add(time.Hour) // as if its command were newer
			paid := b.executed(s)
			out := b.deliver(d)
			op := b.operation(s.id, s.op, key)
			if out.Kind != handlers.Later || op.Open == nil || !op.Open.Presumed || op.Status != payment.StatusIndeterminate {
				t.Fatalf("disposition %v, operation %+v", out.Kind, op)
			}
			if want := (payment.Recorded{Epoch: 1, Version: 1, Operation: 1}); out.Timer.Recorded != want {
				t.Errorf("its timer says %+v", out.Timer.Recorded)
			}
			b.drive(func() bool {
				op := b.operation(s.id, s.op, key)
				return op.Status.Terminal() || op.Open.Review != nil
			})
			if b.executed(s) != paid || len(l.reported) > 0 {
				t.Errorf("%d executions, there had been %d; reported %+v", b.executed(s), paid, l.reported)
			}
		})
	}
}

func TestATimerFromBeforeAnAcceptedLossIsNoFinding(t *testing.T) {
	t.Parallel()
	b, s, l, d := inDoubt(t)
	b.journal.Cut(b.journal.Extent().Last - 1)
	l.epoch, l.at, l.doubted = 1, b.clock.Now(), true
	if out := b.deliver(d); out.Kind != handlers.Later || len(l.reported) > 0 || b.executed(s) != 1 {
		t.Errorf("disposition %v, reported %+v, %d executions", out.Kind, l.reported, b.executed(s))
	}
}

// newerFormat is a journal whose states another version has written.
type newerFormat struct{ journal.Journal }

func (newerFormat) Last(context.Context, payment.ID) (journal.Record, error) {
	return journal.Record{}, fmt.Errorf("read: %w", journal.ErrNewerFormat)
}

// unanswered is one that does not answer.
type unanswered struct{ journal.Journal }

func (unanswered) Last(context.Context, payment.ID) (journal.Record, error) {
	return journal.Record{}, errors.New("no leader")
}
