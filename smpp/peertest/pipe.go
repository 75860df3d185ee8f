package peertest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Conn is one end of a connection in memory that buffers like a socket does.
// net.Pipe does not buffer, so a session and a peer that both write would wait for
// each other. Real sockets do not work with testing/synctest.
type Conn struct {
	in, out *buffer
}

// Pipe returns the two ends of a connection that buffers size octets each way.
func Pipe(size int) (a, b *Conn) {
	x, y := newBuffer(size), newBuffer(size)
	return &Conn{in: x, out: y}, &Conn{in: y, out: x}
}

func (c *Conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *Conn) Write(p []byte) (int, error) { return c.out.write(p) }

func (c *Conn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

// CloseWrite has the other end read the end of the stream.
func (c *Conn) CloseWrite() { c.out.close() }

func (c *Conn) LocalAddr() net.Addr                { return nil }
func (c *Conn) RemoteAddr() net.Addr               { return nil }
func (c *Conn) SetDeadline(time.Time) error        { return nil }
func (c *Conn) SetReadDeadline(t time.Time) error  { return nil }
func (c *Conn) SetWriteDeadline(t time.Time) error { c.out.setDeadline(t); return nil }

// buffer is one direction.
type buffer struct {
	mu       sync.Mutex
	changed  *sync.Cond
	data     []byte
	size     int
	closed   bool
	deadline time.Time
	timer    *time.Timer
}

func newBuffer(size int) *buffer {
	b := &buffer{size: size}
	b.changed = sync.NewCond(&b.mu)
	return b
}

func (b *buffer) read(p []byte) (int, error) {
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

func (b *buffer) write(p []byte) (n int, err error) {
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

func (b *buffer) setDeadline(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deadline = t
	if b.timer != nil {
		b.timer.Stop()
	}
	b.timer = time.AfterFunc(time.Until(t), b.changed.Broadcast)
}

func (b *buffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	b.changed.Broadcast()
}
