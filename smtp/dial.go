package smtp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// dial connects, encrypts, greets and logs in, all within Relay.DialTimeout. Its
// error is a *Failure.
func (r *relay) dial(ctx context.Context) (*conn, error) {
	by := time.Now().Add(r.DialTimeout)
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	raw, err := r.dialTCP(ctx, "tcp", r.Addr)
	if err != nil {
		return nil, &Failure{ReasonDial, err}
	}
	c := newClient(raw)
	c.heard = r.heard
	if err := r.establish(ctx, by, c); err != nil {
		c.close()
		return nil, err
	}
	now := time.Now()
	until := now.Add(r.MaxAge - rand.N(r.MaxAge/10))
	return &conn{client: c, relay: r.Relay, used: now, mailed: now, until: until}, nil
}

// heard passes a reply on, word for word.
func (r *relay) heard(said *reply) {
	r.mu.Lock()
	words := r.handler.Words
	r.mu.Unlock()
	if words != nil {
		words(r.Name, said.verbatim)
	}
}

// establish makes a TCP connection ready for MAIL. Its error is a *Failure.
func (r *relay) establish(ctx context.Context, by time.Time, c *client) error {
	if r.TLS == TLSImplicit {
		if err := c.handshake(ctx, by, r.tlsConfig()); err != nil {
			return err
		}
	}
	if _, err := c.read(ctx, by, 220); err != nil {
		return failureOf(err, ReasonGreeting)
	}
	if err := c.hello(ctx, by, r.Helo); err != nil {
		return failureOf(err, ReasonGreeting)
	}
	if r.TLS == TLSStartTLS || r.TLS == TLSOpportunistic {
		if err := r.startTLS(ctx, by, c); err != nil {
			return err
		}
	}
	if r.Username != "" {
		if err := r.login(ctx, by, c); err != nil {
			return failureOf(err, loginReason(err))
		}
	}
	if err := c.surplus(); err != nil {
		return failureOf(err, ReasonProtocol)
	}
	return nil
}

// startTLS encrypts the connection, or leaves it in the clear where the relay does not offer
// STARTTLS, or not now (454, RFC 3207 §4), and the mode allows that. EHLO is repeated under
// TLS only (RFC 3207 §4.2): not all relays accept a second EHLO in the clear.
func (r *relay) startTLS(ctx context.Context, by time.Time, c *client) error {
	err := errors.New("relay does not offer STARTTLS")
	if c.ext.offers("STARTTLS") {
		err = c.startTLS(ctx, by, r.tlsConfig())
	}
	var refused *reply
	switch {
	case err == nil:
		if err := c.hello(ctx, by, r.Helo); err != nil {
			return failureOf(err, ReasonGreeting)
		}
		return nil
	case c.ext.offers("STARTTLS") && !(errors.As(err, &refused) && refused.code == 454):
		return failureOf(err, ReasonTLS)
	case r.TLS == TLSStartTLS:
		return &Failure{ReasonTLS, fmt.Errorf(`%w, and tls = "starttls" requires it`, err)}
	}
	return nil
}

// login logs in with the configured mechanism; by default PLAIN where the relay offers it, else LOGIN.
func (r *relay) login(ctx context.Context, by time.Time, c *client) error {
	mechanism := cmp.Or(r.Mechanism, "PLAIN")
	if r.Mechanism == "" && !c.ext.offersAuth("PLAIN") && c.ext.offersAuth("LOGIN") {
		mechanism = "LOGIN"
	}
	if !c.ext.offersAuth(mechanism) {
		return &Failure{ReasonAuth, fmt.Errorf("relay does not offer AUTH %s", mechanism)}
	}
	password := r.Password
	if r.Secret != nil {
		var err error
		if password, err = r.Secret.Read(); err != nil { // it may be about to be replaced
			return &Failure{ReasonUnfit, fmt.Errorf("no login: the password or token can't be read: %w", err)}
		}
	}
	err := c.auth(ctx, by, mechanism, r.Username, password)
	if err != nil && failureOf(err, loginReason(err)).Reason == ReasonAuth {
		r.mu.Lock()
		r.health.refused = password
		r.mu.Unlock()
	}
	return err
}

// loginReason distinguishes a login that was refused from one that the relay can't check now:
// 454, 421 (RFC 4954 §6).
func loginReason(err error) Reason {
	var refused *reply
	if errors.As(err, &refused) && refused.is(4) {
		return ReasonUnfit
	}
	return ReasonAuth
}

// failureOf returns why a connection failed. A reply means the reason given.
func failureOf(err error, refused Reason) *Failure {
	var r *reply
	var netErr net.Error
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &r):
		return &Failure{refused, err}
	case errors.Is(err, errNotReply), errors.Is(err, errReplyTooLong):
		return &Failure{ReasonProtocol, err}
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return &Failure{ReasonTimeout, err}
	}
	return &Failure{ReasonLost, err}
}
