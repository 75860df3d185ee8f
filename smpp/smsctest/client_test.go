package smsctest

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"straks/internal/memnet"
	"straks/smpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 2 * time.Minute

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// memory is the network of tests whose time is their own.
var memory memnet.Network

func listen(t *testing.T, p Profile) *SMSC {
	t.Helper()
	addr := "127.0.0.1:0"
	if p.Listen != nil {
		addr = memory.Addr()
	}
	s, err := Listen(addr, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// esme is a raw SMPP client: it writes PDUs and reads frames with the gateway's codec.
type esme struct {
	t   *testing.T
	nc  net.Conn
	r   *wire.Reader
	seq uint32
}

func dial(t *testing.T, s *SMSC) *esme {
	t.Helper()
	connect := net.Dial
	if s.script().Listen != nil {
		connect = func(network, addr string) (net.Conn, error) { return memory.DialContext(t.Context(), network, addr) }
	}
	nc, err := connect("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &esme{t: t, nc: nc, r: wire.NewReader(nc)}
}

// bound returns a client that is bound.
func bound(t *testing.T, s *SMSC, kind wire.CommandID) *esme {
	t.Helper()
	e := dial(t, s)
	e.send(kind, &wire.Bind{SystemID: "test", Password: "secret", InterfaceVersion: 0x34})
	if f := e.next(); f.ID != kind.Response() || f.Status != wire.ESMEOK {
		t.Fatalf("bind response: %v %v", f.ID, f.Status)
	}
	return e
}

func transceiver(t *testing.T, s *SMSC) *esme {
	t.Helper()
	return bound(t, s, wire.BindTransceiver)
}

// send writes a request and returns its sequence number.
func (e *esme) send(id wire.CommandID, body any) uint32 {
	e.t.Helper()
	e.seq++
	e.write(wire.Header{ID: id, Sequence: e.seq}, body)
	return e.seq
}

func (e *esme) write(h wire.Header, body any) {
	e.t.Helper()
	b, err := wire.Append(nil, h, body)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.nc.Write(b); err != nil {
		e.t.Fatal(err)
	}
}

func (e *esme) next() wire.Frame {
	e.t.Helper()
	f, err := e.r.Next()
	if err != nil {
		e.t.Fatalf("reading: %v", err)
	}
	return f
}

// expect reads one PDU, which must have that id, and returns its body.
func expect[T any](e *esme, id wire.CommandID) (wire.Frame, *T) {
	e.t.Helper()
	f := e.next()
	if f.ID != id {
		e.t.Fatalf("got %v %v, want %v", f.ID, f.Status, id)
	}
	body, err := wire.Decode(f)
	if err != nil {
		e.t.Fatal(err)
	}
	v, _ := body.(*T)
	return f, v
}

// ended waits for the end of the connection, and ignores what comes before it.
func (e *esme) ended() {
	e.t.Helper()
	for {
		if _, err := e.r.Next(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				e.t.Fatal("the connection is still open")
			}
			return
		}
	}
}

func message(to, text string) *wire.Message {
	return &wire.Message{
		SourceTON: 5, Source: "straks", DestTON: 1, DestNPI: 1, Dest: to,
		RegisteredDelivery: 1, ShortMessage: []byte(text),
	}
}

// submit sends a text and returns the response.
func (e *esme) submit(to, text string) (wire.Frame, *wire.MessageResp) {
	e.t.Helper()
	seq := e.send(wire.SubmitSM, message(to, text))
	f, resp := expect[wire.MessageResp](e, wire.SubmitSMResp)
	if f.Sequence != seq {
		e.t.Fatalf("response to %d, want %d", f.Sequence, seq)
	}
	return f, resp
}

// ack responds to a deliver_sm or data_sm.
func (e *esme) ack(f wire.Frame, status wire.Status) {
	e.t.Helper()
	e.write(wire.Header{ID: f.ID.Response(), Status: status, Sequence: f.Sequence}, &wire.MessageResp{})
}
