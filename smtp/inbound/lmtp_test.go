package inbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/connlimit"
)

func clientTLS(c net.Conn) *tls.Conn { return tls.Client(c, &tls.Config{InsecureSkipVerify: true}) }

func addressOf(a net.Addr) netip.Prefix { return connlimit.Address(a) }

// A mail is submitted to the socket for the first recipient that is one, and the errors say what to do with it.
func TestSubmit(t *testing.T) {
	w := start(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	id := uuid.New()
	submit := func(to ...string) error { return Submit(ctx, w.socket, "", to, []byte("Subject: x\n\n.x\n")) }
	if err := submit("kari@example.org", w.address(id)); err != nil {
		t.Fatal(err)
	}
	if got := w.stored(); len(got) != 1 || got[0].Shipment != id || string(got[0].Data) != "Subject: x\r\n\r\n.x\r\n" {
		t.Fatalf("got %v", got)
	}
	if err := submit("kari@example.org"); !errors.Is(err, ErrNoMailbox) {
		t.Errorf("got %v", err)
	}
	w.setFail(errAway)
	var reply *Reply
	if err := submit(w.address(id)); !errors.As(err, &reply) || reply.Code != 451 {
		t.Errorf("got %v", err)
	}
	w.setFail(ErrRefused)
	if err := submit(w.address(id)); !errors.As(err, &reply) || reply.Code != 554 {
		t.Errorf("got %v", err)
	}
	if err := Submit(ctx, filepath.Join(t.TempDir(), "none"), "", nil, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// Without a domain, LMTP alone takes mails for the plain return path: they have no token.
func TestPlainReturnPath(t *testing.T) {
	w := start(t, func(c *Config) { c.Domain, c.Keys, c.Address = "", nil, "Retur@example.org" })
	if err := Submit(t.Context(), w.socket, "mailer-daemon@example.net", []string{"retur@Example.org"}, []byte(sample)); err != nil {
		t.Fatal(err)
	}
	if got := w.stored(); len(got) != 1 || got[0].Shipment != uuid.Nil || got[0].From != "mailer-daemon@example.net" {
		t.Errorf("got %v", got)
	}
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<retur@example.org>", "550")
	p.say("RCPT TO:<postmaster@example.org>", "550")
}

// A server that ends before it has begun ends.
func TestEndsAtOnce(t *testing.T) {
	for range 200 {
		start(t, nil).stop()
	}
}

// The certificate is read again when it changes, and one that can't be used changes nothing.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificateFiles(t, dir, time.Now().Add(time.Hour))
	w := start(t, func(c *Config) { c.CertFile, c.KeyFile = cert, key })
	c := w.certificate
	now := time.Now()
	first := c.current(now)
	if c.current(now.Add(time.Minute)) != first {
		t.Error("read again without a change")
	}
	certificateFiles(t, dir, time.Now().Add(2*time.Hour))
	c.changed[0] = time.Time{} // the file system's clock may be coarse
	second := c.current(now.Add(2 * time.Minute))
	if second == first || !second.Leaf.NotAfter.After(first.Leaf.NotAfter) || c.expires() != float64(second.Leaf.NotAfter.Unix()) {
		t.Error("not read again")
	}
	other, _ := certificateFiles(t, t.TempDir(), time.Now().Add(time.Hour))
	c.certFile, c.changed[0] = other, time.Time{} // as between the two steps of a renewal
	if c.current(now.Add(3*time.Minute)) != second || !strings.Contains(w.logged.String(), "former one stays in use") {
		t.Errorf("log %s", w.logged)
	}
	p := w.dial(t, 0)
	p.say("EHLO relay.example", "250")
	p.secure()
	if got := p.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0]; !got.NotAfter.Equal(second.Leaf.NotAfter) {
		t.Error("TLS has another certificate")
	}
}
