package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
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
		// Opportunistic TLS takes any certificate: the alternative is the clear.
		InsecureSkipVerify: r.TLS == TLSOpportunistic,
	}
	return &dialer{relay: r, tls: config}, nil
}

// dial connects, encrypts, greets and logs in, all within Relay.DialTimeout. Its
// error is a *Failure.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.relay.DialTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", d.relay.Addr)
	if err != nil {
		return nil, &Failure{ReasonDial, plainly(ctx, err)}
	}
	g := newGuard(raw)
	deadline, _ := ctx.Deadline()
	g.until(deadline)
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	c, failure := d.establish(g)
	if failure == nil && !stop() {
		failure = &Failure{ReasonTimeout, ctx.Err()}
	}
	if failure != nil {
		stop()
		raw.Close()
		failure.Err = plainly(ctx, failure.Err)
		return nil, failure
	}
	return c, nil
}

// plainly tells the context's end instead of the closed socket that it left behind.
func plainly(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
		return ctx.Err()
	}
	return err
}

func (d *dialer) establish(g *guard) (*conn, *Failure) {
	if failure := d.encrypt(g); failure != nil {
		return nil, failure
	}
	client := gosmtp.NewClient(g)
	if err := client.Hello(d.relay.Helo); err != nil {
		return nil, failureOf(err, ReasonGreeting)
	}
	if err := d.login(client); err != nil {
		return nil, failureOf(err, loginReason(err))
	}
	utf8, _ := client.Extension("SMTPUTF8")
	dsn, _ := client.Extension("DSN")
	now := time.Now()
	return &conn{client: client, guard: g, relay: d.relay, utf8: utf8, dsn: dsn && d.relay.DSN, used: now, mailed: now}, nil
}

// encrypt brings TLS about as the relay's mode wants it.
func (d *dialer) encrypt(g *guard) *Failure {
	switch d.relay.TLS {
	case TLSOff:
		return nil
	case TLSImplicit:
		if err := g.encrypt(d.tls); err != nil {
			return &Failure{ReasonTLS, err}
		}
		return nil
	}
	clear, failure := d.askForTLS(g)
	switch {
	case failure != nil:
		return failure
	case clear != nil && d.relay.TLS == TLSStartTLS:
		return &Failure{ReasonTLS, errors.New(`relay offers no STARTTLS, and tls = "starttls" requires it`)}
	case clear != nil && g.unasked() != nil:
		return &Failure{ReasonProtocol, errUnasked}
	case clear == nil:
		if err := g.encrypt(d.tls); err != nil {
			return &Failure{ReasonTLS, err}
		}
	}
	// go-smtp reads the greeting and says EHLO by itself. In the clear both were done: not all
	// relays take a second EHLO. Under TLS it is a new one (RFC 3207 §4.2).
	g.ahead, g.told = []byte("220 ready\r\n"), clear
	return nil
}

// askForTLS reads the greeting and says EHLO and STARTTLS. It returns the reply to EHLO
// where there is no TLS, nil where the handshake is next. It is done by hand:
// go-smtp's way knows neither our name nor "if offered".
func (d *dialer) askForTLS(g *guard) (clear []byte, failure *Failure) {
	text := textproto.NewReader(bufio.NewReader(g))
	ask := func(command string, want int) (string, error) {
		if command != "" {
			if _, err := g.Write([]byte(command + "\r\n")); err != nil {
				return "", err
			}
		}
		_, reply, err := text.ReadResponse(want)
		return reply, err
	}
	if _, err := ask("", 220); err != nil {
		return nil, failureOf(err, ReasonGreeting)
	}
	var refused *textproto.Error
	reply, err := ask("EHLO "+d.relay.Helo, 250)
	switch {
	case errors.As(err, &refused): // HELO only, or not for us
		return asReply(refused.Code, refused.Msg), nil
	case err != nil:
		return nil, failureOf(err, ReasonGreeting)
	case !offers(reply, "STARTTLS"):
		return asReply(250, reply), nil
	}
	if _, err := ask("STARTTLS", 220); err != nil {
		if errors.As(err, &refused) && refused.Code == 454 { // TLS not available now (RFC 3207 §4)
			return asReply(250, reply), nil
		}
		return nil, failureOf(err, ReasonTLS)
	}
	if g.unasked() != nil { // would be taken for replies given under TLS
		return nil, &Failure{ReasonTLS, errors.New("relay spoke in the clear after STARTTLS")}
	}
	return nil, nil
}

// asReply is a reply as it came (RFC 5321 §4.2.1).
func asReply(code int, text string) []byte {
	var reply []byte
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		reply = fmt.Appendf(reply, "%d-%s\r\n", code, line)
	}
	return fmt.Appendf(reply, "%d %s\r\n", code, lines[len(lines)-1])
}

// offers looks for an extension in the reply to EHLO (RFC 5321 §4.1.1.1).
func offers(reply, extension string) bool {
	for line := range strings.SplitSeq(reply, "\n") {
		if name, _, _ := strings.Cut(line, " "); strings.EqualFold(name, extension) {
			return true
		}
	}
	return false
}

func (d *dialer) login(client *gosmtp.Client) error {
	r := d.relay
	if r.Username == "" {
		return nil
	}
	mechanism := r.Mechanism
	if mechanism == "" {
		mechanism = "PLAIN"
		if !client.SupportsAuth("PLAIN") && client.SupportsAuth("LOGIN") {
			mechanism = "LOGIN"
		}
	}
	if !client.SupportsAuth(mechanism) {
		return &Failure{ReasonAuth, fmt.Errorf("relay does not offer AUTH %s", mechanism)}
	}
	if mechanism == "LOGIN" {
		return client.Auth(&login{answers: []string{r.Username, r.Password}})
	}
	return client.Auth(sasl.NewPlainClient("", r.Username, r.Password))
}

// loginReason tells a login that was refused from one that the relay can't judge now, as
// while what it asks is restarted: 454, 421 (RFC 4954 §6).
func loginReason(err error) Reason {
	var refused *gosmtp.SMTPError
	if errors.As(err, &refused) && refused.Code/100 == 4 {
		return ReasonUnfit
	}
	return ReasonAuth
}

// login is SASL LOGIN: the name, then the password, whatever words the relay
// asks for them with.
type login struct{ answers []string }

func (l *login) Start() (string, []byte, error) { return "LOGIN", nil, nil }

func (l *login) Next([]byte) ([]byte, error) {
	if len(l.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}

// failureOf tells from an error why a connection failed; refusals in the
// protocol fail for the reason given.
func failureOf(err error, refused Reason) *Failure {
	var smtpErr *gosmtp.SMTPError
	var textErr *textproto.Error
	var netErr net.Error
	var notReply textproto.ProtocolError
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &smtpErr):
		return &Failure{refused, replyError(smtpErr.Code, maskReply(smtpErr.Message, nil))}
	case errors.As(err, &textErr):
		return &Failure{refused, replyError(textErr.Code, maskReply(textErr.Msg, nil))}
	case errors.As(err, &notReply):
		// Its text quotes what came, which is anything at all.
		return &Failure{ReasonProtocol, errors.New("what the relay sent is no SMTP reply")}
	case errors.Is(err, errReplyTooLong), errors.Is(err, gosmtp.ErrTooLongLine):
		return &Failure{ReasonProtocol, err}
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return &Failure{ReasonTimeout, err}
	}
	return &Failure{ReasonLost, err}
}

func replyError(code int, text string) error { return fmt.Errorf("relay replied %d %s", code, text) }
