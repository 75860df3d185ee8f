package smpp

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memConn is one end of a connection in memory that buffers like a socket does.
// net.Pipe does not, and a session and a peer that both write would wait for
// each other; and real sockets do not go with testing/synctest.
type memConn struct {
	in, out *memBuffer
}

func newMemConns(size int) (a, b *memConn) {
	x, y := newMemBuffer(size), newMemBuffer(size)
	return &memConn{in: x, out: y}, &memConn{in: y, out: x}
}

func (c *memConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memConn) Write(p []byte) (int, error) { return c.out.write(p) }

func (c *memConn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

func (c *memConn) LocalAddr() net.Addr                { return nil }
func (c *memConn) RemoteAddr() net.Addr               { return nil }
func (c *memConn) SetDeadline(time.Time) error        { return nil }
func (c *memConn) SetReadDeadline(t time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error { c.out.setDeadline(t); return nil }

// memBuffer is one direction.
type memBuffer struct {
	mu       sync.Mutex
	changed  *sync.Cond
	data     []byte
	size     int
	closed   bool
	deadline time.Time
	timer    *time.Timer
}

func newMemBuffer(size int) *memBuffer {
	b := &memBuffer{size: size}
	b.changed = sync.NewCond(&b.mu)
	return b
}

func (b *memBuffer) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.data) == 0 {
		if b.closed {
			return 0, io.EOF
		}
		b.changed.Wait()
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	b.changed.Broadcast()
	return n, nil
}

func (b *memBuffer) write(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(p) > 0 {
		switch {
		case b.closed:
			return n, io.ErrClosedPipe
		case !b.deadline.IsZero() && !time.Now().Before(b.deadline):
			return n, os.ErrDeadlineExceeded
		case len(b.data) >= b.size:
			b.changed.Wait()
			continue
		}
		k := min(len(p), b.size-len(b.data))
		b.data = append(b.data, p[:k]...)
		p, n = p[k:], n+k
		b.changed.Broadcast()
	}
	return n, nil
}

func (b *memBuffer) setDeadline(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deadline = t
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.AfterFunc(time.Until(t), b.changed.Broadcast)
}

func (b *memBuffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.changed.Broadcast()
}
