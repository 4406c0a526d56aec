package handlers

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// maxPanics is how many deliveries of one command may panic before it is
// ended, deferred or put before a person.
const maxPanics = 5

// undecodable answers a message that is no command: its bytes go to the
// quarantine first, then the rejection to the journal, then the message is
// terminated. Dying in between repeats both, harmlessly.
//
// A timer is our own writing. If it cannot be read, a newer version may; it is
// given back loudly, for an open operation may hang on it.
func (h *Handler) undecodable(ctx context.Context, d Delivery, invalid *events.InvalidError) Disposition {
	ctx, cancel := context.WithTimeout(ctx, appendFor)
	defer cancel()
	log := d.traced(h.log).With("event_id", events.Mask(invalid.CommandID), "origin_sequence", d.OriginSequence, "code", string(invalid.Code))
	if d.Timer && invalid.Code == payment.CodeInvalidCommand {
		log.Error("a timer cannot be understood; it stays", "error", invalid.Error())
		return Disposition{Kind: Redeliver, Delay: 5 * time.Minute}
	}
	original := d.original()
	r := payment.Rejection{
		Token: events.RejectionTokenOf(d.OriginSequence, original.SHA256), Code: invalid.Code, Faults: invalid.Faults,
		Size: original.Size, SHA256: original.SHA256,
		OriginSequence: d.OriginSequence, OriginSubject: d.Message.Subject,
		CommandID: invalid.CommandID, CorrelationID: invalid.CorrelationID,
		TraceParent: invalid.TraceParent, TraceState: invalid.TraceState,
	}
	if err := h.quarantine.Keep(ctx, Original{Rejection: r, Message: d.Message}); err != nil {
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

// refusal is the rejection of a well-formed command that reveals nothing of
// what is known about its payment.
func (w *work) refusal(code payment.Code) *events.InvalidError {
	pointer := ""
	if code == payment.CodeIdempotencyKeyReused {
		pointer = "/idempotencyKey"
	}
	if code == payment.CodeUnknownProvider {
		pointer = "/provider"
	}
	c := w.input.Command
	return &events.InvalidError{
		Code: code, Faults: []payment.Fault{{Pointer: pointer, Rule: string(code)}},
		CommandID: c.EventID, CorrelationID: c.CorrelationID, TraceParent: c.TraceParent, TraceState: c.TraceState,
	}
}

// panicked contains a panic: the command comes back later, and after five of
// them what the journal says decides. The process and the queue go on.
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
	c, invalid := h.decoder.DecodeCommand(d.Message)
	if invalid != nil {
		return h.undecodable(ctx, d, invalid)
	}
	w, answered, done := h.prepare(ctx, d, c)
	if done {
		return answered
	}
	if panics < maxPanics {
		return w.later(h.now().Add(time.Second<<panics), panics)
	}
	return w.endPanics(ctx)
}

// panickedAgain is reached when the message cannot even be decoded, or its
// journal not be read, without a panic. After five deliveries a command is
// answered as undecodable; a timer never is.
func (h *Handler) panickedAgain(ctx context.Context, d Delivery, r any) Disposition {
	h.log.Error("handling a panic panicked", "error", panicText(r), "origin_sequence", d.OriginSequence)
	if d.Timer || d.Deliveries < maxPanics {
		return Disposition{Kind: Redeliver, Delay: time.Minute}
	}
	return h.undecodable(ctx, d, &events.InvalidError{
		Code: payment.CodeInternalError, Faults: []payment.Fault{{Rule: string(payment.CodeInternalError)}},
	})
}

// endPanics decides by what a leader read says.
func (w *work) endPanics(ctx context.Context) Disposition {
	w.sight = wanted
	for range maxSteps {
		if err := w.look(ctx); err != nil {
			w.log().Error("a command that panics cannot be looked up", "error", err.Error())
			return w.later(w.h.now().Add(time.Minute), maxPanics)
		}
		w.input.Now = w.h.now()
		dec := payment.DecidePanicked(w.input)
		again, out, done := w.commit(ctx, dec)
		switch {
		case done:
			return out
		case again:
			continue
		case dec.Action == payment.RejectCommand:
			return w.h.undecodable(ctx, w.d, w.refusal(dec.Code))
		case dec.Action == payment.Finish:
			return Disposition{Kind: Ack}
		default:
			return w.later(dec.At, 0)
		}
	}
	return Disposition{Kind: Redeliver, Delay: time.Minute}
}
