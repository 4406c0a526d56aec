package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/internal/sleep"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

const (
	// appendFor bounds an append or a read that may be given up: the message is
	// delivered again.
	appendFor = 10 * time.Second
	// giveBackDelay is when a message is delivered again after a fault of our own
	// (the journal is away, the store is full).
	giveBackDelay = 2 * time.Second
	// busyDelay is when a message comes back that did not get its payment's lock
	// or a place at its provider. The second delay grows up to maxBusyDelay.
	busyDelay    = 2 * time.Second
	maxBusyDelay = 30 * time.Second
	// outcomeFor bounds the last attempts to append a known outcome after the
	// context has ended (the timeout of a drain).
	outcomeFor = 3 * time.Second
	// maxSteps bounds the rounds of one delivery. Conflicts alone do not reach it
	// in practice. A message that reaches it is given back.
	maxSteps = 100
)

// work is one message, or one operation, that is being carried out. Once it
// runs it does not change: the steps change, and access keeps its own state.
// One goroutine uses it.
type work struct {
	h        *Handler
	d        Delivery
	instance providers.Instance
	access   access
	// base is the part of a decision's input that stays the same in all steps.
	base payment.Input
	// epoch is that of the journal before it was first read.
	epoch uint64
	// lastCall is the request that an ended operation was last called with. It is
	// nil while the operation is open.
	lastCall *providers.Request
}

// newWork is the work on a command at an instance. An instance without an
// adapter is not configured here. The caller sets the payment's ID.
func (h *Handler) newWork(d Delivery, in providers.Instance, c payment.Command) *work {
	w := &work{h: h, d: d, instance: in, epoch: h.epoch(), base: payment.Input{Command: c, Timer: d.Timer, Limits: h.limits}}
	if in.Provider == nil {
		return w
	}
	w.base.Traits = in.Provider.Traits()
	w.base.Instance = instanceOf(in)
	w.base.Loss = h.lossFor(d)
	if h.isolation != nil {
		w.access = access{isolation: h.isolation, instance: in.Name, patience: h.patience, log: w.log}
	}
	return w
}

// lockKey names the payment whose lock the message needs.
func (w *work) lockKey() string {
	c, id := &w.base.Command, w.base.ID
	if id.Native == "" {
		return c.Provider + "\x00" + c.Payment.OrderID + "\x00" + c.Payment.TransactionID
	}
	return id.Provider + "\x00" + id.Native
}

// run takes steps until one ends the work, and returns that one.
func (w *work) run(ctx context.Context, s step) step {
	for range maxSteps {
		s = w.next(ctx, s)
		if s.end != nil {
			return s
		}
	}
	return s.ends(Disposition{Kind: Redeliver, Delay: giveBackDelay})
}

// next is one round: read the journal, look where a timer comes from, decide, get
// the provider's permission, append, act. A round that cannot go on is followed by one that decides anew.
func (w *work) next(ctx context.Context, s step) step {
	s, err := w.read(ctx, w.renewed(s))
	if err != nil {
		return s.ends(w.unreadable(err))
	}
	if s = w.prove(ctx, s); s.end != nil {
		return s
	}
	if end, contradicted := w.contradicted(s); contradicted {
		return s.ends(end)
	}
	dec := w.decide(s)
	if dec.Event == nil && s.journal.basis == assumed {
		s.journal.basis = wanted // No append will check the assumption.
		return s
	}
	switch w.permission(ctx, dec) {
	case Granted:
	case Barred:
		return s // The instance has changed since the decision.
	default:
		return s.ends(w.crowded(s.journal))
	}
	s, err = w.commit(ctx, s, dec)
	if _, rival := errors.AsType[*journal.ConflictError](err); rival || errors.Is(err, errOtherEpoch) {
		return s // The payment has changed since the decision.
	}
	if err != nil {
		return s.ends(w.notAppended(err))
	}
	return w.act(ctx, s, dec)
}

// read reads the journal if that is necessary.
func (w *work) read(ctx context.Context, s step) (step, error) {
	if s.journal.basis != wanted {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, appendFor)
	defer cancel()
	last, err := w.h.journal.Last(ctx, w.base.ID)
	if err != nil {
		return s, fmt.Errorf("read payment: %w", err)
	}
	s.journal = seenAs(last)
	return s, nil
}

// decide asks the core what follows from the outcome in hand or, if there is
// none, from the command.
func (w *work) decide(s step) payment.Decision {
	w.access.refreshIsolation()
	in := w.input(s)
	if s.outcome != nil {
		return payment.Conclude(in, *s.outcome)
	}
	return payment.Decide(in)
}

// input is all that a decision depends on.
func (w *work) input(s step) payment.Input {
	in := w.base
	in.State = s.journal.state()
	in.Reading = s.reading
	in.Resolution = s.resolution
	in.Asked = s.asked
	in.Loss = w.lossIn(in.State)
	if s.provenance == lost {
		in.Loss = w.lostCommand(in.Loss)
	}
	in.Instance.Paused = w.access.standing.Paused
	in.Instance.Breaker = w.access.standing.Breaker
	in.Now = w.h.now()
	return in
}

// permission gets leave to send what the decision asks for. Barred means that
// the decision no longer fits the instance: its breaker is open, or a pause has
// begun or ended.
func (w *work) permission(ctx context.Context, dec payment.Decision) Permit {
	if !needsProvider(dec) {
		return Granted
	}
	p := w.access.permit(ctx)
	if p == Granted && w.access.pauseChanged() {
		return Barred
	}
	return p
}

// needsProvider reports whether the decision's action asks the provider something.
func needsProvider(dec payment.Decision) bool {
	return dec.Action == payment.Call || dec.Action == payment.Query || dec.Action == payment.ReadPayment
}

// commit appends the decision's event, if it has one. The outcome in hand is
// done with once that is accepted. After a *journal.ConflictError the step is
// on the rival's state. After any other error the step is unchanged.
func (w *work) commit(ctx context.Context, s step, dec payment.Decision) (step, error) {
	if dec.Event == nil {
		w.alert(dec)
		s.outcome = nil
		return s, nil
	}
	sequence, err := w.append(ctx, s, *dec.Event)
	if conflict, ok := errors.AsType[*journal.ConflictError](err); ok {
		return w.moved(s, conflict.Last), err
	}
	if err != nil {
		return s, err
	}
	w.alert(dec)
	s.outcome = nil
	return w.appended(s, sequence, dec.Event), nil
}

// appended is the step after its event was accepted.
func (w *work) appended(s step, sequence uint64, e *payment.Event) step {
	s.journal = seenAs(journal.Record{Sequence: sequence, Type: e.Type, Op: e.Op, State: e.State})
	s.added = e.Type
	w.logEvent(e)
	return s
}

// moved puts the step on a rival's newer state. The reading is dropped: it
// belongs to the state under which it was made. A call's outcome is kept, and so
// is a query's success. Any other answer to a query describes the attempts of
// the old state. It is dropped if there is a newer attempt, and asked for again.
func (w *work) moved(s step, last journal.Record) step {
	before, now := w.attempt(s.journal.state()), w.attempt(last.State)
	s.journal = seenAs(last)
	s.reading = nil
	if s.outcome != nil && s.outcome.Query && s.outcome.Outcome.Result != payment.Succeeded && now != before {
		s.outcome = nil
	}
	return s
}

// attempt is the operation's newest attempt in a state.
func (w *work) attempt(s payment.State) int {
	if i := s.Find(w.base.Command.Op, w.base.Command.Key); i >= 0 {
		return s.Operations[i].Attempt
	}
	return 0
}

// append adds one event. While the outcome of a call is in hand it repeats the
// append until the context ends, and shortly after that. A known outcome is not
// given up because the journal is away.
func (w *work) append(ctx context.Context, s step, e payment.Event) (uint64, error) {
	if !s.holdsCall() {
		ctx, cancel := context.WithTimeout(ctx, appendFor)
		defer cancel()
		return w.tell(ctx, s, e)
	}
	release := func() {}
	defer func() { release() }()
	for {
		if w.outlived(s) {
			return 0, errOtherEpoch
		}
		sequence, err := w.appendOutcome(ctx, s, e)
		if err == nil || !errors.Is(err, journal.ErrStoreRefuses) || ctx.Err() != nil {
			return sequence, err
		}
		release = w.holds(s)
		w.log().Error("journal refuses a known outcome; it is kept in hand", "error", err.Error())
		sleep.For(ctx, time.Second)
	}
}

// appendOutcome appends within ctx, and once more for a short time if ctx has ended.
func (w *work) appendOutcome(ctx context.Context, s step, e payment.Event) (uint64, error) {
	sequence, err := w.tell(ctx, s, e)
	if err == nil || ctx.Err() == nil {
		return sequence, err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomeFor)
	defer cancel()
	return w.tell(last, s, e)
}

// tell appends once it may be told. What a person has ruled rests on no journal.
func (w *work) tell(ctx context.Context, s step, e payment.Event) (uint64, error) {
	if s.resolution == nil {
		if err := w.sureOfRefusal(ctx, e); err != nil {
			return 0, err
		}
	}
	return w.h.journal.Append(ctx, s.journal.last.Sequence, e)
}

// act carries out what the decision asks for, after its event was accepted.
func (w *work) act(ctx context.Context, s step, dec payment.Decision) step {
	switch dec.Action {
	case payment.Finish:
		return s.ends(Disposition{Kind: Ack})
	case payment.ReadPayment:
		reading := w.readPayment(ctx, s)
		s.reading = &reading
		return s
	case payment.Call:
		s.outcome = &payment.Heard{Attempt: dec.Event.Attempt, Outcome: w.call(ctx, s.journal.last.Sequence, dec.Event)}
		return s
	case payment.Query:
		s.outcome = &payment.Heard{Query: true, Outcome: w.query(ctx, s)}
		s.asked = &s.outcome.Outcome
		return s
	case payment.RejectCommand:
		return s.ends(w.reject(ctx, s, dec.Code))
	default:
		end := w.later(s.journal, dec.At, w.d.Panics)
		end.Timer.Paused = dec.Action == payment.ComeBack && dec.Code == payment.CodePaused
		return s.ends(end)
	}
}

// log carries the message's fixed keys.
func (w *work) log() *slog.Logger {
	return slog.New(w.d.traced(w.h.log).Handler().WithAttrs(w.keys(0)))
}

// keys are the message's fixed keys, with room for more.
func (w *work) keys(more int) []slog.Attr {
	c := &w.base.Command
	return append(
		make([]slog.Attr, 0, 5+more),
		slog.String("event_id", events.Mask(c.CommandID)), slog.String("event_type", events.CommandSubject(c.Op, "")),
		slog.String("payment_id", events.Token(w.base.ID.Native)), slog.String("operation", string(c.Op)), slog.String("provider", c.Provider),
	)
}

// alert logs what a person has to know.
func (w *work) alert(dec payment.Decision) {
	if dec.Alert != "" {
		w.log().Error("a person has to look", "alert", dec.Alert, "code", string(dec.Code))
	}
}

// logEvent writes one line for an outcome. It writes none for started.
func (w *work) logEvent(e *payment.Event) {
	if e.Type == payment.EventStarted {
		return
	}
	state := string(e.Type)
	if e.Review != nil {
		state = "reviewRequired"
	}
	// This does not use log: a logger with the keys would be built for one line.
	keys := append(
		w.keys(5), slog.String("state", state), slog.String("code", string(e.Code)),
		slog.Int("attempt", e.Attempt), slog.String("basis", string(e.Basis)), slog.Uint64("version", e.Version()),
	)
	w.d.traced(w.h.log).LogAttrs(context.Background(), slog.LevelInfo, "command has an outcome", keys...)
}
