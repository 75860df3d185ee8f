package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-sasl"
)

// dialer makes connections to one relay that are ready for MAIL.
type dialer struct {
	relay Relay
	tls   *tls.Config
}

func newDialer(r Relay) (*dialer, error) {
	roots, err := trusted(r)
	if err != nil {
		return nil, err
	}
	certs, err := ownCertificate(r)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		ServerName:   r.ServerName,
		RootCAs:      roots,
		Certificates: certs,
		MinVersion:   tlsVersions[r.MinTLSVersion],
		// Opportunistic TLS accepts any certificate: the alternative is no encryption.
		InsecureSkipVerify: r.TLS == TLSOpportunistic,
	}
	return &dialer{relay: r, tls: config}, nil
}

// dial connects, encrypts, greets and logs in, all within Relay.DialTimeout. Its
// error is a *Failure.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	by := time.Now().Add(d.relay.DialTimeout)
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", d.relay.Addr)
	if err != nil {
		return nil, &Failure{ReasonDial, err}
	}
	c := newClient(raw)
	if err := d.establish(ctx, by, c); err != nil {
		c.close()
		return nil, err
	}
	now := time.Now()
	return &conn{client: c, relay: d.relay, used: now, mailed: now}, nil
}

// establish makes a TCP connection ready for MAIL. Its error is a *Failure.
func (d *dialer) establish(ctx context.Context, by time.Time, c *client) error {
	if d.relay.TLS == TLSImplicit {
		if err := c.handshake(ctx, by, d.tls); err != nil {
			return err
		}
	}
	if _, err := c.read(ctx, by, 220); err != nil {
		return failureOf(err, ReasonGreeting)
	}
	if err := c.hello(ctx, by, d.relay.Helo); err != nil {
		return failureOf(err, ReasonGreeting)
	}
	if d.relay.TLS == TLSStartTLS || d.relay.TLS == TLSOpportunistic {
		if err := d.startTLS(ctx, by, c); err != nil {
			return err
		}
	}
	if d.relay.Username != "" {
		if err := d.login(ctx, by, c); err != nil {
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
func (d *dialer) startTLS(ctx context.Context, by time.Time, c *client) error {
	err := errors.New("relay does not offer STARTTLS")
	if c.ext.offers("STARTTLS") {
		err = c.startTLS(ctx, by, d.tls)
	}
	var refused *reply
	switch {
	case err == nil:
		if err := c.hello(ctx, by, d.relay.Helo); err != nil {
			return failureOf(err, ReasonGreeting)
		}
		return nil
	case c.ext.offers("STARTTLS") && !(errors.As(err, &refused) && refused.code == 454):
		return failureOf(err, ReasonTLS)
	case d.relay.TLS == TLSStartTLS:
		return &Failure{ReasonTLS, fmt.Errorf(`%w, and tls = "starttls" requires it`, err)}
	}
	return nil
}

// login logs in with the configured mechanism; by default PLAIN where the relay offers it, else LOGIN.
func (d *dialer) login(ctx context.Context, by time.Time, c *client) error {
	r := d.relay
	mechanism := r.Mechanism
	if mechanism == "" {
		mechanism = "PLAIN"
		if !c.ext.offersAuth("PLAIN") && c.ext.offersAuth("LOGIN") {
			mechanism = "LOGIN"
		}
	}
	if !c.ext.offersAuth(mechanism) {
		return &Failure{ReasonAuth, fmt.Errorf("relay does not offer AUTH %s", mechanism)}
	}
	if mechanism == "LOGIN" {
		return c.auth(ctx, by, &login{responses: []string{r.Username, r.Password}})
	}
	return c.auth(ctx, by, sasl.NewPlainClient("", r.Username, r.Password))
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

// login is SASL LOGIN: the name, then the password, whatever the challenges say.
type login struct{ responses []string }

func (l *login) Start() (string, []byte, error) { return "LOGIN", nil, nil }

func (l *login) Next([]byte) ([]byte, error) {
	if len(l.responses) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	response := l.responses[0]
	l.responses = l.responses[1:]
	return []byte(response), nil
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
