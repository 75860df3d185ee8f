package session

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// dialing starts a Dial to a peer. It returns the peer and a channel for the outcome.
func dialing(t *testing.T, ctx context.Context, cfg Config) (*peertest.Peer, <-chan outcomeOfDial) {
	t.Helper()
	addr, accept := peertest.Listen(t)
	cfg.Addr = addr
	c := make(chan outcomeOfDial, 1)
	go func() {
		s, err := Dial(ctx, cfg)
		c <- outcomeOfDial{s, err}
	}()
	return peertest.New(t, accept()), c
}

type outcomeOfDial struct {
	s   *Session
	err error
}

func TestBindRefused(t *testing.T) {
	for status, credentials := range map[wire.Status]bool{wire.ESMEInvPaswd: true, wire.ESMEAlyBnd: false} {
		p, dialed := dialing(t, t.Context(), Config{Mode: Transmitter})
		f := p.Next(wire.BindTransmitter)
		p.Send(wire.BindTransmitterResp, status, f.Sequence, nil)
		p.Conn.Close() // must not hide the status
		var refusal *BindError
		if o := peertest.Wait(t, dialed); !errors.As(o.err, &refusal) || refusal.Status != status || refusal.Credentials() != credentials {
			t.Errorf("%v: got %v", status, o.err)
		}
	}
}

func TestBindRefusedByNack(t *testing.T) {
	p, dialed := dialing(t, t.Context(), Config{Mode: Receiver})
	f := p.Next(wire.BindReceiver)
	p.Send(wire.GenericNack, wire.ESMEInvCmdID, f.Sequence, nil)
	var refusal *BindError
	if o := peertest.Wait(t, dialed); !errors.As(o.err, &refusal) || refusal.Status != wire.ESMEInvCmdID {
		t.Errorf("got %v", o.err)
	}
}

// A bind without a bind_resp has an error that says what to check, and not one of those
// for messages: no message could have left.
func TestBindAnsweredByNonsense(t *testing.T) {
	for want, c := range map[string]struct {
		within time.Duration
		act    func(p *peertest.Peer)
	}{
		"speaks no SMPP: is the port right? Does it want TLS?": {peertest.Patience, func(p *peertest.Peer) {
			p.Next(wire.BindTransceiver)
			p.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}},
		"hung up on the bind: does it let our address in? Does it": {peertest.Patience, func(p *peertest.Peer) {
			p.Next(wire.BindTransceiver)
			p.Conn.Close()
		}},
		"is silent: is the port right? Does it want TLS?": {100 * time.Millisecond, func(*peertest.Peer) {}},
	} {
		p, dialed := dialing(t, t.Context(), Config{BindTimeout: c.within})
		c.act(p)
		o := peertest.Wait(t, dialed)
		if o.err == nil || !strings.Contains(o.err.Error(), want) || strings.Contains(o.err.Error(), "unknown") || errors.Is(o.err, ErrUnknown) {
			t.Errorf("got %v, want %q", o.err, want)
		}
	}
}

func TestBindWithoutAnswer(t *testing.T) {
	p, dialed := dialing(t, t.Context(), Config{BindTimeout: 30 * time.Millisecond})
	if o := peertest.Wait(t, dialed); !errors.Is(o.err, ErrNoResponse) {
		t.Errorf("silent: %v", o.err)
	}
	p.Gone()

	p, dialed = dialing(t, t.Context(), Config{})
	p.Next(wire.BindTransceiver)
	p.Conn.Close()
	if o := peertest.Wait(t, dialed); !errors.Is(o.err, ErrLost) {
		t.Errorf("hung up: %v", o.err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	p, dialed = dialing(t, ctx, Config{})
	p.Next(wire.BindTransceiver)
	cancel()
	if o := peertest.Wait(t, dialed); !errors.Is(o.err, context.Canceled) {
		t.Errorf("cancelled: %v", o.err)
	}
	p.Gone()
}

func TestBindFieldsAreChecked(t *testing.T) {
	_, err := Dial(t.Context(), Config{Bind: wire.Bind{Password: strings.Repeat("x", wire.MaxPassword+1)}, EnquireInterval: time.Minute})
	var fault *wire.FieldError
	if !errors.As(err, &fault) || fault.Status != wire.ESMEInvPaswd {
		t.Errorf("got %v", err)
	}
}

// Some SMSCs send PDUs before bind_resp. All are served.
func TestAheadOfBindResp(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	p, dialed := dialing(t, t.Context(), Config{Deliver: func(d *Delivery) { deliveries <- d }})
	f := p.Next(wire.BindTransceiver)
	p.Write([]byte{0, 0, 0, 23, 0, 0, 0, 0x0B, 0, 0, 0, 0, 0, 0, 0, 8, 's', 'm', 's', 'c', 0, 'x', 0}) // outbind
	p.Send(wire.EnquireLink, wire.ESMEOK, 9, nil)
	p.Next(wire.EnquireLinkResp)
	p.Send(wire.DeliverSM, wire.ESMEOK, f.Sequence, peertest.Message())
	peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
	p.Next(wire.DeliverSMResp)
	p.Write([]byte{0, 0, 0, 16, 0, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0, 1})
	p.Next(wire.GenericNack)
	p.Send(wire.BindTransceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{})
	o := peertest.Wait(t, dialed)
	if o.err != nil {
		t.Fatal(o.err)
	}
	o.s.Close()
}

func TestReceiverDoesNotSubmit(t *testing.T) {
	p, dialed := dialing(t, t.Context(), Config{Mode: Receiver})
	f := p.Next(wire.BindReceiver)
	p.Send(wire.BindReceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{})
	s := peertest.Wait(t, dialed).s
	defer s.Close()
	if _, err := s.Submit(t.Context(), Request{Message: peertest.Message()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrReceiver) {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	cert, pool := peertest.Certificate(t)
	for name, good := range map[string]bool{"smsc.example": true, "other.example": false, "": false} {
		p, dialed := dialing(t, t.Context(), Config{TLS: &tls.Config{RootCAs: pool, ServerName: name}})
		secure := tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		if !good {
			secure.SetDeadline(time.Now().Add(peertest.Patience))
			secure.Handshake() // fails on this side too, or later
			// The names in the certificate are the SMSC's words.
			o := peertest.Wait(t, dialed)
			if o.err == nil || !strings.Contains(o.err.Error(), "not valid for the name") || strings.Contains(o.err.Error(), "smsc.example") {
				t.Errorf("%q: got %v", name, o.err)
			}
			continue
		}
		p = peertest.New(t, secure)
		p.AcceptBind()
		o := peertest.Wait(t, dialed)
		if o.err != nil {
			t.Fatal(o.err)
		}
		got := submit(t.Context(), o.s, Request{Message: peertest.Message()})
		p.Accept(p.Next(wire.SubmitSM), "tls")
		if a := peertest.Wait(t, got); a.err != nil || a.MessageID != "tls" {
			t.Errorf("got %+v", a)
		}
		unbound := make(chan error, 1)
		go func() { unbound <- o.s.Unbind(context.Background()) }()
		u := p.Next(wire.Unbind)
		p.Send(wire.UnbindResp, wire.ESMEOK, u.Sequence, nil)
		if err := peertest.Wait(t, unbound); err != nil {
			t.Error(err)
		}
		if _, err := p.Frames.Next(); err != io.EOF { // close_notify, not a torn connection
			t.Errorf("the end reads as %v", err)
		}
	}
}

func TestTLSHandshakeHasADeadline(t *testing.T) {
	_, dialed := dialing(t, t.Context(), Config{TLS: &tls.Config{ServerName: "smsc"}, DialTimeout: 30 * time.Millisecond})
	var timeout net.Error
	if o := peertest.Wait(t, dialed); o.err == nil || errors.As(o.err, &timeout) && !timeout.Timeout() {
		t.Errorf("got %v", o.err)
	}
}
