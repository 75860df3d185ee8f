package relaytest

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// session is one connection after its EHLO.
type session struct {
	relay *Relay
	conn  *gosmtp.Conn
	user  string
	mails int

	mail Message // the transaction under way
	rule *Rule
}

func (r *Relay) newSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	return &session{relay: r, conn: c}, nil
}

func (s *session) AuthMechanisms() []string {
	if s.relay.profile.Username == "" {
		return nil
	}
	return s.relay.profile.Mechanisms
}

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, username, password string) error { return s.login(username, password) }), nil
	case "LOGIN":
		return &loginServer{check: s.login}, nil
	case "XOAUTH2":
		return &tokenServer{check: s.login}, nil
	}
	return nil, gosmtp.ErrAuthUnknownMechanism
}

func (s *session) login(username, password string) error {
	if username != s.relay.profile.Username || password != s.relay.profile.Password {
		return gosmtp.ErrAuthFailed
	}
	s.user = username
	return nil
}

func (s *session) Mail(from string, opts *gosmtp.MailOptions) error {
	p := &s.relay.profile
	if p.Username != "" && s.user == "" {
		return &gosmtp.SMTPError{Code: 530, EnhancedCode: gosmtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	if p.MaxMailsPerConn > 0 && s.mails >= p.MaxMailsPerConn {
		s.closeSoon()
		return &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 7, 0}, Message: "Too many mails on this connection"}
	}
	if s.relay.trouble().Busy {
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "System busy, try again later"}
	}
	s.mails++
	s.mail = Message{From: from, UTF8: opts.UTF8, EnvelopeID: opts.EnvelopeID, Helo: s.conn.Hostname(), User: s.user}
	s.mail.Connection, s.mail.Encrypted = s.origin()
	return s.stage(AtMail)
}

// closeSoon closes the connection after the reply was sent.
func (s *session) closeSoon() {
	s.relay.joined.Go(func() {
		s.wait(20 * time.Millisecond)
		s.conn.Conn().Close()
	})
}

// origin returns the connection's number, and whether it is encrypted.
func (s *session) origin() (number int, encrypted bool) {
	c := s.conn.Conn()
	if t, ok := c.(*tls.Conn); ok {
		c, encrypted = t.NetConn(), true
	}
	if counted, ok := c.(*countedConn); ok {
		number = counted.number
	}
	return number, encrypted
}

func (s *session) Rcpt(to string, opts *gosmtp.RcptOptions) error {
	s.mail.To = to
	for _, n := range opts.Notify {
		s.mail.Notify = append(s.mail.Notify, string(n))
	}
	if err := s.stage(AtRcpt); err != nil {
		return err
	}
	if s.rule = s.relay.profile.ruleFor(to); s.rule != nil && !s.rule.AtDot {
		return s.rule.reply()
	}
	if s.relay.greylisted(to) {
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, try again later"}
	}
	return nil
}

func (s *session) Data(body io.Reader) error {
	if err := s.stage(AtBody); err != nil {
		return err
	}
	data, err := io.ReadAll(body)
	if err != nil {
		if !errors.Is(err, gosmtp.ErrDataTooLarge) {
			s.conn.Conn().Close() // else the rest of the body would run as commands
		}
		return err
	}
	if s.rule != nil && s.rule.refuses() {
		return s.rule.reply()
	}
	s.mail.Data = data
	s.relay.record(s.mail)
	if s.rule != nil && s.rule.Drop {
		s.conn.Conn().Close()
		return nil
	}
	if s.rule != nil {
		s.wait(s.rule.Delay)
	}
	return s.stage(AtDot)
}

// stage delays, freezes or drops where the profile says so.
func (s *session) stage(at Stage) error {
	p := &s.relay.profile
	if delay := max(p.Delay, s.relay.trouble().Delay); delay > 0 && at != AtBody {
		s.wait(delay)
	}
	switch {
	case s.relay.fails(p.Freeze, at):
		<-s.relay.closing
	case s.relay.fails(p.Drop, at):
	default:
		return nil
	}
	s.conn.Conn().Close()
	return gosmtp.ErrServerClosed
}

// wait returns after d, or when the relay closes.
func (s *session) wait(d time.Duration) { s.relay.wait(d) }

func (s *session) Reset()        { s.mail, s.rule = Message{}, nil }
func (s *session) Logout() error { return nil }

// loginServer is SASL LOGIN: it asks for the name first, then for the password.
type loginServer struct {
	check    func(username, password string) error
	asked    int
	username string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.asked++
	switch {
	case l.asked == 1 && response == nil:
		return []byte("Username:"), false, nil
	case l.username == "":
		l.username = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.username, string(response))
}

// tokenServer is SASL XOAUTH2: a wrong token gets a challenge with the error, which the client answers by an
// empty line before the login is refused.
type tokenServer struct {
	check  func(username, token string) error
	failed error
}

func (x *tokenServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case x.failed != nil && len(response) > 0:
		return nil, true, errors.New("relaytest: the error challenge wants an empty response")
	case x.failed != nil:
		return nil, true, x.failed
	case response == nil:
		return nil, false, nil
	}
	username, token, ok := strings.Cut(strings.TrimPrefix(string(response), "user="), "\x01auth=Bearer ")
	token, ended := strings.CutSuffix(token, "\x01\x01")
	if !ok || !ended {
		return nil, true, errors.New("relaytest: not a response of XOAUTH2")
	}
	if x.failed = x.check(username, token); x.failed != nil {
		return []byte(`{"status":"401","schemes":"bearer"}`), false, nil
	}
	return nil, true, nil
}
