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

// Quarantine keeps the bytes of a message that is not a valid command. Keeping
// the same message twice is harmless. Implementations are safe for concurrent use.
type Quarantine interface {
	Keep(ctx context.Context, o Original) error
}

// Originals reads the stream of commands. Implementations are safe for concurrent use.
type Originals interface {
	// Original returns the command at a sequence as it was published; found is false
	// where there is none. An error means that it is not known.
	Original(ctx context.Context, sequence uint64) (p Published, found bool, err error)
}

// Published is a command as the stream of commands holds it.
type Published struct {
	Message events.Message
	At      time.Time // the stream's time
}

// Options are the optional parts of a Handler; nil and zero values mean the
// documented defaults.
type Options struct {
	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default: time.Now
	Limits payment.Limits   // of one payment's state
	// Patience is how long a message waits in hand for its payment's lock, or for
	// a place at its provider, before it comes back later; default one second.
	Patience  time.Duration
	Isolation Isolation // of the provider instances; default: none
	Observer  Observer  // default: none
	// History lets Requery ask about operations that have ended. By default it cannot.
	History History
	// Originals finds the command that a timer names. By default a timer is believed,
	// and of a command that is rejected after it waited the timer's copy is kept.
	Originals Originals
	// Losses tells of an accepted loss of the journal; default: none ever is.
	Losses Losses
	// Integrity knows whether the journal has lost something; default: it never has.
	Integrity Integrity
}

// Handler carries commands out. It is safe for concurrent use. It works on one
// command of a payment at a time, and on different payments side by side.
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
	locks      *keyedLock // of payments
	isolation  Isolation  // nil: none
	observer   Observer   // nil: none
	history    History    // nil: nothing is asked about ended operations
	originals  Originals  // nil: timers are believed, and their copies kept
	losses     Losses     // nil: the journal has lost nothing
	// longestCall bounds a call that began before a loss was accepted.
	longestCall time.Duration
	integrity   Integrity // nil: the journal never loses anything
	hand        hand
}

// New builds a Handler. The encoder writes the commands of timers, which keep
// the source of the command they came from.
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
		locks: newKeyedLock(), isolation: o.Isolation, observer: o.Observer, history: o.History, integrity: o.Integrity,
		originals: o.Originals, losses: o.Losses, longestCall: longestCall(set),
	}
	if o.Observer != nil {
		h.journal = &observedJournal{Journal: j, observer: o.Observer}
	}
	return h, nil
}

// Handle takes one message in hand and returns what becomes of it. It returns
// once each step it has begun is finished, or is recorded as begun. When ctx
// ends it gives the message back as soon as no step is half done. It contains
// panics.
func (h *Handler) Handle(ctx context.Context, d Delivery) (out Disposition) {
	end := func(Disposition) {}
	defer func() { end(out) }()
	defer func() {
		if r := recover(); r != nil {
			out = h.panicked(ctx, d, r)
		}
	}()
	c, invalid := h.decode(d)
	ctx, d.Trace, end = h.begin(ctx, d, c, invalid)
	if invalid != nil {
		return h.undecodable(ctx, d, invalid)
	}
	w, s := h.prepare(ctx, d, c)
	if s.end != nil {
		return *s.end
	}
	release, ok := h.locks.take(ctx, w.lockKey(), h.patience)
	if !ok {
		return w.busy()
	}
	defer release()
	defer w.access.leave()
	return *w.run(ctx, s).end
}

// decode reads the command in a message. A timer is of a command that was taken in. A
// message that is delivered again may have been rejected the first time, and stays so.
func (h *Handler) decode(d Delivery) (payment.Command, *events.InvalidError) {
	if d.Timer {
		return h.decoder.DecodeTaken(d.Message)
	}
	return h.decoder.DecodeCommand(d.Message)
}

// prepare completes the command with what its instance knows, and returns the
// work and its first step. That step has an end if the message is answered already.
func (h *Handler) prepare(ctx context.Context, d Delivery, c payment.Command) (*work, step) {
	c.RequestedAt = d.OriginTime
	in, configured := h.providers.Get(c.Provider)
	w := h.newWork(d, h.observed(in), c)
	if !configured {
		view, err := w.searchJournal(ctx)
		if err != nil {
			return w, step{}.ends(w.unreadable(err))
		}
		return w, step{journal: view}
	}
	traits := w.base.Traits
	c, faults := in.Complete(c)
	if len(faults) > 0 {
		return w, step{}.ends(h.undecodable(ctx, d, invalidCommand(c, payment.CodeInvalidCommand, faults...)))
	}
	w.base.Command = c
	w.base.ID = traits.ID(c.Provider, c.Payment)
	if d.Timer || d.Redelivered {
		return w, step{journal: journalView{basis: wanted}}
	}
	return w, step{journal: journalView{basis: assumed}}
}

// searchJournal reads the payment of a provider that is not configured here. It
// tries both identifiers, because only the provider's kind knows which of them
// names the payment.
func (w *work) searchJournal(ctx context.Context) (journalView, error) {
	c := w.base.Command
	for _, native := range []string{c.Payment.OrderID, c.Payment.TransactionID} {
		if native == "" {
			continue
		}
		id := payment.ID{Provider: c.Provider, Native: native}
		last, err := w.h.journal.Last(ctx, id)
		if err != nil {
			return journalView{}, fmt.Errorf("read payment: %w", err)
		}
		if last.Sequence > 0 {
			w.base.ID = id
			return seenAs(last), nil
		}
	}
	return journalView{basis: seen}, nil
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
