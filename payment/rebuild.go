package payment

import (
	"errors"
	"fmt"
)

// ErrDamaged is why a command cannot be made from an operation. Guessing would
// make another operation of it, and another operation may move money once more.
var ErrDamaged = errors.New("the state does not give the command it was made from")

// Command makes the command of an open operation from its state: the same
// content, and what its envelope said. It must name exactly the operation it
// came from, or it is not given out: ErrDamaged, wrapped with what differs.
func (o Operation) Command(id ID) (Command, error) {
	if o.Open == nil {
		return Command{}, damaged("it is " + string(o.Status) + " and says nothing of how to go on")
	}
	open := o.Open
	c := Command{
		Op: o.Op, Key: open.Key, Provider: id.Provider, Payment: open.Payment, Full: o.Full, Reason: open.Reason,
		Origin: open.Origin, Trace: open.Trace, Expiry: open.Expiry, RequestedAt: open.RequestedAt,
	}
	if !o.Full {
		// With Full the state's amount is what was resolved later, not what was asked.
		c.Amount = o.Amount
	}
	switch {
	case open.Key.Hash() != o.KeyHash:
		return Command{}, damaged("its key is not the one it is filed under")
	case c.Fingerprint() != o.Fingerprint:
		return Command{}, damaged("its fingerprint differs")
	default:
		return c, nil
	}
}

func damaged(how string) error { return fmt.Errorf("%w: %s", ErrDamaged, how) }
