package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"straks/internal/tlsfault"
)

// Seen is what a relay shows to a connection of ours.
type Seen struct {
	// TLS is nil where the connection is not encrypted.
	TLS *tls.ConnectionState
	// Certificate is why the relay's certificate does not verify; nil where it does, or there is none. The mode
	// "opportunistic" takes such a certificate.
	Certificate error
	// Extensions are the keywords that the relay offers in the end: after STARTTLS, if that was used. In upper
	// case, sorted.
	Extensions []string
	// Size is the octets that a mail may have; 0 where the relay announces no limit.
	Size int64
	// Refused has the relay's refusal of MAIL for each sender that it does not take.
	Refused map[string]error
}

// Offers reports whether the relay offers an extension.
func (s *Seen) Offers(keyword string) bool { return slices.Contains(s.Extensions, keyword) }

// Probe connects to a relay as the pool does, logs in, and begins a transaction for each of the senders, which
// it breaks off at once: no mail is sent. The error is a *Failure.
func Probe(ctx context.Context, config Relay, senders []string) (*Seen, error) {
	config = config.WithDefaults()
	certificates, err := config.tlsFiles()
	if err != nil {
		return nil, &Failure{ReasonTLS, err}
	}
	r := &relay{Relay: config, certificates: certificates, dialTCP: new(net.Dialer).DialContext}
	c, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	seen := &Seen{Extensions: slices.Sorted(maps.Keys(c.ext)), Size: c.ext.size(), Refused: make(map[string]error)}
	if secure, ok := c.conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		seen.TLS, seen.Certificate = &state, verifyCertificate(&state, config.ServerName)
	}
	for _, sender := range senders {
		if err := c.tryMail(ctx, sender); err != nil {
			refused, ok := err.(*reply)
			if !ok {
				return seen, failureOf(err, ReasonLost)
			}
			seen.Refused[sender] = refused
		}
	}
	return seen, nil
}

// tryMail sends MAIL, and RSET so that no mail comes of it.
func (c *conn) tryMail(ctx context.Context, sender string) error {
	a, err := parseAddress(sender)
	if err != nil {
		return fmt.Errorf("the sender %w", err)
	}
	by := time.Now().Add(c.relay.CommandTimeout)
	_, refused := c.ask(ctx, by, 250, "MAIL FROM:<"+a.String()+">")
	if _, ok := refused.(*reply); refused != nil && !ok {
		c.dead = true
		return refused
	}
	if _, err := c.ask(ctx, by, 250, "RSET"); err != nil {
		c.dead = true
		return cmp.Or(refused, err)
	}
	return refused
}

// verifyCertificate reports why a certificate would be refused by the modes that require a good one.
func verifyCertificate(state *tls.ConnectionState, name string) error {
	if len(state.VerifiedChains) > 0 {
		return nil
	}
	options := x509.VerifyOptions{DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return tlsfault.Plain(err)
	}
	return nil
}
