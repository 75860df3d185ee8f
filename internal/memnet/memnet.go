// Package memnet is a network in memory, for tests in bubbles of testing/synctest: their time is not real, and real
// sockets do not work there.
//
//	memnet.go  Network: listeners, and dialling them
//	conn.go    Conn: a connection that buffers, with deadlines
//	bubble.go  Bubble: a test in such a bubble
package memnet

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
)

// Network is a network without hosts: every address is one that somebody listens on, or nobody. The zero value has no
// listeners.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	lastPort  atomic.Uint32 // of Addr
	bubbles   sync.Map      // the testing.TB of Bubble
}

// Addr returns an address that no other call returns.
func (n *Network) Addr() string { return fmt.Sprintf("127.0.0.1:%d", 1+n.lastPort.Add(1)%65535) }

// Listen listens on an address.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "memory", Addr: address(addr), Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners = map[string]*listener{}
	}
	l := &listener{network: n, addr: address(addr), conns: make(chan net.Conn), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// DialContext connects to an address, as that of a net.Dialer does. Without a listener it is refused.
func (n *Network) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: "memory", Addr: address(addr), Err: syscall.ECONNREFUSED}
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil {
		return nil, refused
	}
	ours, theirs := Pipe(1 << 16)
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.done:
		return nil, refused
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// listener is one of a Network.
type listener struct {
	network *Network
	addr    address
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
		close(l.done)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }
