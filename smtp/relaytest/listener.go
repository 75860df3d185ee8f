package relaytest

import (
	"net"
	"sync"
)

// listener counts connections, limits them, and can close them all.
type listener struct {
	net.Listener
	max int // 0 means no limit

	mu       sync.Mutex
	open     map[*countedConn]struct{}
	accepted int
	closed   bool
	down     bool // new connections are closed at once
}

// countedConn has a number, and is counted as open until it is closed.
type countedConn struct {
	net.Conn
	number int
	from   *listener
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(raw); c != nil {
			return c, nil
		}
		if l.isDown() {
			raw.Close()
			continue
		}
		raw.Write([]byte("421 4.7.0 Too many connections\r\n"))
		raw.Close()
	}
}

func (l *listener) admit(raw net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.down || l.max > 0 && len(l.open) >= l.max {
		return nil
	}
	l.accepted++
	c := &countedConn{Conn: raw, number: l.accepted, from: l}
	l.open[c] = struct{}{}
	return c
}

func (l *listener) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *listener) isDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

// shut stops listening and closes every connection.
func (l *listener) shut() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.Close()
	l.closeAll()
	return err
}

func (l *listener) closeAll() {
	l.mu.Lock()
	open := l.open
	l.open = make(map[*countedConn]struct{})
	l.mu.Unlock()
	for c := range open {
		c.Conn.Close()
	}
}

func (l *listener) count() (accepted, open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted, len(l.open)
}

func (c *countedConn) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}
