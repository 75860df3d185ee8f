// Package faultproxy is a network between two programs of a test that can be cut: a TCP proxy on loopback which
// holds back what it should pass on, passes it on late, or resets connections, in each direction apart.
package faultproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what is wrong with one direction. The zero Fault is none.
type Fault struct {
	// Drop holds back what comes until the fault is gone, as TCP does where packets are lost: nothing arrives,
	// neither end is told, and after the fault everything arrives.
	Drop bool
	// Delay is how late all that comes is passed on.
	Delay time.Duration
}

// Chunk is what was read at once from one end of a connection.
type Chunk struct {
	Conn     int // number of the connection, from 1
	ToServer bool
	Octets   []byte // for as long as the tap runs
}

// Tap is called with each chunk before it is passed on, by several goroutines. Where it returns a channel, the chunk is
// held back until that is closed; what else the connection carries in this direction waits behind it.
type Tap func(Chunk) (hold <-chan struct{})

// Proxy passes connections on to one address.
type Proxy struct {
	network, target string
	listener        net.Listener
	running         sync.WaitGroup
	faults          [2]direction // to the server, to the client
	tap             atomic.Pointer[Tap]
	closed          chan struct{} // at Close

	mu    sync.Mutex
	conns map[net.Conn]struct{} // both halves of each
	reset bool                  // new connections are reset too
	ended bool
}

// Listen returns a proxy on a free port of loopback, to an address of a network ("tcp", "unix").
func Listen(network, target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{network: network, target: target, listener: l, conns: make(map[net.Conn]struct{}), closed: make(chan struct{})}
	for i := range p.faults {
		p.faults[i].changed = make(chan struct{})
	}
	p.running.Go(p.accept)
	return p, nil
}

// Addr returns the address that the proxy listens on.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Tap has a function called with all that is passed on from now on; nil: none.
func (p *Proxy) Tap(tap Tap) { p.tap.Store(&tap) }

// ToServer sets the fault of the direction from clients to the server.
func (p *Proxy) ToServer(f Fault) { p.faults[0].set(f) }

// ToClient sets the fault of the direction from the server to clients.
func (p *Proxy) ToClient(f Fault) { p.faults[1].set(f) }

// Reset resets all connections, and new ones until Heal.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reset = true
	p.resetAll()
}

// Heal takes all faults away.
func (p *Proxy) Heal() {
	p.mu.Lock()
	p.reset = false
	p.mu.Unlock()
	p.ToServer(Fault{})
	p.ToClient(Fault{})
}

// Close resets what is connected and returns when the proxy has ended.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.ended = true
	p.resetAll()
	p.mu.Unlock()
	p.listener.Close()
	close(p.closed)
	p.Heal()
	p.running.Wait()
}

// resetAll needs mu.
func (p *Proxy) resetAll() {
	for c := range p.conns {
		abort(c)
	}
}

// abort closes a connection with a reset where it is TCP.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // of a connection that is closed: nothing is to be reset
	}
	c.Close()
}

func (p *Proxy) accept() {
	for n := 1; ; {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !p.keep(c) {
			continue
		}
		number := n
		p.running.Go(func() { p.serve(number, c) })
		n++
	}
}

// keep notes a connection, and resets it where none may be.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reset || p.ended {
		abort(c)
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) serve(n int, client net.Conn) {
	defer p.forget(client)
	server, err := net.DialTimeout(p.network, p.target, 10*time.Second)
	if err != nil || !p.keep(server) {
		abort(client)
		return
	}
	defer p.forget(server)
	var both sync.WaitGroup
	both.Go(func() { p.faults[0].pass(server, client, func(b []byte) { p.tapped(Chunk{n, true, b}) }) })
	both.Go(func() { p.faults[1].pass(client, server, func(b []byte) { p.tapped(Chunk{n, false, b}) }) })
	both.Wait()
	client.Close()
	server.Close()
}

// tapped calls the tap, and waits for what it waits for.
func (p *Proxy) tapped(c Chunk) {
	tap := p.tap.Load()
	if tap == nil || *tap == nil {
		return
	}
	if hold := (*tap)(c); hold != nil {
		select {
		case <-hold:
		case <-p.closed:
		}
	}
}

// direction is one way through the proxy.
type direction struct {
	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed at the next change
}

func (d *direction) set(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
	close(d.changed)
	d.changed = make(chan struct{})
}

// await returns when what was read may be passed on.
func (d *direction) await() {
	for {
		d.mu.Lock()
		f, changed := d.fault, d.changed
		d.mu.Unlock()
		switch {
		case f.Drop:
			<-changed
		case f.Delay > 0:
			select {
			case <-time.After(f.Delay):
				return
			case <-changed:
			}
		default:
			return
		}
	}
}

// pass copies until an end closes, and tells the other.
func (d *direction) pass(to, from net.Conn, tapped func([]byte)) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			tapped(buf[:n])
			d.await()
			if _, err := to.Write(buf[:n]); err != nil {
				abort(from)
				return
			}
		}
		if err == nil {
			continue
		}
		d.await()
		if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) {
			_ = half.CloseWrite() // of a connection that is closed: it knows
			return
		}
		abort(to)
		return
	}
}
