package tranzzosim

import "errors"

// Return lets the newest refund of an order that was paid come back: the
// listing shows it as failed from now on, and the ledger has the money's way back.
func (s *Simulator) Return(orderID string) error {
	return s.turn(orderID, "success", func(o *order, op *operation) {
		op.Status, op.Code = "failure", "2100"
		s.record("return", o, op, op.Amount)
	})
}

// ExecuteLate carries the newest failed refund of an order out.
func (s *Simulator) ExecuteLate(orderID string) error {
	return s.turn(orderID, "failure", func(o *order, op *operation) {
		op.Status, op.Code = "success", codeSuccess
		s.executed(o, op)
	})
}

func (s *Simulator) turn(orderID, from string, to func(*order, *operation)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.Orders[orderID]; o != nil {
		for i := len(o.Operations) - 1; i > 0; i-- {
			if op := o.Operations[i]; op.Method == "refund" && op.Status == from {
				to(o, op)
				return nil
			}
		}
	}
	return errors.New("turn refund: the order has none in this status")
}
