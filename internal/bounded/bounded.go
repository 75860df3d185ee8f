// Package bounded has a map whose size is bounded. It has two halves: when the younger is full it becomes the older, and
// the older one is dropped. So an entry stays while it is in use, and an entry that is not is dropped some time.
package bounded

import "sync"

// Map is a map of at most twice as many entries as half says. Any goroutine may call its methods.
type Map[K comparable, V any] struct {
	half int

	mu           sync.Mutex
	young, older map[K]V
}

// New returns an empty map.
func New[K comparable, V any](half int) *Map[K, V] {
	return &Map[K, V]{half: half, young: make(map[K]V)}
}

// Get returns the entry of a key.
func (m *Map[K, V]) Get(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(k)
}

// Put stores an entry.
func (m *Map[K, V]) Put(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(k, v)
}

// GetOr returns the entry of a key, or stores the one that made returns.
func (m *Map[K, V]) GetOr(k K, made func() V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.get(k)
	if !ok {
		v = made()
		m.put(k, v)
	}
	return v
}

// Len returns the number of entries; one that is in both halves counts twice.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.young) + len(m.older)
}

// get keeps what it finds in the younger half. Under mu.
func (m *Map[K, V]) get(k K) (V, bool) {
	v, ok := m.young[k]
	if !ok {
		if v, ok = m.older[k]; ok {
			m.put(k, v)
		}
	}
	return v, ok
}

// put stores an entry. Under mu.
func (m *Map[K, V]) put(k K, v V) {
	if len(m.young) >= m.half {
		m.young, m.older = make(map[K]V), m.young
	}
	m.young[k] = v
}
