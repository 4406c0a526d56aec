package bentosim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/countermand/countermand/providers/simulator"
)

// memory is the simulator's whole memory.
type memory struct {
	Base         simulator.Memory     `json:"base"`
	Serial       int                  `json:"serial"`
	Tokens       map[string]time.Time `json:"tokens"`
	Transactions []kept               `json:"transactions"`
}

type kept struct {
	Payment   Payment   `json:"payment"`
	Captured  int64     `json:"captured"`
	Refunded  int64     `json:"refunded"`
	Status    status    `json:"status"`
	History   []entry   `json:"history"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Pending   *change   `json:"pending,omitempty"`
	Before    *view     `json:"before,omitempty"`
}

// Save returns the simulator's memory, to be loaded by a new one with the same
// options after its process was killed.
func (s *Simulator) Save() ([]byte, error) {
	s.mu.Lock()
	m := memory{Serial: s.serial, Tokens: map[string]time.Time{}}
	for token, until := range s.tokens {
		m.Tokens[token] = until
	}
	for _, t := range s.transactions {
		k := kept{t.Payment, t.captured, t.refunded, t.status, t.history, t.created, t.updated, nil, t.before}
		if t.pending != nil {
			c := *t.pending
			k.Pending = &c
		}
		m.Transactions = append(m.Transactions, k)
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
	for token, until := range m.Tokens {
		s.tokens[token] = until
	}
	for _, k := range m.Transactions {
		s.transactions[k.Payment.TransactionID] = &transaction{
			Payment: k.Payment, captured: k.Captured, refunded: k.Refunded, status: k.Status, history: k.History,
			created: k.CreatedAt, updated: k.UpdatedAt, pending: k.Pending, before: k.Before,
		}
	}
	s.Recall(m.Base)
	return nil
}
