package handlers

import (
	"github.com/countermand/countermand/journal"
	"github.com/countermand/countermand/payment"
)

// step is what one round of the work starts from. Each stage of the round takes
// a step and returns the next one; nothing else changes it.
type step struct {
	journal journalView
	// epoch is that of the journal if it has changed since the work began.
	epoch uint64
	// provenance is where the timer in hand comes from, if that was asked.
	provenance provenance
	// outcome is a provider's answer that the journal does not hold yet; nil: none.
	// The outcome of a call must not be lost.
	outcome *payment.Heard
	// reading is the preparing read that was made under the journal's state; nil: none.
	reading *payment.Reading
	// resolution is an operator's ruling that is not appended yet; nil: none.
	resolution *payment.Resolution

	// asked is the provider's newest answer to a status query; nil: it was not asked.
	asked *payment.Outcome
	// added is the type of the last event that this work appended. An event that a
	// rival appended does not count.
	added payment.EventType

	// end is what becomes of the message; nil: the work goes on.
	end *Disposition
}

// ends is the last step, with what becomes of the message.
func (s step) ends(d Disposition) step {
	s.end = &d
	return s
}

// holdsCall reports whether the outcome of a call is in hand.
func (s step) holdsCall() bool { return s.outcome != nil && !s.outcome.Query }

// journalView is what is known of the payment's journal.
type journalView struct {
	// last is the payment's newest record, as far as it is known.
	last  journal.Record
	basis viewBasis
}

// viewBasis is how a journalView came to be known.
type viewBasis int

const (
	// assumed: nothing was read. A first delivery is taken for its payment's first
	// command. If that is wrong, the append that expects no event is refused.
	assumed viewBasis = iota
	wanted            // the journal must be read before the next decision
	seen              // the journal said so
)

// seenAs is the view of a record that the journal returned.
func seenAs(last journal.Record) journalView { return journalView{last: last, basis: seen} }

// state is the payment's state as far as it is known.
func (v journalView) state() payment.State { return v.last.State }
