package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Quarantine keeps the bytes of a message that is no valid command. Keeping
// one twice is harmless. Implementations are safe for concurrent use.
type Quarantine interface {
	Keep(ctx context.Context, o Original) error
}

// Options are the optional parts of a Handler; nil and zero values mean the
// documented defaults.
type Options struct {
	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default: time.Now
	Limits payment.Limits   // of one payment's state
	// Patience is how long a message waits in hand for its payment's turn, or for
	// a place at its provider, before it comes back later; default one second.
	Patience  time.Duration
	Isolation Isolation // of the provider instances; default: none
	Observer  Observer  // default: nobody is told
	// Stories let Look ask about operations that have ended; default: it cannot.
	Stories Stories
}

// Handler carries commands out. It is safe for concurrent use; commands of one
// payment are taken one at a time, others side by side.
type Handler struct {
	journal    journal.Journal
	providers  *providers.Set
	quarantine Quarantine
	decoder    *events.Decoder
	encoder    *events.Encoder
	log        *slog.Logger
	now        func() time.Time
	limits     payment.Limits
	patience   time.Duration
	turns      *turns
	isolation  Isolation // nil: none
	observer   Observer  // nil: nobody is told
	stories    Stories   // nil: what has ended is not looked at
}

// New builds a Handler. The encoder's source is what timers' events are
// written with; they keep the source of their command.
func New(j journal.Journal, set *providers.Set, q Quarantine, e *events.Encoder, o *Options) (*Handler, error) {
	if o == nil {
		o = &Options{}
	}
	d, err := events.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("build decoder: %w", err)
	}
	h := &Handler{
		journal: j, providers: set, quarantine: q, decoder: d, encoder: e,
		log: o.logger(), now: o.clock(), limits: o.Limits, patience: o.patience(),
		turns: newTurns(), isolation: o.Isolation, observer: o.Observer, stories: o.Stories,
	}
	if o.Observer != nil {
		h.journal = &observedJournal{Journal: j, observer: o.Observer}
	}
	return h, nil
}

// Handle takes one message in hand and returns what becomes of it. It returns
// only when every step it has begun is finished or recorded as begun; the
// context's end makes it give the message back as soon as that holds. A panic
// inside is contained.
func (h *Handler) Handle(ctx context.Context, d Delivery) (out Disposition) {
	end := func(Disposition) {}
	defer func() { end(out) }()
	defer func() {
		if r := recover(); r != nil {
			out = h.panicked(ctx, d, r)
		}
	}()
	c, invalid := h.decoder.DecodeCommand(d.Message)
	ctx, d.Trace, end = h.begin(ctx, d, c, invalid)
	if invalid != nil {
		return h.undecodable(ctx, d, invalid)
	}
	w, answered, done := h.prepare(ctx, d, c)
	if done {
		return answered
	}
	release, ok := h.turns.take(ctx, w.turn(), h.patience)
	if !ok {
		return w.busy("the payment's turn")
	}
	defer release()
	defer w.leave()
	return w.run(ctx)
}

// prepare completes the command with what its instance knows. done is true
// where the message was answered already.
func (h *Handler) prepare(ctx context.Context, d Delivery, c payment.Command) (w *work, out Disposition, done bool) {
	c.RequestedAt = d.OriginTime
	in, configured := h.providers.Get(c.Provider)
	w = &work{h: h, d: d, instance: h.observed(in)}
	if d.Timer || d.Redelivered {
		w.sight = wanted
	}
	w.input = payment.Input{Command: c, Timer: d.Timer, Limits: h.limits}
	if !configured {
		if err := w.searchJournal(ctx); err != nil {
			out = w.unreadable(err)
			return w, out, true
		}
		return w, Disposition{}, false
	}
	traits := in.Provider.Traits()
	c, faults := traits.Complete(c, payment.Defaults{Country: in.Country, Currency: in.Currency})
	if len(faults) > 0 {
		return w, h.undecodable(ctx, d, &events.InvalidError{
			Code: payment.CodeInvalidCommand, Faults: faults, CommandID: c.EventID,
			CorrelationID: c.CorrelationID, TraceParent: c.TraceParent, TraceState: c.TraceState,
		}), true
	}
	w.input.Command = c
	w.input.ID = traits.ID(c.Provider, c.Payment)
	w.input.Traits = traits
	w.input.Instance = payment.Instance{
		Configured: true, Account: in.Account, Currencies: in.Currencies, Policy: in.Policy,
	}
	return w, Disposition{}, false
}

// searchJournal looks for the payment of a provider that is not configured
// here, under either identifier: which of them names it, only its kind knows.
func (w *work) searchJournal(ctx context.Context) error {
	c := w.input.Command
	w.sight = seen
	for _, native := range []string{c.Payment.OrderID, c.Payment.TransactionID} {
		if native == "" {
			continue
		}
		id := payment.ID{Provider: c.Provider, Native: native}
		rec, err := w.h.journal.Last(ctx, id)
		if err != nil {
			return fmt.Errorf("read payment: %w", err)
		}
		if rec.Sequence > 0 {
			w.input.ID = id
			w.set(rec)
			return nil
		}
	}
	return nil
}

func (o *Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

func (o *Options) clock() func() time.Time {
	if o.Now == nil {
		return time.Now
	}
	return o.Now
}

func (o *Options) patience() time.Duration {
	if o.Patience <= 0 {
		return time.Second
	}
	return o.Patience
}
