package interop

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"straks/smpp/wire"
)

// tap is a TCP proxy that records the octets passing through it.
type tap struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	streams []*stream
	wg      sync.WaitGroup
}

// stream is one connection: its octets in both directions, in order.
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

// close stops accepting; the connections end with their peers.
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

// forward copies one direction. At its end it closes both connections, which ends the other
// direction.
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

// octets returns all octets of one direction.
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

// commands counts the PDUs sent to the server over all connections, and the octets left over.
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

const (
	linkRaw    = 101 // packets begin with their IP header
	smscPort   = 2775
	maxSegment = 1400

	flagFIN, flagSYN, flagPSH, flagACK = 0x01, 0x02, 0x08, 0x10
)

// capture writes streams as a pcap file, as if captured on a network: handshake, segments
// with correct sequence numbers, end. Checksums are zero, as with a network card that
// computes them; dissectors accept that.
type capture struct {
	bytes.Buffer
	clock uint32 // microseconds since the first packet
}

func newCapture() *capture {
	c := &capture{}
	c.words(uint32(0xA1B2C3D4), uint16(2), uint16(4), uint32(0), uint32(0), uint32(65535), uint32(linkRaw))
	return c
}

// words writes numbers in the file's byte order.
func (c *capture) words(numbers ...any) {
	for _, n := range numbers {
		c.Write(must(binary.Append(nil, binary.LittleEndian, n)))
	}
}

// side is one end of a TCP connection.
type side struct {
	host byte // 10.0.0.host
	port uint16
	next uint32 // sequence number
}

// stream writes one connection, with a client port of its own.
func (c *capture) stream(chunks []chunk, number int) {
	client := &side{host: 1, port: uint16(40000 + number), next: 1000}
	server := &side{host: 2, port: smscPort, next: 5000}
	c.packet(client, server, flagSYN, nil)
	c.packet(server, client, flagSYN|flagACK, nil)
	c.packet(client, server, flagACK, nil)
	for _, ch := range chunks {
		from, to := server, client
		if ch.toServer {
			from, to = client, server
		}
		for data := ch.data; len(data) > 0; {
			n := min(len(data), maxSegment)
			c.packet(from, to, flagPSH|flagACK, data[:n])
			data = data[n:]
		}
	}
	c.packet(client, server, flagFIN|flagACK, nil)
	c.packet(server, client, flagFIN|flagACK, nil)
	c.packet(client, server, flagACK, nil)
}

// packet writes one TCP segment in an IPv4 packet (RFC 9293 §3.1, RFC 791 §3.1).
func (c *capture) packet(from, to *side, flags byte, data []byte) {
	ack := to.next
	if flags&flagACK == 0 {
		ack = 0
	}
	be := binary.BigEndian
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from.host, 10, 0, 0, to.host}
	be.PutUint16(ip[2:], uint16(40+len(data)))
	tcp := make([]byte, 20)
	be.PutUint16(tcp, from.port)
	be.PutUint16(tcp[2:], to.port)
	be.PutUint32(tcp[4:], from.next)
	be.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = 5<<4, flags
	be.PutUint16(tcp[14:], 65535)

	size := uint32(40 + len(data))
	c.clock += 100
	c.words(c.clock/1e6, c.clock%1e6, size, size)
	c.Write(ip)
	c.Write(tcp)
	c.Write(data)

	from.next += uint32(len(data))
	if flags&(flagSYN|flagFIN) != 0 {
		from.next++
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
