package smpp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"straks/smpp/wire"
)

// dialing starts a Dial to a peer and returns both ends.
func dialing(t *testing.T, ctx context.Context, cfg SessionConfig) (*peer, <-chan outcomeOfDial) {
	t.Helper()
	addr, accept := listen(t)
	cfg.Addr = addr
	c := make(chan outcomeOfDial, 1)
	go func() {
		s, err := Dial(ctx, cfg)
		c <- outcomeOfDial{s, err}
	}()
	return newPeer(t, accept()), c
}

type outcomeOfDial struct {
	s   *Session
	err error
}

func TestBindRefused(t *testing.T) {
	for status, credentials := range map[wire.Status]bool{wire.ESMEInvPaswd: true, wire.ESMEAlyBnd: false} {
		p, dialed := dialing(t, t.Context(), SessionConfig{Mode: Transmitter})
		f := p.next(wire.BindTransmitter)
		p.send(wire.BindTransmitterResp, status, f.Sequence, nil)
		p.conn.Close() // must not hide the status
		var refusal *BindError
		if o := wait(t, dialed); !errors.As(o.err, &refusal) || refusal.Status != status || refusal.Credentials() != credentials {
			t.Errorf("%v: got %v", status, o.err)
		}
	}
}

func TestBindRefusedByNack(t *testing.T) {
	p, dialed := dialing(t, t.Context(), SessionConfig{Mode: Receiver})
	f := p.next(wire.BindReceiver)
	p.send(wire.GenericNack, wire.ESMEInvCmdID, f.Sequence, nil)
	var refusal *BindError
	if o := wait(t, dialed); !errors.As(o.err, &refusal) || refusal.Status != wire.ESMEInvCmdID {
		t.Errorf("got %v", o.err)
	}
}

// What answers a bind with no answer is told in words that help, and not in
// those for messages: nothing could have left.
func TestBindAnsweredByNonsense(t *testing.T) {
	for want, act := range map[string]func(p *peer){
		"speaks no SMPP: is the port right? Does it want TLS?":     func(p *peer) { p.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) },
		"hung up on the bind: does it let our address in? Does it": func(p *peer) { p.conn.Close() },
		"is silent: is the port right? Does it want TLS?":          func(*peer) {},
	} {
		p, dialed := dialing(t, t.Context(), SessionConfig{BindTimeout: time.Second})
		p.next(wire.BindTransceiver)
		act(p)
		o := wait(t, dialed)
		if o.err == nil || !strings.Contains(o.err.Error(), want) || strings.Contains(o.err.Error(), "unknown") || errors.Is(o.err, ErrUnknown) {
			t.Errorf("got %v, want %q", o.err, want)
		}
	}
}

func TestBindWithoutAnswer(t *testing.T) {
	p, dialed := dialing(t, t.Context(), SessionConfig{BindTimeout: 30 * time.Millisecond})
	if o := wait(t, dialed); !errors.Is(o.err, ErrNoAnswer) {
		t.Errorf("silent: %v", o.err)
	}
	p.gone()

	p, dialed = dialing(t, t.Context(), SessionConfig{})
	p.next(wire.BindTransceiver)
	p.conn.Close()
	if o := wait(t, dialed); !errors.Is(o.err, ErrLost) {
		t.Errorf("hung up: %v", o.err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	p, dialed = dialing(t, ctx, SessionConfig{})
	p.next(wire.BindTransceiver)
	cancel()
	if o := wait(t, dialed); !errors.Is(o.err, context.Canceled) {
		t.Errorf("cancelled: %v", o.err)
	}
	p.gone()
}

// The SMSC's name is logged at every bind, so it is no longer than SMPP lets it be.
func TestPeersNameIsBounded(t *testing.T) {
	p, dialed := dialing(t, t.Context(), SessionConfig{})
	p.answerRaw(p.next(wire.BindTransceiver), strings.Repeat("x", 60_000))
	o := wait(t, dialed)
	if o.err != nil {
		t.Fatal(o.err)
	}
	defer o.s.Close()
	if n := len(o.s.Peer().SystemID); n != maxSystemID {
		t.Errorf("%d octets", n)
	}
}

func TestBindFieldsAreChecked(t *testing.T) {
	_, err := Dial(t.Context(), SessionConfig{Bind: wire.Bind{Password: strings.Repeat("x", wire.MaxPassword+1)}, EnquireInterval: time.Minute})
	var fault *wire.FieldError
	if !errors.As(err, &fault) || fault.Status != wire.ESMEInvPaswd {
		t.Errorf("got %v", err)
	}
}

// SMSCs send before they have answered the bind: all of it is served.
func TestAheadOfBindResp(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	p, dialed := dialing(t, t.Context(), SessionConfig{Deliver: func(d *Delivery) { deliveries <- d }})
	f := p.next(wire.BindTransceiver)
	p.send(wire.OutbindID, wire.ESMEOK, 8, &wire.Outbind{})
	p.send(wire.EnquireLink, wire.ESMEOK, 9, nil)
	p.next(wire.EnquireLinkResp)
	p.send(wire.DeliverSM, wire.ESMEOK, f.Sequence, hei())
	wait(t, deliveries).Respond(wire.ESMEOK)
	p.next(wire.DeliverSMResp)
	p.write([]byte{0, 0, 0, 16, 0, 0, 0, 0x99, 0, 0, 0, 0, 0, 0, 0, 1})
	p.next(wire.GenericNack)
	p.send(wire.BindTransceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{})
	o := wait(t, dialed)
	if o.err != nil {
		t.Fatal(o.err)
	}
	o.s.Close()
}

func TestReceiverDoesNotSubmit(t *testing.T) {
	p, dialed := dialing(t, t.Context(), SessionConfig{Mode: Receiver})
	f := p.next(wire.BindReceiver)
	p.send(wire.BindReceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{})
	s := wait(t, dialed).s
	defer s.Close()
	if _, err := s.Submit(t.Context(), Request{Message: hei()}); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrReceiver) {
		t.Errorf("got %v", err)
	}
}

// certificate returns a self-signed one for localhost and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smsc"}, DNSNames: []string{"smsc.example"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	for name, good := range map[string]bool{"smsc.example": true, "other.example": false, "": false} {
		p, dialed := dialing(t, t.Context(), SessionConfig{TLS: &tls.Config{RootCAs: pool, ServerName: name}})
		secure := tls.Server(p.conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		if !good {
			secure.SetDeadline(time.Now().Add(patience))
			secure.Handshake() // fails on this side too, or later
			var wrong x509.HostnameError
			if o := wait(t, dialed); !errors.As(o.err, &wrong) {
				t.Errorf("%q: got %v", name, o.err)
			}
			continue
		}
		p = newPeer(t, secure)
		p.acceptBind()
		o := wait(t, dialed)
		if o.err != nil {
			t.Fatal(o.err)
		}
		got := submit(t.Context(), o.s, Request{Message: hei()})
		p.answer(p.next(wire.SubmitSM), "tls")
		if a := wait(t, got); a.err != nil || a.MessageID != "tls" {
			t.Errorf("got %+v", a)
		}
		unbound := make(chan error, 1)
		go func() { unbound <- o.s.Unbind(context.Background()) }()
		u := p.next(wire.Unbind)
		p.send(wire.UnbindResp, wire.ESMEOK, u.Sequence, nil)
		if err := wait(t, unbound); err != nil {
			t.Error(err)
		}
		if _, err := p.r.Next(); err != io.EOF { // close_notify, not a torn connection
			t.Errorf("the end reads as %v", err)
		}
	}
}

func TestTLSHandshakeHasADeadline(t *testing.T) {
	_, dialed := dialing(t, t.Context(), SessionConfig{TLS: &tls.Config{ServerName: "smsc"}, DialTimeout: 30 * time.Millisecond})
	var timeout net.Error
	if o := wait(t, dialed); o.err == nil || errors.As(o.err, &timeout) && !timeout.Timeout() {
		t.Errorf("got %v", o.err)
	}
}
