package simulator

import "sync"

// Memory is what a Base keeps for its process to be killed and started again,
// as a real provider would not notice. Executions that a Late fault holds back
// are not in it: they are lost, like a request that never arrived.
type Memory struct {
	Faults    []Fault    `json:"faults,omitempty"`
	Calls     []Call     `json:"calls,omitempty"`
	Movements []Movement `json:"movements,omitempty"`
}

// Remember returns a copy of the memory as it is now.
func (b *Base) Remember() Memory {
	b.mu.Lock()
	m := Memory{Faults: append([]Fault{}, b.faults...), Calls: append([]Call{}, b.calls...)}
	b.mu.Unlock()
	m.Movements = b.ledger.Movements("")
	return m
}

// Recall sets the memory of a Base that has served nothing yet.
func (b *Base) Recall(m Memory) {
	b.mu.Lock()
	b.faults, b.calls = m.Faults, m.Calls
	b.mu.Unlock()
	for _, movement := range m.Movements {
		b.ledger.Record(movement)
	}
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
