package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/handlers"
	"github.com/countermand/countermand/internal/sleep"
)

// Requerier asks a provider once more about the operation a result is about
// (handlers.Handler). Implementations are safe for concurrent use.
type Requerier interface {
	RequeryLate(ctx context.Context, result events.Message, s handlers.Scheduler) (handlers.Requeried, error)
}

// LateOptions are the optional parts of LateRequeries; nil and zero mean the defaults.
type LateOptions struct {
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
	// Requeried is called at the end of every requery with the provider's name and the
	// result, one of handlers.LateResults. Default: none.
	Requeried func(provider, result string)
	// Retry is how long the first requery without an answer is put off; default one
	// minute.
	Retry time.Duration
	// Journal says whether results may be looked at; default: they always may.
	Journal Journal
}

const (
	// lateBatch is how many results are in hand at a time, lateAtOnce how many of
	// them are asked about at once. Both are small: this is a background job.
	lateBatch, lateAtOnce = 16, 4
	// latePark bounds how long a result that is too young is put off. The server
	// keeps few of them unacknowledged (maxLate), and those behind are younger.
	latePark = time.Hour
	// A requery without an answer is put off by lateRetry at first and by
	// lateMaxRetry at most, until lateGiveUp has passed.
	lateRetry, lateMaxRetry, lateGiveUp = time.Minute, time.Hour, 24 * time.Hour
	// lateFor bounds the time of one requery.
	lateFor = 5 * time.Minute
)

// LateRequeries asks the provider once more, some time after a result: a refund that
// succeeded may come back, and one that failed may still be executed. It reads
// the journal through a durable consumer of its own. All replicas share it, so
// that each result is requeried once, even across restarts.
type LateRequeries struct {
	js        jetstream.JetStream
	topology  Topology
	requerier Requerier
	timers    handlers.Scheduler
	after     time.Duration
	retry     time.Duration
	now       func() time.Time
	log       *slog.Logger
	requeried func(provider, result string)
	journal   Journal
	bound     jetstream.Consumer
}

// NewLateRequeries returns late requeries of results of that age. It does no I/O.
func NewLateRequeries(js jetstream.JetStream, t Topology, requerier Requerier, after time.Duration, o *LateOptions) *LateRequeries {
	l := &LateRequeries{
		js: js, topology: t, requerier: requerier, timers: NewTimers(js, t), after: after, retry: lateRetry,
		now: time.Now, log: slog.New(slog.DiscardHandler), requeried: func(string, string) {}, journal: noJournal{},
	}
	if o != nil {
		l.apply(*o)
	}
	return l
}

func (l *LateRequeries) apply(o LateOptions) {
	if o.Now != nil {
		l.now = o.Now
	}
	if o.Logger != nil {
		l.log = o.Logger
	}
	if o.Requeried != nil {
		l.requeried = o.Requeried
	}
	if o.Journal != nil {
		l.journal = o.Journal
	}
	if o.Retry > 0 {
		l.retry = o.Retry
	}
}

// Run requeries until ctx ends, and returns once no message is in hand. A result
// whose requery was interrupted is delivered again. Run goes on after outages of
// the server.
func (l *LateRequeries) Run(ctx context.Context) {
	failing := false
	for await(ctx, l.journal) {
		err := l.batch(ctx)
		switch {
		case err == nil:
			failing = false
			continue
		case !failing && ctx.Err() == nil:
			failing = true
			l.log.Warn("results cannot be looked at again, trying on", "stream", l.topology.Events, "error", err.Error())
		}
		l.bound = nil
		sleep.For(ctx, 5*time.Second)
	}
}

// batch pulls some results and returns once none of them is in hand.
func (l *LateRequeries) batch(ctx context.Context) error {
	if err := l.bind(ctx); err != nil {
		return err
	}
	messages, err := l.bound.Messages(
		jetstream.PullMaxMessages(lateBatch), jetstream.StopAfter(lateBatch), jetstream.PullHeartbeat(heartbeat),
	)
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	var requeries sync.WaitGroup
	defer requeries.Wait()
	slots := make(chan struct{}, lateAtOnce)
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil, errors.Is(err, jetstream.ErrMsgIteratorClosed) && !errors.Is(err, jetstream.ErrConnectionClosed):
			return nil
		case err != nil:
			return fmt.Errorf("pull: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read position: %w", err)
		}
		due := l.dueAt(msg, meta.Timestamp)
		if young := due.Sub(l.now()); young > 0 {
			l.say(msg, giveBack(min(young, latePark)))
			continue
		}
		slots <- struct{}{}
		requeries.Go(func() {
			defer func() { <-slots }()
			l.carryOut(ctx, msg, due)
		})
	}
}

// dueAt is when a result has the age at which it is requeried. One that was
// brought back from an archive is as old as it was, and due when it came back at
// the earliest.
func (l *LateRequeries) dueAt(msg jetstream.Msg, stored time.Time) time.Time {
	due := events.FirstStored(msg.Headers(), stored).Add(l.after)
	if due.Before(stored) {
		return stored
	}
	return due
}

func (l *LateRequeries) bind(ctx context.Context) error {
	if l.bound != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	bound, err := l.js.Consumer(ctx, l.topology.Events, l.topology.Consumer)
	if err != nil {
		return fmt.Errorf("bind consumer %s on %s: %w", l.topology.Consumer, l.topology.Events, err)
	}
	l.bound = bound
	return nil
}

// carryOut requeries one result, which was due at that time, and acknowledges its message or gives it back.
func (l *LateRequeries) carryOut(ctx context.Context, msg jetstream.Msg, due time.Time) {
	log := l.log.With("event_id", msg.Subject())
	defer l.alive(msg)()
	ctx, cancel := context.WithTimeout(ctx, lateFor)
	defer cancel()
	m := events.Message{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data()}
	out, err := l.requerier.RequeryLate(ctx, m, l.timers)
	waited := l.now().Sub(due)
	hopeless := errors.Is(err, handlers.ErrNoHistory)
	switch {
	case ctx.Err() != nil && (err != nil || out.Later):
		l.say(msg, giveBack(0))
	case (err != nil || out.Later) && waited < lateGiveUp && !hopeless:
		if err != nil {
			log.Warn("result could not be looked at again, trying on", "error", err.Error())
		}
		l.say(msg, giveBack(min(max(waited, l.retry), lateMaxRetry)))
	case err != nil || out.Later:
		log.Error("result was not looked at again: reconcile the payment", "error", fmt.Sprint(err))
		l.done(msg, handlers.LateUnanswered)
	case out.Fact():
		l.done(msg, handlers.LateFact)
	default:
		l.done(msg, handlers.LateAgreed)
	}
}

func (l *LateRequeries) done(msg jetstream.Msg, result string) {
	l.say(msg, sayAck)
	l.requeried(events.ProviderOf(msg.Subject()), result)
}

func (l *LateRequeries) say(msg jetstream.Msg, word func(jetstream.Msg) error) {
	if err := word(msg); err != nil {
		l.log.Debug("result not settled, AckWait brings it", "error", err.Error())
	}
}

// alive tells the server that a message is in hand, until stop is called.
func (l *LateRequeries) alive(msg jetstream.Msg) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var signalling sync.WaitGroup
	signalling.Go(func() {
		for sleep.For(ctx, l.topology.ackWait()/3) {
			_ = msg.InProgress() // a signal that is not sent costs a redelivery at worst
		}
	})
	return func() {
		cancel()
		signalling.Wait()
	}
}
