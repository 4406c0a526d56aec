package openpaysim

import (
	"encoding/json"
	"fmt"

	"github.com/countermand/countermand/providers/simulator"
)

// memory is the simulator's whole memory.
type memory struct {
	Base     simulator.Memory `json:"base"`
	Payments []keptPayment    `json:"payments"`
}

type keptPayment struct {
	Payment
	Refunded int64 `json:"refunded"`
}

// Save returns the simulator's memory, to be loaded by a new one with the same
// options after its process was killed.
func (s *Simulator) Save() ([]byte, error) {
	s.mu.Lock()
	var m memory
	for _, p := range s.payments {
		m.Payments = append(m.Payments, keptPayment{*p, p.refunded})
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
	for _, k := range m.Payments {
		p := k.Payment
		p.refunded = k.Refunded
		s.payments[p.TransactionID] = &p
	}
	s.Recall(m.Base)
	return nil
}
