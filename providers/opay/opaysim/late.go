package opaysim

import (
	"errors"

	"github.com/countermand/countermand/providers/simulator"
)

// Return lets a refund that was paid come back: it is shown as failed from now
// on, and the ledger has the money's way back.
func (s *Simulator) Return(reference string) error {
	return s.turn(reference, "SUCCESS", func(r *refund, p *held) {
		r.Status, r.End, r.ErrorCode = "FAIL", "FAIL", "91"
		p.Refunded -= r.Amount
		s.record(opReturn, r)
	})
}

// ExecuteLate carries a refund out that was shown as failed.
func (s *Simulator) ExecuteLate(reference string) error {
	return s.turn(reference, "FAIL", func(r *refund, p *held) {
		r.Status, r.End, r.ErrorCode = "SUCCESS", "SUCCESS", ""
		p.Refunded += r.Amount
		s.record(opRefund, r)
	})
}

// opReturn is how the ledger calls money that came back.
const opReturn = "return"

func (s *Simulator) turn(reference, from string, to func(*refund, *held)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.Refunds[reference]
	if r == nil || r.Status != from {
		return errors.New("turn refund: none with this reference and status")
	}
	to(r, s.Payments[r.Original])
	return nil
}

func (s *Simulator) record(operation string, r *refund) {
	s.Ledger().Record(simulator.Movement{
		Time: s.Now(), Operation: operation, Payment: r.Original, Reference: r.Reference,
		ProviderReference: r.OrderNo, Amount: r.Amount, Currency: r.Currency,
	})
}
