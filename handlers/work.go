package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

const (
	// appendFor bounds an append or a read while nothing is at stake: the message
	// is simply delivered again.
	appendFor = 10 * time.Second
	// giveBackDelay is how soon a message is delivered again that could not be
	// worked on for reasons of our own (journal away, store full).
	giveBackDelay = 2 * time.Second
	// busyDelay is how soon a message comes back that found no turn, or no place
	// at its provider; maxBusyDelay is the longest a place makes it wait.
	busyDelay    = 2 * time.Second
	maxBusyDelay = 30 * time.Second
	// outcomeFor bounds the last tries to append a known outcome once the
	// context has ended (a drain's timeout).
	outcomeFor = 3 * time.Second
	// maxSteps bounds the rounds of one delivery. Conflicts alone cannot reach it
	// in practice; reaching it gives the message back.
	maxSteps = 100
)

// work is one message being carried out: what is known so far, and the next
// step. It is used by one goroutine.
type work struct {
	h        *Handler
	d        Delivery
	instance providers.Instance
	input    payment.Input
	rec      journal.Record
	sight    sight
	heard    *payment.Heard
	place    Place
	// again is the request of an operation that has ended and is looked at once
	// more; asked is what the provider answered last, if it was asked.
	again *providers.Request
	asked *payment.Outcome
	// added is the last event that was appended here, not by a rival.
	added payment.EventType
	// permitted: one question or call may be sent; barred: none in this delivery.
	permitted, barred bool
}

// sight is how well the journal is known.
type sight int

const (
	// assumed: a first delivery is taken for its payment's first command, which
	// needs no read: the append that expects nothing is refused if that is wrong.
	assumed sight = iota
	wanted        // the journal has to be read before deciding
	seen          // rec is what the journal said
)

// turn names whose turn the message waits for.
func (w *work) turn() string {
	if w.input.ID.Native == "" {
		return w.input.Command.Provider + "\x00" + w.input.Command.Payment.OrderID + "\x00" + w.input.Command.Payment.TransactionID
	}
	return w.input.ID.Provider + "\x00" + w.input.ID.Native
}

// run goes through decide, append, act until there is a disposition.
func (w *work) run(ctx context.Context) Disposition {
	for range maxSteps {
		if err := w.look(ctx); err != nil {
			return w.unreadable(err)
		}
		dec := w.decide()
		if dec.Event == nil && w.sight == assumed {
			w.sight = wanted // no append will check the assumption
			continue
		}
		if w.needsProvider(dec) {
			switch w.permit(ctx) {
			case Granted:
			case Barred:
				continue // decided anew, with the breaker open
			default:
				return w.crowded()
			}
			if w.pausedMeanwhile() {
				continue
			}
		}
		again, out, done := w.commit(ctx, dec)
		if done {
			return out
		}
		if again {
			continue
		}
		if out, done := w.act(ctx, dec); done {
			return out
		}
	}
	return Disposition{Kind: Redeliver, Delay: giveBackDelay}
}

// look reads the journal where it has to be read.
func (w *work) look(ctx context.Context) error {
	if w.sight != wanted {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, appendFor)
	defer cancel()
	rec, err := w.h.journal.Last(ctx, w.input.ID)
	if err != nil {
		return fmt.Errorf("read payment: %w", err)
	}
	w.set(rec)
	return nil
}

func (w *work) set(rec journal.Record) {
	w.rec = rec
	w.sight = seen
	w.input.State = rec.State
}

// decide asks the core: about an outcome that came back, else about the command.
func (w *work) decide() payment.Decision {
	w.stand()
	w.input.Now = w.h.now()
	if w.heard != nil {
		return payment.Conclude(w.input, *w.heard)
	}
	return payment.Decide(w.input)
}

// commit appends the decision's event. again is true when the payment had
// moved and everything must be decided anew on the newest state.
func (w *work) commit(ctx context.Context, dec payment.Decision) (again bool, out Disposition, done bool) {
	if dec.Event == nil {
		w.alert(dec)
		w.heard = nil
		return false, Disposition{}, false
	}
	seq, err := w.append(ctx, *dec.Event)
	if err != nil {
		if conflict, ok := errors.AsType[*journal.ConflictError](err); ok {
			w.moved(conflict.Last)
			return true, Disposition{}, false
		}
		return false, w.notAppended(err), true
	}
	w.alert(dec)
	w.heard, w.added = nil, dec.Event.Type
	w.set(journal.Record{Sequence: seq, Type: dec.Event.Type, Op: dec.Event.Op, State: dec.Event.State})
	w.logEvent(dec.Event)
	return false, Disposition{}, false
}

// moved takes in a rival's newer state. A reading belongs to the state it was
// read under. The outcome of a call is kept and folded anew, and so is a query's
// success; anything less speaks of the attempts there were when it was asked,
// and is asked again where there is another one.
func (w *work) moved(last journal.Record) {
	asked := w.attempt()
	w.set(last)
	w.input.Reading = nil
	if w.heard != nil && w.heard.Query && w.heard.Outcome.Result != payment.Succeeded && w.attempt() != asked {
		w.heard = nil
	}
}

// attempt is the operation's newest attempt in the state that is known.
func (w *work) attempt() int {
	s := w.input.State
	if i := s.Find(w.input.Command.Op, w.input.Command.Key); i >= 0 {
		return s.Operations[i].Attempt
	}
	return 0
}

// append adds one event. While an outcome of a call is in hand it goes on
// trying until the context ends, and a moment longer: a known outcome is not
// given up for a journal that is away.
func (w *work) append(ctx context.Context, e payment.Event) (uint64, error) {
	if w.heard == nil || w.heard.Query {
		ctx, cancel := context.WithTimeout(ctx, appendFor)
		defer cancel()
		return w.h.journal.Append(ctx, w.rec.Sequence, e)
	}
	for {
		seq, err := w.tryAppend(ctx, e)
		if err == nil || !errors.Is(err, journal.ErrStoreRefuses) || ctx.Err() != nil {
			return seq, err
		}
		w.log().Error("journal refuses a known outcome; it is kept in hand", "error", err.Error())
		pause(ctx, time.Second)
	}
}

// tryAppend appends within ctx, and once more for a moment if that has ended.
func (w *work) tryAppend(ctx context.Context, e payment.Event) (uint64, error) {
	seq, err := w.h.journal.Append(ctx, w.rec.Sequence, e)
	if err == nil || ctx.Err() == nil {
		return seq, err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomeFor)
	defer cancel()
	return w.h.journal.Append(last, w.rec.Sequence, e)
}

// act carries out what the decision asks for, after its event was accepted.
func (w *work) act(ctx context.Context, dec payment.Decision) (Disposition, bool) {
	switch dec.Action {
	case payment.Finish:
		return Disposition{Kind: Ack}, true
	case payment.ReadPayment:
		r := w.readPayment(ctx)
		w.input.Reading = &r
		return Disposition{}, false
	case payment.Call:
		out := w.call(ctx, dec.Event)
		w.heard = &payment.Heard{Attempt: dec.Event.Attempt, Outcome: out}
		return Disposition{}, false
	case payment.Query:
		w.heard = &payment.Heard{Query: true, Outcome: w.query(ctx)}
		w.asked = &w.heard.Outcome
		return Disposition{}, false
	case payment.RejectCommand:
		return w.h.undecodable(ctx, w.d, w.refusal(dec.Code)), true
	default:
		return w.later(dec.At, w.d.Panics), true
	}
}

// needsProvider reports whether the decision leads to the provider.
func (w *work) needsProvider(dec payment.Decision) bool {
	return dec.Action == payment.Call || dec.Action == payment.Query || dec.Action == payment.ReadPayment
}

// busy is what becomes of a message whose turn did not come: it comes back
// later instead of staying in hand.
func (w *work) busy(what string) Disposition {
	w.log().Debug("message comes back later", "waiting_for", what)
	return w.later(w.h.now().Add(busyDelay), w.d.Panics)
}

// later schedules the command.
func (w *work) later(at time.Time, panics int) Disposition {
	c := w.input.Command
	m, err := w.h.encoder.EncodeCommand(c)
	if err != nil {
		w.log().Error("command cannot be encoded for a timer", "error", err.Error())
		return Disposition{Kind: Redeliver, Delay: time.Minute}
	}
	return Disposition{Kind: Later, Timer: Timer{
		Subject: events.ScheduleSubject(c, w.input.ID), Target: events.DueSubject(c.Op), Message: m, At: at,
		OriginSequence: w.d.OriginSequence, OriginTime: w.d.OriginTime, Original: w.d.original(),
		Deliveries: w.d.Deliveries, Panics: panics,
	}}
}

// unreadable gives the message back, or lets it come later where time alone
// does not help soon: a state in a newer format is never guessed at.
func (w *work) unreadable(err error) Disposition {
	if errors.Is(err, journal.ErrNewerFormat) {
		w.log().Error("state was written by a newer version; finish the rollout", "error", err.Error())
		return w.later(w.h.now().Add(30*time.Second), w.d.Panics)
	}
	w.log().Warn("journal cannot be read", "error", err.Error())
	return Disposition{Kind: Redeliver, Delay: giveBackDelay}
}

// notAppended gives the message back after an append that was not accepted, or
// whose fate is not known. Nothing was called on the strength of it.
func (w *work) notAppended(err error) Disposition {
	if errors.Is(err, journal.ErrNewerFormat) {
		return w.unreadable(err)
	}
	full := errors.Is(err, journal.ErrStoreRefuses)
	w.log().Error("event could not be appended", "error", err.Error())
	return Disposition{Kind: Redeliver, Delay: giveBackDelay, StopPulling: full}
}

// log carries the message's fixed keys.
func (w *work) log() *slog.Logger {
	return slog.New(w.d.traced(w.h.log).Handler().WithAttrs(w.keys(0)))
}

// keys are the message's fixed keys, with room for more.
func (w *work) keys(more int) []slog.Attr {
	c := &w.input.Command
	return append(
		make([]slog.Attr, 0, 5+more),
		slog.String("event_id", events.Mask(c.EventID)), slog.String("event_type", events.CommandSubject(c.Op, "")),
		slog.String("payment_id", events.Token(w.input.ID.Native)), slog.String("operation", string(c.Op)), slog.String("provider", c.Provider),
	)
}

// alert logs what a person has to know.
func (w *work) alert(dec payment.Decision) {
	if dec.Alert != "" {
		w.log().Error("a person has to look", "alert", dec.Alert, "code", string(dec.Code))
	}
}

// logEvent writes one line for an outcome and none for a step on the way.
func (w *work) logEvent(e *payment.Event) {
	if e.Type == payment.EventStarted {
		return
	}
	state := string(e.Type)
	if e.Review != nil {
		state = "reviewRequired"
	}
	// Written at once: a logger with the keys would be built for this one line.
	keys := append(
		w.keys(5), slog.String("state", state), slog.String("code", string(e.Code)),
		slog.Int("attempt", e.Attempt), slog.String("basis", string(e.Basis)), slog.Uint64("version", e.Version()),
	)
	w.d.traced(w.h.log).LogAttrs(context.Background(), slog.LevelInfo, "command has an outcome", keys...)
}

// pause waits for d or the context's end.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
