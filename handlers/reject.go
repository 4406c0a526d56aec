package handlers

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// maxPanics is how many deliveries of one command may panic. After that the
// command is ended, deferred or given to a person.
const maxPanics = 5

// undecodable answers a message that is not a command. Its bytes go to the
// quarantine first, then the rejection to the refusals, then the message is
// terminated. A process that dies in between repeats both; that is harmless.
//
// Timers are written by this service. If one cannot be read, a newer version may
// be able to. It is given back and logged as an error, because an open operation
// may depend on it.
func (h *Handler) undecodable(ctx context.Context, d Delivery, invalid *events.InvalidError) Disposition {
	ctx, cancel := context.WithTimeout(ctx, appendFor)
	defer cancel()
	log := d.traced(h.log).With("event_id", events.Mask(invalid.CommandID), "origin_sequence", d.OriginSequence, "code", string(invalid.Code))
	if d.Timer && invalid.Code == payment.CodeInvalidCommand {
		log.Error("a timer cannot be understood; it stays", "error", invalid.Error())
		return Disposition{Kind: Redeliver, Delay: 5 * time.Minute}
	}
	published, err := h.published(ctx, d)
	if err != nil {
		log.Warn("the rejected command's original cannot be read", "error", err.Error())
		return Disposition{Kind: Redeliver, Delay: giveBackDelay}
	}
	original := d.digest()
	r := payment.Rejection{
		Token: events.RejectionTokenOf(d.OriginSequence, original.SHA256), Code: invalid.Code, Faults: invalid.Faults,
		Size: original.Size, SHA256: original.SHA256,
		OriginSequence: d.OriginSequence, OriginSubject: published.Subject,
		CommandID: invalid.CommandID, Trace: invalid.Trace,
	}
	if err := h.quarantine.Keep(ctx, Original{Rejection: r, Message: published}); err != nil {
		log.Warn("message could not be kept in quarantine", "error", err.Error())
		return Disposition{Kind: Redeliver, Delay: giveBackDelay}
	}
	if err := h.journal.AppendRejection(ctx, r); err != nil {
		log.Warn("rejection could not be appended", "error", err.Error())
		return Disposition{Kind: Redeliver, Delay: giveBackDelay}
	}
	log.Info("message rejected", "faults", len(r.Faults), "rejection", r.Token)
	return Disposition{Kind: Terminate, Reason: string(invalid.Code)}
}

// published is the rejected message as its publisher sent it. A timer carries a copy
// of the event; the original lies in the stream of commands. Where there is none, or
// other bytes lie at its sequence, the copy has to do, and so it has where the stream
// cannot be read twice in a row: the command must be answered.
func (h *Handler) published(ctx context.Context, d Delivery) (events.Message, error) {
	if !d.Timer || h.originals == nil || d.Original.SHA256 == "" {
		return d.asItCame(), nil
	}
	p, found, err := h.originals.Original(ctx, d.OriginSequence)
	switch {
	case err != nil && !d.Redelivered:
		return p.Message, err
	case err != nil:
		d.traced(h.log).Error("the rejected command's original cannot be read; the timer's copy is kept", "origin_sequence", d.OriginSequence, "error", err.Error())
		return d.asItCame(), nil
	case !found, DigestOf(p.Message.Data) != d.Original:
		return d.asItCame(), nil
	default:
		return p.Message, nil
	}
}

// reject answers a command with its rejection. A timer whose command is gone is told to
// nobody: its sender may be one that a forger has chosen.
func (w *work) reject(ctx context.Context, s step, code payment.Code) Disposition {
	if s.provenance == lost {
		return w.h.forged(ctx, w.d)
	}
	return w.h.undecodable(ctx, w.d, w.refusal(code))
}

// refusal is the rejection of a well-formed command. It reveals nothing of what
// is known about the payment.
func (w *work) refusal(code payment.Code) *events.InvalidError {
	pointer := ""
	if code == payment.CodeIdempotencyKeyReused {
		pointer = "/idempotencyKey"
	}
	if code == payment.CodeUnknownProvider {
		pointer = "/provider"
	}
	return invalidCommand(w.base.Command, code, payment.Fault{Pointer: pointer, Rule: string(code)})
}

// invalidCommand says what is wrong with a command that could be decoded.
func invalidCommand(c payment.Command, code payment.Code, faults ...payment.Fault) *events.InvalidError {
	return &events.InvalidError{
		Code: code, Faults: faults, CommandID: c.CommandID, Trace: c.Trace,
	}
}

// panicked contains a panic: the command comes back later. After five panics
// the journal's state decides. The process and the queue go on.
func (h *Handler) panicked(ctx context.Context, d Delivery, r any) (out Disposition) {
	defer func() {
		if again := recover(); again != nil {
			out = h.panickedAgain(ctx, d, again)
		}
	}()
	panics := d.Panics + 1
	if h.observer != nil {
		h.observer.Panicked()
	}
	h.log.Error("handling a message panicked", "error", panicText(r), "panics", panics,
		"origin_sequence", d.OriginSequence, "stack", string(debug.Stack()))
	c, invalid := h.decode(d)
	if invalid != nil {
		return h.undecodable(ctx, d, invalid)
	}
	w, s := h.prepare(ctx, d, c)
	if s.end != nil {
		return *s.end
	}
	if panics < maxPanics {
		return w.later(s.journal, h.now().Add(time.Second<<panics), panics)
	}
	return w.endPanics(ctx)
}

// panickedAgain is reached if even decoding the message, or reading its
// journal, panics. After five deliveries a command is answered as undecodable.
// A timer never is.
func (h *Handler) panickedAgain(ctx context.Context, d Delivery, r any) Disposition {
	h.log.Error("handling a panic panicked", "error", panicText(r), "origin_sequence", d.OriginSequence)
	if d.Timer || d.Deliveries < maxPanics {
		return Disposition{Kind: Redeliver, Delay: time.Minute}
	}
	return h.undecodable(ctx, d, &events.InvalidError{
		Code: payment.CodeInternalError, Faults: []payment.Fault{{Rule: string(payment.CodeInternalError)}},
	})
}

// endPanics decides by what the journal's leader says.
func (w *work) endPanics(ctx context.Context) Disposition {
	s := step{journal: journalView{basis: wanted}}
	for range maxSteps {
		if s = w.endPanicsOnce(ctx, s); s.end != nil {
			return *s.end
		}
	}
	return Disposition{Kind: Redeliver, Delay: time.Minute}
}

// endPanicsOnce is one round: read the journal, decide, append.
func (w *work) endPanicsOnce(ctx context.Context, s step) step {
	s, err := w.read(ctx, s)
	if err != nil {
		w.log().Error("a command that panics cannot be looked up", "error", err.Error())
		return s.ends(w.later(s.journal, w.h.now().Add(time.Minute), maxPanics))
	}
	if s = w.prove(ctx, s); s.end != nil {
		return s
	}
	if end, contradicted := w.contradicted(s); contradicted {
		return s.ends(end)
	}
	dec := payment.DecidePanicked(w.input(s))
	s, err = w.commit(ctx, s, dec)
	if _, rival := errors.AsType[*journal.ConflictError](err); rival {
		return s
	}
	if err != nil {
		return s.ends(w.notAppended(err))
	}
	switch dec.Action {
	case payment.RejectCommand:
		return s.ends(w.reject(ctx, s, dec.Code))
	case payment.Finish:
		return s.ends(Disposition{Kind: Ack})
	default:
		return s.ends(w.later(s.journal, dec.At, 0))
	}
}
