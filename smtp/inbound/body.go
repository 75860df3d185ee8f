package inbound

import (
	"errors"
	"io"
	"sync"
)

// memory bounds the octets of all bodies.
type memory struct {
	mu    sync.Mutex
	limit int
	held  int
}

// take reserves n octets, and reports whether there is room for them.
func (m *memory) take(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held+n > m.limit {
		return false
	}
	m.held += n
	return true
}

func (m *memory) give(n int) {
	m.mu.Lock()
	m.held -= n
	m.mu.Unlock()
}

func (m *memory) inUse() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// Errors of a body.
var (
	errNoMemory = errors.New("no room for the mail in memory")
	errTooLarge = errors.New("the mail is too large")
)

// firstOctets is the size of a body's first buffer: most reports fit.
const firstOctets = 16 << 10

// body is a mail that is being received. What it holds of the memory is given back by free.
type body struct {
	memory *memory
	octets []byte
}

// readFrom reads the whole mail, of limit octets at most. Each buffer has twice the size of the one before, so a peer
// that sends little holds little.
func (b *body) readFrom(r io.Reader, limit int) error {
	for {
		if len(b.octets) == cap(b.octets) {
			if err := b.grow(limit); err != nil {
				return err
			}
		}
		n, err := r.Read(b.octets[len(b.octets):cap(b.octets)])
		b.octets = b.octets[:len(b.octets)+n]
		switch {
		case len(b.octets) > limit:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// grow takes a larger buffer. One octet more than the limit tells that a mail is too large.
func (b *body) grow(limit int) error {
	size := min(max(2*cap(b.octets), firstOctets), limit+1)
	if !b.memory.take(size) {
		return errNoMemory
	}
	larger := make([]byte, len(b.octets), size)
	copy(larger, b.octets)
	b.memory.give(cap(b.octets))
	b.octets = larger
	return nil
}

func (b *body) free() {
	b.memory.give(cap(b.octets))
	b.octets = nil
}
