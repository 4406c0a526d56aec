package handlers

import (
	"context"
	"fmt"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// provenance is where a timer comes from whose content the journal does not know.
// A timer names an operation and does not create one. Until the journal knows the
// operation, the published command alone says what is to be done:
//
//	the stream of commands, at the sequence that the timer names   provenance  what follows
//	not asked: the journal knows the operation and its content     unproven    the journal decides
//	not asked: an accepted loss took what the timer knew           unproven    presumed: asked about, never called
//	not asked: the timer names no sequence                         forged      quarantined, counted, never carried out
//	the same command                                               genuine     the command is carried out
//	the same command, and the timer claims a later time            forged      so: what is newer than a loss may be called
//	another command, or none that can be read, of the same time    forged      quarantined, counted, never carried out
//	so, of another time: the stream was filled again, or a forgery lost        presumed; what would be rejected is quarantined
//	nothing                                                        lost        the same
//	cannot be read                                                 unproven    the timer is given back
type provenance int

const (
	unproven provenance = iota
	genuine
	forged
	lost
)

// names reports whether a timer's command is the one that was published: the same
// operation with the same content, the same guards and the same sender. Country and
// currency of a published command that is silent about them are the instance's of the
// time when the timer was written.
func names(timer, published payment.Command) bool {
	if published.Payment.Country == "" {
		published.Payment.Country = timer.Payment.Country
	}
	if published.Payment.Currency == "" {
		published.Payment.Currency = timer.Payment.Currency
	}
	captured := timer.Payment.CapturedAmount == nil && published.Payment.CapturedAmount == nil ||
		timer.Payment.CapturedAmount != nil && published.Payment.CapturedAmount != nil &&
			*timer.Payment.CapturedAmount == *published.Payment.CapturedAmount
	return captured && timer.Key == published.Key && timer.Fingerprint() == published.Fingerprint() &&
		timer.Origin == published.Origin && timer.Expiry.Equal(published.Expiry)
}

// prove finds out where the timer in hand comes from, if what follows rests on what
// it says. With an outcome or a ruling in hand nothing rests on it.
func (w *work) prove(ctx context.Context, s step) step {
	if !w.d.Timer || w.d.own() || w.h.originals == nil || s.provenance != unproven ||
		s.journal.basis != seen || s.outcome != nil || w.known(s.journal.state()) ||
		w.verdict(s.journal.state(), w.h.epoch()) == payment.TimerPresumed {
		return s
	}
	from, err := w.provenance(ctx)
	switch {
	case err != nil:
		w.log().Warn("the command that a timer names cannot be read", "error", err.Error())
		return s.ends(Disposition{Kind: Redeliver, Delay: giveBackDelay})
	case from == forged:
		return s.ends(w.h.forged(ctx, w.d))
	default:
		s.provenance = from
		return s
	}
}

// known reports whether the journal knows the operation with the content in hand.
func (w *work) known(s payment.State) bool {
	i := s.Find(w.base.Command.Op, w.base.Command.Key)
	return i >= 0 && s.Operations[i].Fingerprint == w.base.Command.Fingerprint()
}

// provenance reads the command that the timer names and compares the two.
func (w *work) provenance(ctx context.Context) (provenance, error) {
	if w.d.Nameless {
		return forged, nil
	}
	p, found, err := w.h.originals.Original(ctx, w.d.OriginSequence)
	switch {
	case err != nil:
		return unproven, fmt.Errorf("find command: %w", err)
	case !found:
		return lost, nil
	case w.isOf(p) && !w.d.OriginTime.After(p.At):
		return genuine, nil
	case w.isOf(p), p.At.Equal(w.d.OriginTime):
		return forged, nil
	default: // a genuine one would name the time of what lies there
		return lost, nil
	}
}

// isOf reports whether the timer in hand is the published command's.
func (w *work) isOf(p Published) bool {
	if w.d.Original.SHA256 != "" && DigestOf(p.Message.Data) != w.d.Original {
		return false
	}
	c, invalid := w.h.decoder.DecodeTaken(p.Message)
	if invalid != nil {
		return false // what is no command has no timer
	}
	return names(w.base.Command, c)
}

// lostCommand is what follows from a timer whose command is gone: whether its
// operation was called before, nothing tells any more.
func (w *work) lostCommand(known *payment.Loss) *payment.Loss {
	loss := payment.Loss{CallsEnd: w.h.now().Add(w.h.longestCall)}
	if known != nil {
		loss.AcceptedAt = known.AcceptedAt
	}
	return &loss
}

// codeForged is the reason in the server's advisory.
const codeForged = "forged_timer"

// forged answers a timer that is like no published command. It goes to the quarantine
// and tells the order services nothing: a rejection would name a sender and a
// sequence that the forger has chosen.
func (h *Handler) forged(ctx context.Context, d Delivery) Disposition {
	ctx, cancel := context.WithTimeout(ctx, appendFor)
	defer cancel()
	own := DigestOf(d.Message.Data)
	r := payment.Rejection{
		Token: events.RejectionTokenOf(d.OriginSequence, own.SHA256), Code: payment.CodeInvalidCommand,
		Size: own.Size, SHA256: own.SHA256, OriginSequence: d.OriginSequence, OriginSubject: d.Message.Subject,
	}
	log := d.traced(h.log)
	if err := h.quarantine.Keep(ctx, Original{Rejection: r, Message: d.asItCame()}); err != nil {
		log.Warn("a forged timer could not be kept in quarantine", "error", err.Error())
		return Disposition{Kind: Redeliver, Delay: giveBackDelay}
	}
	if h.observer != nil {
		h.observer.Forged()
	}
	log.Error("a timer is not like the command that it names; it is not carried out, and kept in quarantine",
		"rejection", r.Token, "origin_sequence", d.OriginSequence)
	return Disposition{Kind: Terminate, Reason: codeForged}
}

// own reports whether no message stands behind the delivery: the service itself has
// asked for the work, about an operation in the journal.
func (d Delivery) own() bool { return d.Message.Subject == "" }
