package notifications

import (
	"container/list"
	"crypto/sha256"
	"sync"
)

// key names one notification of one provider.
type key struct {
	provider string
	digest   [sha256.Size]byte
}

// memory knows the notifications that acted, the latest ones up to a limit. It
// is this process's own: after a restart, or at another replica, a notification
// acts once more, which is one more question to the provider.
type memory struct {
	mu    sync.Mutex
	limit int
	order *list.List // of keys, the latest in front
	known map[key]*list.Element
}

func newMemory(limit int) *memory {
	return &memory{limit: limit, order: list.New(), known: map[key]*list.Element{}}
}

// take remembers the key; false: it is known already.
func (m *memory) take(k key) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[k]; ok {
		m.order.MoveToFront(e)
		return false
	}
	m.known[k] = m.order.PushFront(k)
	if m.order.Len() > m.limit {
		m.remove(m.order.Back())
	}
	return true
}

// forget lets the key act again: it did not, after all.
func (m *memory) forget(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[k]; ok {
		m.remove(e)
	}
}

// remove takes an element out. Callers hold mu.
func (m *memory) remove(e *list.Element) {
	m.order.Remove(e)
	if k, ok := e.Value.(key); ok {
		delete(m.known, k)
	}
}
