package smtp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// certificate makes a self-signed certificate for 127.0.0.1 and relay.test, and
// the PEM files of it and its key.
func certificate(t *testing.T) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	return certificateUntil(t, time.Now().Add(time.Hour))
}

// certificateUntil is certificate with an end.
func certificateUntil(t *testing.T, end time.Time) (cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		DNSNames: []string{"relay.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, content := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err = tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert, certFile, keyFile
}

func TestTLSModes(t *testing.T) {
	cert, ca, key := certificate(t)
	_, otherCA, _ := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	old := &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}
	pool := x509.NewCertPool()
	pemText, _ := os.ReadFile(ca)
	pool.AppendCertsFromPEM(pemText)
	mutual := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}

	tests := []struct {
		name      string
		profile   relaytest.Profile
		config    Relay
		outcome   handover.Outcome
		encrypted bool
	}{
		{"off", relaytest.Profile{TLS: server}, Relay{TLS: TLSOff}, handover.Accepted, false},
		{"opportunistic, offered", relaytest.Profile{TLS: server}, Relay{}, handover.Accepted, true},
		{"opportunistic, not offered", relaytest.Profile{}, Relay{}, handover.Accepted, false},
		{"starttls", relaytest.Profile{TLS: server}, Relay{CAFile: ca}, handover.Accepted, true},
		{"starttls, not offered", relaytest.Profile{}, Relay{TLS: TLSStartTLS}, handover.NotSent, false},
		{"starttls, unknown certificate", relaytest.Profile{TLS: server}, Relay{TLS: TLSStartTLS}, handover.NotSent, false},
		{"starttls, another's certificate", relaytest.Profile{TLS: server}, Relay{CAFile: otherCA}, handover.NotSent, false},
		{"starttls, by name", relaytest.Profile{TLS: server}, Relay{CAFile: ca, ServerName: "relay.test"}, handover.Accepted, true},
		{"starttls, wrong name", relaytest.Profile{TLS: server}, Relay{CAFile: ca, ServerName: "other.test"}, handover.NotSent, false},
		{"implicit", relaytest.Profile{TLS: server, Implicit: true}, Relay{TLS: TLSImplicit, CAFile: ca}, handover.Accepted, true},
		{"implicit at a plain relay", relaytest.Profile{TLS: server}, Relay{TLS: TLSImplicit, CAFile: ca}, handover.NotSent, false},
		{"too old", relaytest.Profile{TLS: old}, Relay{CAFile: ca, MinTLSVersion: "1.3"}, handover.NotSent, false},
		{"own certificate", relaytest.Profile{TLS: mutual}, Relay{CAFile: ca, ClientCert: ca, ClientKey: key}, handover.Accepted, true},
		{"own certificate missing", relaytest.Profile{TLS: mutual}, Relay{CAFile: ca}, handover.NotSent, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			relay := listen(t, test.profile)
			config := test.config
			config.Name, config.Addr = "mx", relay.Addr()
			p := newPool(t, config)
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			if test.outcome == handover.Accepted {
				ctx = within(t)
			}
			defer cancel()
			for range 2 {
				if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != test.outcome {
					t.Fatalf("got %+v", res)
				}
			}
			for _, m := range relay.Messages() {
				if m.Encrypted != test.encrypted || m.Connection != 1 {
					t.Errorf("encrypted %t, on connection %d", m.Encrypted, m.Connection)
				}
			}
		})
	}
}

// Replies that an attacker adds in the clear before the handshake would count as given under TLS.
func TestSTARTTLSInjection(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		relay := listen(t, dialogue(
			relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 STARTTLS\r\n"},
			relaytest.Reply{Verb: "STARTTLS", Text: "220 go\r\n250 me first\r\n"}))
		config := plain("mx", relay)
		p := newPool(t, config)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonTLS) {
			t.Fatalf("got %+v", res)
		}
	})
}

// In the clear EHLO is sent once, with any reply: some relays refuse a second EHLO.
func TestOneGreetingWithoutTLS(t *testing.T) {
	noMore := relaytest.Reply{Verb: "EHLO", Nth: 2, Text: "503 5.5.1 You greeted already\r\n"}
	for name, replies := range map[string][]relaytest.Reply{
		"not offered": {{Verb: "EHLO", Nth: 1, Text: "250-relay.test\r\n250 SMTPUTF8\r\n"}},
		"not now":     {{Verb: "EHLO", Nth: 1, Text: "250-relay.test\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n"}, {Verb: "STARTTLS", Text: "454 4.7.0 Not now\r\n"}},
		"HELO only":   {{Verb: "EHLO", Nth: 1, Text: "502 5.5.1 What?\r\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, plain("mx", listen(t, dialogue(append(replies, noMore)...))))
			if res := round(p, within(t), mustLetter(t, "kari@mottaker.example")); res.Outcome != handover.Accepted {
				t.Errorf("got %+v", res)
			}
			// The extensions that it offered are known.
			want := handover.Accepted
			if name == "HELO only" {
				want = handover.Refused
			}
			if res := round(p, within(t), mustLetter(t, "gørild@mottaker.example")); res.Outcome != want {
				t.Errorf("SMTPUTF8: got %+v", res)
			}
		})
	}
}

// A surplus reply to EHLO is not taken for the reply to MAIL.
func TestSurplusAfterEHLO(t *testing.T) {
	p := newPool(t, plain("mx", listen(t, dialogue(relaytest.Reply{Verb: "EHLO", Text: "250 relay.test\r\n250 relay.test\r\n"}))))
	if res := round(p, within(t), mustLetter(t, "kari@mottaker.example")); !hasReason(res.Err, ReasonProtocol) {
		t.Errorf("got %+v", res)
	}
}

func TestLogin(t *testing.T) {
	cert, ca, _ := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, offered := range [][]string{{"PLAIN"}, {"LOGIN"}, {"PLAIN", "LOGIN"}} {
		relay := listen(t, relaytest.Profile{TLS: server, Username: "straks", Password: "hemmelig", Mechanisms: offered})
		p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), CAFile: ca, Username: "straks", Password: "hemmelig"})
		if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
			t.Fatalf("%v: got %+v", offered, res)
		}
		if m := relay.Messages()[0]; m.User != "straks" || !m.Encrypted {
			t.Errorf("%v: user %q, encrypted %t", offered, m.User, m.Encrypted)
		}
	}
}

// A wrong password is tried once and not again for a while: the account could be locked.
func TestLoginRefused(t *testing.T) {
	relay := listen(t, relaytest.Profile{Username: "straks", Password: "hemmelig"})
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), InsecureAuth: true, TLS: TLSOff, Username: "straks", Password: "feil"})
	for range 5 {
		res := p.Send(within(t), to("kari@mottaker.example"))
		if res.Outcome != handover.NotSent || res.Err == nil {
			t.Fatalf("got %+v", res)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 1 {
		t.Errorf("%d attempts", accepted)
	}
	if wait := p.relay(0).backOff(); wait < 20*time.Second {
		t.Errorf("the back-off is only %s", wait)
	}
}

// A relay that can't check logins now has not refused one: it is tried again after a second, however
// long it was unreachable before.
func TestLoginPostponed(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		relay := listen(t, dialogue(
			relaytest.Reply{Verb: "EHLO", Text: "250-relay.test\r\n250 AUTH PLAIN\r\n"},
			relaytest.Reply{Verb: "AUTH", Text: "454 4.7.0 Temporary authentication failure\r\n"}))
		p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), InsecureAuth: true, TLS: TLSOff, Username: "straks", Password: "hemmelig"})
		r := p.relay(0)
		for range 10 {
			r.unreachable(&Failure{ReasonDial, errors.New("connection refused")}, false)
		}
		for range 3 {
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.NotSent {
				t.Fatalf("got %+v", res)
			}
		}
		if accepted, _ := relay.Connections(); accepted != 1 {
			t.Errorf("%d attempts at once", accepted)
		}
		if wait := time.Until(r.health.noDial); wait > time.Second {
			t.Errorf("no login for %s", wait)
		}
		r.unreachable(&Failure{ReasonAuth, errors.New("relay replied 535")}, false)
		if wait := time.Until(r.health.noDial); wait < 20*time.Second || wait > 30*time.Second {
			t.Errorf("after the first refusal: no login for %s", wait)
		}
	})
}

func TestLoginNotOffered(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := newPool(t, Relay{Name: "mx", Addr: relay.Addr(), InsecureAuth: true, TLS: TLSOff, Username: "straks", Password: "hemmelig"})
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonAuth) && res.Err == nil {
		t.Fatalf("got %+v", res)
	}
	if relay.Taken() != 0 {
		t.Error("sent without the login that was asked for")
	}
}
