package opaysim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

// memory is the simulator's whole memory.
type memory struct {
	Base     simulator.Memory `json:"base"`
	Serial   int64            `json:"serial"`
	Payments []keptPayment    `json:"payments"`
	Refunds  []keptRefund     `json:"refunds"`
}

type keptPayment struct {
	Payment
	OrderNo  string    `json:"orderNo"`
	Created  time.Time `json:"created"`
	Refunded int64     `json:"refunded"`
}

type keptRefund struct {
	Reference, Original, OrderNo, Currency, Status, End, ErrorCode, Callback string
	Amount                                                                   int64
	Queries                                                                  int
}

// Save returns the simulator's memory, to be loaded by a new one with the same
// options after its process was killed.
func (s *Simulator) Save() ([]byte, error) {
	s.mu.Lock()
	m := memory{Serial: s.serial}
	for _, p := range s.payments {
		m.Payments = append(m.Payments, keptPayment{*p, p.orderNo, p.created, p.refunded})
	}
	for _, r := range s.refunds {
		m.Refunds = append(m.Refunds, keptRefund{
			r.reference, r.original, r.orderNo, r.currency, r.status, r.end, r.errorCode, r.callback, r.amount, r.queries,
		})
	}
	m.Base = s.Remember() // under mu: an execution is in both or in neither
	s.mu.Unlock()
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("save simulator: %w", err)
	}
	return b, nil
}

// Load sets the memory of a simulator that has served nothing yet.
func (s *Simulator) Load(b []byte) error {
	var m memory
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("load simulator: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial = m.Serial
	for _, k := range m.Payments {
		p := k.Payment
		p.orderNo, p.created, p.refunded = k.OrderNo, k.Created, k.Refunded
		s.payments[p.Reference] = &p
	}
	for _, k := range m.Refunds {
		s.refunds[k.Reference] = &refund{
			reference: k.Reference, original: k.Original, orderNo: k.OrderNo, currency: k.Currency, status: k.Status,
			end: k.End, errorCode: k.ErrorCode, callback: k.Callback, amount: k.Amount, queries: k.Queries,
		}
	}
	s.Recall(m.Base)
	return nil
}
