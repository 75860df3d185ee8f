package interop

import (
	"bytes"
	"encoding/binary"
)

const (
	linkRaw    = 101 // packets begin with their IP header
	smscPort   = 2775
	maxSegment = 1400

	flagFIN, flagSYN, flagPSH, flagACK = 0x01, 0x02, 0x08, 0x10
)

// capture writes streams as a pcap file, as if seen on a network: handshake,
// segments with right sequence numbers, end. Checksums are left zero, as
// network cards do; dissectors know that.
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

// stream writes one connection. Number tells connections apart.
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
