package smpp

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"straks/smpp/wire"
)

// patience bounds every wait of these tests; none of them waits that long
// unless it fails.
const patience = 10 * time.Second

// peer is an SMSC that the test plays by hand, PDU by PDU.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *wire.Reader
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	return &peer{t: t, conn: conn, r: wire.NewReader(conn)}
}

// next returns the next PDU of that kind; enquire_link in between is answered.
func (p *peer) next(id wire.CommandID) wire.Frame {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		f, err := p.r.Next()
		if err != nil {
			p.t.Fatalf("peer waits for %v: %v", id, err)
		}
		if f.ID == id {
			return f
		}
		if f.ID != wire.EnquireLink {
			p.t.Fatalf("peer got %v %v, waits for %v", f.ID, f.Status, id)
		}
		p.send(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
	}
}

func (p *peer) send(id wire.CommandID, status wire.Status, seq uint32, body any) {
	p.t.Helper()
	b, err := wire.Append(nil, wire.Header{ID: id, Status: status, Sequence: seq}, body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(b)
}

// tell sends and does not mind when nobody listens any more.
func (p *peer) tell(id wire.CommandID, status wire.Status, seq uint32, body any) {
	if b, err := wire.Append(nil, wire.Header{ID: id, Status: status, Sequence: seq}, body); err == nil {
		p.conn.Write(b)
	}
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	p.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// answer accepts a submit_sm.
func (p *peer) answer(f wire.Frame, id string) {
	p.t.Helper()
	p.send(wire.SubmitSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{MessageID: id})
}

// answerRaw answers f with a body that wire.Append would not make.
func (p *peer) answerRaw(f wire.Frame, body string) {
	p.t.Helper()
	b := append(make([]byte, 16), body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	binary.BigEndian.PutUint32(b[4:], uint32(f.ID.Response()))
	binary.BigEndian.PutUint32(b[12:], f.Sequence)
	p.write(b)
}

func (p *peer) acceptBind() {
	p.t.Helper()
	f := p.next(wire.BindTransceiver)
	p.send(wire.BindTransceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{SystemID: "peer"})
}

// gone waits until the session has closed the connection.
func (p *peer) gone() {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, err := p.r.Next(); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				p.t.Fatal("the session does not hang up")
			}
			return
		}
	}
}

// listen gives an address and the connections that come to it.
func listen(t *testing.T) (string, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() net.Conn {
		l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// bound dials a session to a peer over a real socket.
func bound(t *testing.T, cfg SessionConfig) (*Session, *peer) {
	t.Helper()
	addr, accept := listen(t)
	cfg.Addr = addr
	cfg.Bind = wire.Bind{SystemID: "straks", Password: "secret"}
	peers := make(chan *peer, 1)
	go func() {
		p := newPeer(t, accept())
		p.acceptBind()
		peers <- p
	}()
	s, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, <-peers
}

// hei is a message that may be sent.
func hei() *wire.Message {
	return &wire.Message{SourceTON: 5, Source: "Straks", DestTON: 1, DestNPI: 1, Dest: "4799999999",
		RegisteredDelivery: 1, Validity: "000000000500000R", ShortMessage: []byte("hei")}
}

// outcome is what a Submit returned.
type outcome struct {
	Answer
	err error
}

// submit starts a Submit and returns where its outcome will be.
func submit(ctx context.Context, s *Session, req Request) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		a, err := s.Submit(ctx, req)
		c <- outcome{a, err}
	}()
	return c
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}
