package handlers

import (
	"errors"
	"time"

	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/journal"
)

// spreadOver is the number of parts into which the return of crowded messages
// is spread.
const spreadOver = 4

// later schedules the command. The timer says what is seen of the journal, or, where
// nothing is seen, what the timer in hand has said.
func (w *work) later(seen journalView, at time.Time, panics int) Disposition {
	c := w.base.Command
	m, err := w.h.encoder.EncodeCommand(c)
	if err != nil {
		w.log().Error("command cannot be encoded for a timer", "error", err.Error())
		return Disposition{Kind: Redeliver, Delay: time.Minute}
	}
	return Disposition{Kind: Later, Timer: Timer{
		Subject: events.ScheduleSubject(c, w.base.ID), Target: events.DueSubject(c.Op), Message: m, At: at,
		OriginSequence: w.d.OriginSequence, OriginTime: w.d.OriginTime, Original: w.d.digest(),
		Deliveries: w.d.Deliveries, Panics: panics, Recorded: w.recorded(seen),
	}}
}

// busy is what becomes of a message that did not get its payment's lock: it
// comes back later and is not kept in hand.
func (w *work) busy() Disposition {
	w.log().Debug("message comes back later", "waiting_for", "the payment's turn")
	return w.later(journalView{}, w.h.now().Add(busyDelay), w.d.Panics)
}

// crowded is what becomes of a message that got no place at its provider, or
// no room in its rate. Each time it comes back more slowly: a backlog must not
// cost the other providers their throughput. The messages come back spread over
// time: those that were refused together would be refused together again.
func (w *work) crowded(seen journalView) Disposition {
	w.log().Debug("message comes back later", "waiting_for", "a place at the provider")
	delay := busyDelay
	for n := 1; n < w.d.Deliveries && delay < maxBusyDelay; n++ {
		delay *= 2
	}
	delay = min(delay, maxBusyDelay)
	spread := time.Duration(w.d.OriginSequence%spreadOver) * delay / spreadOver
	return w.later(seen, w.h.now().Add(delay+spread), w.d.Panics)
}

// unreadable gives the message back after a read that failed. A state in a
// newer format is never guessed at: its message comes back later, because a
// short delay does not help.
func (w *work) unreadable(err error) Disposition {
	if errors.Is(err, journal.ErrNewerFormat) {
		w.log().Error("state was written by a newer version; finish the rollout", "error", err.Error())
		return w.later(journalView{}, w.h.now().Add(30*time.Second), w.d.Panics)
	}
	w.log().Warn("journal cannot be read", "error", err.Error())
	return Disposition{Kind: Redeliver, Delay: giveBackDelay}
}

// notAppended gives the message back after an append that was refused, or whose
// fate is not known. Nothing was called because of it.
func (w *work) notAppended(err error) Disposition {
	if errors.Is(err, journal.ErrNewerFormat) {
		return w.unreadable(err)
	}
	full := errors.Is(err, journal.ErrStoreRefuses)
	w.log().Error("event could not be appended", "error", err.Error())
	return Disposition{Kind: Redeliver, Delay: giveBackDelay, StopPulling: full}
}
