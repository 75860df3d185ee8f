package interop

import (
	"net"
	"sync"
	"testing"

	"straks/smpp/wire"
)

// tap is a TCP proxy that keeps what passes.
type tap struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	streams []*stream
	wg      sync.WaitGroup
}

// stream is one connection: what passed it, in the order in which it did.
type stream struct {
	mu     sync.Mutex
	chunks []chunk
}

type chunk struct {
	toServer bool
	data     []byte
}

// newTap listens on loopback and forwards to target until the test ends.
func newTap(t *testing.T, target string) *tap {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{listener: listener, target: target}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *tap) addr() string { return p.listener.Addr().String() }

// close ends the accepting; the connections end with their peers.
func (p *tap) close() {
	p.listener.Close()
	p.wg.Wait()
}

func (p *tap) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		s := &stream{}
		p.mu.Lock()
		p.streams = append(p.streams, s)
		p.mu.Unlock()
		p.wg.Go(func() { s.forward(client, server, true) })
		p.wg.Go(func() { s.forward(server, client, false) })
	}
}

// forward copies one direction. It ends both connections, which ends the other.
func (s *stream) forward(from, to net.Conn, toServer bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			s.mu.Lock()
			s.chunks = append(s.chunks, chunk{toServer, append([]byte(nil), buf[:n]...)})
			s.mu.Unlock()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// recorded returns the streams so far.
func (p *tap) recorded() []*stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*stream(nil), p.streams...)
}

// octets returns all that passed in one direction.
func (s *stream) octets(toServer bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []byte
	for _, c := range s.chunks {
		if c.toServer == toServer {
			all = append(all, c.data...)
		}
	}
	return all
}

// commands counts the PDUs that were sent to the server over all connections,
// and the octets that are left over.
func (p *tap) commands() (all map[wire.CommandID]int, over int) {
	all = map[wire.CommandID]int{}
	for _, s := range p.recorded() {
		seen, rest := s.commands(true)
		over += rest
		for id, n := range seen {
			all[id] += n
		}
	}
	return all, over
}
