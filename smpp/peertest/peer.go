package peertest

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"straks/smpp/wire"
)

// Patience bounds every wait of a test. Only a test that fails waits that long.
const Patience = time.Minute

// Peer is an SMSC that the test plays by hand, PDU by PDU.
type Peer struct {
	T      *testing.T
	Conn   net.Conn
	Frames *wire.Reader
}

// New returns a peer on its end of a connection.
func New(t *testing.T, conn net.Conn) *Peer {
	return &Peer{T: t, Conn: conn, Frames: wire.NewReader(conn)}
}

// Next returns the next PDU, which must have that command. It answers enquire_link in between.
func (p *Peer) Next(id wire.CommandID) wire.Frame {
	p.T.Helper()
	p.Conn.SetReadDeadline(time.Now().Add(Patience))
	for {
		f, err := p.Frames.Next()
		if err != nil {
			p.T.Fatalf("peer waits for %v: %v", id, err)
		}
		if f.ID == id {
			return f
		}
		if f.ID != wire.EnquireLink {
			p.T.Fatalf("peer got %v %v, waits for %v", f.ID, f.Status, id)
		}
		p.Send(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
	}
}

// Send writes one PDU.
func (p *Peer) Send(id wire.CommandID, status wire.Status, seq uint32, body any) {
	p.T.Helper()
	b, err := wire.Append(nil, wire.Header{ID: id, Status: status, Sequence: seq}, body)
	if err != nil {
		p.T.Fatal(err)
	}
	p.Write(b)
}

// Tell writes one PDU and ignores errors.
func (p *Peer) Tell(id wire.CommandID, status wire.Status, seq uint32, body any) {
	if b, err := wire.Append(nil, wire.Header{ID: id, Status: status, Sequence: seq}, body); err == nil {
		p.Conn.Write(b)
	}
}

// Write writes octets as they are.
func (p *Peer) Write(b []byte) {
	p.T.Helper()
	p.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := p.Conn.Write(b); err != nil {
		p.T.Fatal(err)
	}
}

// Accept accepts a submit_sm.
func (p *Peer) Accept(f wire.Frame, id string) {
	p.T.Helper()
	p.Send(wire.SubmitSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{MessageID: id})
}

// RespondRaw answers f with a body that wire.Append would not make.
func (p *Peer) RespondRaw(f wire.Frame, body string) {
	p.T.Helper()
	b := append(make([]byte, 16), body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	binary.BigEndian.PutUint32(b[4:], uint32(f.ID.Response()))
	binary.BigEndian.PutUint32(b[12:], f.Sequence)
	p.Write(b)
}

// AcceptBind answers a bind_transceiver.
func (p *Peer) AcceptBind() {
	p.T.Helper()
	f := p.Next(wire.BindTransceiver)
	p.Send(wire.BindTransceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{SystemID: "peer"})
}

// Gone waits until the session has closed the connection.
func (p *Peer) Gone() {
	p.T.Helper()
	p.Conn.SetReadDeadline(time.Now().Add(Patience))
	for {
		if _, err := p.Frames.Next(); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				p.T.Fatal("the session does not hang up")
			}
			return
		}
	}
}

// Listen returns an address, and a function that accepts a connection to it.
func Listen(t *testing.T) (string, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() net.Conn {
		l.(*net.TCPListener).SetDeadline(time.Now().Add(Patience))
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// Message returns a message that may be sent.
func Message() *wire.Message {
	return &wire.Message{SourceTON: 5, Source: "Straks", DestTON: 1, DestNPI: 1, Dest: "4799999999",
		RegisteredDelivery: 1, Validity: "000000000500000R", ShortMessage: []byte("hei")}
}

// Wait returns the next value of c.
func Wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}
