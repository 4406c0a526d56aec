package payment

// Recorded is what a timer says of the journal as it was when the timer was
// written. The zero value says nothing.
//
// A timer without an event of its operation is no sign of a loss by itself: a
// message that finds no place at its provider may wait for hours before anything is
// recorded. So a timer says whether its operation had an event.
type Recorded struct {
	// Epoch is the epoch that was known before the journal was read.
	Epoch uint64
	// Version is the payment's; 0: it had no event, or nobody has looked.
	Version uint64
	// Operation is the version of the operation's newest event; 0: it had none.
	Operation uint64
}

// Recorded returns what a timer of the operation says that is written on this state.
func (s State) Recorded(op Op, key Key, epoch uint64) Recorded {
	r := Recorded{Epoch: epoch, Version: s.Version}
	if i := s.Find(op, key); i >= 0 {
		r.Operation = s.Operations[i].Last
	}
	return r
}

// TimerVerdict is what a timer and the journal say of each other. The zero value
// is the careful one.
type TimerVerdict int

// The verdicts.
const (
	// TimerUnknown: the journal does not know the operation, or not the newest event
	// of it that the timer knew. The journal has lost something.
	TimerUnknown TimerVerdict = iota
	// TimerAhead: the payment's version is lower than the timer knew. The journal has
	// lost something.
	TimerAhead
	// TimerPresumed: an accepted loss took the operation, which may have been called.
	TimerPresumed
	// TimerFits: nothing is known to be lost.
	TimerFits
)

// Judge compares what a timer says with the state that the journal's leader shows
// in an epoch. The first matching row wins:
//
//	the timer says                              the leader shows                      verdict
//	nothing, or that there was no event         anything                              fits
//	an earlier epoch, the operation recorded    not the operation                     presumed
//	an earlier epoch                            anything else                         fits: that loss was accepted
//	a version of the payment                    a lower version                       ahead
//	the operation recorded                      not the operation                     unknown
//	a version of the operation                  an older one, and the payment's newer unknown: written over
//	otherwise                                                                         fits
//
// A timer is written after the event that it knows was accepted or read from the
// leader, and neither versions nor operations ever go away. So a journal that has
// lost nothing always fits.
func (r Recorded) Judge(s State, op Op, key Key, epoch uint64) TimerVerdict {
	var newest uint64
	i := s.Find(op, key)
	if i >= 0 {
		newest = s.Operations[i].Last
	}
	earlier := r.Epoch < epoch
	switch {
	case r.Version == 0:
		return TimerFits
	case earlier && r.Operation > 0 && i < 0:
		return TimerPresumed
	case earlier:
		return TimerFits
	case r.Version > s.Version:
		return TimerAhead
	case r.Operation > newest:
		return TimerUnknown
	default:
		return TimerFits
	}
}
