package smsctest

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"straks/internal/freeport"
)

// SMSC is a running simulator. All methods are safe for concurrent use.
type SMSC struct {
	addr    string
	clock   *clock
	dice    *dice
	record  *record
	first   throttleFirst
	n       *counters
	cold    freezer // of all connections
	current atomic.Pointer[script]
	ids     atomic.Uint64
	connIDs atomic.Uint64
	firstID uint64
	fast    bool // Profile.Fast

	done chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it is down
	reserve  func()       // releases the port
	conns    map[*conn]struct{}
	accounts map[string]*account
	closed   bool
}

// Listen starts an SMSC on addr ("127.0.0.1:0" picks a port). It refuses an address that
// is not loopback, since a simulator obeys every client; Profile.AllowRemote permits it.
func Listen(addr string, p Profile) (*SMSC, error) {
	if err := allowed(addr, p.AllowRemote); err != nil {
		return nil, err
	}
	bound, release := addr, func() {}
	if p.Listen == nil {
		var err error
		if bound, release, err = freeport.Reserve(addr); err != nil {
			return nil, fmt.Errorf("smsctest: %w", err)
		}
	}
	s := &SMSC{
		addr: bound, reserve: release,
		clock: newClock(), n: &counters{}, dice: newDice(p.Seed), record: &record{size: cmp.Or(p.Record, 10_000)},
		firstID: cmp.Or(p.FirstID, 170_000_001), fast: p.Fast,
		done: make(chan struct{}), conns: map[*conn]struct{}{}, accounts: map[string]*account{},
	}
	p.MaxConnections = cmp.Or(p.MaxConnections, 1000)
	s.current.Store(newScript(p))
	if err := s.listen(); err != nil {
		release()
		return nil, err
	}
	s.wg.Go(func() { s.clock.run(s.done) })
	return s, nil
}

// allowed refuses addresses that other hosts can reach, unless remote is set.
func allowed(addr string, remote bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("smsctest: %w", err)
	}
	if ip := net.ParseIP(host); remote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("smsctest: %q is not a loopback address: other hosts could reach the simulator, which obeys every client (AllowRemote, -allow-remote)", addr)
}

// Addr returns "host:port". It does not change, not even after an outage.
func (s *SMSC) Addr() string { return s.addr }

func (s *SMSC) script() *script { return s.current.Load() }

// SetProfile changes the behaviour from the next PDU on.
func (s *SMSC) SetProfile(p Profile) {
	old := s.script()
	p.OnSubmit, p.OnReceipt, p.OnAck = old.OnSubmit, old.OnReceipt, old.OnAck
	p.TLS, p.Listen, p.MaxConnections = old.TLS, old.Listen, old.MaxConnections
	s.current.Store(newScript(p))
}

// Profile returns a copy of the current profile, to change and pass to SetProfile.
func (s *SMSC) Profile() Profile {
	p := s.script().Profile
	p.Rules = slices.Clone(p.Rules)
	return p
}

// nextID numbers messages. If reuse is not 0, numbers start again after that many.
func (s *SMSC) nextID(reuse uint64) uint64 {
	n := s.ids.Add(1) - 1
	if reuse > 0 {
		n %= reuse
	}
	return s.firstID + n
}

// account returns the account of a system_id, or nil if there are too many.
func (s *SMSC) account(systemID string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[systemID]
	if a == nil && len(s.accounts) < maxAccounts {
		a = &account{smsc: s, systemID: systemID}
		s.accounts[systemID] = a
	}
	return a
}

// listen opens the listener and accepts connections until it is closed.
func (s *SMSC) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("smsctest: closed")
	}
	if s.listener != nil {
		return nil
	}
	open := s.script().Listen
	if open == nil {
		open = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	l, err := open(s.addr)
	if err != nil {
		return fmt.Errorf("smsctest: %w", err)
	}
	if cfg := s.script().TLS; cfg != nil {
		l = tls.NewListener(l, cfg)
	}
	s.listener = l
	s.wg.Go(func() { s.accept(l) })
	return nil
}

func (s *SMSC) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: leave the bound connections alone
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-s.done:
				return
			}
		}
		s.serve(l, nc)
	}
}

// serve starts the two goroutines of a connection. A connection that was accepted while
// its listener was being closed is closed too.
func (s *SMSC) serve(l net.Listener, nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != l || len(s.conns) >= s.script().MaxConnections {
		nc.Close()
		s.evict()
		return
	}
	c := newConn(s, s.connIDs.Add(1), nc)
	s.conns[c] = struct{}{}
	s.n.add(&s.n.ConnectionsNow, 1)
	s.n.count(&s.n.Connections)
	s.wg.Go(func() {
		var writer sync.WaitGroup
		writer.Go(c.write)
		c.read()
		writer.Wait()
		s.gone(c)
	})
}

// evict ends the oldest connection that is frozen for ever: nobody reads it, so nobody
// notices that its peer has gone. The caller holds mu.
func (s *SMSC) evict() {
	var oldest *conn
	for c := range s.conns {
		if c.cold.frozen() && (oldest == nil || c.id < oldest.id) {
			oldest = c
		}
	}
	if oldest != nil {
		oldest.close()
	}
}

// gone removes a connection that has ended.
func (s *SMSC) gone(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	if a := c.bound(); a != nil {
		a.leave(c)
	}
	s.n.add(&s.n.ConnectionsNow, -1)
}

// Close ends all connections and waits for every goroutine.
func (s *SMSC) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		s.reserve()
	}
	s.mu.Unlock()
	s.shut()
	s.wg.Wait()
	return nil
}

// shut closes the listener and all connections.
func (s *SMSC) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for c := range s.conns {
		c.close()
	}
}

// bound returns the bound connections, oldest first.
func (s *SMSC) bound() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bound []*conn
	for c := range s.conns {
		if c.bound() != nil && c.alive() {
			bound = append(bound, c)
		}
	}
	slices.SortFunc(bound, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return bound
}
