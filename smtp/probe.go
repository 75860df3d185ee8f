package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
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
	// Refused is the relay's refusal of MAIL; nil where it takes the return path.
	Refused error
}

// Offers reports whether the relay offers an extension.
func (s *Seen) Offers(keyword string) bool { return slices.Contains(s.Extensions, keyword) }

// Probe connects to a relay as the pool does, logs in, and begins a transaction with the return path, which it
// breaks off at once: no mail is sent. The error is a *Failure; Seen is nil where there was no connection.
func Probe(ctx context.Context, config Relay, returnPath string) (*Seen, error) {
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
	seen := &Seen{Extensions: slices.Sorted(maps.Keys(c.ext)), Size: c.ext.size()}
	if secure, ok := c.conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		seen.TLS, seen.Certificate = &state, verifyCertificate(&state, config.ServerName)
	}
	if err := c.tryMail(ctx, returnPath); err != nil {
		refused, ok := err.(*reply)
		if !ok {
			return seen, failureOf(err, ReasonLost)
		}
		seen.Refused = refused
	}
	return seen, nil
}

// ProbeRecipients connects to the server at addr, in the clear, and asks whether it takes a report to each of the
// recipients, without sending one. The result has nil for each that it takes. The error, a *Failure, says why it was
// not asked, or not for all.
func ProbeRecipients(ctx context.Context, addr string, recipients []string) ([]error, error) {
	r := &relay{Relay: Relay{Addr: addr, TLS: TLSOff}.WithDefaults(), dialTCP: new(net.Dialer).DialContext}
	r.DialTimeout, r.CommandTimeout = probeTime, probeTime
	c, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	var results []error
	for _, recipient := range recipients {
		refusal, err := c.tryRecipient(ctx, recipient)
		if err != nil {
			return results, err
		}
		results = append(results, refusal)
	}
	return results, nil
}

// tryRecipient begins a transaction of its own, since some servers take one recipient of a report, and breaks it
// off. Without a refusal of RCPT the error is nil, or why there is no answer.
func (c *conn) tryRecipient(ctx context.Context, recipient string) (refusal, err error) {
	a, err := parseAddress(recipient)
	if err != nil {
		return nil, fmt.Errorf("the recipient %w", err)
	}
	for _, step := range []string{"MAIL FROM:<>", "RCPT TO:<" + a.String() + ">", "RSET"} {
		_, err := c.ask(ctx, time.Now().Add(probeTime), 25, step)
		_, refused := err.(*reply)
		switch {
		case refused && strings.HasPrefix(step, "RCPT"):
			refusal = err
		case err != nil:
			c.dead = !refused
			return nil, failureOf(err, ReasonUnfit)
		}
	}
	return refusal, nil
}

// Temporary reports whether an error is a reply that says to come again later (4yz).
func Temporary(err error) bool {
	var r *reply
	return errors.As(err, &r) && r.is(4)
}

// probeTime bounds connecting to a server that is not our relay, and each command to it. Such a server may look up
// names and addresses before it answers.
const probeTime = 10 * time.Second

// tryMail sends MAIL, and RSET so that no mail comes of it.
func (c *conn) tryMail(ctx context.Context, returnPath string) error {
	path, err := parseReturnPath(returnPath)
	if err != nil {
		return fmt.Errorf("the return path %w", err)
	}
	by := time.Now().Add(c.relay.CommandTimeout)
	_, refused := c.ask(ctx, by, 250, "MAIL FROM:<"+path+">")
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
