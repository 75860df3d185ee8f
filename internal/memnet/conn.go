package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Conn is one end of a connection in memory that buffers like a socket does.
// net.Pipe does not buffer, so two ends that both write would wait for each other.
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

func (c *Conn) LocalAddr() net.Addr                { return address("memory") }
func (c *Conn) RemoteAddr() net.Addr               { return address("memory") }
func (c *Conn) SetReadDeadline(t time.Time) error  { c.in.setDeadline(&c.in.reading, t); return nil }
func (c *Conn) SetWriteDeadline(t time.Time) error { c.out.setDeadline(&c.out.writing, t); return nil }

func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// buffer is one direction.
type buffer struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    []byte
	size    int
	closed  bool
	reading deadline
	writing deadline
}

// deadline is that of the calls at one end of a buffer.
type deadline struct {
	at    time.Time // zero: none
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
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
		switch {
		case b.closed:
			return 0, io.EOF
		case b.reading.passed():
			return 0, os.ErrDeadlineExceeded
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
		case b.writing.passed():
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

func (b *buffer) setDeadline(d *deadline, t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d.stop()
	d.at = t
	if b.closed {
		return
	}
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), b.changed.Broadcast)
	}
	b.changed.Broadcast()
}

func (b *buffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.reading.stop()
	b.writing.stop()
	b.changed.Broadcast()
}
