package tranzzosim

import (
	"encoding/json"
	"fmt"

	"github.com/countermand/countermand/providers/simulator"
)

// memory is the simulator's whole memory.
type memory struct {
	Base   simulator.Memory `json:"base"`
	Serial int              `json:"serial"`
	Orders []*order         `json:"orders"`
}

// Save returns the simulator's memory, to be loaded by a new one with the same
// options after its process was killed.
func (s *Simulator) Save() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock() // an execution is in both or in neither
	m := memory{Serial: s.serial, Base: s.Remember()}
	for _, o := range s.orders {
		m.Orders = append(m.Orders, o)
	}
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
	for _, o := range m.Orders {
		s.orders[o.OrderID] = o
	}
	s.Recall(m.Base)
	return nil
}
