package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
)

// Memory is what a Base knows. Executions that a Late fault holds back are not
// in it: they are lost, like a request that never arrived.
type Memory struct {
	Faults    []Fault    `json:"faults,omitempty"`
	Calls     []Call     `json:"calls,omitempty"`
	Movements []Movement `json:"movements,omitempty"`
}

// saved is everything a simulator knows: the Base's part and its own.
type saved struct {
	Base Memory `json:"base"`
	Own  any    `json:"own"`
}

// Keep names what the simulator knows beside its Base, for Save and Load: a
// pointer to a struct that JSON can hold, and the mutex that guards it. It must
// be called before the first call is served.
func (b *Base) Keep(mu *sync.Mutex, own any) { b.ownMu, b.own = mu, own }

// Save returns the whole memory. A new simulator with the same options can load
// it after the process was killed: a real provider would not notice that.
func (b *Base) Save() ([]byte, error) {
	b.ownMu.Lock() // an execution is in both parts or in neither
	defer b.ownMu.Unlock()
	s := saved{Own: b.own}
	b.mu.Lock()
	s.Base = Memory{Faults: append([]Fault{}, b.faults...), Calls: append([]Call{}, b.calls...)}
	b.mu.Unlock()
	s.Base.Movements = b.ledger.Movements("")
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("save simulator: %w", err)
	}
	return text, nil
}

// Load sets the memory of a simulator that has served nothing yet. A memory with
// fields that it does not know, such as one that an earlier version has saved, is
// refused: half of a memory would deny movements that were made.
func (b *Base) Load(text []byte) error {
	b.ownMu.Lock()
	defer b.ownMu.Unlock()
	s := saved{Own: b.own}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return fmt.Errorf("load simulator: the memory was saved by another version, or is damaged: %w", err)
	}
	b.mu.Lock()
	b.faults, b.calls = s.Base.Faults, s.Base.Calls
	b.mu.Unlock()
	for _, movement := range s.Base.Movements {
		b.ledger.Record(movement)
	}
	return nil
}

// OnChange sets what is called after each execution and each fault that
// struck, before anything is answered: memory kept then never knows less than
// a caller was told. It must be set before the first call is served.
func (b *Base) OnChange(f func()) { b.onChange.set(f) }

// hook is a function that may be set once.
type hook struct {
	mu sync.Mutex
	f  func()
}

func (h *hook) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.f = f
}

func (h *hook) run() {
	h.mu.Lock()
	f := h.f
	h.mu.Unlock()
	if f != nil {
		f()
	}
}
